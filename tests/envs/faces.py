"""The four faces behind one small interface, for tests that compare them."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import mosim_gym
from mosim_gym.types import Array

ENV_ID = "mosim_gym:MoSim/reacher-easy-v0"


class Seen(NamedTuple):
    """One step of all rows: `last` is the observation of that step, `shown` what was returned."""

    last: Array
    shown: Array
    reward: Array
    terminated: Array
    truncated: Array


def flat(observation: Any) -> Array:
    """dm_env's dictionary as one float32 vector."""
    return np.concatenate([np.ravel(v) for v in observation.values()]).astype(np.float32)


class Singles:
    """`n` single environments side by side, reset when done as a user would."""

    def __init__(self, n: int, env_id: str = ENV_ID, **options: Any) -> None:
        self.envs = [gym.make(env_id, **options) for _ in range(n)]

    @property
    def worlds(self):
        return [env.unwrapped.world for env in self.envs]

    def reset(self, seed: int | None = None, start: dict[str, Array] | None = None) -> Array:
        rows = []
        for i, env in enumerate(self.envs):
            given = None if start is None else {name: v[i] for name, v in start.items()}
            rows.append(env.reset(seed=None if seed is None else seed + i, options=given)[0])
        return np.stack(rows)

    def step(self, actions: Array) -> Seen:
        steps = [env.step(action) for env, action in zip(self.envs, actions, strict=True)]
        last, reward, terminated, truncated = (
            np.array(x) for x in list(zip(*steps, strict=True))[:4]
        )
        shown = last.copy()
        for i in np.flatnonzero(terminated | truncated):
            shown[i] = self.envs[i].reset()[0]
        return Seen(last, shown, reward, terminated, truncated)


class Vector:
    """The gymnasium vector face."""

    def __init__(self, n: int, env_id: str = ENV_ID, **options: Any) -> None:
        self.env = gym.make_vec(env_id, num_envs=n, **options)

    @property
    def worlds(self):
        return [self.env.unwrapped.world]

    def reset(self, seed: int | None = None, start: dict[str, Array] | None = None) -> Array:
        return self.env.reset(seed=seed, options=start)[0]

    def step(self, actions: Array) -> Seen:
        shown, reward, terminated, truncated, infos = self.env.step(actions)
        last = shown.copy()
        for i in np.flatnonzero(terminated | truncated):
            last[i] = infos["final_obs"][i]
        return Seen(last, shown, reward, terminated, truncated)


class Sb3:
    """The Stable-Baselines3 face."""

    def __init__(self, n: int, env_id: str = ENV_ID, **options: Any) -> None:
        self.env = mosim_gym.make_sb3_vec_env(env_id, n, seed=None, **options)

    @property
    def worlds(self):
        return [self.env.unwrapped.world]

    def reset(self, seed: int | None = None, start: dict[str, Array] | None = None) -> Array:
        if seed is not None:
            self.env.seed(seed)
        if start is not None:
            rows = range(self.env.num_envs)
            self.env.set_options([{name: v[i] for name, v in start.items()} for i in rows])
        return self.env.reset()

    def step(self, actions: Array) -> Seen:
        shown, reward, done, infos = self.env.step(actions)
        last, truncated = shown.copy(), np.zeros_like(done)
        for i in np.flatnonzero(done):
            last[i] = infos[i]["terminal_observation"]
            truncated[i] = infos[i]["TimeLimit.truncated"]
        return Seen(last, shown, reward, done & ~truncated, truncated)


class DmEnv:
    """The dm_env face, always one row."""

    def __init__(self, n: int, env_id: str = ENV_ID, **options: Any) -> None:
        assert n == 1
        domain, task = env_id.split("/")[1].split("-")[:2]
        self.env = mosim_gym.load(domain, task, **options)

    @property
    def worlds(self):
        return [self.env.world]

    def reset(self, seed: int | None = None, start: dict[str, Array] | None = None) -> Array:
        assert start is None
        if seed is not None:
            self.env.world.seed(seed)
        return flat(self.env.reset().observation)[None]

    def step(self, actions: Array) -> Seen:
        step = self.env.step(actions[0])
        last = flat(step.observation)[None]
        ended = np.array([step.last() and step.discount == 0.0])
        shown = flat(self.env.reset().observation)[None] if step.last() else last
        truncated = np.array([step.last()]) & ~ended
        return Seen(last, shown, np.array([step.reward]), ended, truncated)


FACES = {"single": Singles, "vector": Vector, "sb3": Sb3, "dm": DmEnv}
BATCHED = {"vector": Vector, "sb3": Sb3}
