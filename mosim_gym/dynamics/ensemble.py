"""Ensembles: members fitted apart that step the same states, all in one batched call.

Their weights are stacked and their common code is mapped over them (`torch.func.vmap`), so that a
step costs as many calls as a step of one member does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mosim_gym.dynamics.integrators import Adaptive, get_method
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import FIELDS, State, Trajectory

#: Fields of a state or of a trajectory by name, those that are there.
Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class MemberStates:
    """The states of K members, a batch of each.

    Attributes:
        qpos: ``(K, batch, nq)``.
        qvel: ``(K, batch, nv)``.
        act: ``(K, batch, na)`` or ``None``.
        context: ``(K, batch, nc)`` or ``None``.
    """

    qpos: Tensor
    qvel: Tensor
    act: Tensor | None = None
    context: Tensor | None = None

    def __len__(self) -> int:
        """Number of members."""
        return self.qpos.shape[0]

    def __getitem__(self, member: int) -> State:
        """The states of one member."""
        return State(**{name: value[member] for name, value in _fields(self).items()})


class Ensemble:
    """K models of one body and one shape, with the figures each of them gives on its own.

    Attributes:
        members: the models; what is stepped are copies of their weights, made once.
        spec: the body.
    """

    def __init__(self, members: Sequence[Simulator]) -> None:
        """Stack the members' weights.

        Raises:
            MosimError: if there are none, or they differ in body, shape or kind.
        """
        _require_alike(members)
        self.members = tuple(members)
        first = members[0]
        self.spec: RobotSpec = first.spec
        self.control_dt = first.control_dt
        # Steps chosen by error control differ from member to member: no common call.
        self._batched = not isinstance(get_method(first.config.integrator), Adaptive)
        self._step, self._rollout = _Step(first), _Rollout(first)
        self._weights = _stacked(members)

    def __len__(self) -> int:
        """Number of members."""
        return len(self.members)

    def step(self, state: State | MemberStates, action: Tensor) -> MemberStates:
        """One control step of all members.

        Args:
            state: one batch of states for all members, ``(batch, n)`` fields, or one for each.
            action: one control per row, the same for all members, ``(batch, nu)``.

        Raises:
            MosimError: if a width does not fit the body.
        """
        return MemberStates(**self._map(self._step, state, action))

    def rollout(self, state: State | MemberStates, actions: Tensor) -> Trajectory:
        """Open-loop rollouts of all members under the same actions ``(batch, T, nu)``.

        Returns:
            A trajectory whose fields have a leading axis over the K members: ``qpos``
            ``(K, batch, T + 1, nq)``, ``diverged`` ``(K, batch)``. See `Simulator.rollout`.

        Raises:
            MosimError: if a width does not fit the body.
        """
        found = self._map(self._rollout, state, actions)
        return Trajectory(
            found["qpos"],
            found["qvel"],
            found.get("act"),
            found["diverged"],
            found["valid_steps"],
        )

    def _map(self, call: _Call, state: State | MemberStates, actions: Tensor) -> Tensors:
        if torch.is_inference_mode_enabled():
            # There, a model may keep what follows from its weights, and here they are put in.
            with torch.inference_mode(False), torch.no_grad():
                return self._map(call, state, actions)
        own = isinstance(state, MemberStates)
        fields = _fields(state)
        if self._batched:

            def of_one(weights: Tensors, given: Tensors) -> Tensors:
                return cast(
                    Tensors, functional_call(call, weights, (given, actions), tie_weights=False)
                )

            mapped = vmap(of_one, in_dims=(0, 0 if own else None))
            return mapped(self._weights, fields)
        each = [
            type(call)(member)({n: v[k] for n, v in fields.items()} if own else fields, actions)
            for k, member in enumerate(self.members)
        ]
        return {name: torch.stack([one[name] for one in each]) for name in each[0]}


class _Call(nn.Module):
    """What is mapped over the members: a module, and tensors in and out, as `vmap` wants."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self.simulator = simulator


class _Step(_Call):
    def forward(self, fields: Tensors, action: Tensor) -> Tensors:
        return _fields(self.simulator.step(State(**fields), action))


class _Rollout(_Call):
    def forward(self, fields: Tensors, actions: Tensor) -> Tensors:
        found = self.simulator.rollout(State(**fields), actions)
        values = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
        return {name: value for name, value in values.items() if value is not None}


def _fields(state: State | MemberStates) -> Tensors:
    values = {name: getattr(state, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}


def _stacked(members: Sequence[Simulator]) -> Tensors:
    """Weights ``(K, ...)`` by their names in a `_Call`, and buffers in which members differ."""
    weights, buffers = stack_module_state([_Call(member) for member in members])
    differ = {name: value for name, value in buffers.items() if (value != value[0]).any()}
    return {**{name: value.requires_grad_(False) for name, value in weights.items()}, **differ}


def _require_alike(members: Sequence[Simulator]) -> None:
    if not members:
        raise MosimError("An Ensemble was given no members; expected one simulator or more.")
    first = members[0]
    for k, member in enumerate(members[1:], 1):
        first.spec.require_same_body(member.spec, f"Member {k} of the ensemble")
        mine, other = first.config.to_json(), member.config.to_json()
        differ = [f"{n} ({mine[n]}, {other[n]})" for n in mine if mine[n] != other[n]]
        if type(member) is not type(first):
            differ.append(f"class ({type(first).__name__}, {type(member).__name__})")
        if differ:
            raise MosimError(
                f"Members 0 and {k} of the ensemble have different shapes: {', '.join(differ)}. "
                "Fit all members with one preset (mosim-gym fit --members K)."
            )
