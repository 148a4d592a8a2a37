"""Timing: what is counted, what is said of it, and a run from the command line."""

import csv
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest

from mosim_gym import cli
from mosim_gym.bench.cases import BARE, face_cases
from mosim_gym.bench.memory import memory_above_import
from mosim_gym.bench.report import table, verdicts
from mosim_gym.bench.rivals import SUITE, rival_cases
from mosim_gym.bench.timing import HORIZON, Case, Timing, measure
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.registration import find_env
from mosim_gym.tasks.mujoco import robot_of

ENV_ID = "MoSim/reacher-easy-v0"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    simulator = Simulator(robot_of("reacher", "easy"), ModelConfig(width=8, blocks=1))
    folder = tmp_path_factory.mktemp("bench") / "model"
    return str(save_checkpoint(folder, simulator, acceptance={}, provenance={}, card="Untrained."))


def timing(what, n_envs, speed):
    """What was as fast as that in its best repetition, and half as fast in another."""
    seconds = HORIZON * n_envs / speed
    return Timing(what, n_envs, [2 * seconds, seconds], [seconds, seconds])


def test_every_case_takes_its_turns():
    order, closed = [], []

    def case(name, seconds=0.0):
        def start(stack):
            stack.callback(closed.append, name)
            return lambda: (order.append(name), time.sleep(seconds))

        return Case(name, 2, start)

    fast, slow = measure([case("fast"), case("slow", 2e-3)], rounds=3, stretch=0.0, progress=False)
    turns = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert turns[:2] == ["fast", "slow"]
    assert sorted(closed) == ["fast", "slow"]
    # One step to warm up, then repetitions of a whole horizon.
    assert order.count("slow") == 1 + HORIZON * len(slow.seconds)
    assert slow.best < 2 * HORIZON / (HORIZON * 2e-3)
    assert slow.median <= slow.best
    assert fast.best > slow.best


def test_a_slow_case_is_timed_once():
    slow = Case("slow", 1, lambda stack: lambda: time.sleep(1e-3))
    (timed,) = measure([slow], rounds=5, stretch=1e-3, progress=False)
    assert len(timed.seconds) == 1


def test_steps_of_all_rows_are_counted():
    timed = timing("x", 256, 1000.0)
    assert timed.best == pytest.approx(1000.0)
    assert timed.median == pytest.approx(1000.0 / 1.5)
    assert timed.cpu_microseconds == pytest.approx(1000.0)
    assert timed.row()["steps_per_second"] == 1000


def test_who_is_faster_is_said_plainly():
    timings = [
        timing("single face, learned", 1, 4_000),
        timing(SUITE, 1, 20_000),
        timing("SB3 face, learned", 256, 500_000),
        timing("EnvPool", 256, 100_000),
        timing(f"{BARE}, learned", 256, 600_000),
        timing(f"{BARE}, learned, compiled", 256, 900_000),
    ]
    one, many, face = verdicts(timings)
    assert one.startswith("1 env: TRUE PHYSICS is 5.0 times as fast (single face, learned 4,000")
    assert many.startswith("256 envs: the model is 5.0 times as fast")
    assert face.endswith("25.0 times suite.load().step, 20% longer than the bare model's step.")
    assert "500,000" in table(timings)


@pytest.mark.parametrize("index", [0, 1, 2], ids=["single", "vector", "SB3"])
def test_faces_reset_within_a_repetition(small, index):
    case = face_cases(find_env(ENV_ID), {"checkpoint": small}, [3], "learned")[index]
    ended = 0
    with ExitStack() as stack:
        step = case.open(stack)
        for _ in range(HORIZON):
            result = step()
            ended += 0 if result is None else int(np.sum(result[-3 if index == 1 else 2]))
    assert case.n_envs == (1 if index == 0 else 3)
    # The single face resets by itself and shows nothing.
    assert ended == (0 if index == 0 else 3) or index == 1


def test_rivals_step():
    cases, missing = rival_cases(find_env(ENV_ID), [2])
    assert all("pip install" in line for line in missing)
    with ExitStack() as stack:
        for case in cases:
            if "Subproc" not in case.what:
                case.open(stack)()
    assert {case.what for case in cases} >= {SUITE, "Shimmy in DummyVecEnv"}


def test_memory_of_many_rows(small):
    assert 0 <= memory_above_import(ENV_ID, 4096, {"checkpoint": small}) < 1024


def test_the_command(small, monkeypatch, capsys, tmp_path):
    out = tmp_path / "table.csv"
    arguments = ["bench", ENV_ID, "--checkpoint", small, "--envs", "2", "--rounds", "1"]
    rest = ["--no-rivals", "--quiet", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["mosim-gym", *arguments, *rest])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    printed = capsys.readouterr().out
    assert "SB3 face, learned" in printed and "TRUE PHYSICS" in printed or "the model is" in printed
    lines = [line for line in out.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert {"SB3 face, mujoco", f"{BARE}, learned"} <= {row["what"] for row in rows}
    assert all(int(row["steps_per_second"]) > 0 for row in rows)
