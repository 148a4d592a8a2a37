"""What keeps an agent able to learn over many updates: normed layers, and heads drawn anew.

Networks that are updated many times a step, on what was seen first above all, come to learn ever
more slowly (Nikishin et al. 2022, arXiv 2205.07802; Lyle et al. 2023, arXiv 2303.01486). Both ways
out leave SB3's classes as they are.
"""

from __future__ import annotations

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu


class NormedReLU(nn.Module):
    """Layer normalisation, without weights of its own, then ReLU: for ``activation_fn``.

    ``SAC(..., policy_kwargs={"activation_fn": NormedReLU})`` norms every hidden layer.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """Of hidden units ``(..., width)``."""
        return relu(layer_norm(hidden, hidden.shape[-1:]))


@torch.no_grad()
def reset_heads(agent: OffPolicyAlgorithm) -> None:
    """Draw the last layers of actor and critics anew; what was seen stays in the buffer.

    Targets follow at once, and optimisers forget what they knew of these layers.

    Args:
        agent: SAC, TQC or TD3.
    """
    policy = agent.policy
    for name in ("actor", "critic"):
        online, target = getattr(policy, name), getattr(policy, f"{name}_target", None)
        for head in _heads(online):
            head.reset_parameters()
            for parameter in head.parameters():
                online.optimizer.state.pop(parameter, None)
        if target is not None:
            for old, new in zip(_heads(target), _heads(online), strict=True):
                old.load_state_dict(new.state_dict())


def _heads(network: nn.Module) -> list[nn.Linear]:
    """The last linear layer of everything that it answers with."""
    answers = list(getattr(network, "q_networks", []))
    answers += [getattr(network, name) for name in ("mu", "log_std") if hasattr(network, name)]
    heads = []
    for answer in answers:
        if isinstance(answer, nn.Module):  # with gSDE, log_std is a parameter
            heads.append([layer for layer in answer.modules() if isinstance(layer, nn.Linear)][-1])
    return heads
