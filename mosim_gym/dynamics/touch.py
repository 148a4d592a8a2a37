"""Touch: what contact sensors read, learned beside the motion where a model knows no forces.

MuJoCo's touch sensor sums the normal forces of contacts, which a state does not hold, and what is
observed is the sum over the contacts of the last physics step's start (dm_control steps by
``mj_step2, mj_step..., mj_step1``, and sensors of forces belong to the first of each). Both that
start and the forces follow from the state arrived at and the action it was reached under, so the
head learns the reading from these two.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.networks import ResidualMLP
from mosim_gym.robots.spec import RobotSpec


class TouchHead(nn.Module):
    """A residual network of all features that answers in log1p(newtons)."""

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Build the network."""
        super().__init__()
        self.network = ResidualMLP(
            features.n_features, len(spec.touch), width=config.width, blocks=config.blocks
        )

    def forward(self, features: Tensor) -> Tensor:
        """log1p of the readings in newtons, ``(batch, ns)``, of whitened features."""
        # Softplus: never negative, and nearly zero over all the states that touch nothing.
        return softplus(self.network(features))
