"""collect: record whole episodes of a policy, reproducibly and resumably."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.policies import AgentPolicy, HeldRandomPolicy, Policy
from mosim_gym.data.recorder import Recorder
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec

#: Sets the policy's draws apart from everything else drawn from (seed, episode).
_POLICY_STREAM = 1


def episode_seed(seed: int, index: int) -> int:
    """The seed episode `index` of a collection resets the environment with, below 2^32."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def collect(
    env: gym.Env[Any, Any],
    out: str | Path,
    *,
    episodes: int,
    policy: Policy | None = None,
    seed: int = 0,
    noise: float = 0.0,
    substeps: bool = False,
    progress: bool = True,
    spec: RobotSpec | None = None,
    max_episode_steps: int | None = None,
) -> Dataset:
    """Record episodes until the folder holds `episodes` of them.

    Episode i depends on (seed, i) alone, so a collection that was interrupted goes on when it is
    called again with the same settings, and its files are the same, bit for bit.

    Args:
        env: puts ``mosim/state`` into info and ends its episodes itself; it is not closed.
        out: the dataset folder.
        episodes: how many the folder shall hold.
        policy: what acts; by default a `HeldRandomPolicy` for the environment's actions.
        seed: >= 0.
        noise: standard deviation of the noise on recorded qpos and qvel.
        substeps: store the states after each physics step too.
        progress: show a progress bar, and print where it was written.
        spec: the body that moves; the environment's ``robot`` by default.
        max_episode_steps: cut episodes there, for environments that never end.

    Raises:
        DatasetError: if the folder holds something else or cannot be written, or the environment
            does not report its body or its states.
        MosimError: if the policy is an agent that cannot act in the environment.
    """
    # NumPy's integers become Python's, which the metadata can hold.
    episodes, seed = _integer("episodes", episodes, 1), _integer("seed", seed, 0)
    acting = _held_random(env) if policy is None else policy
    # Before the Recorder makes the folder.
    if isinstance(acting, AgentPolicy):
        acting.check(env)
    recorded = env
    if max_episode_steps is not None:
        max_episode_steps = _integer("max_episode_steps", max_episode_steps, 1)
        recorded = gym.wrappers.TimeLimit(env, max_episode_steps)
    recorder = Recorder(
        recorded,
        out,
        spec=_robot_of(env) if spec is None else spec,
        policy=acting.description,
        seed=seed,
        noise=noise,
        substeps=substeps,
        max_episode_steps=max_episode_steps,
    )
    try:
        _run(recorder, episodes, acting, seed, progress)
    except KeyboardInterrupt:
        if progress:
            print(f"Interrupted. Whole episodes are in {out}; run the same again to go on.")
        raise
    finally:
        # Not close(): half an episode written now would not be there in an uninterrupted run.
        recorder.discard()
    dataset = Dataset.open(out)
    if progress:
        print(f"{len(dataset)} episodes in {out}")
    return dataset


def _run(recorder: Recorder, episodes: int, policy: Policy, seed: int, progress: bool) -> None:
    present = recorder.next_index
    if present >= episodes:
        if progress:
            print(f"Nothing to record: of {episodes} episodes asked for, all are there already.")
        return
    steps, began = 0, time.monotonic()
    with tqdm(total=episodes, initial=present, unit="episode", disable=not progress) as bar:
        while (index := recorder.next_index) < episodes:
            steps += _episode(recorder, policy, seed, index)
            bar.set_postfix_str(f"{steps / (time.monotonic() - began):.0f} steps/s", refresh=False)
            bar.update()


def _episode(recorder: Recorder, policy: Policy, seed: int, index: int) -> int:
    observation, _ = recorder.reset(seed=episode_seed(seed, index))
    policy.reset(np.random.default_rng([seed, index, _POLICY_STREAM]))
    steps, done = 0, False
    while not done:
        observation, _, terminated, truncated, _ = recorder.step(policy(observation))
        steps, done = steps + 1, terminated or truncated
    return steps


def _integer(name: str, value: Any, lowest: int) -> int:
    if not isinstance(value, int | np.integer) or value < lowest:
        raise DatasetError(f"{name} is {value!r}; expected an integer >= {lowest}.")
    return int(value)


def _held_random(env: gym.Env[Any, Any]) -> HeldRandomPolicy:
    space = env.action_space
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
        raise DatasetError(f"The environment's actions are {space}; expected a Box of shape (nu,).")
    return HeldRandomPolicy(space.low, space.high)


def _robot_of(env: gym.Env[Any, Any]) -> RobotSpec:
    robot = env.get_wrapper_attr("robot") if env.has_wrapper_attr("robot") else None
    if not isinstance(robot, RobotSpec):
        raise DatasetError(
            f"{env} does not say what body moves. Use a mosim_gym environment, wrap it in "
            "mosim_gym.PhysicsStateInfo, or give spec=RobotSpec.from_mjcf(...)."
        )
    return robot
