"""Policies that move the robot while data is collected.

A policy is a callable from an observation to an action, with ``reset(rng)`` at the start of each
episode: its randomness comes from that generator alone, so an episode can be made again.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.files import as_path
from mosim_gym.types import Array, Float64Array

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

#: Where SB3 keeps each algorithm, and the one its agents' policy classes belong to.
_ALGORITHMS = {
    "sac": ("stable_baselines3", "SAC"),
    "td3": ("stable_baselines3", "TD3"),
    "ddpg": ("stable_baselines3", "DDPG"),
    "ppo": ("stable_baselines3", "PPO"),
    "a2c": ("stable_baselines3", "A2C"),
    "tqc": ("sb3_contrib", "TQC"),
    "crossq": ("sb3_contrib", "CrossQ"),
    "trpo": ("sb3_contrib", "TRPO"),
}
#: dm_control gives controls without limits the bounds +-1e10, no range to draw from.
_UNLIMITED = 1e9


class Policy(Protocol):
    """What `collect` needs of a policy."""

    @property
    def description(self) -> str:
        """What it is, with its settings; equal descriptions act alike."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """Begin an episode; all randomness comes from `rng`."""
        ...

    def __call__(self, observation: Any) -> Array:
        """An action ``(nu,)``."""
        ...


class HeldRandomPolicy:
    """Uniform random actions, each held for a random time (geometrically distributed).

    Holding moves the robot further than fresh noise at every step does, whose effect averages out.

    Args:
        action_low: lowest action, ``(nu,)``.
        action_high: highest action, ``(nu,)``; unlimited ones are drawn from [-1, 1].
        resample_probability: chance, at each step, of drawing a new action.
        zero_fraction: share of the new actions that is zero, so that free motion is seen too.
        rng: used until the first ``reset``.

    Raises:
        MosimError: for bounds that do not match or probabilities outside [0, 1].
    """

    def __init__(
        self,
        action_low: ArrayLike,
        action_high: ArrayLike,
        resample_probability: float = 0.2,
        zero_fraction: float = 0.1,
        rng: np.random.Generator | None = None,
    ) -> None:
        """See the class."""
        low = np.asarray(action_low, dtype=np.float64)
        high = np.asarray(action_high, dtype=np.float64)
        if low.ndim != 1 or low.shape != high.shape or not (low <= high).all():
            raise MosimError(
                f"Action bounds are {low} and {high}; expected two equal (nu,), low <= high."
            )
        for name, value in (
            ("resample_probability", resample_probability),
            ("zero_fraction", zero_fraction),
        ):
            if not 0 <= value <= 1:
                raise MosimError(f"{name} is {value!r}; expected a number from 0 to 1.")
        self._low = np.where(low <= -_UNLIMITED, np.minimum(-1.0, high), low)
        self._high = np.where(high >= _UNLIMITED, np.maximum(1.0, low), high)
        self._zero = np.clip(np.zeros_like(low), self._low, self._high)
        self._resample_probability = resample_probability
        self._zero_fraction = zero_fraction
        self._rng = np.random.default_rng() if rng is None else rng
        self._action: Float64Array | None = None

    @property
    def description(self) -> str:
        """Its name and settings."""
        return (
            f"held-random(resample_probability={self._resample_probability:g}, "
            f"zero_fraction={self._zero_fraction:g})"
        )

    def reset(self, rng: np.random.Generator) -> None:
        """Begin an episode with a new action."""
        self._rng = rng
        self._action = None

    def __call__(self, observation: Any) -> Float64Array:
        """The held action ``(nu,)``, or with `resample_probability` a new one."""
        if self._action is None or self._rng.random() < self._resample_probability:
            zero = self._rng.random() < self._zero_fraction
            drawn = self._rng.uniform(self._low, self._high)
            self._action = self._zero if zero else drawn
        return self._action.copy()


class AgentPolicy:
    """A Stable-Baselines3 agent, acting stochastically.

    SB3's zip files are SB3's own format and partly pickled: load only agents you trust. Agents
    trained under VecNormalize need their observations normalised by a wrapper.

    Args:
        path: the zip that ``model.save`` wrote.
        algo: "sac", "tqc", "ppo", ...; found in the file by default.

    Raises:
        MosimError: if the file is missing, no agent, or of an algorithm that is not known.
    """

    def __init__(self, path: str | Path, algo: str | None = None) -> None:
        """See the class."""
        file = as_path(path, "a zip written by SB3's model.save()")
        if not file.exists() and file.with_name(file.name + ".zip").exists():
            file = file.with_name(file.name + ".zip")
        self._algo = _algorithm_in(file) if algo is None else algo
        self._digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.exists() else ""
        self._file, self._model = file, _load(file, self._algo)
        self._rng_state: Any = None

    @property
    def description(self) -> str:
        """The algorithm and the hash of the file."""
        return f"agent({self._algo}, sha256 {self._digest})"

    def check(self, env: gym.Env[Any, Any]) -> None:
        """Raise a MosimError that names the spaces, unless the agent can act in `env`."""
        for kind, mine, given, fits in (
            ("observations", self._model.observation_space, env.observation_space, _same_shape),
            ("actions", self._model.action_space, env.action_space, _same_limits),
        ):
            if not fits(mine, given):
                raise MosimError(
                    f"The agent of {self._file} was trained with {kind} {mine}, the environment's "
                    f"are {given}. Use an agent trained on this task, or the wrappers it had then."
                )

    def reset(self, rng: np.random.Generator) -> None:
        """Begin an episode: the agent's noise follows from `rng`."""
        import torch

        seed = int(rng.integers(2**63 - 1))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if getattr(self._model, "use_sde", False):
                policy: Any = self._model.policy
                policy.reset_noise()
            self._rng_state = torch.get_rng_state()

    def __call__(self, observation: Any) -> Array:
        """An action ``(nu,)`` drawn from the agent's distribution."""
        import torch

        # SB3 draws from torch's global generator; ours is put in its place for the call.
        with torch.random.fork_rng(devices=[]):
            if self._rng_state is not None:
                torch.set_rng_state(self._rng_state)
            action, _ = self._model.predict(observation, deterministic=False)
            self._rng_state = torch.get_rng_state()
        return action


