"""One recorded episode and its npz file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mosim_gym.data.files import read_npz, write_npz
from mosim_gym.errors import DatasetError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Array, Float64Array

_FLOATS = ("qpos", "qvel", "act", "context", "action", "reward",
           "substep_qpos", "substep_qvel", "substep_act", "touch")  # fmt: skip
_REQUIRED = ("qpos", "qvel", "action", "reward", "terminated", "truncated", "seed")
#: Stands for "not seeded" in the file, where None cannot be written.
_NO_SEED = -1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Episode:
    """T control steps of one robot, in float64 and MuJoCo's order and units.

    Attributes:
        qpos: ``(T + 1, nq)``, the start included.
        qvel: ``(T + 1, nv)``.
        action: ``(T, nu)``, as applied.
        reward: ``(T,)``.
        terminated: whether the task ended it.
        truncated: whether it was cut (time limit, reset, close).
        seed: the environment was reset with, ``None`` if with none.
        act: ``(T + 1, na)``; ``None`` for bodies without activations.
        context: ``(T + 1, nc)``; ``None`` where there is none.
        touch: readings of the touch sensors in newtons, ``(T + 1, ns)``; ``None`` for bodies
            without any, and where they were not reported.
        substep_qpos: ``(T, n, nq)``, after each physics step; the last is the next control step's.
        substep_qvel: ``(T, n, nv)``.
        substep_act: ``(T, n, na)``.
    """

    qpos: Float64Array
    qvel: Float64Array
    action: Float64Array
    reward: Float64Array
    terminated: bool
    truncated: bool
    seed: int | None = None
    act: Float64Array | None = None
    context: Float64Array | None = None
    touch: Float64Array | None = None
    substep_qpos: Float64Array | None = None
    substep_qvel: Float64Array | None = None
    substep_act: Float64Array | None = None

    def __len__(self) -> int:
        """Number of control steps."""
        return int(self.action.shape[0])

    @property
    def episode_return(self) -> float:
        """Sum of the rewards."""
        return float(self.reward.sum())

    def __repr__(self) -> str:
        """Sizes, return and how it ended."""
        sizes = f"nq {self.qpos.shape[1]}, nv {self.qvel.shape[1]}, nu {self.action.shape[1]}"
        for name in ("act", "context", "touch"):
            value = getattr(self, name)
            sizes += "" if value is None else f", {name} {value.shape[1]}"
        if self.substep_qpos is not None:
            sizes += f", {self.substep_qpos.shape[1]} physics steps each"
        end = "terminated" if self.terminated else "truncated" if self.truncated else "open"
        return (
            f"Episode({len(self)} steps, {sizes}, return {self.episode_return:.4g}, {end}, "
            f"seed {self.seed})"
        )

    def check(self, spec: RobotSpec, *, substeps: bool, where: str) -> None:
        """Raise unless shapes fit the body and every number is finite.

        Args:
            spec: the body that moved.
            substeps: whether physics-step states must be there.
            where: the file, for the message.

        Raises:
            DatasetError: naming the array, its shape and the shape expected.
        """
        for name, expected in _shapes(self, spec, substeps).items():
            value = getattr(self, name)
            if value is None or value.shape != expected or value.dtype != np.float64:
                given = "missing" if value is None else f"{value.dtype} {value.shape}"
                raise DatasetError(
                    f"{where}: {name} is {given}; expected float64 {expected} for {spec.name}. "
                    "The file is foreign or damaged; remove it or record it again."
                )
        for name in _FLOATS:
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise DatasetError(
                    f"{where}: {name} holds NaN or infinite numbers; expected finite ones. "
                    "Remove the file; the recording diverged or was damaged."
                )


def save_episode(path: Path, episode: Episode) -> None:
    """Write an episode as npz, atomically; equal episodes give equal bytes."""
    arrays: dict[str, Array] = {}
    for name in _FLOATS:
        value = getattr(episode, name)
        if value is not None:
            arrays[name] = np.ascontiguousarray(value, dtype=np.float64)
    arrays["terminated"] = np.array(episode.terminated, dtype=np.bool_)
    arrays["truncated"] = np.array(episode.truncated, dtype=np.bool_)
    seed = _NO_SEED if episode.seed is None else episode.seed
    arrays["seed"] = np.array(seed, dtype=np.int64)
    write_npz(path, arrays)


def load_episode(path: Path, spec: RobotSpec, *, substeps: bool) -> Episode:
    """Read and check an episode.

    Args:
        path: the npz.
        spec: the body that moved.
        substeps: whether physics-step states are expected in it.

    Raises:
        DatasetError: if it is missing, truncated, foreign, pickled, mis-shaped or not finite.
    """
    arrays = read_npz(path, "an episode", (*_REQUIRED, *_FLOATS))
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise DatasetError(
            f"{path} is not an episode: {', '.join(missing)} missing. Expected the arrays "
            f"{', '.join(_REQUIRED)}; remove the file or record it again."
        )
    for name in ("terminated", "truncated", "seed"):
        kind = "i" if name == "seed" else "b"
        if arrays[name].shape != () or arrays[name].dtype.kind != kind:
            raise DatasetError(
                f"{path}: {name} is {arrays[name].dtype} {arrays[name].shape}; expected one "
                f"{'integer' if kind == 'i' else 'boolean'}. Remove the file or record it again."
            )
    seed = int(arrays["seed"])
    episode = Episode(
        **{name: arrays[name] for name in _FLOATS if name in arrays},
        terminated=bool(arrays["terminated"]),
        truncated=bool(arrays["truncated"]),
        seed=None if seed == _NO_SEED else seed,
    )
    episode.check(spec, substeps=substeps, where=str(path))
    return episode


def _shapes(episode: Episode, spec: RobotSpec, substeps: bool) -> dict[str, tuple[int, ...]]:
    steps = episode.action.shape[0] if episode.action.ndim == 2 else 0
    steps = max(steps, 1)
    shapes: dict[str, tuple[int, ...]] = {
        "action": (steps, spec.nu),
        "reward": (steps,),
        "qpos": (steps + 1, spec.nq),
        "qvel": (steps + 1, spec.nv),
    }
    if spec.na or episode.act is not None:
        shapes["act"] = (steps + 1, spec.na)
    if spec.context_inputs:
        shapes["context"] = (steps + 1, spec.context_inputs)
    elif episode.context is not None:
        width = episode.context.shape[-1] if episode.context.ndim == 2 else 1
        shapes["context"] = (steps + 1, width)
    if episode.touch is not None:
        shapes["touch"] = (steps + 1, len(spec.touch))
    if substeps:
        shapes["substep_qpos"] = (steps, spec.n_substeps, spec.nq)
        shapes["substep_qvel"] = (steps, spec.n_substeps, spec.nv)
        if spec.na:
            shapes["substep_act"] = (steps, spec.n_substeps, spec.na)
    return shapes
