"""mosim_gym: learned motion simulators (MoSim) as Gymnasium environments.

Importing it registers the ``MoSim/...`` ids and nothing more: torch, MuJoCo and Stable-Baselines3
are imported when something that needs them is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mosim_gym.registration import register_envs

if TYPE_CHECKING:
    from mosim_gym.data.dataset import Dataset as Dataset
    from mosim_gym.data.recorder import Recorder as Recorder
    from mosim_gym.data.sb3 import StateDictReplayBuffer as StateDictReplayBuffer
    from mosim_gym.data.sb3 import StateReplayBuffer as StateReplayBuffer
    from mosim_gym.data.state_info import PhysicsStateInfo as PhysicsStateInfo
    from mosim_gym.dynamics.checkpoint import load_simulator as load_simulator
    from mosim_gym.dynamics.simulator import Simulator as Simulator
    from mosim_gym.envs.dm import load as load
    from mosim_gym.envs.pending import PendingActions as PendingActions
    from mosim_gym.envs.resets import MixedResets as MixedResets
    from mosim_gym.envs.resets import ReplayResets as ReplayResets
    from mosim_gym.envs.resets import TaskResets as TaskResets
    from mosim_gym.envs.sb3 import make_sb3_vec_env as make_sb3_vec_env
    from mosim_gym.envs.uniform_resets import UniformResets as UniformResets
    from mosim_gym.rl.train import train_agent as train_agent
    from mosim_gym.robots.spec import RobotSpec as RobotSpec
    from mosim_gym.types import State as State
    from mosim_gym.types import Trajectory as Trajectory
    from mosim_gym.user_bodies import register_body as register_body

__version__ = "0.1.0"

#: Public names and the modules they come from, imported when first used.
_PUBLIC = {
    "Dataset": "mosim_gym.data.dataset",
    "MixedResets": "mosim_gym.envs.resets",
    "PendingActions": "mosim_gym.envs.pending",
    "PhysicsStateInfo": "mosim_gym.data.state_info",
    "Recorder": "mosim_gym.data.recorder",
    "ReplayResets": "mosim_gym.envs.resets",
    "RobotSpec": "mosim_gym.robots.spec",
    "Simulator": "mosim_gym.dynamics.simulator",
    "State": "mosim_gym.types",
    "StateDictReplayBuffer": "mosim_gym.data.sb3",
    "StateReplayBuffer": "mosim_gym.data.sb3",
    "TaskResets": "mosim_gym.envs.resets",
    "Trajectory": "mosim_gym.types",
    "UniformResets": "mosim_gym.envs.uniform_resets",
    "load": "mosim_gym.envs.dm",
    "load_simulator": "mosim_gym.dynamics.checkpoint",
    "make_sb3_vec_env": "mosim_gym.envs.sb3",
    "register_body": "mosim_gym.user_bodies",
    "train_agent": "mosim_gym.rl.train",
}
__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


register_envs()
