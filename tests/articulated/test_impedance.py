"""What holds for every impedance, reference and regularizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.articulated.impedance import impedance, reference, regularizer

SOLIMPS = st.tuples(
    st.floats(0, 1), st.floats(0, 1), st.floats(1e-4, 1), st.floats(0, 1), st.floats(1, 6)
)


@given(SOLIMPS)
def test_impedance_goes_from_the_first_to_the_second(solimp: tuple[float, ...]) -> None:
    first, second = (min(max(value, 1e-4), 0.9999) for value in solimp[:2])
    depth = -torch.linspace(0, 1.5 * solimp[2], 200, dtype=torch.float64)[None]
    depth.requires_grad_(True)
    parameters = torch.tensor([solimp], dtype=torch.float64, requires_grad=True)
    d = impedance(parameters, depth)
    assert d[0, 0].item() == pytest.approx(first) and d[0, -1].item() == pytest.approx(second)
    rises = d[0].detach().diff() * (1 if second >= first else -1)
    assert rises.min() >= -1e-12
    d.sum().backward()
    assert torch.isfinite(depth.grad).all() and torch.isfinite(parameters.grad).all()


def test_deeper_is_the_same_on_both_sides() -> None:
    solimp = torch.tensor([[0.5, 0.9, 0.1, 0.3, 2.0]])
    depth = torch.tensor([[0.02, 0.05]])
    assert torch.equal(impedance(solimp, depth), impedance(solimp, -depth))


def test_no_width_is_the_mean() -> None:
    solimp = torch.tensor([[0.2, 0.8, 0.0, 0.5, 2.0]], dtype=torch.float64)
    assert impedance(solimp, torch.tensor([[-0.1]], dtype=torch.float64)).item() == 0.5


@given(st.floats(0.01, 1), st.floats(0.1, 3))
def test_both_formats_of_solref(time: float, ratio: float) -> None:
    """Stiffness and damping themselves, as the standard format has them at full impedance."""
    solimp = torch.tensor([[0.5, 0.9, 0.1, 0.5, 2.0]] * 2, dtype=torch.float64)
    direct = (-1 / (time * ratio) ** 2, -2 / time)
    solref = torch.tensor([(time, ratio), direct], dtype=torch.float64)
    stiffness, damping = reference(solref, solimp, 0.0)
    torch.testing.assert_close(stiffness[0], stiffness[1])
    torch.testing.assert_close(damping[0], damping[1])


def test_the_shortest_time_constant_holds() -> None:
    solimp = torch.tensor([[0.5, 0.9, 0.1, 0.5, 2.0]])
    short, kept = torch.tensor([[0.001, 1.0]]), torch.tensor([[0.01, 1.0]])
    for ours, theirs in zip(
        reference(short, solimp, 0.01), reference(kept, solimp, 0.01), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_mixed_signs_are_the_default() -> None:
    solimp = torch.tensor([[0.5, 0.9, 0.1, 0.5, 2.0]])
    mixed, default = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.02, 1.0]])
    assert torch.equal(reference(mixed, solimp, 0.0)[0], reference(default, solimp, 0.0)[0])


def test_the_regularizer_is_never_zero() -> None:
    d = torch.tensor([[0.9999]], dtype=torch.float64)
    assert regularizer(d, torch.zeros(1, 1, dtype=torch.float64)).item() > 0
