"""True physics as others offer it: what a model has to be faster than."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from mosim_gym.bench.cases import random_actions
from mosim_gym.bench.timing import HORIZON, Case, Step
from mosim_gym.registration import TaskRow
from mosim_gym.tasks.mujoco import load_dm_env
from mosim_gym.tasks.own import OWN_BODIES

SUITE = "dm_control suite.load().step (no resets)"
BATCH = "mujoco.batch step (no task, no resets)"
#: Rows of what steps them one after the other, or a process each.
FEW = 8
#: EnvPool keeps a model of 12 MB and more an environment.
_MOST_IN_POOL = 256


def rival_cases(row: TaskRow, sizes: Sequence[int]) -> tuple[list[Case], list[str]]:
    """The cases, and in words which ones had to be left out.

    dm_control's own step is the yardstick, without resets. Shimmy (one env, and several in SB3's
    DummyVecEnv and SubprocVecEnv) and EnvPool reset after `HORIZON` steps as the faces do;
    `mujoco.batch` moves bodies on all cores and knows no task.
    """
    cases = [Case(SUITE, 1, lambda stack: _suite(row))]
    cases += [_batch(row, n) for n in sizes]
    if row.domain in OWN_BODIES:
        return cases, ["Shimmy and EnvPool are left out: they have the suite's bodies only"]
    missing = []
    if importlib.util.find_spec("shimmy") is None:
        missing.append("Shimmy is left out: pip install shimmy")
    else:
        cases += [_shimmy(row, 1, False), _shimmy(row, FEW, False), _shimmy(row, FEW, True)]
    if importlib.util.find_spec("envpool") is None:
        missing.append("EnvPool is left out: pip install envpool")
    else:
        import envpool

        name = _envpool_name(row)
        if name in envpool.list_all_envs():
            cases += [_envpool(name, n) for n in sizes if n <= _MOST_IN_POOL]
        else:
            missing.append(f"EnvPool is left out: it has no {name}")
    return cases, missing


def _suite(row: TaskRow) -> Step:
    env = load_dm_env(row.domain, row.task, {"random": 0})
    env.reset()
    spec = env.action_spec()
    action = np.random.default_rng(0).uniform(spec.minimum, spec.maximum)
    return lambda: env.step(action)


def _batch(row: TaskRow, n: int) -> Case:
    def start(stack: ExitStack) -> Step:
        from mujoco.batch import Batch

        env = load_dm_env(row.domain, row.task, {"random": 0})
        model = env.physics.model.ptr
        substeps = round(env.control_timestep() / env.physics.timestep())
        batch = Batch(model, n, persistent=True)
        spec = env.action_spec()
        controls = np.random.default_rng(0).uniform(spec.minimum, spec.maximum, (n, model.nu))
        batch.bind("ctrl")[:] = controls
        return lambda: batch.step(nstep=substeps)

    return Case(BATCH, n, start)


def _shimmy(row: TaskRow, n: int, processes: bool) -> Case:
    def start(stack: ExitStack) -> Step:
        from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

        makers: list[Callable[[], gym.Env[Any, Any]]]
        makers = [partial(_make_shimmy, row.domain, row.task)] * n
        env = VecMonitor(SubprocVecEnv(makers) if processes else DummyVecEnv(makers))
        stack.callback(env.close)
        env.reset()
        actions = random_actions(env.action_space, n)
        return lambda: env.step(actions)

    return Case(f"Shimmy in {'SubprocVecEnv' if processes else 'DummyVecEnv'}", n, start)


def _make_shimmy(domain: str, task: str) -> gym.Env[Any, Any]:
    """Shimmy's env, flat and with our time limit; in a process of its own too."""
    importlib.import_module("shimmy")  # registers its ids
    name = f"dm_control/{domain}-{task}-v0"
    env = gym.make(name, max_episode_steps=HORIZON, disable_env_checker=True)
    return gym.wrappers.FlattenObservation(env)


def _envpool_name(row: TaskRow) -> str:
    words = f"{row.domain}_{row.task}".split("_")
    return "".join(word[:1].upper() + word[1:] for word in words) + "-v1"


def _envpool(name: str, n: int) -> Case:
    def start(stack: ExitStack) -> Step:
        import envpool

        cores = os.cpu_count() or 1
        make: Callable[..., Any] = envpool.make_gymnasium
        threads = min(n, cores)
        env = make(name, num_envs=n, max_episode_steps=HORIZON, seed=0, num_threads=threads)
        stack.callback(env.close)
        env.reset()
        actions = random_actions(env.action_space, n).astype(np.float64)
        return lambda: env.step(actions)

    return Case("EnvPool", n, start)
