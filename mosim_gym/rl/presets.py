"""How agents are trained, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import LinearSchedule

from mosim_gym.envs.resets import MixedResets, ResetSource
from mosim_gym.envs.uniform_resets import UniformResets
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.plasticity import NormedReLU


@dataclass(frozen=True, slots=True)
class AgentPreset:
    """Settings of one training run.

    A model steps hundreds of rows for less than the price of an update, so fresh experience is
    cheap and updates are not: many rows, few updates a vector step, a replay buffer that soon holds
    only what recent policies did, and short episodes for the variety of their starts (a truncated
    episode is bootstrapped, so its length does not change what is optimal). What each setting was
    chosen against is in ``docs/results.md``.

    Attributes:
        n_envs: rows stepped together.
        horizon: steps after which a row starts anew.
        gradient_steps: updates a vector step.
        learning_starts: environment steps before the first update.
        updates: the default budget in updates; see `total_timesteps`.
        buffer_size: transitions kept.
        learning_rate: at the start; falls linearly to 0 over the run.
        tau: share of the target networks renewed an update.
        n_steps: of the returns; sparse rewards spread faster through more than one.
        gamma: discount a control step.
        ent_coef: of the entropy bonus of SAC and TQC; one that starts at 1 drowns a sparse reward
            at first.
        exploration: standard deviation of TD3's normal noise on actions scaled to -1..1.
        net_arch: hidden layers of actor and critics.
        layer_norm: norm every hidden layer (`mosim_gym.rl.plasticity`).
        policy: other ``policy_kwargs`` of the SB3 class, such as the number of critics.
        wide_starts: share of the rows that start anywhere (`UniformResets`), the others as they
            would without. Under a strategy of imagined rows only; judgements never start so.
        wide_speed: the largest speed of those starts, rad/s and m/s.
        wide_gathered: share of those starts that gather around the middle of the joints' limits.
        further: other arguments of the SB3 class.
    """

    n_envs: int = 256
    horizon: int = 100
    gradient_steps: int = 2
    learning_starts: int = 12_800
    updates: int = 12_000
    buffer_size: int = 400_000
    learning_rate: float = 1e-3
    tau: float = 0.01
    n_steps: int = 3
    gamma: float = 0.99
    ent_coef: str = "auto_0.05"
    exploration: float = 0.2
    net_arch: tuple[int, ...] = (128, 128)
    layer_norm: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)
    wide_starts: float = 0.0
    wide_speed: float = 0.0
    wide_gathered: float = 0.0
    further: Mapping[str, Any] = field(default_factory=dict)

    def starts(self, otherwise: ResetSource) -> ResetSource:
        """Where rows start, given where they would without `wide_starts`."""
        if not self.wide_starts:
            return otherwise
        wide = UniformResets(self.wide_speed, self.wide_gathered)
        if self.wide_starts >= 1:
            return wide
        return MixedResets({wide: self.wide_starts, otherwise: 1 - self.wide_starts})

    def total_timesteps(self, updates: int) -> int:
        """Environment steps that lead to so many updates."""
        vector_steps = -(-updates // self.gradient_steps)
        return self.learning_starts + vector_steps * self.n_envs

    def sb3_arguments(self, algorithm: Algorithm, n_actions: int) -> dict[str, Any]:
        """Arguments of the SB3 class, besides policy, environment, seed and log.

        Args:
            algorithm: whose class it is.
            n_actions: entries of an action.
        """
        if algorithm.explores:
            exploration: dict[str, Any] = {"ent_coef": self.ent_coef}
        else:
            spread = np.full(n_actions, self.exploration)
            exploration = {"action_noise": NormalActionNoise(np.zeros(n_actions), spread)}
        normed = {"activation_fn": NormedReLU} if self.layer_norm else {}
        return {
            "learning_rate": LinearSchedule(self.learning_rate, 0.0, 1.0),
            "buffer_size": self.buffer_size,
            "learning_starts": self.learning_starts,
            "train_freq": 1,
            "gradient_steps": self.gradient_steps,
            "tau": self.tau,
            "gamma": self.gamma,
            # SB3's own n_steps argument does the same, but warns whenever such an agent is loaded.
            "replay_buffer_class": NStepReplayBuffer,
            "replay_buffer_kwargs": {"n_steps": self.n_steps, "gamma": self.gamma},
            "policy_kwargs": {"net_arch": list(self.net_arch), **normed, **self.policy},
            **exploration,
            **self.further,
        }


PRESETS: dict[Algorithm, AgentPreset] = {
    Algorithm.SAC: AgentPreset(),
    # TQC's dropped quantiles are a pessimism that a sparse reward does not survive for long.
    Algorithm.TQC: AgentPreset(updates=18_000, further={"top_quantiles_to_drop_per_net": 0}),
    Algorithm.TD3: AgentPreset(),
}


#: For swing-ups, of whatever algorithm. What pays comes hundreds of steps after the first swing:
#: starts all over the state space show it, returns of many steps and fast targets carry it back
#: within a few thousand updates, and a discount of .995 leaves something of it. The lesser of two
#: critics and an entropy that is asked for both cost more than what is left; a little fixed
#: entropy keeps the actor from settling on the first action that is not the worst.
_SWING_UP: Mapping[str, Any] = {
    "horizon": 200,
    "gamma": 0.995,
    "n_steps": 10,
    "tau": 0.02,
    "ent_coef": "0.05",
    "policy": {"n_critics": 1},
    "wide_starts": 0.5,
    "wide_speed": 8.0,
    "updates": 8_000,
}
#: The acrobot balances in so small a region that few starts and few noisy sequences of actions
#: lie there: half of the wide ones gather around upright, returns are short, batches large. It is
#: still not learned (docs/results.md).
_ACROBOT: Mapping[str, Any] = {
    **_SWING_UP,
    "horizon": 500,
    "n_steps": 2,
    "tau": 0.03,
    "ent_coef": "0.01",
    "wide_starts": 0.6,
    "wide_speed": 6.0,
    "wide_gathered": 0.5,
    "updates": 10_000,
    "further": {"batch_size": 512},
}
#: For running: a gait is learned over many updates, slowly, by nets of the usual size, and what a
#: fast one is like is seen late in long episodes.
_RUN: Mapping[str, Any] = {
    "horizon": 1000,
    "gradient_steps": 8,
    "tau": 0.005,
    "net_arch": (256, 256),
    "updates": 60_000,
}
#: Walking is learned by smaller nets. An articulated walker's step costs hardly more for many rows.
_WALK: Mapping[str, Any] = {
    **_RUN,
    "net_arch": (128, 128),
    "n_envs": 1024,
    "gradient_steps": 32,
    "buffer_size": 800_000,
}
#: What pays is a hand's breadth somewhere else in every episode, and next to it nothing does: under
#: a discount of .99 agents come to rest a hair short of it, for critics take long to see that what
#: is next to what pays never pays. A shorter memory sees it soon.
_REACH: Mapping[str, Any] = {"gradient_steps": 4, "gamma": 0.97, "updates": 20_000}
#: What some tasks want otherwise.
_OF_TASKS: Mapping[str, Mapping[str, Any]] = {
    "acrobot-swingup": _ACROBOT,
    "cartpole-swingup": {"horizon": 1000},
    "cheetah-run": _RUN,
    "pendulum-swingup": _SWING_UP,
    "reacher-hard": _REACH,
    "walker-walk": _WALK,
}
#: What they want of one algorithm: fewer quantiles make an update of 512 rows half as dear.
_OF_BOTH: Mapping[tuple[str, Algorithm], Mapping[str, Any]] = {
    ("acrobot-swingup", Algorithm.TQC): {"policy": {"n_critics": 1, "n_quantiles": 8}},
}


def preset_for(task: str, algorithm: Algorithm) -> AgentPreset:
    """The preset of an algorithm, with what a task such as "cartpole-swingup" wants otherwise."""
    preset = PRESETS[algorithm]
    wanted = {**_OF_TASKS.get(task, {}), **_OF_BOTH.get((task, algorithm), {})}
    further = {**preset.further, **wanted.pop("further", {})}
    return dataclasses.replace(preset, further=further, **wanted)
