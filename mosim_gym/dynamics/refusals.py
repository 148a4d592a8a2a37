"""What a model says to inputs that do not fit its body."""

from __future__ import annotations

from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State


def wrong_action(spec: RobotSpec, action: Tensor, rows: int) -> MosimError:
    """For actions of one step that are not ``(rows, nu)``."""
    return MosimError(
        f"A step of {spec.name} got actions of shape {tuple(action.shape)}; expected "
        f"(batch, nu) = {(rows, spec.nu)} for {rows} states."
    )


def wrong_actions(spec: RobotSpec, actions: Tensor, rows: int) -> MosimError:
    """For actions of a rollout that are not ``(rows, T, nu)``."""
    return MosimError(
        f"rollout got actions of shape {tuple(actions.shape)}; expected "
        f"(batch, T, nu) = ({rows}, T, {spec.nu}) for {rows} states."
    )


def wrong_widths(spec: RobotSpec, given: tuple[int, int, int]) -> MosimError:
    """For states whose (qpos, qvel, act) have the widths `given`."""
    return MosimError(
        f"{spec.name} got states with (qpos, qvel, act) of widths {given}; expected "
        f"(nq, nv, na) = {(spec.nq, spec.nv, spec.na)}."
    )


def wrong_context(spec: RobotSpec, state: State) -> MosimError:
    """For states that lack the context their body moves by."""
    width = 0 if state.context is None else state.context.shape[1]
    return MosimError(
        f"{spec.name} got states with a context of {width} numbers; expected State.context with "
        f"the {spec.context_inputs} that change how it moves, as its task and its data have them."
    )


def no_touch(spec: RobotSpec) -> MosimError:
    """For a model that is asked for touch readings and has no head for them."""
    if not spec.touch:
        return MosimError(f"{spec.name} has no touch sensors that a model could tell of.")
    return MosimError(
        f"This model of {spec.name} cannot tell what the touch sensors {', '.join(spec.touch)} "
        "read: the data it was fitted on held no touch readings. Collect the data anew "
        "(mosim-gym collect records them) and fit again."
    )
