"""What finger must be told, in the words of its errors."""

import pytest
import torch

from mosim_gym.tasks import finger
from mosim_gym.types import State

STATE = State(torch.zeros(1, 3), torch.zeros(1, 3))


@pytest.mark.parametrize("task", [finger.spin(), finger.turn_easy()], ids=["spin", "turn"])
def test_missing_touch_is_named(task):
    state = State(STATE.qpos, STATE.qvel, context=torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"touch sensors \(touchtop, touchbottom\) in newtons"):
        task.measure(state, torch.zeros(1, 2))


def test_a_missing_target_is_named():
    with pytest.raises(ValueError, match=r"needs the target's \(x, z\) in State.context"):
        finger.turn_hard().measure(STATE, torch.zeros(1, 2), torch.zeros(1, 2))
