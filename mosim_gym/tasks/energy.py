"""Mechanical energy of states, as MuJoCo computes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mosim_gym.tasks import mujoco as suite
from mosim_gym.types import Float64Array, State

#: `mjENBL_ENERGY`: let every forward pass compute the energy.
_ENERGY = 1 << 1


class Energies(NamedTuple):
    """Energies in joules ``(n,)``, and whether anything touches in any of the states."""

    joules: Float64Array
    touching: bool


class EnergyReader:
    """Reads the energy of states of a dm_control task.

    Potential (gravity, springs) and kinetic, armature included (documentation: APIreference,
    `mj_energyPos`, `mj_energyVel`). MuJoCo counts no energy stored in contacts.

    Args:
        domain: such as "acrobot".
        task: such as "swingup".
    """

    def __init__(self, domain: str, task: str) -> None:
        """See the class."""
        self._env = suite.load_dm_env(domain, task)
        suite.never_draw(self._env)
        self._env.reset()
        self._env.physics.model.opt.enableflags |= _ENERGY

    def __call__(self, states: State) -> Energies:
        """The energies of n states, one forward pass each."""
        fields = states.numpy()
        data = self._env.physics.data
        joules, touching = np.empty(len(states)), False
        for row in range(len(states)):
            suite.enter_state(self._env, {name: value[row] for name, value in fields.items()})
            joules[row] = data.energy.sum()
            touching |= bool(data.ncon)
        return Energies(joules, touching)
