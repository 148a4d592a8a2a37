"""What ``uncertainty=`` and its options refuse, in users' words."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.envs.caution import Caution, Use
from mosim_gym.errors import CheckpointError, MosimError
from mosim_gym.uncertainty.calibration import Calibration
from tests.envs.faces import ENV_ID


def test_the_spec_goes_through_json(several):
    options = {"uncertainty": "truncate", "uncertainty_quantile": 0.95}
    env = gym.make(ENV_ID, checkpoint=several, **options)
    assert gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())) is not None


WRONG = [
    ({"uncertainty": "truncat"}, "Unknown uncertainty 'truncat'. Did you mean 'truncate'"),
    ({"uncertainty": 1}, r"uncertainty=1 is a int; expected str or None"),
    ({"uncertainty": "truncate", "uncertainty_quantile": 1.5}, r"=1.5; expected a number above 0"),
    ({"uncertainty": "truncate", "uncertainty_quantile": True}, r"=True; expected a number above"),
    ({"uncertainty": "truncate", "uncertainty_quantile": "a"}, r"='a' is a str; expected float"),
    ({"uncertainty": "truncate", "uncertainty_score": "dens"}, r"Did you mean 'density'"),
    ({"uncertainty_quantile": 0.9}, r"uncertainty_quantile=0.9 needs uncertainty= beside it"),
    ({"uncertainty_score": "density"}, r"uncertainty_score='density' needs uncertainty= beside"),
    ({"uncertainty": "member", "uncertainty_quantile": 0.9}, "leave out uncertainty_quantile"),
    ({"uncertainty": "member"}, "needs a checkpoint that has them.*--members MODEL-1"),
    (
        {"uncertainty": "truncate", "uncertainty_score": "disagreement"},
        "needs a checkpoint that has them.*--members MODEL-1",
    ),
    (
        {"uncertainty": "penalty", "uncertainty_quantile": 0.5},
        "uncertainty_quantile=0.5: the score there .* is not above .*Expected a quantile above 0.5",
    ),
    ({"uncertainty": "truncate", "dynamics": "mujoco"}, 'needs dynamics="learned"'),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_is_wrong_is_told(alone, options, message):
    with pytest.raises(MosimError, match=message):
        gym.make_vec(ENV_ID, **{"checkpoint": alone, **options})


def test_a_checkpoint_that_was_not_calibrated(checkpoint):
    with pytest.raises(CheckpointError, match="was not calibrated. Do it by: mosim-gym calibrate"):
        gym.make(ENV_ID, checkpoint=checkpoint, uncertainty="penalty")


def test_a_penalty_that_tells_nothing_apart():
    alike = Calibration(np.zeros(10))
    with pytest.raises(MosimError, match="which would pay half a reward too"):
        Caution(Use.PENALTY, alike, 0.99)
    # Cut is only what is above all of them.
    assert Caution(Use.TRUNCATE, alike, 0.99).cut(np.array([0.0, 1.0])).tolist() == [False, True]


def test_members_are_not_compiled(several):
    with pytest.raises(MosimError, match="Leave compile out"):
        gym.make(ENV_ID, checkpoint=several, uncertainty="member", compile=True)
