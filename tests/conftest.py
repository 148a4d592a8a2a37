"""What every test relies on: one thread, fixed seeds, no window, a fresh Python at hand."""

from __future__ import annotations

import os

# Before anything imports mujoco: without a display its default backend warns or fails.
os.environ.setdefault("MUJOCO_GL", "disabled")
os.environ.setdefault("MPLBACKEND", "Agg")

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import hypothesis
import numpy as np
import pytest
import torch

from mosim_gym import cli
from mosim_gym.registration import ROWS
from mosim_gym.tasks.own import OWN_BODIES

ROOT = Path(__file__).resolve().parent.parent
#: Values that mujoco reads as "no rendering".
NO_GL = ("", "disable", "disabled", "off", "false", "0")

RunPython = Callable[..., subprocess.CompletedProcess[str]]

# The same examples in every run: a failure seen once is seen again.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.load_profile("house")
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ["MUJOCO_GL"] not in NO_GL:
        return
    skip = pytest.mark.skip(reason="renders in this process: run with MUJOCO_GL=egl")
    for item in items:
        if item.get_closest_marker("gl"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Code under test takes its own generators; this steadies what tests draw themselves."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


def run_fresh_python(
    *args: str | Path, cwd: Path = ROOT, timeout: float = 100, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python with `args` where the package is importable; `env` adds variables."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope="session")
def run_python() -> RunPython:
    """`run_fresh_python`: run_python("-c", code, cwd=tmp_path, MUJOCO_GL="egl").stdout."""
    return run_fresh_python


@pytest.fixture(scope="session")
def gl_backend() -> str:
    """A backend that renders here, for tests that do so in a fresh Python; skips if none does."""
    probe = "import mujoco; mujoco.GLContext(8, 8).make_current()"
    for backend in ("egl", "osmesa"):
        if run_fresh_python("-c", probe, MUJOCO_GL=backend).returncode == 0:
            return backend
    pytest.skip("neither EGL nor OSMesa works on this machine")


@pytest.fixture
def passing_bodies() -> Iterator[None]:
    """Bodies that a test registers are gone after it."""
    rows, bodies, ids = list(ROWS), dict(OWN_BODIES), set(gym.registry)
    yield
    ROWS[:] = rows
    OWN_BODIES.clear()
    OWN_BODIES.update(bodies)
    for new in set(gym.registry) - ids:
        del gym.registry[new]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | str, str, str]]:
    """Run ``mosim-gym ARGS`` in this process: exit code, output, errors."""

    def call(*args: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["mosim-gym", *map(str, args)])
        with pytest.raises(SystemExit, match=r"\d*") as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call
