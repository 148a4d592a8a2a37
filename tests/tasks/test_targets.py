"""Tasks whose target is in the context say so where it is missing."""

import numpy as np
import pytest
import torch

from mosim_gym.tasks import fish, swimmer
from mosim_gym.types import State

WANTED = {
    "swimmer6": (swimmer.swimmer6, r"Swimmer needs the target's \(x, y\) in State.context"),
    "swimmer15": (swimmer.swimmer15, r"Swimmer needs the target's \(x, y\) in State.context"),
    "fish-swim": (fish.swim, r"Fish needs the target's \(x, y, z\) in State.context"),
}


@pytest.mark.parametrize("name", WANTED)
def test_a_missing_target_is_named(name):
    make, message = WANTED[name]
    state = make().initial_states(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        make().measure(State(state.qpos, state.qvel), torch.zeros(1, 1))


def test_the_upright_fish_needs_none():
    state = fish.upright().initial_states(3, np.random.default_rng(0))
    assert state.context is None
    assert fish.upright().observe(fish.upright().measure(state, torch.zeros(3, 5))).shape == (3, 21)
