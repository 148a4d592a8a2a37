"""What a late system's agent needs to know besides what is seen: the actions on their way."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from mosim_gym.envs.delay import ActionDelay
from mosim_gym.errors import MosimError
from mosim_gym.types import Array


def told_space(seen: spaces.Box, more: int) -> spaces.Box:
    """The space of observations that end with `more` entries of actions, unbounded as all are."""
    bound = np.full(more, np.inf, seen.dtype)
    low, high = np.append(seen.low, -bound), np.append(seen.high, bound)
    return spaces.Box(low, high, dtype=np.float32 if seen.dtype == np.float32 else np.float64)


class PendingActions(gym.Wrapper[Array, Array, Array, Array]):
    """Observations of a system whose actions arrive late end with those that are on their way.

    They are what ``gym.make(..., action_delay=steps, observe_pending=True)`` observes, for a system
    that is late of itself: the next action to arrive first, until the first of an episode those at
    rest. Nothing is held back here.

    Args:
        env: observes a flat vector; its actions arrive `steps` control steps after they are chosen.
        steps: how many.

    Raises:
        MosimError: if observations or actions are no flat vectors, or `steps` is not 1 or more.
    """

    def __init__(self, env: gym.Env[Array, Array], steps: int) -> None:
        """See the class."""
        super().__init__(env)
        seen, acted = env.observation_space, env.action_space
        for what, space in (("observations", seen), ("actions", acted)):
            if not isinstance(space, spaces.Box) or len(space.shape) != 1:
                raise MosimError(
                    f"PendingActions was given an environment whose {what} are {space}; expected a "
                    "flat Box. Wrap it in gymnasium.wrappers.FlattenObservation first."
                )
        assert isinstance(seen, spaces.Box) and isinstance(acted, spaces.Box)
        self._low, self._high = acted.low.astype(np.float64), acted.high.astype(np.float64)
        rest = np.clip(0.0, self._low, self._high)
        self._late = ActionDelay(steps, 1, rest, observed=True)
        self.observation_space = told_space(seen, self._late.steps * len(rest))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode; nothing is on its way."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._late.begin(np.zeros(1, dtype=np.int64))
        return self._late.observation(observation[None])[0], info

    def step(self, action: Array) -> tuple[Array, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step under the action, which is from now on told until it arrives."""
        observation, *rest = self.env.step(action)
        self._late(np.clip(np.asarray(action, dtype=np.float64), self._low, self._high)[None])
        return (self._late.observation(observation[None])[0], *rest)
