"""An agent in the middle of its training, as nested values: to write, and to go on from.

Its networks and optimisers, its replay buffer, how far it is, and the random numbers of torch and
NumPy. What SB3 saves with an agent lacks the last, and pickles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

#: File in the folder of an unfinished run.
STATE = "state.safetensors"
#: What comes after a break starts from other draws than what came before.
_SEED_STRIDE = 1_000_003
_PARTS = ("parameters", "log_ent_coef", "num_timesteps", "updates", "buffer", "torch", "numpy")
_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def agent_state(agent: OffPolicyAlgorithm) -> dict[str, Any]:
    """Where an agent stands: JSON values and tensors."""
    buffer = agent.replay_buffer
    assert buffer is not None
    filled = buffer.buffer_size if buffer.full else buffer.pos
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "parameters": agent.get_parameters(),
        "log_ent_coef": getattr(agent, "log_ent_coef", None),
        "num_timesteps": agent.num_timesteps,
        "updates": agent._n_updates,
        "buffer": {
            "pos": buffer.pos,
            "full": buffer.full,
            "arrays": {
                key: torch.from_numpy(getattr(buffer, key)[:filled])
                for key in _ARRAYS
                if hasattr(buffer, key)
            },
        },
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
    }


def seed_after(seed: int, judgements: int) -> int:
    """Seed of the environment of a run that goes on after so many judgements or rounds."""
    return (seed + _SEED_STRIDE * judgements) % 2**32


def require_whole(state: dict[str, Any]) -> dict[str, Any]:
    """The state that was given; KeyError if it is of a version that wrote something else."""
    return {part: state[part] for part in _PARTS}


@torch.no_grad()
def restore_agent(agent: OffPolicyAlgorithm, state: dict[str, Any]) -> None:
    """Let a new agent go on as the one that was written; its episodes begin anew."""
    agent.set_parameters(state["parameters"])
    if state["log_ent_coef"] is not None:
        agent.log_ent_coef.copy_(state["log_ent_coef"])  # type: ignore[attr-defined]
    agent.num_timesteps, agent._n_updates = state["num_timesteps"], state["updates"]
    buffer = agent.replay_buffer
    assert buffer is not None
    for key, value in state["buffer"]["arrays"].items():
        getattr(buffer, key)[: len(value)] = value.numpy()
    buffer.pos, buffer.full = state["buffer"]["pos"], state["buffer"]["full"]
    end_running_episodes(buffer)
    torch.set_rng_state(state["torch"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


def end_running_episodes(buffer: ReplayBuffer) -> None:
    """Truncate the episodes that were running: what comes next begins anew."""
    if buffer.size():
        last = (buffer.pos - 1) % buffer.buffer_size
        buffer.timeouts[last] = np.where(buffer.dones[last] > 0, buffer.timeouts[last], 1)
