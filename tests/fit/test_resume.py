"""The file of an unfinished fit gives back what was put in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.fit.resume import differences, flatten, read_state, unflatten, write_state

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text() | st.integers(), inner),
    ),
)


@given(values)
def test_flatten_round_trip(value: Any) -> None:
    assert unflatten(flatten(value, "", {}), {}) == value


def test_tensors_come_back_row_by_row(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).reshape(2, 3).T
    write_state(tmp_path / "s", {"m": {0: [matrix, []], "step": 3, "betas": (0.9, 0.95)}})
    state = read_state(tmp_path / "s")
    assert state["m"]["betas"] == (0.9, 0.95) and state["m"]["step"] == 3
    tensor = state["m"][0][0]
    assert tensor.is_contiguous() and torch.equal(tensor, matrix)


def test_a_failed_write_keeps_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path / "s", {"step": 1})

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("mosim_gym.fit.resume.os.replace", full)
    with pytest.raises(ValueError, match="No space left on device.*is kept"):
        write_state(tmp_path / "s", {"step": 2})
    assert read_state(tmp_path / "s") == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_the_umask_says_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_state(tmp_path / "s", {"step": 1})
    finally:
        os.umask(before)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o640


def test_differences_name_the_innermost_entry_that_differs() -> None:
    there = {"seed": 0, "preset": {"name": "a", "stages": [1, 2], "old": True}}
    now = {"seed": 0, "preset": {"name": "b", "stages": (1, 2)}}
    assert differences("", there, now) == [
        'preset.name (there "a", now "b")',
        "preset.old (there true, now null)",
    ]
