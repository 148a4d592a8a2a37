"""Simulator: a learned model of a body that steps batches of states."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from mosim_gym.dynamics import articulated as _articulated  # noqa: F401
from mosim_gym.dynamics import lagrangian as _lagrangian  # noqa: F401
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.correctors import Corrector
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.integrators import Rates, get_method, sum_of
from mosim_gym.dynamics.manifold import Manifold
from mosim_gym.dynamics.predictors import Feeling, Inputs, feels_touch, make_predictor
from mosim_gym.dynamics.refusals import (
    no_touch,
    wrong_action,
    wrong_actions,
    wrong_context,
    wrong_widths,
)
from mosim_gym.dynamics.touch import TouchHead
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State, Trajectory


class Simulator(nn.Module):
    """Steps a body by its learned acceleration: predictor plus correctors, integrated in time.

    ``q' = v`` (quaternions on the manifold), ``v' = predictor(q, v, u) + sum_k corrector_k``.
    Activations follow a learned linear rate ``act' = A [act, u] + c``, which MuJoCo's filters and
    integrators are (muscles are not). Context is passed through; it enters the dynamics of bodies
    that it moves (``spec.context_inputs``).

    Attributes:
        spec: the body.
        config: the shape of the model.
        feels: whether it knows what touch sensors read from the forces of its contacts.
        newtons: what one of its units of force is, ``()``; only if it feels.
    """

    acceleration_scale: Tensor
    state_limits: Tensor
    newtons: Tensor

    def __init__(self, spec: RobotSpec, config: ModelConfig) -> None:
        """Build an untrained model of `spec`."""
        super().__init__()
        self.spec = spec
        self.config = config
        self.features = FeatureMap(spec, config.features, config.geometry)
        self.predictor = make_predictor(spec, self.features, config)
        self.correctors = nn.ModuleList(
            Corrector(spec, self.features, config) for _ in range(config.correctors)
        )
        wanted = getattr(self.predictor, "needs_features", True)
        self._encodes = bool(wanted) or config.correctors > 0
        self.activation = nn.Linear(spec.na + spec.nu, spec.na) if spec.na else None
        self.register_buffer("acceleration_scale", torch.ones(spec.nv))
        # The largest |qpos, qvel, act| of a state that is not diverged; fit bounds the speeds.
        finite = torch.full((spec.nq + spec.nv + spec.na,), torch.finfo(torch.float32).max)
        self.register_buffer("state_limits", finite)
        # Kept: a spec counts its joints each time it is asked, and every step asks.
        self._widths, self._nu = (spec.nq, spec.nv, spec.na), spec.nu
        self._method = get_method(config.integrator)
        self._manifold = Manifold(spec)
        # Made last: the weights of all else are those of a model without.
        self.feels = feels_touch(self.predictor, spec, config)
        has_head = config.touch and len(spec.touch) > 0 and not self.feels
        self.touch_head = TouchHead(spec, self.features, config) if has_head else None
        if self.feels:
            self.register_buffer("newtons", torch.ones(()))
        self.to(config.precision.dtype)

    @property
    def physics_dt(self) -> float:
        """Length of a physics step in seconds."""
        return self.spec.physics_dt

    @property
    def control_dt(self) -> float:
        """Length of a control step, the step of `step` and `rollout`, in seconds."""
        return self.spec.control_dt

    @property
    def step_dt(self) -> float:
        """Length of one integrator step in seconds."""
        return self.control_dt / self.config.integrator_steps

    @property
    def tells_touch(self) -> bool:
        """Whether it tells what touch sensors read."""
        return self.feels or self.touch_head is not None

    @property
    def dtype(self) -> torch.dtype:
        """The float type of weights and states."""
        return self.acceleration_scale.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.acceleration_scale.device

    def derivative(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Accelerations ``(batch, nv)`` and activation rates ``(batch, na)`` or ``None``, per s.

        `context` is ``None`` for bodies it does not move.
        """
        inputs = self._inputs(qpos, qvel, act, action, context)
        whitened = self.predictor(inputs)
        for corrector in self.correctors:
            whitened = whitened + corrector(inputs)
        qacc = self.features.to_world(qpos, whitened * self.acceleration_scale)
        if self.activation is None or act is None:
            return qacc, None
        return qacc, self.activation(torch.cat([act, action], 1))

    def rates(self, state: State, action: Tensor) -> Rates:
        """Mean rates over one integrator step of `step_dt` seconds."""
        context = self.moving_context(state)

        def derivative(q: Tensor, v: Tensor, a: Tensor | None) -> tuple[Tensor, Tensor | None]:
            return self.derivative(q, v, a, action, context)

        displace = self._manifold.displace
        qpos, qvel, act = state.qpos, state.qvel, state.act
        return self._method.rates(derivative, displace, qpos, qvel, act, self.step_dt)

    def apply_rates(self, state: State, rates: Rates) -> State:
        """The state after one integrator step at these rates."""
        h = self.step_dt
        act = state.act
        if act is not None and rates.activation is not None:
            act = torch.add(act, rates.activation, alpha=h)
        return State(
            self._manifold.displace(state.qpos, rates.velocity, h),
            torch.add(state.qvel, rates.acceleration, alpha=h),
            act,
            state.context,
        )

    def advance(self, state: State, action: Tensor, n_steps: int) -> tuple[State, Rates]:
        """`n_steps` integrator steps under one action, and the mean rates over them."""
        steps = []
        for _ in range(n_steps):
            steps.append(self.rates(state, action))
            state = self.apply_rates(state, steps[-1])
        if n_steps == 1:
            return state, steps[0]
        velocity = sum_of([rate.velocity for rate in steps]) / n_steps
        acceleration = sum_of([rate.acceleration for rate in steps]) / n_steps
        activation = None
        if self.activation is not None:
            activation = sum_of([cast(Tensor, rate.activation) for rate in steps]) / n_steps
        return state, Rates(velocity, acceleration, activation)

    def step(self, state: State, action: Tensor) -> State:
        """One control step.

        Args:
            state: ``(batch, n)`` fields, cast to the model's dtype and device.
            action: one control per row, ``(batch, nu)``; not clipped here.

        Raises:
            MosimError: if a width does not fit the body, or there is not one action a row.
        """
        return self._last_two(*self._cast(state, action))[1]

    def step_and_touch(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """One control step, and what the touch sensors read after it, see `step` and `touch`.

        dm_control observes what is read at the start of the last physics step. So does a model
        that feels, for one more integrator step; a head tells it from the state arrived at.
        """
        before, after = self._last_two(*self._cast(state, action))
        return after, self.touch(before if self.feels else after, action)

    def touch(self, state: State, action: Tensor) -> Tensor:
        """What the touch sensors read in newtons, ``(batch, len(spec.touch))``.

        Args:
            state: ``(batch, n)`` fields, cast to the model's dtype and device; if the model does
                not feel, those arrived at.
            action: the controls there, ``(batch, nu)``, or those it was reached under; zeros after
                a reset.

        Raises:
            MosimError: if the model never learned it, or a width does not fit the body.
        """
        if not self.tells_touch:
            raise no_touch(self.spec)
        state, action = self._cast(state, action)
        fields = (state.qpos, state.qvel, state.act, action, self.moving_context(state))
        if self.touch_head is None:
            return self.newtons * cast(Feeling, self.predictor).touch(self._inputs(*fields))
        return torch.expm1(self.touch_head(self.features.encode(*fields)))

    def rollout(self, state: State, actions: Tensor) -> Trajectory:
        """Open-loop rollout of actions ``(batch, T, nu)``, one per control step.

        A row that stops being finite, or whose speed passes the bound stored with the model,
        keeps its last valid state from there on and is flagged `diverged`; the others go on.

        Raises:
            MosimError: if a width does not fit the body.
        """
        if actions.ndim != 3 or actions.shape[::2] != (len(state), self.spec.nu):
            raise wrong_actions(self.spec, actions, len(state))
        state = self._cast_state(state)
        alive = self.is_valid(state)
        states, valid = [state], [torch.zeros_like(alive)]
        for t in range(actions.shape[1]):
            following = self.step(state, actions[:, t])
            alive = alive & self.is_valid(following)
            state = following.where(alive, state)
            states.append(state)
            valid.append(alive)
        act = None if state.act is None else torch.stack([cast(Tensor, s.act) for s in states], 1)
        return Trajectory(
            torch.stack([s.qpos for s in states], 1),
            torch.stack([s.qvel for s in states], 1),
            act,
            ~alive,
            torch.stack(valid, 1).sum(1),
        )

    def moving_context(self, state: State) -> Tensor | None:
        """The context of `state` where it changes the dynamics, else ``None``."""
        return state.context if self.spec.context_inputs else None

    def is_valid(self, state: State) -> Tensor:
        """Which rows are finite and no faster than the model's speed bound, ``(batch,)`` bool."""
        fields = [state.qpos, state.qvel, *([] if state.act is None else [state.act])]
        # NaN compares false, infinity is above every limit.
        return (torch.cat(fields, 1).abs() <= self.state_limits).all(1)

    def bound_speed(self, fastest: float) -> None:
        """Let rows that move faster than `fastest`, in any velocity, count as diverged."""
        nq = self.spec.nq
        self.state_limits[nq : nq + self.spec.nv] = fastest

    def _inputs(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None,
    ) -> Inputs:
        features = qpos[:, :0]
        if self._encodes:
            features = self.features.encode(qpos, qvel, act, action, context)
        return Inputs(qpos, qvel, act, action, features, self.acceleration_scale)

    def _last_two(self, state: State, action: Tensor) -> tuple[State, State]:
        """The states before and after the last integrator step of a control step."""
        before = state
        for _ in range(self.config.integrator_steps):
            before, state = state, self.apply_rates(state, self.rates(state, action))
        return before, state

    def _cast(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        rows = state.qpos.shape[0]
        if action.shape != (rows, self._nu):
            raise wrong_action(self.spec, action, rows)
        scale = self.acceleration_scale
        if action.dtype is not scale.dtype or action.device != scale.device:
            action = action.to(scale)
        return self._cast_state(state), action

    def _cast_state(self, state: State) -> State:
        qpos, qvel, act, context = state.qpos, state.qvel, state.act, state.context
        given = (qpos.shape[1], qvel.shape[1], 0 if act is None else act.shape[1])
        if given != self._widths:
            raise wrong_widths(self.spec, given)
        width = self.spec.context_inputs
        if width and (context is None or context.shape[1] != width):
            raise wrong_context(self.spec, state)
        # Field by field, not by State.items: this is run at every step, of one row too.
        scale = self.acceleration_scale
        dtype, device = scale.dtype, scale.device
        for value in (qpos, qvel, act, context):
            if value is not None and (value.dtype is not dtype or value.device != device):
                return State(**{name: field.to(scale) for name, field in state.items()})
        return state