def _same_shape(mine: spaces.Space[Any], given: spaces.Space[Any]) -> bool:
    if isinstance(mine, spaces.Dict) and isinstance(given, spaces.Dict):
        names = set(mine.spaces)
        return names == set(given.spaces) and all(_same_shape(mine[n], given[n]) for n in names)
    if isinstance(mine, spaces.Box) and isinstance(given, spaces.Box):
        # SB3 puts the channels of images first.
        return mine.shape in (given.shape, (*given.shape[2:], *given.shape[:2]))
    return mine == given


def _same_limits(mine: spaces.Space[Any], given: spaces.Space[Any]) -> bool:
    if isinstance(mine, spaces.Box) and isinstance(given, spaces.Box) and mine.shape == given.shape:
        # The agent scales its actions to these; the limits of observations do not reach it.
        return np.allclose(mine.low, given.low) and np.allclose(mine.high, given.high)
    return mine == given


def _algorithm_in(file: Path) -> str:
    """The algorithm an SB3 zip was made by, read from its JSON, nothing unpickled."""
    try:
        with zipfile.ZipFile(file) as archive:
            data = json.loads(archive.read("data"))
        module = str(data["policy_class"]["__module__"])
    except FileNotFoundError as error:
        raise MosimError(f"No agent at {file}; expected a zip written by SB3's save().") from error
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise MosimError(
            f"{file} is not a Stable-Baselines3 agent ({error}); expected a zip written by "
            "model.save()."
        ) from error
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else module
    if name in _ALGORITHMS:
        return name
    # PPO, A2C and TRPO share their policies and differ in the settings they save.
    for key, algo in (("clip_range", "ppo"), ("cg_max_steps", "trpo"), ("ent_coef", "a2c")):
        if key in data:
            return algo
    raise MosimError(f"Cannot tell the algorithm of {file}; give algo=, such as algo='sac'.")


def _load(file: Path, algo: str) -> BaseAlgorithm:
    import importlib

    if algo not in _ALGORITHMS:
        raise unknown_name("algorithm", algo, _ALGORITHMS)
    module, name = _ALGORITHMS[algo]
    try:
        loaded: BaseAlgorithm = getattr(importlib.import_module(module), name).load(
            file, device="cpu"
        )
    except FileNotFoundError as error:
        raise MosimError(f"No agent at {file}; expected a zip written by SB3's save().") from error
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise MosimError(f"Cannot load {file} as a {name} agent: {error}") from error
    return loaded
