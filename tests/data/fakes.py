"""A point mass with exact dynamics that reports its state, and datasets of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from mosim_gym.data.dataset import episode_path
from mosim_gym.data.episode import Episode, save_episode
from mosim_gym.data.metadata import Metadata, write_metadata
from mosim_gym.robots.spec import Actuator, Integrator, Joint, JointType, RobotSpec

DT = 0.01


def point_mass(
    n_substeps: int = 2,
    na: int = 0,
    name: str = "point",
    touch: tuple[str, ...] = (),
    context_inputs: int = 0,
) -> RobotSpec:
    joints = tuple(Joint(f"slide{i}", JointType.SLIDE, i, i, None, True) for i in range(2))
    actuators = tuple(Actuator(f"motor{i}", (-1.0, 1.0)) for i in range(2))
    fingerprint = f"{name}-{n_substeps}-{na}"
    return RobotSpec(
        name,
        joints,
        actuators,
        na,
        DT,
        n_substeps,
        Integrator.EULER,
        fingerprint,
        touch,
        context_inputs,
    )


def free_body() -> RobotSpec:
    root = Joint("root", JointType.FREE, 0, 0, None, True)
    ball = Joint("ball", JointType.BALL, 7, 6, None, False)
    return RobotSpec("free", (root, ball), (), 0, DT, 1, Integrator.EULER, "free")


class PointMassEnv(gym.Env):
    """v += u dt; q += v dt, `n_substeps` times; the target (context) is drawn at reset."""

    def __init__(
        self,
        max_steps: int = 10,
        *,
        na: int = 0,
        n_substeps: int = 2,
        terminate_at: int | None = None,
        kill_at: int | None = None,
        interrupt_at: int | None = None,
        report: bool = True,
        touch: tuple[str, ...] = (),
    ):
        self.robot = point_mass(n_substeps, na, touch=touch)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (6,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.max_steps, self.terminate_at, self.kill_at = max_steps, terminate_at, kill_at
        self.report, self.interrupt_at = report, interrupt_at
        self.total_steps = 0

    def state(self) -> dict[str, np.ndarray]:
        state = {"qpos": self.q.copy(), "qvel": self.v.copy(), "context": self.target.copy()}
        if self.robot.na:
            state["act"] = np.full(self.robot.na, self.q.sum())
        return state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.q, self.v, self.target = self.np_random.normal(size=(3, 2))
        self.steps = 0
        if not self.report:
            return self.observe(), {}
        return self.observe(), {"mosim/state": self.state()} | self.touch()

    def touch(self) -> dict[str, np.ndarray]:
        """Readings of two walls, in newtons."""
        walls = np.maximum(self.q * [[1.0], [-1.0]], 0).sum(1)
        return {"mosim/touch": walls} if self.robot.touch else {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.total_steps += 1
        if self.total_steps == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.total_steps == self.interrupt_at:
            raise KeyboardInterrupt
        before, trace = self.state(), []
        for _ in range(self.robot.n_substeps):
            self.v = self.v + DT * np.asarray(action, dtype=np.float64)
            self.q = self.q + DT * self.v
            trace.append(self.state())
        self.steps += 1
        info: dict[str, Any] = {}
        if self.report:
            substeps = {k: np.stack([s[k] for s in trace]) for k in before if k != "context"}
            info = {
                "mosim/state": self.state(),
                "mosim/state_before": before,
                "mosim/substeps": substeps,
            } | self.touch()
        reward = -float(np.linalg.norm(self.q - self.target))
        terminated = self.steps == self.terminate_at
        return self.observe(), reward, terminated, self.steps >= self.max_steps, info

    def observe(self) -> np.ndarray:
        return np.concatenate([self.q, self.v, self.target]).astype(np.float32)


def make_episode(spec: RobotSpec, steps: int, seed: int, *, substeps: bool = False) -> Episode:
    """Random numbers in which every state is distinct."""
    rng = np.random.default_rng([seed, 77])
    arrays = {
        "qpos": rng.normal(size=(steps + 1, spec.nq)),
        "qvel": rng.normal(size=(steps + 1, spec.nv)),
        "context": rng.normal(size=(steps + 1, 1)),
    }
    if spec.na:
        arrays["act"] = rng.normal(size=(steps + 1, spec.na))
    if spec.touch:
        arrays["touch"] = rng.uniform(size=(steps + 1, len(spec.touch)))
    if spec.context_inputs:
        arrays["context"] = rng.normal(size=(steps + 1, spec.context_inputs))
    if substeps:
        for name in [n for n in ("qpos", "qvel", "act") if n in arrays]:
            width = arrays[name].shape[1]
            inner = rng.normal(size=(steps, spec.n_substeps, width))
            inner[:, -1] = arrays[name][1:]
            arrays[f"substep_{name}"] = inner
    return Episode(
        **arrays,
        action=rng.normal(size=(steps, spec.nu)),
        reward=rng.normal(size=steps),
        terminated=bool(seed % 2),
        truncated=not seed % 2,
        seed=seed,
    )


def make_dataset(
    folder: Path, lengths: list[int], *, spec: RobotSpec | None = None, substeps: bool = False
) -> Path:
    spec = point_mass() if spec is None else spec
    (folder / "episodes").mkdir(parents=True)
    write_metadata(folder, Metadata(spec, "fake", "random", 0, substeps=substeps))
    for i, steps in enumerate(lengths):
        save_episode(episode_path(folder, i), make_episode(spec, steps, i, substeps=substeps))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by relative name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
