"""How each task is planned for, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mosim_gym.errors import enum_member
from mosim_gym.planning.planner import PlannerSettings
from mosim_gym.planning.rollout import Dynamics, TerminalValue
from mosim_gym.planning.rules import Cem, Mppi, Rule
from mosim_gym.planning.terminal import reach, swing_up, swing_up_and_catch
from mosim_gym.robots.tree import Tree


class PlannerKind(StrEnum):
    """The update rules there are presets for."""

    MPPI = "mppi"
    CEM = "cem"


@dataclass(frozen=True, slots=True)
class PlanPreset:
    """Settings for a body.

    Attributes:
        mppi: how to search with MPPI.
        cem: how to search with CEM.
        mppi_rule: its update rule.
        cem_rule: its update rule.
        terminal: makes the terminal value of the body; none by default.
    """

    mppi: PlannerSettings = PlannerSettings()
    cem: PlannerSettings = PlannerSettings(samples=64, iterations=3, fine=1.0)
    mppi_rule: Mppi = Mppi()
    cem_rule: Cem = Cem()
    terminal: Callable[[Dynamics, Tree], TerminalValue] | None = None

    def search(self, kind: PlannerKind) -> tuple[PlannerSettings, Rule]:
        """Settings and update rule of a planner."""
        if kind is PlannerKind.MPPI:
            return self.mppi, self.mppi_rule
        return self.cem, self.cem_rule


#: By domain; what is not here is planned for with `PlanPreset()`.
PRESETS: dict[str, PlanPreset] = {
    # Half a second ahead, as in the paper.
    "acrobot": PlanPreset(terminal=swing_up_and_catch),
    # A second ahead: with less in view the pole is not stopped at the top.
    "cartpole": PlanPreset(
        mppi=PlannerSettings(horizon=100, samples=64),
        cem=PlannerSettings(horizon=100, samples=64, iterations=2, noise=0.5, fine=1.0),
    ),
    "pendulum": PlanPreset(
        mppi=PlannerSettings(samples=64),
        cem=PlannerSettings(samples=32, iterations=2, fine=1.0),
        terminal=swing_up,
    ),
    "reacher": PlanPreset(
        mppi=PlannerSettings(horizon=30, samples=64),
        cem=PlannerSettings(horizon=30, samples=32, iterations=2, fine=1.0),
        terminal=reach,
    ),
}


def find_planner(name: str) -> PlannerKind:
    """The planner of that name.

    Raises:
        UnknownNameError: naming those there are.
    """
    return enum_member(PlannerKind, "planner", name.lower())
