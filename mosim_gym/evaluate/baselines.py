"""What a model is measured beside: something that knows nothing of forces."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from mosim_gym.dynamics.manifold import Manifold
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State, Trajectory


class Model(Protocol):
    """What is measured: a `Simulator`, or a baseline."""

    @property
    def spec(self) -> RobotSpec:
        """The body."""
        ...

    @property
    def control_dt(self) -> float:
        """Seconds a control step."""
        ...

    def step(self, state: State, action: Tensor) -> State:
        """One control step under actions ``(batch, nu)``."""
        ...

    def rollout(self, state: State, actions: Tensor) -> Trajectory:
        """Open-loop rollout under actions ``(batch, T, nu)``."""
        ...


class ConstantVelocity:
    """Every joint goes on as it moves; activations stay.

    A model that does not beat it has learned nothing of the forces.

    Args:
        spec: the body.
    """

    def __init__(self, spec: RobotSpec) -> None:
        """See the class."""
        self.spec = spec
        self.control_dt = spec.control_dt
        self._manifold = Manifold(spec)

    def step(self, state: State, action: Tensor) -> State:
        """One control step; `action` changes nothing."""
        qpos = self._manifold.displace(state.qpos, state.qvel, self.control_dt)
        return State(qpos, state.qvel, state.act, state.context)

    def rollout(self, state: State, actions: Tensor) -> Trajectory:
        """Open-loop rollout of as many steps as there are actions ``(batch, T, nu)``."""
        rows, steps = actions.shape[:2]
        positions = [
            self._manifold.displace(state.qpos, state.qvel, k * self.control_dt)
            for k in range(steps + 1)
        ]
        act = state.act
        return Trajectory(
            torch.stack(positions, 1),
            state.qvel.unsqueeze(1).repeat(1, steps + 1, 1),
            None if act is None else act.unsqueeze(1).repeat(1, steps + 1, 1),
            torch.zeros(rows, dtype=torch.bool),
            torch.full((rows,), steps),
        )
