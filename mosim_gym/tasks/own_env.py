"""A dm_control environment of an MJCF and a task written in torch.

True physics then runs the bodies of `own.py` exactly as it runs the suite's: recording, faces,
rendering and planning know one kind of environment.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
import torch
from dm_control.mujoco import Physics, wrapper
from dm_control.rl import control
from dm_control.suite import base

from mosim_gym.errors import MosimError
from mosim_gym.tasks.base import Task
from mosim_gym.tasks.contexts import NUMBERS_A_SITE, context_site, own_context
from mosim_gym.tasks.own import OwnBody
from mosim_gym.types import Float64Array, State

if TYPE_CHECKING:
    from numpy.random import RandomState


class OwnPhysics(Physics):
    """dm_control's physics, with actuators that know their speed from the first step on."""

    def after_reset(self) -> None:
        """Compute everything; dm_control's own leaves actuators out.

        The first step would then damp a servo's motion as if it were at rest.
        """
        self.forward()


class OwnTask(base.Task):
    """A task written in torch, asked by dm_control of one body at a time.

    Args:
        domain: the name of the body.
        task: what is asked of it.
        random: as for dm_control's own tasks: a seed or a generator.

    Attributes:
        domain: the name of the body.
        task: what is asked of it.
    """

    def __init__(self, domain: str, task: Task[Any], random: RandomState | int | None) -> None:
        """See the class."""
        super().__init__(random=random)
        self.domain = domain
        self.task = task

    def initialize_episode(self, physics: Physics) -> None:
        """Put the body where the task lets it start."""
        # Tasks take NumPy's new kind of generator, dm_control has the old one.
        rng = np.random.default_rng(self.random.randint(2**31))
        fields = {
            name: value[0] for name, value in self.task.initial_states(1, rng).numpy().items()
        }
        place = own_context(physics.model.ptr, self.task.context_size)
        context = fields.pop("context", None)
        if place is not None and context is not None:
            place.write(place.of_model(physics.model.ptr), context)
        for name, value in fields.items():
            getattr(physics.data, name)[:] = value
        super().initialize_episode(physics)

    def get_observation(self, physics: Physics) -> OrderedDict[str, Float64Array]:
        """The parts of the observation, in the order of the task's layout."""
        flat = self.task.observe(self._measured(physics)).numpy()
        parts = self.task.layout.split(flat)
        return OrderedDict((name, part[0]) for name, part in parts.items())

    def get_reward(self, physics: Physics) -> float:
        """The reward for being here."""
        return float(self.task.reward(self._measured(physics)))

    def get_termination(self, physics: Physics) -> float | None:
        """Discount 0 where the task has ended, else ``None``."""
        ended = self.task.terminated(self._measured(physics))
        return 0.0 if ended is not None and bool(ended) else None

    @torch.no_grad()
    def _measured(self, physics: Physics) -> Any:
        data = physics.data
        fields = {"qpos": data.qpos, "qvel": data.qvel}
        if data.act.size:
            fields["act"] = data.act
        place = own_context(physics.model.ptr, self.task.context_size)
        if place is not None:
            # Data, not the model, is what differs between the rows of a batch; sites of the world
            # are where the model has them.
            fields["context"] = place.read({"site_pos": data.site_xpos})
        state = State.from_numpy({name: np.array(value)[None] for name, value in fields.items()})
        felt = self.task.touch
        touch = [float(physics.named.data.sensordata[name][0]) for name in felt]
        return self.task.measure(
            state,
            torch.tensor(np.array(data.ctrl)[None]),
            torch.tensor([touch], dtype=torch.float64) if felt else None,
        )


def load_own(
    domain: str,
    body: OwnBody,
    task: str,
    *,
    time_limit: float = math.inf,
    random: RandomState | int | None = None,
) -> control.Environment:
    """The environment of a task.

    Args:
        domain: the name of the body.
        body: its file and tasks.
        task: one of them.
        time_limit: seconds.
        random: a seed or a generator.

    Raises:
        MosimError: if MuJoCo cannot read the file.
    """
    asked = body.tasks[task]()
    physics = OwnPhysics.from_model(wrapper.MjModel(_compiled(body.mjcf, asked.context_size)))
    return control.Environment(
        physics,
        OwnTask(domain, asked, random),
        time_limit=time_limit,
        n_sub_steps=body.n_substeps,
    )


def _compiled(path: Path, context_size: int) -> mujoco.MjModel:
    """The model, with the sites that hold a task's context."""
    names = [context_site(k) for k in range(math.ceil(context_size / NUMBERS_A_SITE))]
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        for name in names:
            found = spec.site(name)
            if found is None:
                spec.worldbody.add_site(name=name, rgba=[0, 0, 0, 0])
            elif found.parent.name != "world":
                raise MosimError(
                    f"The site {name!r} of {path} belongs to the body {found.parent.name!r}; the "
                    "task's context is kept there, so it has to belong to the world."
                )
        model = spec.compile()
    except ValueError as error:
        raise MosimError(f"{path} is no MJCF or URDF that MuJoCo can read: {error}") from error
    for name in names:
        # A site that is compiled at the origin would stay there, wherever it is put later.
        model.site(name).sameframe[:] = 0
    return model
