"""Batches and starts that hold some of what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.errors import MosimError
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.reality import RecentStates

BOX = spaces.Box(-1.0, 1.0, (1,), np.float32)


def add(buffer: Any, value: float, n_envs: int = 1) -> None:
    """A transition whose every number is `value`, in a state that is, too."""
    row = np.full((n_envs, 1), value, dtype=np.float32)
    state = {"qpos": np.array([value]), "qvel": np.array([0.0])}
    infos = [{"mosim/state_before": state} for _ in range(n_envs)]
    buffer.add(row, row, row, row[:, 0], np.zeros(n_envs), infos)


@given(st.floats(0, 1), st.integers(1, 64))
def test_a_batch_holds_the_share_of_real_ones_that_was_asked_for(share: float, size: int) -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    mixed = MixedReplayBuffer(20, BOX, BOX, "cpu", n_envs=2, real=real, real_ratio=share)
    add(mixed, 0.5, n_envs=2)
    assert (mixed.sample(size).rewards == 0.5).all()
    add(real, -0.5)
    batch = mixed.sample(size)
    assert len(batch.rewards) == len(batch.observations) == size
    assert int((batch.rewards == -0.5).sum()) == round(share * size)


def test_before_anything_is_imagined_all_is_real() -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    mixed = MixedReplayBuffer(20, BOX, BOX, "cpu", real=real, real_ratio=0.1)
    add(real, -0.5)
    assert (mixed.sample(6).rewards == -0.5).all()
    with pytest.raises(MosimError, match="real_ratio is 2; expected a share of 0 to 1"):
        MixedReplayBuffer(20, BOX, BOX, "cpu", real=real, real_ratio=2)


def test_starts_prefer_the_newest_states_also_when_the_buffer_has_wrapped() -> None:
    real = RealReplayBuffer(10, BOX, BOX, "cpu")
    for value in range(13):
        add(real, float(value))
    rng = np.random.default_rng(0)
    newest = RecentStates(real, newest=2, share=1.0).sample_states(200, rng)
    assert set(newest.qpos.flatten().tolist()) == {11.0, 12.0}
    half = RecentStates(real, newest=2, share=0.5).sample_states(4_000, rng)
    share = (half.qpos >= 11).double().mean().item()
    # Half of them, and a fifth of the others.
    assert abs(share - 0.6) < 0.05
    assert half.qpos.min() == 3.0
