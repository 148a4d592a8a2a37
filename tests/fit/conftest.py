"""Data shared by the tests of fit."""

from __future__ import annotations

import pytest

from mosim_gym.data.dataset import Dataset
from tests.fit.fakes import pendulum_spec, write_dataset


@pytest.fixture(scope="session")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "pendulum", pendulum_spec())
