"""The stored start states: what they are, and that their command makes them again."""

import mujoco
import numpy as np
import pytest

from mosim_gym.errors import UnknownNameError
from mosim_gym.tasks.banks import FOLDER, draw_from_bank
from mosim_gym.tasks.make_banks import BANKS, SIZE, make_bank
from mosim_gym.tasks.mujoco import load_dm_env


def stored(domain):
    with np.load(FOLDER / f"{domain}.npz", allow_pickle=False) as fields:
        return dict(fields)


def test_there_is_one_for_each_body_that_needs_it():
    assert {path.stem for path in FOLDER.iterdir()} == set(BANKS)


@pytest.mark.parametrize("domain", BANKS)
def test_the_command_makes_it_again(domain):
    bank = stored(domain)
    for name, again in make_bank(domain, 5).items():
        # Another build of MuJoCo may round otherwise, and settling magnifies it.
        np.testing.assert_allclose(bank[name][:5], again, rtol=0, atol=1e-6)


@pytest.mark.parametrize("domain", BANKS)
def test_it_is_small_and_holds_different_states(domain):
    assert (FOLDER / f"{domain}.npz").stat().st_size <= 1_000_000
    bank = stored(domain)
    assert list(bank) == ["qpos", "qvel"]
    assert {len(values) for values in bank.values()} == {SIZE}
    assert len(np.unique(bank["qpos"], axis=0)) == SIZE


@pytest.mark.parametrize("domain", sorted(set(BANKS) - {"cheetah"}))
def test_nothing_touches_and_nothing_moves(domain):
    bank, physics = stored(domain), load_dm_env(domain, BANKS[domain]).physics
    assert not bank["qvel"].any()
    for qpos in bank["qpos"][:200]:
        physics.data.qpos[:] = qpos
        mujoco.mj_forward(physics.model.ptr, physics.data.ptr)
        assert physics.data.ncon == 0


def test_the_cheetah_stands_or_lies():
    bank = stored("cheetah")
    # 200 steps of 10 ms after it was let go.
    assert np.abs(bank["qvel"]).max(1).mean() < 1.0
    assert (bank["qpos"][:, 1] < 0.3).all()


def test_every_state_is_drawn_about_as_often():
    drawn = draw_from_bank("finger", 40 * SIZE, np.random.default_rng(0)).numpy()["qpos"]
    states, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(states) == SIZE
    assert counts.min() > 10 and counts.max() < 90


def test_an_unknown_bank_lists_near_ones():
    with pytest.raises(UnknownNameError, match="Unknown bank.*'cheeta'. Did you mean 'cheetah'"):
        draw_from_bank("cheeta", 1, np.random.default_rng(0))
