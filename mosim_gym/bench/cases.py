"""The faces to time, and the bare model below them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import cast

import gymnasium as gym
import numpy as np
import torch

from mosim_gym.bench.timing import HORIZON, Case, Step
from mosim_gym.envs.compiling import compile_method
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.options import WorldOptions, build_world
from mosim_gym.envs.sb3 import make_sb3_vec_env
from mosim_gym.registration import TaskRow
from mosim_gym.types import Array, State

SIZES = (1, 64, 256, 1024, 4096)
BARE = "bare Simulator.step"


def face_cases(row: TaskRow, options: WorldOptions, sizes: Sequence[int], label: str) -> list[Case]:
    """The single face (one row), the vector and the SB3 face of a task, resets included."""
    asked = cast(WorldOptions, {"state_info": False, **options, "horizon": HORIZON})

    def single(stack: ExitStack) -> Step:
        env = gym.make(row.env_id, **asked)
        stack.callback(env.close)
        env.reset(seed=0)
        action = random_actions(env.action_space, 1)[0]

        def step() -> None:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

        return step

    def vector(n: int) -> Case:
        def start(stack: ExitStack) -> Step:
            env = gym.make_vec(row.env_id, num_envs=n, **asked)
            stack.callback(env.close)
            env.reset(seed=0)
            actions = random_actions(env.single_action_space, n)
            return lambda: env.step(actions)

        return Case(f"vector face, {label}", n, start)

    def sb3(n: int) -> Case:
        def start(stack: ExitStack) -> Step:
            env = make_sb3_vec_env(row.env_id, n_envs=n, **asked)
            stack.callback(env.close)
            env.reset()
            actions = random_actions(env.action_space, n)
            return lambda: env.step(actions)

        return Case(f"SB3 face, {label}", n, start)

    batched = [make(n) for make in (vector, sb3) for n in sizes]
    return [Case(f"single face, {label}", 1, single), *batched]


def bare_cases(row: TaskRow, options: WorldOptions, sizes: Sequence[int], label: str) -> list[Case]:
    """A step of the model alone: no observation, reward, reset or copy."""

    def bare(n: int) -> Case:
        def start(stack: ExitStack) -> Step:
            # Made by a world that is not compiled; the model is, if asked, by itself.
            plain = cast(WorldOptions, {**options, "compile": False})
            engine = build_world(row.domain, row.task, n, plain).engine
            assert isinstance(engine, LearnedEngine)
            model = engine.simulator
            state = State.from_numpy(engine.state(), dtype=model.dtype, device=model.device)
            actions = torch.rand(n, engine.robot.nu, dtype=model.dtype, device=model.device)
            take = model.step
            if options.get("compile"):
                with torch.inference_mode(), engine.threads():
                    take = compile_method(model.step, state, actions)

            def step() -> None:
                with torch.inference_mode(), engine.threads():
                    take(state, actions)

            return step

        return Case(f"{BARE}, {label}", n, start)

    return [bare(n) for n in sizes]


def random_actions(space: gym.Space[Array], n: int) -> Array:
    """The same actions at every step, ``(n, nu)`` float32."""
    space.seed(0)
    return np.stack([space.sample() for _ in range(n)])
