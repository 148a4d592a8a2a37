"""The keyword arguments every face takes, and the one place that turns them into a `World`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, TypedDict

import torch

from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.envs.caution import Caution, Wish
from mosim_gym.envs.delay import ActionDelay
from mosim_gym.envs.engine import Engine
from mosim_gym.envs.resets import open_resets
from mosim_gym.envs.world import World
from mosim_gym.errors import CheckpointError, MosimError, enum_member, unknown_name
from mosim_gym.registration import TaskRow, find_row
from mosim_gym.tasks.base import Task
from mosim_gym.tasks.layout import ObsOrder


class DynamicsKind(StrEnum):
    """What moves the body."""

    LEARNED = "learned"
    MUJOCO = "mujoco"


class WorldOptions(TypedDict, total=False):
    """Keyword arguments of all faces; JSON values only, so that ``env.spec.to_json()`` works.

    Attributes:
        dynamics: "learned" (default) or "mujoco", the true physics.
        checkpoint: with "learned", a shipped name or a folder; by default the task's own.
        horizon: truncate after that many steps; "trusted" takes the checkpoint's own figure.
        obs_order: "native" (default, dm_control's order), "sorted" (as Shimmy +
            FlattenObservation) or "dict".
        resets: path of a dataset folder or a saved `StateReplayBuffer` to start episodes from.
        state_info: put ``mosim/state`` and ``mosim/state_before`` into every info.
        substeps: with "mujoco", put the physics-step states into every info.
        device: where a learned model runs, "cpu" by default.
        compile: with "learned", compile a step for this model, task and number of rows: half a
            minute once, then small networks step by a third faster, Lagrangian models four times
            as fast, wide networks hardly. Needs a C++ compiler.
        action_delay: control steps from the choice of an action to its arrival, 0 by default; until
            the first of an episode arrives the controls are zero.
        observe_pending: observations end with the actions that are on their way, the next to
            arrive first (``pending_actions``): with a delay, what the agent needs to know besides.
        task_kwargs: with "mujoco", as for `dm_control.suite.load`.
        uncertainty: what is done where a calibrated model (`mosim-gym calibrate`) is not to be
            trusted: "truncate", "penalty", "member" or ``None`` (default); see `Use`.
        uncertainty_quantile: of held-out control steps: doubt beyond it truncates (by default
            0.99), or costs half a reward and more (0.99).
        uncertainty_score: "density", or with members "spread" (default of "truncate") or
            "disagreement" (of "penalty").
    """

    dynamics: str
    checkpoint: str | None
    horizon: int | str | None
    obs_order: str
    resets: str | None
    state_info: bool | None
    substeps: bool
    device: str
    compile: bool
    action_delay: int
    observe_pending: bool
    task_kwargs: dict[str, Any] | None
    uncertainty: str | None
    uncertainty_quantile: float | None
    uncertainty_score: str | None


_PATH = (str, Path, NoneType)
#: Options that are checked here; the others are checked where they are used.
_TYPES: dict[str, tuple[type, ...]] = {
    "checkpoint": _PATH,
    "resets": _PATH,
    "state_info": (bool, NoneType),
    "substeps": (bool,),
    "device": (str,),
    "compile": (bool,),
    "observe_pending": (bool,),
    "task_kwargs": (dict, NoneType),
    "uncertainty": (str, NoneType),
    "uncertainty_quantile": (float, int, NoneType),
    "uncertainty_score": (str, NoneType),
}


def build_world(
    domain: str,
    task: str,
    num_envs: int,
    options: WorldOptions,
    *,
    time_limit: int | None = None,
    state_info: bool | None = None,
) -> World:
    """A world for a face.

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        num_envs: number of rows.
        options: what the user asked for.
        time_limit: steps until the face truncates of itself.
        state_info: the face's default; ``None`` is on for "mujoco" only.

    Raises:
        MosimError: naming the option that is wrong, and what it can be.
    """
    _check_options(options)
    kind = enum_member(DynamicsKind, "dynamics", options.get("dynamics", "learned"))
    if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
        raise MosimError(f"num_envs is {num_envs!r}; expected a whole number, 1 or more.")
    row = find_row(domain, task)
    engine: Engine
    trusted: int | None = None
    caution: Caution | None = None
    wish = Wish.of(options)
    if kind is DynamicsKind.LEARNED:
        if options.get("substeps"):
            raise MosimError('substeps=True needs dynamics="mujoco".')
        if options.get("task_kwargs"):
            raise MosimError(
                f"task_kwargs={options['task_kwargs']!r} change dm_control's task; they need "
                'dynamics="mujoco".'
            )
        engine, caution, trusted = _learned_engine(row, num_envs, options, wish)
    else:
        if options.get("compile"):
            raise MosimError('compile=True needs dynamics="learned"; MuJoCo is compiled code.')
        if wish:
            raise MosimError(
                f'uncertainty="{wish.use}" needs dynamics="learned"; true physics is in no doubt.'
            )
        engine = _mujoco_engine(row, num_envs, options)
    wanted = options.get("state_info")
    default = kind is DynamicsKind.MUJOCO if state_info is None else state_info
    resets = options.get("resets")
    late = options.get("action_delay", 0), options.get("observe_pending", False)
    return World(
        engine,
        horizon=_horizon(options.get("horizon"), trusted),
        time_limit=time_limit,
        resets=None if resets is None else open_resets(resets),
        state_info=default if wanted is None else wanted,
        substeps=options.get("substeps", False),
        caution=caution,
        delay=ActionDelay(late[0], num_envs, engine.robot.action_at_rest, late[1]),
    )


def obs_order_of(options: WorldOptions) -> ObsOrder:
    """The observation order asked for."""
    return enum_member(ObsOrder, "obs_order", options.get("obs_order", "native"))


def _mujoco_engine(row: TaskRow, num_envs: int, options: WorldOptions) -> Engine:
    from mosim_gym.envs.mujoco import MujocoEngine
    from mosim_gym.tasks.suite_batch import SuiteBatch

    kwargs = options.get("task_kwargs")
    rows = SuiteBatch(row.domain, row.task, kwargs, num_envs)
    # One row is read by dm_control itself as fast; arguments may change what is read.
    native = row.native_task() if num_envs > 1 and not kwargs else None
    return MujocoEngine(rows, task=native, substeps=options.get("substeps", False))


def _learned_engine(
    row: TaskRow,
    num_envs: int,
    options: WorldOptions,
    wish: Wish | None,
) -> tuple[Engine, Caution | None, int | None]:
    from mosim_gym.envs.learned import LearnedEngine

    row.require_learnable()
    asked = options.get("checkpoint")
    name = row.require_checkpoint() if asked is None else asked
    checkpoint = load_checkpoint(name, device=_device(options.get("device", "cpu")))
    robot = checkpoint.simulator.spec
    if (robot.fingerprint, robot.n_substeps) != (row.body.fingerprint, row.body.n_substeps):
        raise CheckpointError(
            f"The checkpoint {name!r} was made for another body: {robot.name} with fingerprint "
            f"{robot.fingerprint} and {robot.n_substeps} physics steps a control step; "
            f"{row.env_id} has {row.body.fingerprint} and {row.body.n_substeps}. Collect data of "
            f"this task and fit a model: mosim-gym collect {row.name} --out DATA, "
            "mosim-gym fit DATA --out MODEL."
        )
    compile = options.get("compile", False)
    task = _task_of(row, num_envs, checkpoint.simulator, compile)
    trusted = checkpoint.trusted_horizon
    if wish:
        from mosim_gym.envs.scored import cautious_engine

        engine, caution = cautious_engine(wish, checkpoint, name, task, num_envs, compile=compile)
        return engine, caution, trusted
    return LearnedEngine(checkpoint.simulator, task, num_envs, compile=compile), None, trusted


def _task_of(row: TaskRow, num_envs: int, simulator: Simulator, compile: bool) -> Task[Any]:
    native = row.native_task()
    if native is not None:
        return native
    if compile:
        raise MosimError(
            f"compile=True needs a task written in torch; {row.env_id} is read by dm_control, "
            "which takes most of a step. Leave compile out."
        )
    from mosim_gym.tasks.readout import ExactReadout

    felt = simulator.tells_touch
    return ExactReadout(row.domain, row.task, num_envs, touch=felt)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise MosimError(
            f'device={name!r} is no torch device; expected "cpu", "cuda", ...'
        ) from None
    if device.type != "cpu" and not (device.type == "cuda" and torch.cuda.is_available()):
        raise MosimError(f'device={name!r}, but torch finds no GPU here; use device="cpu".')
    return device


def _horizon(asked: int | str | None, trusted: int | None) -> int | None:
    if not isinstance(asked, str):
        return asked
    if asked != "trusted":
        raise MosimError(f'horizon={asked!r}; expected a whole number, "trusted" or None.')
    if trusted is None:
        raise MosimError(
            'horizon="trusted" needs dynamics="learned" and a checkpoint that was evaluated; '
            "give a number of steps instead."
        )
    return trusted


def _check_options(options: Mapping[str, Any]) -> None:
    valid = WorldOptions.__annotations__
    for name, value in options.items():
        if name not in valid:
            raise unknown_name("option", name, valid)
        types = _TYPES.get(name)
        if types is not None and not isinstance(value, types):
            names = " or ".join("None" if t is NoneType else t.__name__ for t in types)
            raise MosimError(f"{name}={value!r} is a {type(value).__name__}; expected {names}.")
    for name, instead in (
        ("random", "reset(seed=...)"),
        ("time_limit", "max_episode_steps=..."),
        ("environment_kwargs", "Gymnasium's wrappers"),
    ):
        if name in (options.get("task_kwargs") or {}):
            raise MosimError(f"task_kwargs cannot hold {name!r} here; use {instead} instead.")
