"""An episode while it is being recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mosim_gym.data.episode import Episode
from mosim_gym.data.states import TOUCH, StateArrays, add_noise
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Float64Array


@dataclass(frozen=True, slots=True)
class Step:
    """One control step as recorded: the action applied and what followed.

    Attributes:
        action: ``(nu,)``.
        reward: of the step.
        state: after it, arrays ``(n,)``.
        touch: readings of the touch sensors there, ``(ns,)`` in newtons, if reported.
        substeps: states after each of its physics steps, arrays ``(n_substeps, n)``, if kept.
    """

    action: Float64Array
    reward: float
    state: StateArrays
    touch: Float64Array | None
    substeps: StateArrays | None


@dataclass(slots=True)
class Recording:
    """Steps recorded so far, from a start state.

    Attributes:
        start: the state after reset, arrays ``(n,)``.
        start_touch: readings of the touch sensors there, ``(ns,)`` in newtons, if reported.
        seed: the environment was reset with.
        steps: so far.
        terminated: whether the task ended it.
        truncated: whether it was cut.
    """

    start: StateArrays
    start_touch: Float64Array | None
    seed: int | None
    steps: list[Step] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False

    @property
    def last(self) -> StateArrays:
        """The newest state."""
        return self.steps[-1].state if self.steps else self.start

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self.terminated or self.truncated

    def append(self, step: Step, before: StateArrays) -> None:
        """Add a step that started in the state `before`.

        Raises:
            DatasetError: if the state was changed between the steps, or its fields change, or
                touch readings come and go.
        """
        if (step.touch is None) != (self.start_touch is None):
            before_it, after_it = ("", "no ") if step.touch is None else ("no ", "")
            raise DatasetError(
                f"info held {before_it}touch readings ({TOUCH!r}) after reset and {after_it}such "
                "readings after this step; expected the same throughout an episode."
            )
        if set(step.state) != set(self.start):
            raise DatasetError(
                f"The state has the fields {sorted(step.state)} after this step and "
                f"{sorted(self.start)} after reset; expected the same throughout an episode."
            )
        for name, value in self.last.items():
            if name not in before or not np.array_equal(before[name], value):
                raise DatasetError(
                    f"{name} was changed between two steps, from {value} to {before.get(name)}; "
                    "such a jump is no motion of the robot. Set states by reset only, so that a "
                    "new episode begins there."
                )
        self.steps.append(step)

    def episode(self, noise: float, spec: RobotSpec, rng: np.random.Generator) -> Episode:
        """The finished episode, with Gaussian noise of that standard deviation on its states."""
        states = [self.start, *(step.state for step in self.steps)]
        arrays = {name: np.stack([state[name] for state in states]) for name in self.start}
        inner = [step.substeps for step in self.steps if step.substeps is not None]
        substeps = {
            name: np.stack([s[name] for s in inner]) for name in (inner[0] if inner else ())
        }
        readings = [self.start_touch, *(step.touch for step in self.steps)]
        touch = [reading for reading in readings if reading is not None]
        if noise:
            arrays["qpos"], arrays["qvel"] = add_noise(
                arrays["qpos"], arrays["qvel"], noise, spec, rng
            )
        if noise and substeps:
            substeps["qpos"], substeps["qvel"] = add_noise(
                substeps["qpos"], substeps["qvel"], noise, spec, rng
            )
            for name in ("qpos", "qvel"):
                # The last physics step and the next control step are one state, noise included.
                substeps[name][:, -1] = arrays[name][1:]
        return Episode(
            qpos=arrays["qpos"],
            qvel=arrays["qvel"],
            act=arrays.get("act"),
            context=arrays.get("context"),
            touch=np.stack(touch) if touch else None,
            action=np.stack([step.action for step in self.steps]),
            reward=np.array([step.reward for step in self.steps], dtype=np.float64),
            terminated=self.terminated,
            truncated=self.truncated or not self.terminated,
            seed=self.seed,
            substep_qpos=substeps.get("qpos"),
            substep_qvel=substeps.get("qvel"),
            substep_act=substeps.get("act"),
        )
