"""Learned physics: whatever the parameters, it is physics that can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.articulated.description import describe
from mosim_gym.articulated.guess import guess
from mosim_gym.articulated.learned import LearnedPhysics
from mosim_gym.articulated.physics import physics_of
from mosim_gym.articulated.smooth import Smooth
from tests.articulated.bodies import SUITE, draw, mixed, suite_model


@pytest.mark.parametrize("name", ["mixed", *SUITE])
def test_it_starts_exactly_where_it_is_told(name: str) -> None:
    model = mixed() if name == "mixed" else suite_model(name)
    description = describe(model)
    start = physics_of(model, description)
    learned = LearnedPhysics(description, guess(description))
    learned.restart(start)
    for field, value in learned()._asdict().items():
        # The world does not move: what it weighs is nobody's business.
        mine, theirs = (v[1:] if field == "inertia" else v for v in (value, getattr(start, field)))
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12, msg=field)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3.0))
def test_no_parameters_are_impossible(seed: int, size: float) -> None:
    model = mixed()
    description = describe(model)
    learned = LearnedPhysics(description, guess(description))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
        physics = learned()
    assert (physics.mass[1:] > 0).all()
    for name in ("armature", "damping", "stiffness", "limit_solref"):
        assert (getattr(physics, name) >= 0).all()
    moments = torch.linalg.eigvalsh(physics.inertia[1:])
    assert (moments > 0).all()
    # No moment is larger than the sum of the other two.
    assert (moments[:, 2] <= moments[:, :2].sum(1) * (1 + 1e-9)).all()
    states = draw(model, 4)
    motion = Smooth(description)(physics, *states)
    assert (torch.linalg.eigvalsh(motion.mass) > 0).all()


def test_shapes_of_one_density_weigh_what_mujoco_says() -> None:
    model = mixed()
    description = describe(model)
    guessed, true = guess(description), physics_of(model, description)
    # MuJoCo's default density is the one that is guessed.
    np.testing.assert_allclose(guessed.mass, true.mass, rtol=1e-9)
    np.testing.assert_allclose(guessed.centre, true.centre, atol=1e-9)
    np.testing.assert_allclose(guessed.inertia, true.inertia, rtol=1e-6, atol=1e-9)


def test_parameters_have_derivatives_where_they_matter() -> None:
    description = describe(mixed())
    learned = LearnedPhysics(description, guess(description))
    total = sum(value.square().sum() for value in learned() if value.requires_grad)
    assert isinstance(total, torch.Tensor)
    total.backward()
    for name, parameter in learned.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
