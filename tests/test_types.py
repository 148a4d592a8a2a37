"""State: what every room hands around."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mosim_gym.types import FIELDS, State, Trajectory

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
WIDTHS = {"qpos": (1, 5), "qvel": (1, 5), "act": (0, 3), "context": (0, 3)}


@st.composite
def field_arrays(draw, min_rows=1):
    """Fields of a state with random sizes; act and context may be absent."""
    rows = draw(st.integers(min_rows, 5))
    fields = {}
    for name, (low, high) in WIDTHS.items():
        width = draw(st.integers(low, high))
        if width:
            fields[name] = draw(hnp.arrays(np.float64, (rows, width), elements=NUMBERS))
    return fields


def same(left, right):
    names = [name for name, _ in left.items()]
    return names == [name for name, _ in right.items()] and all(
        torch.equal(getattr(left, name), getattr(right, name)) for name in names
    )


@given(field_arrays())
def test_numpy_round_trip_is_exact_and_copies(fields):
    state = State.from_numpy(fields)
    back = state.numpy()
    assert list(back) == [name for name in FIELDS if name in fields]
    for name, value in fields.items():
        np.testing.assert_array_equal(back[name], value)
        assert back[name].dtype == np.float64
        back[name][:] = 7.0
        np.testing.assert_array_equal(getattr(state, name).numpy(), value)
    assert len(state) == state.batch_size == len(fields["qpos"])


@given(field_arrays(), st.data())
def test_rows_select_and_replace_rows_puts_them_back(fields, data):
    state = State.from_numpy(fields)
    mask = data.draw(hnp.arrays(np.bool_, len(state)))
    for rows in (torch.from_numpy(mask), torch.from_numpy(np.flatnonzero(mask))):
        assert same(state.replace_rows(rows, state[rows]), state)
        doubled = State(**{name: 2 * value for name, value in state[rows].items()})
        changed = state.replace_rows(rows, doubled).numpy()
        for name, value in fields.items():
            expected = np.where(mask[:, None], 2 * value, value)
            np.testing.assert_array_equal(changed[name], expected)
    for name, value in state.items():
        np.testing.assert_array_equal(value.numpy(), fields[name])


@given(field_arrays(), st.integers(0, 5))
def test_cat_joins_what_slices_cut(fields, at):
    state = State.from_numpy(fields)
    assert same(State.cat([state[:at], state[at:]]), state)


@given(field_arrays(), st.data())
def test_isfinite_finds_the_rows_with_bad_numbers(fields, data):
    bad = data.draw(st.sets(st.integers(0, len(fields["qpos"]) - 1)))
    names = [name for name in ("qpos", "qvel", "act") if name in fields]
    for row in bad:
        name = data.draw(st.sampled_from(names))
        fields[name][row, -1] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    expected = [row not in bad for row in range(len(fields["qpos"]))]
    assert State.from_numpy(fields).isfinite().tolist() == expected


def test_isfinite_is_true_for_the_largest_float():
    big = State(torch.full((1, 2), torch.finfo(torch.float32).max), torch.zeros(1, 2))
    assert big.isfinite().all()


def test_one_row_may_be_given_flat_and_absent_fields_in_any_way():
    state = State.from_numpy(
        {"qpos": [1.0, 2.0], "qvel": np.zeros((1, 2)), "act": None, "context": np.zeros((1, 0))}
    )
    assert state.qpos.tolist() == [[1.0, 2.0]]
    assert state.act is None and state.context is None
    assert [name for name, _ in state.items()] == ["qpos", "qvel"]


def test_a_state_may_have_no_rows():
    state = State.from_numpy({"qpos": np.zeros((0, 2)), "qvel": np.zeros((0, 2))})
    assert len(state) == 0
    assert state.numpy()["qpos"].shape == (0, 2)
    assert state.isfinite().shape == (0,)


def test_dtype_device_and_graph():
    state = State.from_numpy({"qpos": [0.5], "qvel": [0.0]}, dtype=torch.float32)
    assert state.qpos.dtype == torch.float32
    assert state.to(torch.float64).qvel.dtype == torch.float64
    assert state.to("cpu").qpos.device.type == "cpu"
    moving = State(state.qpos.requires_grad_(), state.qvel)
    assert not moving.detach().qpos.requires_grad
    assert moving.numpy()["qpos"].dtype == np.float64


def test_states_are_frozen():
    state = State(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(dataclasses.FrozenInstanceError, match="qpos"):
        state.qpos = torch.ones(1, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: State(torch.zeros(2), torch.zeros(2)), r"qpos has shape \(2,\); expected \(batch"),
        (lambda: State(torch.zeros(2, 1), torch.zeros(3, 1)), r"qvel.*\(3, 1\).*batch = 2"),
        (lambda: State.from_numpy({"qpos": [0.0]}), "needs qpos and qvel; qvel is missing"),
        (lambda: State.from_numpy({"qvel": [0.0], "qpos": None}), "qpos is missing"),
        (lambda: State.cat([]), "no states; expected one or more"),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_states_of_different_kinds_do_not_mix():
    plain = State(torch.zeros(2, 1), torch.zeros(2, 1))
    aimed = State(torch.zeros(2, 1), torch.zeros(2, 1), None, torch.zeros(2, 2))
    for left, right in ((plain, aimed), (aimed, plain)):
        with pytest.raises(ValueError, match="different fields.*context"):
            State.cat([left, right])
        with pytest.raises(ValueError, match="different fields.*context"):
            left.replace_rows(torch.tensor([0]), right[:1])


def test_horizon_of_a_trajectory_counts_steps():
    states = torch.zeros(3, 6, 2)
    path = Trajectory(states, states, None, torch.zeros(3).bool(), torch.full((3,), 5))
    assert path.horizon == 5
