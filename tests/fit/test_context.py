"""fit shows a model the context that moves its body."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mosim_gym.data.dataset import Dataset
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit import fit
from mosim_gym.fit.pairs import data_fingerprint
from mosim_gym.types import State
from tests.fit.fakes import cart_spec, write_dataset
from tests.fit.recipes import SMALL


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("cart") / "data"
    return write_dataset(folder, cart_spec(2), episodes=200, length=10)


def test_it_is_learned_only_where_it_is_shown(told: Dataset, tmp_path: Path) -> None:
    untold = write_dataset(tmp_path / "data", cart_spec(0), episodes=200, length=10)
    seeing, blind = (
        fit(data, out=tmp_path / name, preset=SMALL, steps=500, progress=False)
        for name, data in {"seeing": told, "blind": untold}.items()
    )
    assert seeing.held_out_error < 0.02
    assert blind.held_out_error > 0.5
    assert "the 2 numbers of the context" in (tmp_path / "seeing" / "CARD.md").read_text()
    errors = horizon_errors(seeing.simulator, told.windows(10))
    assert errors.mse(10).median() < 1e-3
    # Twice the gain, twice the velocity.
    still = torch.zeros(2, 1)
    state = State(still, still, None, torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    speed = seeing.simulator.step(state, torch.full((2, 1), 0.8)).qvel / seeing.simulator.control_dt
    torch.testing.assert_close(speed, torch.tensor([[0.8], [1.6]]), atol=0.15, rtol=0)


def test_the_fingerprint_of_the_data_covers_it(told: Dataset, tmp_path: Path) -> None:
    untold = write_dataset(tmp_path / "data", cart_spec(0), episodes=200, length=10)
    assert data_fingerprint(untold) != data_fingerprint(told)
