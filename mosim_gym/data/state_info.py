"""PhysicsStateInfo: physics states in the info of dm_control, MuJoCo and other environments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol, SupportsFloat

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from mosim_gym.data.states import STATE, STATE_BEFORE, TOUCH, StateArrays, check_state
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Float64Array

StateFunction = Callable[[gym.Env[Any, Any]], Mapping[str, ArrayLike]]


class _Reader(Protocol):
    """Reads the state of one kind of environment."""

    def state(self) -> Mapping[str, Any]: ...

    def touch(self) -> Float64Array: ...

    def robot(self, has_reset: bool) -> RobotSpec | None: ...


class PhysicsStateInfo(gym.Wrapper[Any, Any, Any, Any]):
    """Adds ``info["mosim/state"]`` and, on steps, ``info["mosim/state_before"]``.

    With them a `Recorder` can record the environment and a `StateReplayBuffer` can keep the states
    of its observations. Each is a dict of float64 arrays qpos ``(nq,)``, qvel ``(nv,)`` and, where
    there is any, act and context. Of a simulated body with touch sensors it also adds their
    readings, ``info["mosim/touch"]`` in newtons; an environment of a real one may do so itself.

    Args:
        env: one of Shimmy's dm_control environments, one of Gymnasium's MuJoCo environments, or,
            with `state_fn`, any.
        state_fn: gives the state of `env` as a dict of arrays; called after each reset and step.

    Raises:
        DatasetError: if the environment's state cannot be found.
    """

    def __init__(self, env: gym.Env[Any, Any], state_fn: StateFunction | None = None) -> None:
        """See the class."""
        super().__init__(env)
        reader = _reader_of(env)
        if reader is None and state_fn is None:
            raise DatasetError(
                f"Cannot find the physics state of {env}: it is neither one of Shimmy's dm_control "
                "environments nor one of Gymnasium's MuJoCo environments. Give a function: "
                "PhysicsStateInfo(env, lambda env: {'qpos': ..., 'qvel': ...})."
            )
        self._reader = reader
        self._state_fn = state_fn
        self._robot: RobotSpec | None = None
        self._latest: StateArrays | None = None

    @property
    def robot(self) -> RobotSpec:
        """The body that moves, where a MuJoCo model is at hand."""
        if self._robot is None and self._reader is not None:
            self._robot = self._reader.robot(has_reset=self._latest is not None)
        if self._robot is None:
            # An AttributeError, so that has_wrapper_attr("robot") says no.
            raise AttributeError(
                "This environment shows no MuJoCo model; give the body by hand, "
                "spec=RobotSpec.from_mjcf(...)."
            )
        return self._robot

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset and add ``mosim/state``."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._latest = self._read()
        return observation, info | {STATE: _copy(self._latest)} | self._touch()

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step and add ``mosim/state`` and ``mosim/state_before``."""
        # Sensors are read once a step, so a user's state is that of the last observation. A
        # simulator is read afresh: it may have been put into another state since.
        before = self._latest if self._state_fn is not None else self._read()
        if before is None:
            raise DatasetError("step() was called before reset(); call reset() first.")
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._latest = self._read()
        states = {STATE: _copy(self._latest), STATE_BEFORE: _copy(before)}
        return observation, reward, terminated, truncated, info | states | self._touch()

    def _read(self) -> StateArrays:
        if self._state_fn is not None:
            return check_state(self._state_fn(self.env), "The result of state_fn")
        assert self._reader is not None
        return check_state(self._reader.state(), "The simulator's state")

    def _touch(self) -> dict[str, Float64Array]:
        # States of the user's own need not be those of the model at hand.
        if self._reader is None or self._state_fn is not None:
            return {}
        readings = self._reader.touch()
        return {TOUCH: readings} if readings.size else {}


class _DmControl:
    """Reads an environment of dm_control that Shimmy adapts."""

    def __init__(self, env: gym.Env[Any, Any], dm_env: Any) -> None:
        self._unwrapped: Any = env.unwrapped
        self._dm_env = dm_env

    def state(self) -> Mapping[str, Any]:
        from mosim_gym.tasks.mujoco import context_of

        data = self._dm_env.physics.data
        context = context_of(self._dm_env)
        return {"qpos": data.qpos, "qvel": data.qvel, "act": data.act, "context": context}

    def touch(self) -> Float64Array:
        physics = self._dm_env.physics
        return _touch_readings(physics.model.ptr, physics.data.ptr)

    def robot(self, has_reset: bool) -> RobotSpec:
        from mosim_gym.tasks.mujoco import spec_of

        if not has_reset:
            # Tasks set physical parameters when an episode begins (finger's damping), so one is
            # begun; the random numbers it takes are put back.
            random = copy.deepcopy(self._unwrapped.np_random)
            self._dm_env.reset()
            self._unwrapped.np_random = random
        return spec_of(self._dm_env)


class _GymMujoco:
    """Reads one of Gymnasium's MuJoCo environments."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._unwrapped: Any = env.unwrapped
        self._name = type(env.unwrapped).__name__ if env.spec is None else env.spec.id

    def state(self) -> Mapping[str, Any]:
        data = self._unwrapped.data
        return {"qpos": data.qpos, "qvel": data.qvel, "act": data.act}

    def touch(self) -> Float64Array:
        return _touch_readings(self._unwrapped.model, self._unwrapped.data)

    def robot(self, has_reset: bool) -> RobotSpec:
        return RobotSpec.from_mujoco(
            self._unwrapped.model,
            name=self._name,
            n_substeps=int(getattr(self._unwrapped, "frame_skip", 1)),
        )


def _reader_of(env: gym.Env[Any, Any]) -> _Reader | None:
    unwrapped: Any = env.unwrapped
    dm_env = getattr(unwrapped, "_env", None)
    if all(hasattr(dm_env, name) for name in ("physics", "task", "control_timestep")):
        return _DmControl(env, dm_env)
    model, data = getattr(unwrapped, "model", None), getattr(unwrapped, "data", None)
    if hasattr(model, "jnt_qposadr") and hasattr(data, "qpos"):
        return _GymMujoco(env)
    return None


def _touch_readings(model: Any, data: Any) -> Float64Array:
    """Fresh readings of the touch sensors, in the order of `RobotSpec.touch`; may be empty."""
    import mujoco

    addresses = model.sensor_adr[model.sensor_type == mujoco.mjtSensor.mjSENS_TOUCH]
    return np.array(data.sensordata[addresses], dtype=np.float64)


def _copy(state: StateArrays) -> StateArrays:
    return {name: np.copy(value) for name, value in state.items()}
