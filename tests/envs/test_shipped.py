"""Every model that ships is an environment, whose first steps are true physics'."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.registration import ROWS

SHIPPED = {row.body.checkpoint: row for row in ROWS if row.body.checkpoint}
#: How far a state may be off after three steps, where a model is not all but exact.
ROUGH = {"humanoid": 0.3, "quadruped": 1.0}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_it_moves_as_true_physics_does(name: str) -> None:
    row = SHIPPED[name]
    learned, true = (
        gym.make(row.env_id, dynamics=kind, state_info=True) for kind in ("learned", "mujoco")
    )
    _, info = true.reset(seed=0)
    learned.reset(options=info["mosim/state"])
    rng = np.random.default_rng(0)
    for _ in range(3):
        action = rng.uniform(true.action_space.low, true.action_space.high).astype(np.float32)
        _, _, terminated, truncated, info = learned.step(action)
        after = true.step(action)[4]
        assert not (terminated or truncated)
        for part in ("qpos", "qvel"):
            ours, theirs = info["mosim/state"][part], after["mosim/state"][part]
            off = np.abs(ours - theirs).max() / (1 + np.abs(theirs).max())
            assert off < ROUGH.get(name, 1e-2)
