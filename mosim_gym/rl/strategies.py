"""How real steps, refits of the model and updates of the agent take turns, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mosim_gym.errors import unknown_name
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.presets import get_preset
from mosim_gym.rl.presets import AgentPreset

#: Learning in a model as it is; there is nothing to take turns.
ZERO_SHOT = "zero_shot"


@dataclass(frozen=True, slots=True)
class Strategy:
    """Rounds of: real steps, refit, imagined steps with updates.

    Attributes:
        name: what it is called.
        model: preset of the model (`mosim_gym.fit.presets`).
        first_steps: real steps under held random actions, before the first fit.
        round_steps: real steps a round, by the agent as it is, with its noise.
        first_refit: optimiser steps of the model on the first data.
        refit: and a round.
        vector_steps: steps of all imagined rows a round; each is followed by
            `agent.gradient_steps` updates.
        newest: real steps that count as new.
        newest_share: share of the model's batches, and of the imagined starts, that is from those.
        task_share: share of the imagined starts that is the task's own.
        real_ratio: share of the agent's batches that is real.
        agent: the agent; its learning rate falls to zero over the run, as elsewhere.
    """

    name: str
    model: str
    agent: AgentPreset
    first_steps: int = 5_000
    round_steps: int = 1_000
    first_refit: int = 3_000
    refit: int = 150
    vector_steps: int = 40
    newest: int = 10_000
    newest_share: float = 0.5
    task_share: float = 0.0
    real_ratio: float = 0.1

    @property
    def round_updates(self) -> int:
        """Updates of the agent a round."""
        return self.vector_steps * self.agent.gradient_steps


_SAC = AgentPreset(
    n_envs=256,
    horizon=10,
    gradient_steps=75,
    learning_starts=0,
    buffer_size=200_000,
    learning_rate=3e-4,
    tau=0.005,
    n_steps=1,
    ent_coef="auto",
    net_arch=(256, 256),
)

#: MoSim's (arXiv 2504.07095, section 3.5): 1,000 real steps every 5,000 model steps, the model
#: updated once every 100 model steps, all imagined episodes from the real replay buffer.
FEW_SHOT = Strategy(
    name="few_shot",
    model="default",
    agent=dataclasses.replace(_SAC, n_envs=50, horizon=100, gradient_steps=50),
    first_steps=1_000,
    first_refit=1_000,
    refit=50,
    vector_steps=100,
    newest_share=0.0,
    real_ratio=0.0,
)

#: Dyna with short imagined rollouts (MBPO, arXiv 1906.08253) and many updates.
ON_POLICY = Strategy(name="on_policy", model="default", agent=_SAC)

#: The same with a model that is told the geometry: some thousand steps make it exact enough for
#: whole episodes, so that what is imagined is what would be.
ON_POLICY_ARTICULATED = dataclasses.replace(
    ON_POLICY,
    model="articulated",
    agent=dataclasses.replace(
        _SAC,
        horizon=500,
        gradient_steps=16,
        learning_rate=5e-4,
        n_steps=3,
        ent_coef="auto_0.05",
        buffer_size=400_000,
    ),
    first_refit=60,
    refit=4,
    vector_steps=500,
    task_share=0.5,
)

STRATEGIES = (FEW_SHOT, ON_POLICY, ON_POLICY_ARTICULATED)


def find_strategy(name: str, model: str | None = None) -> Strategy:
    """The strategy of that name, for a model of that preset.

    Args:
        name: "few_shot" or "on_policy".
        model: preset of the model; the strategy's own by default. Models that are solved for
            (Levenberg-Marquardt) have other settings than networks, where there are any.

    Raises:
        UnknownNameError: naming those there are.
    """
    mine = [strategy for strategy in STRATEGIES if strategy.name == name]
    if not mine:
        names = [ZERO_SHOT, *dict.fromkeys(strategy.name for strategy in STRATEGIES)]
        raise unknown_name("strategy", name, names)
    if model is None:
        return mine[0]
    solved = get_preset(model).optimizer == LEVENBERG_MARQUARDT
    alike = [s for s in mine if (get_preset(s.model).optimizer == LEVENBERG_MARQUARDT) == solved]
    return dataclasses.replace((alike or mine)[0], model=model)
