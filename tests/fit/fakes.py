"""Bodies whose acceleration is known exactly, as simulators and as datasets."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.dynamics.config import ModelConfig, Precision
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec
from mosim_gym.types import State

STIFFNESS, DAMPING, GAIN, FILTER, DRAG = 8.0, 0.3, 4.0, 0.1, 0.2


#: The pendulum of the fakes, of some other length and weight.
PENDULUM = """
<mujoco>
  <option timestep=".02"/>
  <worldbody><body>
    <joint name="swing" axis="0 1 0" damping="1"/>
    <geom type="capsule" fromto="0 0 0 .02 .01 -.5" size=".03"/>
  </body></worldbody>
  <actuator><motor name="push" joint="swing" ctrlrange="-1 1" ctrllimited="true"/></actuator>
</mujoco>
"""


def pendulum_spec(
    *,
    name: str = "pendulum",
    n_substeps: int = 1,
    integrator: Integrator = Integrator.EULER,
    na: int = 0,
    fingerprint: str = "pendulum",
    touch: tuple[str, ...] = (),
) -> RobotSpec:
    return RobotSpec(
        name=name,
        joints=(Joint("swing", JointType.HINGE, 0, 0, None, True),),
        actuators=(Actuator("push", (-1.0, 1.0)),),
        na=na,
        physics_dt=0.02,
        n_substeps=n_substeps,
        integrator=integrator,
        fingerprint=fingerprint,
        touch=touch,
    )


def cart_spec(context_inputs: int) -> RobotSpec:
    return RobotSpec(
        name="cart",
        joints=(Joint("slide", JointType.SLIDE, 0, 0, None, True),),
        actuators=(Actuator("push", (-1.0, 1.0)),),
        na=0,
        physics_dt=0.02,
        n_substeps=1,
        integrator=Integrator.EULER,
        fingerprint="cart",
        context_inputs=context_inputs,
    )


def stop_readings(state: State, action: Tensor) -> Tensor:
    """Newtons at the two stops of the pendulum: one on each side of the top, pushed against."""
    force = 5.0 * torch.sin(state.qpos) + 2.0 * action
    return torch.cat([force, -force], 1).clamp(min=0.0)


class Exact(Simulator):
    """Computes in float64; its networks are not used."""

    def __init__(self, spec: RobotSpec) -> None:
        rk4 = spec.integrator is Integrator.RK4
        super().__init__(
            spec,
            ModelConfig(
                width=1,
                blocks=1,
                integrator="rk4" if rk4 else "semi_implicit_euler",
                integrator_steps=spec.n_substeps,
                precision=Precision.FLOAT64,
            ),
        )


class Pendulum(Exact):
    """Exact acceleration; activations follow a first-order filter of the control.

    `drag` is of a wind that grows with the square of the speed, which no joint damping is.
    """

    def __init__(self, spec: RobotSpec, drag: float = 0.0) -> None:
        super().__init__(spec)
        self.drag = drag

    def derivative(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        force = action if act is None else act
        qacc = GAIN * force - STIFFNESS * torch.sin(qpos) - DAMPING * qvel
        qacc = qacc - self.drag * qvel * qvel.abs()
        return qacc, None if act is None else (action - act) / FILTER


class Cart(Exact):
    """The context's first number is how far the action accelerates it; the second does nothing."""

    def derivative(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        assert context is not None
        return context[:, :1] * action, None


@torch.no_grad()
def write_dataset(
    folder: Path,
    spec: RobotSpec,
    *,
    episodes: int = 10,
    length: int = 60,
    substeps: bool = False,
    touch: bool = False,
    drag: bool = False,
) -> Dataset:
    """Record the exact pendulum, perhaps with drag, or the cart, under random actions."""
    rng = np.random.default_rng(0)
    (folder / "episodes").mkdir(parents=True)
    write_metadata(folder, Metadata(spec, "fake/pendulum", "random", seed=0, substeps=substeps))
    body = Cart(cart_spec(2)) if spec.name == "cart" else Pendulum(spec, DRAG * drag)
    for index in range(episodes):
        start = {"qpos": rng.uniform(-3, 3, (1, 1)), "qvel": rng.uniform(-4, 4, (1, 1))}
        context = rng.uniform(-3, 3, (1, 2)) if spec.name == "cart" else None
        state = State.from_numpy({**start, "act": np.zeros((1, spec.na)), "context": context})
        actions = torch.tensor(rng.uniform(-1, 1, (length, 1)))
        states, inner = [state], []
        for action in actions:
            for _ in range(spec.n_substeps):
                state, _ = body.advance(state, action[None], 1)
                inner.append(state)
            states.append(state)
        save_episode(
            episode_path(folder, index),
            Episode(
                qpos=_rows(states, "qpos"),
                qvel=_rows(states, "qvel"),
                act=_rows(states, "act") if spec.na else None,
                context=None if context is None else _rows(states, "context"),
                touch=_readings(states, actions) if touch else None,
                action=actions.numpy(),
                reward=np.zeros(length),
                terminated=False,
                truncated=True,
                substep_qpos=_inner(inner, "qpos", length) if substeps else None,
                substep_qvel=_inner(inner, "qvel", length) if substeps else None,
            ),
        )
    return Dataset.open(folder)


def _rows(states: list[State], name: str) -> np.ndarray:
    return torch.cat([getattr(state, name) for state in states]).numpy()


def _readings(states: list[State], actions: Tensor) -> np.ndarray:
    pushes = torch.cat([torch.zeros(1, 1), actions])
    return stop_readings(State.cat(states), pushes).numpy()


def _inner(states: list[State], name: str, length: int) -> np.ndarray:
    return _rows(states, name).reshape(length, -1, 1)


def recorded(model: mujoco.MjModel, folder: Path) -> Dataset:
    """Motion under random controls that are held for a while."""
    spec, data = RobotSpec.from_mujoco(model, name="arm"), mujoco.MjData(model)
    (folder / "episodes").mkdir(parents=True)
    write_metadata(folder, Metadata(spec, "arm", "random", seed=0))
    rng = np.random.default_rng(0)
    for index in range(6):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = rng.uniform(-1, 1, model.nq)
        states = [(data.qpos.copy(), data.qvel.copy(), data.act.copy())]
        controls = rng.uniform(-1, 1, (15, model.nu)).repeat(10, axis=0)
        for control in controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data)
            states.append((data.qpos.copy(), data.qvel.copy(), data.act.copy()))
        qpos, qvel, act = (np.stack(values) for values in zip(*states, strict=True))
        save_episode(
            episode_path(folder, index),
            Episode(
                qpos=qpos,
                qvel=qvel,
                act=act,
                action=controls,
                reward=np.zeros(len(controls)),
                terminated=False,
                truncated=True,
            ),
        )
    return Dataset.open(folder)
