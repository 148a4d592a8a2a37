"""MuJoCo as a function of the state: what a learned `Simulator` approximates, with its `step`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.tasks import mujoco as suite
from mosim_gym.tasks.contexts import context_place
from mosim_gym.tasks.failures import failing_rows
from mosim_gym.types import Float64Array, State


class TrueSimulator:
    """Steps states of a dm_control task by true physics, all rows in one native call.

    Every step enters MuJoCo anew from (qpos, qvel, act, context), so it equals one of dm_control's
    from an imported state; a continuing simulation starts its contact solver from the last
    solution and differs from it by the solver's tolerance.

    Args:
        domain: such as "acrobot".
        task: such as "swingup".
        task_kwargs: as for `dm_control.suite.load`.
        threads: that MuJoCo steps with; 0 for all processors.

    Attributes:
        spec: the body.
    """

    def __init__(
        self,
        domain: str,
        task: str,
        task_kwargs: Mapping[str, Any] | None = None,
        *,
        threads: int = 0,
    ) -> None:
        """See the class."""
        env = suite.load_dm_env(domain, task, task_kwargs)
        suite.never_draw(env)
        env.reset()
        self.spec: RobotSpec = suite.spec_of(env)
        self._threads = threads
        self._model: mujoco.MjModel = env.physics.model.ptr
        place = context_place(env)
        self._place = place if place is not None and place.moves else None
        self._enter(1)

    @property
    def control_dt(self) -> float:
        """Length of a step in seconds."""
        return self.spec.control_dt

    @property
    def dtype(self) -> torch.dtype:
        """The float type of states: MuJoCo's own."""
        return torch.float64

    @property
    def device(self) -> torch.device:
        """Where states are."""
        return torch.device("cpu")

    def step(self, state: State, action: Tensor) -> State:
        """One control step.

        Args:
            state: ``(batch, n)`` fields.
            action: one control per row, ``(batch, nu)``; not clipped here.

        Returns:
            The states arrived at, float64; NaN in rows that MuJoCo fails in or warns of.

        Raises:
            MosimError: if a width does not fit the body, or there is not one action a row.
        """
        self._check(state, action)
        rows = len(state)
        if rows != self._batch.nsim:
            self._enter(rows)
        batch = self._batch
        # All else (time, the solver's warm start) is that of a simulation that has just begun.
        batch.state[:] = self._begun
        alive = state.isfinite().numpy(force=True)
        for name, value in state.items():
            if name != "context":
                batch.bind(name)[alive] = _array(value)[alive]
        batch.bind("ctrl")[:] = _array(action)
        if self._place is not None and state.context is not None:
            self._place.write(self._context, _array(state.context))
        with failing_rows(batch) as failed:
            batch.step(nstep=self.spec.n_substeps)
        lost = failed | ~alive
        fields = {name: batch.bind(name).copy() for name in ("qpos", "qvel", "act")}
        for value in fields.values():
            value[lost] = np.nan
        act = torch.from_numpy(fields["act"]) if self.spec.na else None
        qpos, qvel = torch.from_numpy(fields["qpos"]), torch.from_numpy(fields["qvel"])
        return State(qpos, qvel, act, state.context)

    def is_valid(self, state: State) -> Tensor:
        """Which rows are finite, ``(batch,)`` bool."""
        return state.isfinite()

    def _enter(self, rows: int) -> None:
        """Make room for so many rows."""
        self._batch = Batch(self._model, rows, self._threads)
        self._begun = self._batch.state[0].copy()
        fields = self._place.fields if self._place is not None else ()
        self._context = {name: self._batch.expand(name) for name in fields}

    def _check(self, state: State, action: Tensor) -> None:
        spec = self.spec
        given = (
            state.qpos.shape[1],
            state.qvel.shape[1],
            0 if state.act is None else state.act.shape[1],
            *action.shape,
        )
        expected = (spec.nq, spec.nv, spec.na, len(state), spec.nu)
        if given != expected:
            raise MosimError(
                f"The widths of qpos, qvel and act and the shape of the action are {given}; "
                f"{spec.name} needs {expected}."
            )
        if self._place is not None:
            size = 0 if state.context is None else state.context.shape[1]
            if size != self._place.size:
                raise MosimError(
                    f"The context of the state holds {size} numbers; {spec.name} needs "
                    f"{self._place.size}, which change how it moves."
                )


def _array(value: Tensor) -> Float64Array:
    array: Float64Array = value.detach().cpu().numpy().astype(np.float64)
    return array
