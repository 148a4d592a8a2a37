"""What hopper must be told, and what it reads of the control."""

import pytest
import torch

from mosim_gym.tasks import hopper
from mosim_gym.types import State

STANDING = State(torch.zeros(2, 7, dtype=torch.float64), torch.zeros(2, 7, dtype=torch.float64))


@pytest.mark.parametrize("task", [hopper.stand(), hopper.hop()], ids=["stand", "hop"])
def test_missing_touch_is_named(task):
    with pytest.raises(ValueError, match=r"touch sensors \(touch_toe, touch_heel\) in newtons"):
        task.measure(STANDING, torch.zeros(2, 4))


def test_standing_is_best_without_control():
    action = torch.tensor([[0.0] * 4, [1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)
    task = hopper.stand()
    reward = task.reward(task.measure(STANDING, action, torch.zeros(2, 2)))
    torch.testing.assert_close(reward, torch.tensor([1.0, 0.8], dtype=torch.float64))


def test_touch_is_shown_as_a_logarithm():
    task, newtons = hopper.hop(), torch.tensor([[0.0, 100.0]] * 2, dtype=torch.float64)
    shown = task.observe(task.measure(STANDING, torch.zeros(2, 4), newtons))
    torch.testing.assert_close(shown[:, -2:], newtons.log1p())
