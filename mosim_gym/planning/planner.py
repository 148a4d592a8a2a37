"""Planner: finds actions by trying many in a simulator, anew at every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mosim_gym.errors import MosimError
from mosim_gym.planning.rollout import Dynamics, TerminalValue, rollout_returns
from mosim_gym.planning.rules import Mppi, Rule
from mosim_gym.planning.sampling import Limits, Proposal, smooth_noise
from mosim_gym.tasks.base import Task
from mosim_gym.types import State


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How a planner searches.

    Attributes:
        horizon: control steps it looks ahead.
        samples: action sequences it tries an iteration.
        iterations: updates of a plan a control step.
        noise: standard deviation of what is tried, in half control ranges.
        memory: seconds over which that noise forgets itself; 0 is white noise, which moves heavy
            bodies little.
        fine: the last samples are tried with this share of the noise, those between with a share
            between (geometrically); 1 is the same noise for all. Large noise finds a balance,
            small noise holds it. A rule that learns the spread itself (CEM) wants 1.
    """

    horizon: int = 50
    samples: int = 128
    iterations: int = 1
    noise: float = 1.0
    memory: float = 0.2
    fine: float = 0.05

    def __post_init__(self) -> None:
        """Check that the numbers make sense."""
        for name, least in (("horizon", 1), ("samples", 2), ("iterations", 1)):
            if getattr(self, name) < least:
                raise MosimError(
                    f"PlannerSettings.{name} is {getattr(self, name)}; expected {least} or more."
                )
        if not (self.noise > 0 and self.memory >= 0 and 0 < self.fine <= 1):
            raise MosimError(
                f"PlannerSettings has noise={self.noise}, memory={self.memory}, fine={self.fine}; "
                "expected noise above 0, memory 0 or more and fine above 0 and up to 1."
            )


class Planner:
    """Model predictive control of several bodies at once.

    A plan goes from what was planned a step ago, shifted by it. The noise is the same for all
    bodies: each is planned for as if it were alone.

    Args:
        dynamics: the model; moves bodies x samples rows in one call.
        task: rewards states.
        settings: how to search.
        rule: what to make of what was tried; `Mppi` by default.
        terminal: what the last state of a rollout is worth beyond the horizon.
        seed: of all random numbers.

    Attributes:
        dynamics: the model.
        settings: how it searches.
        plan: action sequences ``(plans, horizon, nu)`` that the next step starts from; ``None``
            before the first.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        task: Task[Any],
        settings: PlannerSettings | None = None,
        rule: Rule | None = None,
        *,
        terminal: TerminalValue | None = None,
        seed: int = 0,
    ) -> None:
        """See the class."""
        self.dynamics = dynamics
        self.settings = settings or PlannerSettings()
        self.plan: Tensor | None = None
        self._task = task
        self._rule = rule or Mppi()
        self._terminal = terminal
        self._generator = torch.Generator().manual_seed(seed)
        like = torch.empty(0, dtype=dynamics.dtype, device=dynamics.device)
        self._limits = Limits.of(dynamics.spec, like)

    def forget(self) -> None:
        """Let the next plan start from nothing, as at the start of an episode."""
        self.plan = None

    @torch.inference_mode()
    def act(self, state: State) -> Tensor:
        """What to do now, ``(plans, nu)``, within the control limits.

        Args:
            state: of the bodies to plan for, one a row; the same rows at every call until
                `forget`.
        """
        proposal = self.improve(state)
        # What follows the plan's end is unknown; going on with its last action is as good as any.
        self.plan = torch.cat([proposal.mean[:, 1:], proposal.mean[:, -1:]], 1)
        return proposal.mean[:, 0]

    @torch.inference_mode()
    def improve(self, state: State) -> Proposal:
        """The proposal after the iterations of one step; leaves `plan` as it is."""
        start = _repeat(
            state.to(self.dynamics.dtype).to(self.dynamics.device), self.settings.samples
        )
        proposal = self._first(len(state))
        for _ in range(self.settings.iterations):
            actions = self._sample(proposal)
            returns = rollout_returns(
                self.dynamics, self._task, start, actions.flatten(0, 1), self._terminal
            )
            proposal = self._rule.update(proposal, actions, returns.view(actions.shape[:2]))
        return proposal

    def _first(self, plans: int) -> Proposal:
        shape = (plans, self.settings.horizon, self.dynamics.spec.nu)
        mean = self._limits.centre.expand(shape) if self.plan is None else self.plan
        if mean.shape != shape:
            raise MosimError(
                f"The planner was given {plans} bodies, {mean.shape[0]} before; call forget() "
                "before planning for others."
            )
        return Proposal(mean, (self.settings.noise * self._limits.unit).expand(shape))

    def _sample(self, proposal: Proposal) -> Tensor:
        """Action sequences ``(plans, samples, horizon, nu)``."""
        settings = self.settings
        _, horizon, nu = proposal.mean.shape
        dt = self.dynamics.spec.control_dt
        correlation = math.exp(-dt / settings.memory) if settings.memory else 0.0
        noise = smooth_noise(settings.samples, horizon, nu, correlation, self._generator)
        noise = noise * torch.logspace(0, math.log10(settings.fine), len(noise))[:, None, None]
        noise = noise.to(proposal.mean)
        return self._limits.clamp(proposal.mean[:, None] + proposal.std[:, None] * noise)


def _repeat(state: State, times: int) -> State:
    """Every row so many times, one copy after the other."""
    fields = {name: value.repeat_interleave(times, 0) for name, value in state.items()}
    return State(**fields)
