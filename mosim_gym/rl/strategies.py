"""How real steps, refits of the model and updates of the agent take turns, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.presets import get_preset
from mosim_gym.fit.recipe import Preset
from mosim_gym.rl.algorithms import Algorithm
from mosim_gym.rl.presets import AgentPreset, preset_for

#: Learning in a model as it is; there is nothing to take turns.
ZERO_SHOT = "zero_shot"


_OPTIONAL = {"vector_steps": 1, "first_horizon": 1, "last_horizon": 1}
_LEAST = {
    "first_steps": 1,
    "round_steps": 1,
    "first_refit": 0,
    "refit": 0,
    "enough": 0,
    "newest": 0,
    "reset_rounds": 0,
    **_OPTIONAL,
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """Rounds of: real steps, refit, imagined steps with updates.

    Attributes:
        name: what it is called.
        model: preset of the model (`mosim_gym.fit.presets`); ``None`` for a network, shown contacts
            where the body has any.
        first_steps: real steps under held random actions, before the first fit.
        round_steps: real steps a round, by the agent as it is, with its noise.
        first_refit: optimiser steps of the model on the first data.
        refit: and a round.
        enough: error on a new episode below which the model is left as it is in that round, in
            units of its loss (of the variance). A model of known physics gets so good that further
            steps cost time and tell nothing.
        vector_steps: steps of all imagined rows a round; each is followed by
            `agent.gradient_steps` updates. None: as many as spend the agent's own budget of
            updates evenly over the rounds, so that more real steps mean shorter rounds; but no
            fewer than an update a real step.
        newest: real steps that count as new.
        newest_share: share of the model's batches, and of the imagined starts, that is from those.
        task_share: share of the imagined starts that is the task's own.
        real_ratio: share of the agent's batches that is real.
        first_horizon: steps after which imagined rows start anew in the first round. None: those
            of the agent.
        last_horizon: and in the last round, with a straight line over the real steps between.
            None: it stays as it was first.
        reset_rounds: rounds after which the agent's heads are drawn anew, again and again, but for
            the last third of the budget (`mosim_gym.rl.plasticity`); 0 for never.
        agent: the agent, that of a task by `find_strategy`; its learning rate falls to zero over
            the run, as elsewhere. A share of wide starts that it asks for is of the imagined rows;
            real ones start as they do.
    """

    name: str
    model: str | None
    agent: AgentPreset
    first_steps: int = 5_000
    round_steps: int = 1_000
    first_refit: int = 3_000
    refit: int = 150
    enough: float = 0.0
    vector_steps: int | None = None
    newest: int = 10_000
    newest_share: float = 0.5
    task_share: float = 0.0
    real_ratio: float = 0.1
    first_horizon: int | None = None
    last_horizon: int | None = None
    reset_rounds: int = 0

    def __post_init__(self) -> None:
        """Raise if the numbers lead nowhere, before any real step is taken."""
        for what, least in _LEAST.items():
            number = getattr(self, what)
            if number is not None and number < least:
                some = ", or None" if what in _OPTIONAL else ""
                raise MosimError(f"{what} is {number}; expected {least} or more{some}.")
        for what in ("newest_share", "task_share", "real_ratio"):
            share = getattr(self, what)
            if not 0 <= share <= 1:
                raise MosimError(f"{what} is {share}; expected a share of 0 to 1.")

    def rounds(self, real_steps: int) -> int:
        """Rounds of a run; one more than there are real steps for: the last model counts, too."""
        return 1 + -(-(real_steps - self.first_steps) // self.round_steps)

    def horizon_at(self, real_steps: int, budget: int) -> int:
        """Steps after which imagined rows start anew, after so many real steps of a budget."""
        first = self.agent.horizon if self.first_horizon is None else self.first_horizon
        last = first if self.last_horizon is None else self.last_horizon
        done = (real_steps - self.first_steps) / max(1, budget - self.first_steps)
        return round(first + (last - first) * min(max(done, 0.0), 1.0))

    def resets_after(self, rounds: int, budget: int) -> bool:
        """Whether the agent's heads are drawn anew after so many rounds of a budget."""
        ours = self.reset_rounds and rounds % self.reset_rounds == 0
        return bool(ours) and 3 * rounds <= 2 * self.rounds(budget)

    def steps_a_round(self, real_steps: int) -> int:
        """Steps of all imagined rows a round of a run with so many real steps."""
        if self.vector_steps is not None:
            return self.vector_steps
        updates = -(-max(self.agent.updates, real_steps) // self.rounds(real_steps))
        return -(-updates // self.agent.gradient_steps)


_AGENT = preset_for("", Algorithm.SAC)
#: 50 rows of 100 steps, an update every 10 model steps; all start from what was seen.
_FEW_SHOT_ROWS: Mapping[str, Any] = {
    "n_envs": 50,
    "horizon": 100,
    "gradient_steps": 5,
    "learning_starts": 2_500,
    "wide_starts": 0.0,
}

#: MoSim's (arXiv 2504.07095, section 3.5): 1,000 real steps every 5,000 model steps, the model
#: updated once every 100 model steps, all imagined episodes from the real replay buffer.
FEW_SHOT = Strategy(
    name="few_shot",
    model=None,
    agent=dataclasses.replace(_AGENT, **_FEW_SHOT_ROWS),
    first_steps=1_000,
    first_refit=1_000,
    refit=50,
    vector_steps=100,
    newest_share=0.0,
    real_ratio=0.0,
)

#: What a model wants that is solved for: few steps, and none where it is exact.
_SOLVED_FOR: Mapping[str, Any] = {
    "model": "articulated",
    "first_refit": 40,
    "refit": 2,
    "enough": 1e-8,
}
FEW_SHOT_ARTICULATED = dataclasses.replace(FEW_SHOT, **_SOLVED_FOR)

#: Dyna with short imagined rollouts from what was seen (MBPO, arXiv 1906.08253), that grow as the
#: model gets better.
ON_POLICY = Strategy(
    name="on_policy", model=None, agent=_AGENT, first_horizon=10, last_horizon=200, task_share=0.2
)

#: The same with a model that is told the geometry: some thousand steps make it exact enough for
#: whole episodes, so that an agent learns as it would in a model that was finished before.
ON_POLICY_ARTICULATED = dataclasses.replace(
    ON_POLICY,
    **_SOLVED_FOR,
    task_share=0.5,
    first_horizon=None,
    last_horizon=None,
)

STRATEGIES = (FEW_SHOT, FEW_SHOT_ARTICULATED, ON_POLICY, ON_POLICY_ARTICULATED)


def find_strategy(
    name: str,
    model: str | Preset | None = None,
    task: str = "",
    algorithm: Algorithm = Algorithm.SAC,
) -> Strategy:
    """The strategy of that name, for a model of that preset.

    Args:
        name: "few_shot" or "on_policy".
        model: preset of the model, or its name; the strategy's own by default. Models that are
            solved for (Levenberg-Marquardt) have other settings than networks.
        task: such as "cheetah-run"; the agent is that of the task.
        algorithm: of the agent.

    Raises:
        UnknownNameError: naming those there are.
    """
    mine = [strategy for strategy in STRATEGIES if strategy.name == name]
    if not mine:
        names = [ZERO_SHOT, *dict.fromkeys(strategy.name for strategy in STRATEGIES)]
        raise unknown_name("strategy", name, names)
    solved = is_solved_for(model)
    alike = next(s for s in mine if is_solved_for(s.model) == solved)
    named = model.name if isinstance(model, Preset) else model
    agent = preset_for(task, algorithm)
    if name == FEW_SHOT.name:
        agent = dataclasses.replace(agent, **_FEW_SHOT_ROWS)
    return dataclasses.replace(alike, model=named, agent=agent)


def is_solved_for(model: str | Preset | None) -> bool:
    """Whether a model of this preset is solved for (Levenberg-Marquardt), not trained."""
    return model is not None and get_preset(model).optimizer == LEVENBERG_MARQUARDT
