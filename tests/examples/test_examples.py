"""Every example runs, with few steps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Name to arguments small enough for a test; a new example fails until it is listed.
ARGUMENTS: dict[str, tuple[int, ...]] = {
    "changed_robot": (5_500, 64, 1),
    "collect_fit_train": (20, 20, 16),
    "drop_in_dm_control": (50,),
    "own_robot": (3, 20),
    "replay_seeded_resets": (550,),
    "shimmy_sac": (600, 640),
    "zero_shot_sac": (4,),
}
#: Two agents, a fit and judgements in reality take a minute.
SLOW = {"changed_robot"}


def load(name: str) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., Any] = module.main
    return main


def test_all_examples_are_listed() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else []) for n in ARGUMENTS]
)
@pytest.mark.usefixtures("passing_bodies")
@pytest.mark.filterwarnings("ignore:.*Box observation space:UserWarning")
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)  # as for a script that is run there
    assert load(name)(*ARGUMENTS[name]) >= 0
