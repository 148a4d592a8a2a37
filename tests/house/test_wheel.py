"""The built wheel alone, without the checkout and without a network, makes a working env."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

CODE = """
import json
import gymnasium as gym

env = gym.make("mosim_gym:MoSim/reacher-easy-v0", dynamics="learned")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
assert env.observation_space.contains(observation)

import mosim_gym
from mosim_gym.dynamics.checkpoint import load_checkpoint

print(json.dumps([mosim_gym.__file__, str(load_checkpoint("reacher").path), float(reward)]))
"""


def run(*command: str | Path, cwd: Path) -> str:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=root)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that holds the wheel and borrows only its dependencies from this one."""
    venv = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv.parent)
    python = venv / "bin" / "python"
    offline = ("install", "--no-deps", "--no-index", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, *offline, wheel, cwd=venv.parent)
    (site_packages,) = venv.glob("lib/python*/site-packages")
    # Directories named in a .pth file are searched last, and the .pth files in them (an editable
    # install of the checkout, say) are not read.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return venv


def test_wheel_holds_the_package_and_the_checkpoints_only(wheel: Path, root: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} <= {
        "mosim_gym",
        f"{'-'.join(wheel.name.split('-')[:2])}.dist-info",
    }
    shipped = {
        f"mosim_gym/_checkpoints/{path.relative_to(root / 'checkpoints').as_posix()}"
        for path in (root / "checkpoints").rglob("*")
        # <name>.run is the state of a fit, not a checkpoint; git ignores it and so does the wheel.
        if path.is_file() and ".run/" not in path.as_posix()
    }
    assert shipped, "no checkpoint in checkpoints/"
    assert shipped <= set(names)
    robots = {f"mosim_gym/robots/assets/{name}" for name in ("panda.xml", "go2.xml", "README.md")}
    assert robots <= set(names)
    licences = {name.rpartition("/")[2] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-panda.txt", "LICENSE-go2.txt"}
    assert not [name for name in names if ".run/" in name]


def test_env_from_the_wheel_runs_offline(installed: Path, tmp_path: Path) -> None:
    # -I: neither the working directory nor PYTHON* variables add to sys.path.
    output = run(installed / "bin" / "python", "-I", "-W", "error", "-c", CODE, cwd=tmp_path)
    module, checkpoint, reward = json.loads(output.splitlines()[-1])
    package = Path(module).parent
    assert package.is_relative_to(installed)
    assert Path(checkpoint).is_relative_to(package / "_checkpoints")
    assert 0 <= reward <= 1


def test_console_script_starts(installed: Path, tmp_path: Path) -> None:
    assert "collect" in run(installed / "bin" / "mosim-gym", "--help", cwd=tmp_path)
