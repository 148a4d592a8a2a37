"""Recorder: a Gymnasium wrapper that writes every episode to a dataset folder as it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from mosim_gym.data.dataset import episode_files, episode_path
from mosim_gym.data.episode import save_episode
from mosim_gym.data.metadata import FILE_NAME, Metadata, read_metadata, write_metadata
from mosim_gym.data.recording import Recording, Step
from mosim_gym.data.states import (
    STATE,
    STATE_BEFORE,
    SUBSTEPS,
    StateArrays,
    read_state,
    read_touch,
)
from mosim_gym.errors import DatasetError
from mosim_gym.files import as_path, cannot_write
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import Float64Array

#: Sets the noise apart from everything else drawn from (seed, episode).
_NOISE_STREAM = 2


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Records what any policy does in an environment that reports its physics state.

    Episodes already written stay readable whatever happens. An episode cut by ``reset`` or
    ``close`` is written as truncated; one that runs when the process dies is lost. A folder that
    was recorded with the same settings is continued. Put it directly around the environment (and
    `PhysicsStateInfo`): wrappers that rescale actions belong outside, since the actions stored are
    the robot's controls.

    Args:
        env: puts ``mosim/state`` and ``mosim/state_before`` into info, as mosim_gym's do and
            `PhysicsStateInfo` makes others do; ``mosim/touch`` is recorded too where it is there.
        out: the dataset folder; made if it does not exist.
        spec: the body that moves.
        policy: what acts, for the metadata.
        seed: of the noise; stored in the metadata.
        noise: standard deviation of Gaussian noise added once to every recorded qpos and qvel
            (their units), drawn from (seed, episode number).
        substeps: store the states after each physics step too; ``info["mosim/substeps"]``.
        source: where the data comes from, for the metadata; the environment's id by default.
        max_episode_steps: for the metadata only.

    Raises:
        DatasetError: if the folder holds something else or cannot be written.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        out: str | Path,
        *,
        spec: RobotSpec,
        policy: str = "unknown",
        seed: int | None = None,
        noise: float = 0.0,
        substeps: bool = False,
        source: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        """See the class."""
        super().__init__(env)
        space = env.action_space
        if not isinstance(space, gym.spaces.Box) or space.shape != (spec.nu,):
            raise DatasetError(
                f"The environment's actions are {space}; expected a Box of shape ({spec.nu},), "
                f"one number for each actuator of {spec.name}."
            )
        self.path = as_path(out, "a dataset folder to record to", DatasetError)
        self.dataset_metadata = Metadata(
            robot=spec,
            source=_id_of(env) if source is None else source,
            policy=policy,
            seed=seed,
            noise=float(noise),
            substeps=substeps,
            max_episode_steps=max_episode_steps,
        )
        _prepare(self.path, self.dataset_metadata)
        self._box = space
        self._spec = spec
        self._written = set(episode_files(self.path))
        self._running: Recording | None = None

    @property
    def next_index(self) -> int:
        """Number of the episode that is written next: the lowest that is free."""
        index = 0
        while index in self._written:
            index += 1
        return index

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; one that was running is written as truncated."""
        self._finish()
        observation, info = self.env.reset(seed=seed, options=options)
        self._running = Recording(
            start=read_state(info, STATE, self._spec),
            start_touch=read_touch(info, self._spec),
            seed=seed,
        )
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Apply the action, clipped to the action space, and record what happened."""
        running = self._running
        if running is None or running.ended:
            raise DatasetError("step() was called with no episode running; call reset() first.")
        applied = self._clip(action)
        observation, reward, terminated, truncated, info = self.env.step(applied)
        step = Step(
            action=applied.astype(np.float64),
            reward=float(reward),
            state=read_state(info, STATE, self._spec),
            touch=read_touch(info, self._spec),
            substeps=self._substeps(info) if self.dataset_metadata.substeps else None,
        )
        if not np.isfinite(step.reward):
            raise DatasetError(f"The reward is {step.reward}; expected a finite number.")
        running.append(step, before=read_state(info, STATE_BEFORE, self._spec))
        running.terminated, running.truncated = bool(terminated), bool(truncated)
        if running.ended:
            self._finish()
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Write the running episode as truncated and close the environment."""
        try:
            self._finish()
        finally:
            super().close()

    def discard(self) -> None:
        """Forget the running episode."""
        self._running = None

    def _finish(self) -> None:
        running = self._running
        if running is not None and running.steps:
            index, m = self.next_index, self.dataset_metadata
            rng = np.random.default_rng(None if m.seed is None else [m.seed, index, _NOISE_STREAM])
            path = episode_path(self.path, index)
            episode = running.episode(m.noise, self._spec, rng)
            episode.check(self._spec, substeps=m.substeps, where=str(path))
            save_episode(path, episode)
            self._written.add(index)
        # Only now: an episode that could not be written is tried again by reset or close.
        self._running = None

    def _clip(self, action: Any) -> Float64Array:
        value = np.asarray(action, dtype=np.float64)
        if value.shape != self._box.shape or not np.isfinite(value).all():
            raise DatasetError(
                f"The action is {action!r}; expected {self._box.shape[0]} finite numbers."
            )
        clipped = np.clip(value.astype(self._box.dtype), self._box.low, self._box.high)
        return np.asarray(clipped, dtype=self._box.dtype)

    def _substeps(self, info: dict[str, Any]) -> StateArrays:
        n, state = self._spec.n_substeps, read_state(info, STATE, self._spec)
        names = [name for name in ("qpos", "qvel", "act") if name in state]
        if SUBSTEPS not in info and n == 1:
            return {name: state[name][None] for name in names}
        if SUBSTEPS not in info:
            raise DatasetError(
                f"substeps=True, but info holds no {SUBSTEPS!r}: this environment reports control "
                "steps only. Record without substeps, or make a mosim_gym environment with "
                "dynamics='mujoco', substeps=True."
            )
        inner: StateArrays = {}
        for name in names:
            value = np.array(info[SUBSTEPS].get(name, ()), dtype=np.float64)
            if value.shape != (n, state[name].size) or not np.isfinite(value).all():
                raise DatasetError(
                    f"info[{SUBSTEPS!r}]: {name} has shape {value.shape} or is not finite; "
                    f"expected finite numbers ({n}, {state[name].size})."
                )
            if not np.allclose(value[-1], state[name], rtol=1e-9, atol=1e-9):
                raise DatasetError(
                    f"info[{SUBSTEPS!r}]: the last {name} is {value[-1]}; expected the state "
                    f"after the control step, {state[name]}."
                )
            # MuJoCo may normalise a quaternion after its last physics step: one state, one value.
            value[-1] = state[name]
            inner[name] = value
        return inner


def _id_of(env: gym.Env[Any, Any]) -> str:
    if env.spec is None:
        return type(env.unwrapped).__name__
    # One id of ours names both the true and the learned dynamics; their data must not mix.
    dynamics = env.spec.kwargs.get("dynamics")
    return env.spec.id if dynamics is None else f"{env.spec.id} (dynamics={dynamics})"


def _prepare(folder: Path, metadata: Metadata) -> None:
    """Make the folder, or see that what it holds was recorded in the same way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in folder.iterdir() if entry.suffix != ".tmp"}
        if FILE_NAME in names:
            _require_same(folder, metadata)
        elif names:
            raise DatasetError(
                f"{folder} is not empty and holds no dataset; choose another folder to record to."
            )
        else:
            write_metadata(folder, metadata)
        (folder / "episodes").mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, DatasetError) from error


def _require_same(folder: Path, metadata: Metadata) -> None:
    differences = read_metadata(folder).differences(metadata)
    if differences:
        raise DatasetError(
            f"{folder} was recorded otherwise (there / now): {'; '.join(differences)}. Use the "
            "same settings to go on with it, or another folder."
        )
