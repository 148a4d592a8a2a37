"""Data shared by the tests of fit."""

from __future__ import annotations

import dataclasses

import mujoco
import pytest

from mosim_gym.articulated.description import describe
from mosim_gym.data.dataset import Dataset
from mosim_gym.fit.presets import ARTICULATED
from mosim_gym.fit.recipe import Preset
from tests.fit.fakes import PENDULUM, pendulum_spec, write_dataset


@pytest.fixture(scope="session")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("data") / "pendulum", pendulum_spec())


@pytest.fixture(scope="module")
def recipe() -> Preset:
    geometry = describe(mujoco.MjModel.from_xml_string(PENDULUM)).to_json()
    return dataclasses.replace(ARTICULATED, batch_size=64).told(geometry)
