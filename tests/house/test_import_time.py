"""`import mosim_gym` is cheap: the heavy libraries come with the first name that needs them."""

from __future__ import annotations

import json

from tests.conftest import RunPython

HEAVY = {"torch", "mujoco", "dm_control", "stable_baselines3", "sb3_contrib", "matplotlib"}
LIMIT_SECONDS = 0.3


def test_no_heavy_library_is_imported(run_python: RunPython) -> None:
    code = "import json, sys, mosim_gym; print(json.dumps(sorted(sys.modules)))"
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in json.loads(result.stdout)}
    assert not loaded & HEAVY


def test_import_takes_well_under_a_second(run_python: RunPython) -> None:
    # The best of several: the others measure how busy the machine is.
    times = [import_seconds(run_python) for _ in range(3)]
    assert min(times) < LIMIT_SECONDS, f"import mosim_gym took {times} seconds"


def import_seconds(run_python: RunPython) -> float:
    result = run_python("-X", "importtime", "-c", "import mosim_gym")
    assert result.returncode == 0, result.stderr
    for line in result.stderr.splitlines():
        # "import time: self [us] | cumulative | imported package", children before parents.
        fields = [field.strip() for field in line.split("|")]
        if fields[-1] == "mosim_gym":
            return int(fields[1]) / 1e6
    raise AssertionError("-X importtime did not report mosim_gym")
