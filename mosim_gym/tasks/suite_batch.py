"""Many rows of one dm_control task: MuJoCo moves them natively, dm_control's own code reads them.

There is one dm_control environment, whatever the number of rows. It draws the starts, and rows are
put into its physics one after the other to be read by the task's own `get_observation` and
`get_reward`. The rows themselves are a `mujoco.batch.Batch`, bit-identical to as many dm_control
environments (``Physics.step`` is `mj_step2`, `mj_step` and `mj_step1`; a batch that keeps its data
and computes up to the velocity stage does the same).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from mujoco.batch import Batch

from mosim_gym.tasks import mujoco as suite
from mosim_gym.tasks.contexts import context_place
from mosim_gym.tasks.failures import failing_rows
from mosim_gym.tasks.layout import ObservationLayout
from mosim_gym.types import Array, Float64Array

_VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)
_EVERYTHING = mujoco.mjtState.mjSTATE_INTEGRATION


class Readout(NamedTuple):
    """Observations ``(n, size)`` in native order, rewards and terminations ``(n,)``, float64."""

    observation: Float64Array
    reward: Float64Array
    terminated: Array


class SuiteBatch:
    """Rows of a task of the dm_control suite, on true physics.

    Args:
        domain: such as "reacher".
        task: such as "easy".
        task_kwargs: as for `dm_control.suite.load`.
        num_rows: number of rows.

    Attributes:
        num_rows: number of rows.
        robot: the body.
        layout: the parts of an observation.
        place: where the task keeps its context, ``None`` if it has none.
        env: the one dm_control environment.
    """

    def __init__(
        self, domain: str, task: str, task_kwargs: Mapping[str, Any] | None, num_rows: int
    ) -> None:
        """See the class."""
        self.num_rows = num_rows
        self._names = (domain, task, dict(task_kwargs or {}))
        self.env = suite.load_dm_env(*self._names)
        suite.never_draw(self.env)
        first = self.env.reset()
        self.robot = suite.spec_of(self.env)
        self.layout = ObservationLayout.of(first.observation)
        self.place = context_place(self.env)
        self._model, self._data = self.env.physics.model.ptr, self.env.physics.data.ptr
        self._batch = Batch(self._model, num_rows, persistent=True)
        self._fields = ["qpos", "qvel"] + (["act"] if self.robot.na else [])
        self._context = {
            name: self._batch.expand(name) for name in (self.place.fields if self.place else ())
        }
        # Terrain cannot differ between the rows of one model.
        self._terrains = [copy.copy(self._model) for _ in range(num_rows * _is_uneven(self._model))]
        self._touch = _touch_columns(self._model) if self.robot.touch else []
        self._readings = np.zeros((num_rows, len(self._touch)))
        self._sensors, self._ctrl = self._batch.bind("sensordata"), self._batch.bind("ctrl")
        self._random = [np.random.RandomState() for _ in range(num_rows)]
        self._loaded: list[Float64Array | None] = [None] * num_rows

    def seed(self, row: int, value: int | np.random.RandomState) -> None:
        """Let `row` go on as `suite.load(..., task_kwargs={"random": value})` would."""
        random = self._random[row] = suite.random_state(value)
        if self.place is not None and self.place.drawn_at_load:
            domain, task, kwargs = self._names
            loaded = suite.load_dm_env(domain, task, {**kwargs, "random": random})
            self._loaded[row] = suite.context_of(loaded)

    def begin(self, row: int, given: Mapping[str, Float64Array]) -> Float64Array:
        """Start an episode in `row`: the task's own draw, then what is `given` of its state.

        Returns:
            The observation ``(size,)``.
        """
        if self.place is not None and self.place.drawn_at_load:
            if self._loaded[row] is None:
                self.seed(row, self._random[row])
            mine = self._loaded[row]
            assert mine is not None, "seeding has loaded it"
            self.place.write(self.place.of_model(self._model), mine)
        suite.seed(self.env, self._random[row])
        observation = self.env.reset().observation
        if given:
            suite.enter_state(self.env, given)
            observation = self.env.task.get_observation(self.env.physics)
        self._take_over(row)
        return _flat(observation)

    def step(self, action: Float64Array) -> Array:
        """One control step of every row under `action` ``(n, nu)``.

        Returns:
            Which rows diverged, ``(n,)`` bool; they are where they were before.
        """
        with self._guarded() as diverged:
            self._ctrl[:] = action
            self._batch.step(nstep=self.robot.n_substeps, stage=_VELOCITY_STAGE)
        self._readings = self._sensors[:, self._touch]
        return diverged

    def step_recorded(self, action: Float64Array) -> tuple[Array, dict[str, Float64Array]]:
        """As `step`; also the states after each physics step, ``(n, n_substeps, .)``."""
        with self._guarded() as diverged:
            self._ctrl[:] = action
            trace = self._batch.rollout(self.robot.n_substeps, record=self._fields)
            self._batch.forward(stage=_VELOCITY_STAGE)
        self._readings = self._sensors[:, self._touch]
        return diverged, trace

    def read_at(
        self,
        fields: Mapping[str, Float64Array],
        action: Float64Array,
        touch: Float64Array | None = None,
    ) -> Readout:
        """What dm_control's task makes of states, computed there under `action`.

        The first rows are put there and lose what they were. Sensors of forces and accelerations
        are those of the states given: dm_control shows them one physics step late. What MuJoCo
        refuses (NaN, numbers beyond 1e10) is observed as NaN.

        Args:
            fields: qpos, qvel and, where the body has them, act and context ``(k, .)``; k may be
                smaller than the number of rows.
            action: controls ``(k, nu)``.
            touch: readings of the touch sensors ``(k, ns)``, instead of those computed.
        """
        k = len(action)
        for name in self._fields:
            # No activation means none at work, not what the row had before.
            self._batch.bind(name)[:k] = fields.get(name, 0.0)
        self._ctrl[:k] = action
        if self.place is not None:
            rows = {name: field[:k] for name, field in self._context.items()}
            self.place.write(rows, fields["context"])
        with self._guarded() as refused:
            self._batch.forward(np.arange(k))
        seen = self.read(k, touch)
        seen.observation[refused[:k]] = np.nan
        return seen

    def read(self, n: int | None = None, touch: Float64Array | None = None) -> Readout:
        """What dm_control's task makes of the first `n` rows (all by default)."""
        task, physics = self.env.task, self.env.physics
        n = self.num_rows if n is None else n
        observation, reward = np.zeros((n, self.layout.size)), np.zeros(n)
        terminated = np.zeros(n, dtype=bool)
        for row in range(n):
            self._batch.get_data(row, self._data)
            if touch is not None:
                self._data.sensordata[self._touch] = touch[row]
            reward[row] = task.get_reward(physics)
            observation[row] = _flat(task.get_observation(physics))
            terminated[row] = task.get_termination(physics) is not None
        return Readout(observation, reward, terminated)

    def state(self) -> dict[str, Float64Array]:
        """Fresh arrays of the states of all rows, ``(n, .)``."""
        fields = {name: np.array(self._batch.bind(name)) for name in self._fields}
        if self.place is not None:
            fields["context"] = self.place.read(self._context)
        return fields

    def touch(self) -> Float64Array:
        """Fresh readings of the touch sensors of all rows in newtons, ``(n, ns)``."""
        return self._readings.copy()

    def _take_over(self, row: int) -> None:
        """Let a row be what the dm_control environment is."""
        mujoco.mj_getState(self._model, self._data, self._batch.state[row], _EVERYTHING)
        self._readings[row] = self._data.sensordata[self._touch]
        if self.place is not None:
            fields = {name: field[row] for name, field in self._context.items()}
            self.place.write(fields, self.place.read(self.place.of_model(self._model)))
        if self._terrains:
            self._terrains[row].hfield_data[:] = self._model.hfield_data
            self._batch.set_models(self._terrains)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[Array]:
        """Rows that MuJoCo warns of or fails in go back to where they were (and are told)."""
        before = self._batch.state.copy()
        with failing_rows(self._batch) as failed:
            yield failed
        if failed.any():
            self._batch.state[failed] = before[failed]


def _is_uneven(model: mujoco.MjModel) -> bool:
    return bool((model.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD).any())


def _touch_columns(model: mujoco.MjModel) -> list[int]:
    kinds: Sequence[int] = model.sensor_type
    touch = int(mujoco.mjtSensor.mjSENS_TOUCH)
    return [int(model.sensor_adr[i]) for i, kind in enumerate(kinds) if int(kind) == touch]


def _flat(observation: Mapping[str, Any]) -> Float64Array:
    return np.concatenate([np.ravel(part) for part in observation.values()])
