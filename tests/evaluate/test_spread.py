"""Futures of members whose errors are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mosim_gym.data.batches import Windows
from mosim_gym.dynamics.ensemble import Ensemble
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.evaluate.spread import Spread, spread_of_futures
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State
from tests.fit.fakes import Pendulum, pendulum_spec, write_dataset


class Kicked(Pendulum):
    """Off by a constant force that grows from none."""

    kick: Tensor

    def __init__(self, spec: RobotSpec, kick: float) -> None:
        super().__init__(spec)
        # A buffer: members of an ensemble differ by what a checkpoint holds.
        self.register_buffer("kick", torch.tensor(kick, dtype=torch.float64))

    def step(self, state: State, action: Tensor) -> State:
        return super().step(state, action + self.kick)


def kicked(kick: float) -> Kicked:
    return Kicked(pendulum_spec(), kick)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    folder: Path = tmp_path_factory.mktemp("data") / "pendulum"
    return write_dataset(folder, pendulum_spec(), episodes=8).windows(30)


def test_members_around_the_truth_part_and_their_mean_is_right(windows: Windows) -> None:
    found = spread_of_futures(Ensemble([kicked(k) for k in (-1e-3, 1e-3)]), windows)
    assert found.spread.shape == found.error.shape == (16, 30)
    assert (found.spread[:, -1] > found.spread[:, 0]).all()
    assert found.ratio.max() < 0.01


def test_members_that_agree_on_the_wrong_warn_of_nothing(windows: Windows) -> None:
    found = spread_of_futures(Ensemble([kicked(0.1), kicked(0.1001)]), windows)
    assert found.ratio.min() > 100
    alone = horizon_errors(kicked(0.1), windows)
    # Whitened by the same motion, but for its first states.
    torch.testing.assert_close(found.error, alone.whitened, rtol=0.1, atol=0)


def test_growth_is_an_exponent() -> None:
    steps = 0.02 * torch.arange(1, 51).double()
    found = Spread((3.0 * steps).exp().expand(4, -1), (2.0 * steps).exp().expand(4, -1), 0.02)
    spread, error = found.growth(10, 50)
    torch.testing.assert_close(spread, torch.full((4,), 3.0).double())
    torch.testing.assert_close(error, torch.full((4,), 2.0).double())


def test_a_member_that_diverges_spoils_the_futures_from_there(windows: Windows) -> None:
    lost = kicked(0.0)
    lost.bound_speed(1e-3)
    found = spread_of_futures(Ensemble([kicked(0.0), lost]), windows)
    assert (found.spread == math.inf).all() and (found.ratio == math.inf).all()


def test_one_member_has_no_spread(windows: Windows) -> None:
    with pytest.raises(MosimError, match="1 member given"):
        spread_of_futures(Ensemble([kicked(0.0)]), windows)
