"""Soft indicators against dm_control's, their oracle."""

import math

import numpy as np
import pytest
import torch
from dm_control.utils import rewards as theirs
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.errors import MosimError, UnknownNameError
from mosim_gym.tasks.rewards import Sigmoid, tolerance

BOUNDS = [(0.0, 0.0), (0.3, 0.3), (-0.5, 1.5), (0.7, math.inf), (-math.inf, -0.2),
          (-math.inf, math.inf)]  # fmt: skip
REACH_ZERO = ("cosine", "linear", "quadratic")
GRID = np.concatenate([np.linspace(-8, 8, 641), [0.3, 0.7, 1.5, -0.2, 1e-9, 1e6, -1e6]])


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("sigmoid", Sigmoid)
def test_it_equals_dm_controls(sigmoid, bounds):
    values = [0.05, 0.1, 0.9] + ([0.0] if sigmoid in REACH_ZERO else [])
    for margin in (0.0, 0.25, 1.0, 4.0):
        for value in values:
            ours = tolerance(torch.from_numpy(GRID), bounds, margin, sigmoid, value)
            # cosh overflows to infinity far out, in both.
            with np.errstate(over="ignore"):
                expected = theirs.tolerance(GRID, bounds, margin, str(sigmoid), value)
            np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-14)


def test_the_defaults_are_dm_controls():
    x = torch.from_numpy(GRID)
    np.testing.assert_array_equal(tolerance(x).numpy(), theirs.tolerance(GRID))
    np.testing.assert_allclose(
        tolerance(x, margin=2.0).numpy(), theirs.tolerance(GRID, margin=2.0), rtol=0, atol=1e-15
    )


@given(
    st.sampled_from(list(Sigmoid)),
    st.sampled_from(BOUNDS),
    st.floats(0.01, 100),
    st.floats(0.01, 0.99),
    st.floats(-1e3, 1e3),
)
def test_it_is_a_soft_indicator(sigmoid, bounds, margin, value, x):
    lower, upper = bounds
    edges = [edge for edge in bounds if math.isfinite(edge)]
    points = torch.tensor([x, *edges], dtype=torch.float64)
    result = tolerance(points, bounds, margin, sigmoid, value)
    assert ((result >= 0) & (result <= 1)).all()
    assert (result[1:] == 1).all() and (not lower <= x <= upper or result[0] == 1)
    if math.isfinite(upper):
        beyond = torch.tensor([upper + margin, upper + margin / 2], dtype=torch.float64)
        at_margin, half_way = tolerance(beyond, bounds, margin, sigmoid, value).tolist()
        assert at_margin == pytest.approx(value, abs=1e-9)
        assert at_margin <= half_way <= 1


@pytest.mark.parametrize("sigmoid", Sigmoid)
def test_it_keeps_shape_and_dtype_and_is_differentiable(sigmoid):
    x = torch.linspace(-1.93, 1.93, 24, dtype=torch.float32).reshape(2, 3, 4)
    soft = tolerance(x, (-0.5, 0.5), 1.0, sigmoid)
    assert soft.shape == x.shape and soft.dtype == torch.float32
    assert tolerance(x, (-0.5, 0.5)).dtype == torch.float32
    assert torch.autograd.gradcheck(
        lambda x: tolerance(x, (-0.5, 0.5), 1.0, sigmoid), x.double().requires_grad_()
    )


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("sigmoid", Sigmoid)
def test_gradients_are_finite_inside_at_the_edge_and_far_out(sigmoid, bounds):
    x = torch.tensor([0.0, 0.3, 0.7, -0.5, 1.5, -0.2, 1e5, -1e5]).double().requires_grad_()
    (gradient,) = torch.autograd.grad(tolerance(x, bounds, 1.0, sigmoid).sum(), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"bounds": (1.0, 0.0)}, r"bounds=\(1.0, 0.0\): expected the lower one first"),
        ({"margin": -1.0}, "margin=-1.0: expected 0 or more"),
        ({"margin": 1.0, "value_at_margin": 0.0}, "expected more than 0.*Sigmoid.GAUSSIAN"),
        ({"margin": 1.0, "value_at_margin": 1.0}, "value_at_margin=1.0"),
        (
            {"margin": 1.0, "sigmoid": Sigmoid.LINEAR, "value_at_margin": -0.1},
            "expected 0 or more and less than 1 with Sigmoid.LINEAR",
        ),
    ],
)
def test_numbers_out_of_range_are_named(kwargs, message):
    with pytest.raises(MosimError, match=message):
        tolerance(torch.zeros(1), **kwargs)


def test_an_unknown_sigmoid_lists_near_ones():
    with pytest.raises(UnknownNameError, match="Unknown sigmoid 'linaer'. Did you mean 'linear'"):
        tolerance(torch.zeros(1), margin=1.0, sigmoid="linaer")
