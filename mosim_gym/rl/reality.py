"""The real system, where every step counts: acts, records, and fills the agent's buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from mosim_gym.data.collect import episode_seed
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.policies import HeldRandomPolicy
from mosim_gym.data.recorder import Recorder
from mosim_gym.data.states import STATE_BEFORE, TOUCH
from mosim_gym.envs.delay import ActionDelay
from mosim_gym.envs.pending import told_space
from mosim_gym.errors import MosimError
from mosim_gym.rl.mixed_buffer import RealReplayBuffer
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Array, State

#: That of the one environment there is.
_ROW = np.zeros(1, dtype=np.int64)
#: Observation to action, both without a batch dimension.
Choose = Callable[[Any], Array]


@dataclass(frozen=True)
class RecentStates:
    """States of a replay buffer to start model episodes from, the newest preferred.

    Attributes:
        buffer: looked at live.
        newest: steps that count as new.
        share: of the draws that are from those.
    """

    buffer: RealReplayBuffer
    newest: int
    share: float

    @property
    def spec(self) -> RobotSpec | None:
        """The body."""
        return self.buffer.spec

    def __len__(self) -> int:
        """States there are."""
        return len(self.buffer)

    def sample_states(self, n: int, rng: np.random.Generator) -> State:
        """`n` states, torch float64."""
        recent = int(rng.binomial(n, self.share))
        parts = [
            self.buffer.sample_states(recent, rng, self.newest),
            self.buffer.sample_states(n - recent, rng),
        ]
        return State.cat(parts)


class Reality:
    """Acts in an environment step by step, over as many calls as it takes.

    All that happens is recorded as a dataset; whole episodes are what models learn from.

    Attributes:
        steps: taken so far.
        returns: of the episodes that ended.
    """

    def __init__(
        self, env: gym.Env[Any, Any], folder: Path, *, policy: str, seed: int, substeps: bool
    ) -> None:
        """Record to a folder.

        Args:
            env: reports its states (``mosim/state``) and its body (``robot``).
            folder: of the dataset; new, or that of an earlier run, which is counted.
            policy: what will act, for the metadata.
            seed: of the episodes.
            substeps: record physics steps too.
        """
        if not env.has_wrapper_attr("robot"):
            raise MosimError(
                f"{env} does not say what body moves; use a mosim_gym environment or wrap it in "
                "mosim_gym.PhysicsStateInfo."
            )
        self.robot: RobotSpec = env.get_wrapper_attr("robot")
        self._env = Recorder(
            env, folder, spec=self.robot, policy=policy, seed=seed, substeps=substeps
        )
        self._folder, self._seed = folder, seed
        self._observation: Any = None
        space = self._env.action_space
        assert isinstance(space, gym.spaces.Box)
        self._low, self._high = space.low, space.high
        self._late = self._held_back(0)
        self._return = 0.0
        # What an earlier run left in the folder was taken, too.
        self.steps = self.dataset().n_steps if self.has_episodes else 0
        self.returns: list[float] = []

    def random_policy(self) -> Choose:
        """Held random actions."""
        return HeldRandomPolicy(self._low, self._high, rng=np.random.default_rng(self._seed))

    def make_buffer(self, size: int) -> RealReplayBuffer:
        """A buffer for so many of the steps taken here."""
        seen, acted = self._env.observation_space, self._env.action_space
        assert isinstance(seen, gym.spaces.Box)
        told = told_space(seen, self._late.steps * self.robot.nu)
        buffer = RealReplayBuffer(size, told, acted, "cpu")
        buffer.robot = self.robot
        return buffer

    def tell_pending(self, steps: int, buffer: RealReplayBuffer) -> RealReplayBuffer:
        """From now on observations end with the actions on their way (`PendingActions`).

        Args:
            steps: control steps that actions take to arrive.
            buffer: made and filled here, down to the last step that was taken.

        Returns:
            A buffer of the same transitions, told as well.
        """
        self._late = late = self._held_back(steps)
        told = self.make_buffer(buffer.buffer_size)
        states = buffer.states().numpy() if len(buffer) else {}
        for i in range(buffer.size()):
            before = late.observation(buffer.observations[i])
            late(self._low + (buffer.actions[i] + 1) / 2 * (self._high - self._low))
            info = {
                STATE_BEFORE: {name: value[i] for name, value in states.items()},
                "TimeLimit.truncated": bool(buffer.timeouts[i, 0]),
            }
            after, done = late.observation(buffer.next_observations[i]), buffer.dones[i]
            told.add(before, after, buffer.actions[i], buffer.rewards[i], done, [info])
            if done[0]:
                late.begin(_ROW)
        if self._observation is not None:
            self._observation = late.observation(self._observation[None])[0]
        return told

    def act(self, steps: int, choose: Choose, buffer: RealReplayBuffer) -> None:
        """Take steps, and store them.

        Args:
            steps: how many.
            choose: what acts.
            buffer: of the agent; its actions are scaled to -1 ... 1, as SB3's are.
        """
        low, high = self._low, self._high
        for _ in range(steps):
            if self._observation is None:
                episode = self._env.next_index
                first, info = self._env.reset(seed=episode_seed(self._seed, episode))
                self._require_touch(info)
                self._late.begin(_ROW)
                self._observation, self._return = self._late.observation(first[None])[0], 0.0
            action = np.clip(choose(self._observation), low, high)
            following, reward, terminated, truncated, info = self._env.step(action)
            self._late(action[None])
            following = self._late.observation(following[None])[0]
            done = terminated or truncated
            buffer.add(
                self._observation[None],
                following[None],
                (2 * (action - low) / (high - low) - 1)[None],
                np.array([reward]),
                np.array([done]),
                [{**info, "TimeLimit.truncated": truncated and not terminated}],
            )
            self.steps += 1
            self._return += float(reward)
            self._observation = None if done else following
            if done:
                self.returns.append(self._return)

    def _held_back(self, steps: int) -> ActionDelay:
        return ActionDelay(steps, 1, self.robot.action_at_rest, observed=steps > 0)

    def _require_touch(self, info: dict[str, Any]) -> None:
        if self.robot.touch and TOUCH not in info:
            names = self.robot.touch
            raise MosimError(
                f"{self.robot.name} has the touch sensors {', '.join(names)}, but reality reports "
                f"no readings; expected info[{TOUCH!r}] of shape ({len(names)},), in newtons, from "
                "reset() and step()."
            )

    def dataset(self, before: Dataset | None = None) -> Dataset:
        """All whole episodes so far; `before` is an older answer, whose arrays are used again."""
        return Dataset.open(self._folder) if before is None else before.again()

    @property
    def has_episodes(self) -> bool:
        """Whether any episode has been written."""
        return self._env.next_index > 0

    def go_on(self, steps: int, returns: Sequence[float]) -> bool:
        """Count on from an earlier state of this folder.

        Returns:
            Whether more was recorded than that state knew of; it counts, too.
        """
        more = self.steps > steps
        self.steps, self.returns = max(steps, self.steps), list(returns)
        return more

    def close(self) -> None:
        """Write the running episode, close the environment."""
        self._env.close()
