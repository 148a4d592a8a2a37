"""A body and a task of which the best that can be done is known."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import State

DT = 0.1


def puck_spec(limits=(-1.0, 1.0)) -> RobotSpec:
    return RobotSpec(
        name="puck",
        joints=(Joint("slide", JointType.SLIDE, 0, 0, None, True),),
        actuators=(Actuator("push", limits),),
        na=0,
        physics_dt=DT,
        n_substeps=1,
        integrator=Integrator.EULER,
        fingerprint="puck",
    )


class Puck:
    """A unit mass on a line, pushed by the control; what passes `cliff` is lost."""

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, limits=(-1.0, 1.0), cliff: float = np.inf) -> None:
        self.spec, self.cliff = puck_spec(limits), cliff
        self.steps, self.rows, self.tried = 0, set(), []

    def step(self, state: State, action: Tensor) -> State:
        self.steps += 1
        self.rows.add(len(state))
        self.tried.append(action)
        qvel = state.qvel + DT * action
        qpos = state.qpos + DT * qvel
        lost = qpos > self.cliff
        return State(torch.where(lost, torch.nan, qpos), qvel, None, state.context)

    def is_valid(self, state: State) -> Tensor:
        return state.isfinite()


class Parking:
    """Stand at the place that the context tells; the cost is quadratic, so the best is known."""

    context_size: ClassVar[int] = 1
    touch: ClassVar[tuple[str, ...]] = ()
    layout = ObservationLayout({"position": (1,)})
    effort = 0.1

    def initial_states(self, n: int, rng: np.random.Generator) -> State:
        qpos = torch.from_numpy(rng.uniform(-1, 1, (n, 1)))
        return State(qpos, torch.zeros_like(qpos), None, torch.zeros_like(qpos))

    def measure(self, state: State, action: Tensor, touch: Tensor | None = None) -> Tensor:
        assert touch is None, "it has no sensors"
        away = state.qpos - state.context
        return (away.square() + self.effort * action.square()).sum(1)

    def observe(self, measured: Tensor) -> Tensor:
        return measured[:, None]

    def reward(self, measured: Tensor) -> Tensor:
        return -measured

    def terminated(self, measured: Tensor) -> None:
        return None


def best_plan(start: State, horizon: int) -> Tensor:
    """The unlimited optimum of a linear system with quadratic costs, by least squares, ``(T,)``."""
    q, v, goal = start.qpos[0, 0], start.qvel[0, 0], start.context[0, 0]
    steps = torch.arange(horizon, dtype=torch.float64)
    free = q + DT * (steps + 1) * v - goal
    # A push at s is a speed from then on, and a way that grows with every step after it.
    response = DT**2 * (steps[:, None] - steps + 1).clamp(min=0)
    effort = Parking.effort**0.5 * torch.eye(horizon, dtype=torch.float64)
    system = torch.cat([response, effort])
    target = torch.cat([-free, torch.zeros(horizon, dtype=torch.float64)])
    return torch.linalg.lstsq(system, target).solution
