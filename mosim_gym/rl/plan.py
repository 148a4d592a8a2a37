"""What a run of few real steps is to do: names resolved, numbers checked, before anything moves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mosim_gym.articulated.description import describe
from mosim_gym.errors import MosimError
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.presets import CONTACT, DEFAULT, get_preset
from mosim_gym.fit.recipe import Preset
from mosim_gym.registration import TaskRow, find_env
from mosim_gym.rl.algorithms import Algorithm, find_algorithm
from mosim_gym.rl.refusals import check_numbers
from mosim_gym.rl.strategies import Strategy, find_strategy, is_solved_for
from mosim_gym.tasks.mujoco import model_of
from mosim_gym.versions import environment_record


@dataclass(frozen=True, slots=True)
class Plan:
    """A run.

    Attributes:
        row: of the task.
        algorithm: of the agent.
        turns: what takes turns, and how much of it.
        preset: of the model.
        real_steps: budget of steps in reality.
        dynamics: what is imagined in, "learned" or "mujoco".
        action_delay: control steps that actions take to arrive; ``None`` to find out.
        observe_pending: whether the agent is told which are on their way.
        seed: of all.
    """

    row: TaskRow
    algorithm: Algorithm
    turns: Strategy
    preset: Preset
    real_steps: int
    dynamics: str
    action_delay: int | None
    observe_pending: bool
    seed: int

    @property
    def name(self) -> str:
        """What the run is called, as its folder by default."""
        how = (
            self.turns.name if self.dynamics == "learned" else f"{self.turns.name}-{self.dynamics}"
        )
        return f"{self.row.domain}-{self.row.task}-{self.algorithm}-{how}-seed{self.seed}"

    @property
    def vector_steps(self) -> int:
        """Steps of all imagined rows."""
        return self.turns.rounds(self.real_steps) * self.turns.steps_a_round(self.real_steps)

    @property
    def updates(self) -> int:
        """Updates of the agent."""
        return self.vector_steps * self.turns.agent.gradient_steps

    def settings(self) -> dict[str, Any]:
        """For ``config.json``."""
        return {
            "env_id": self.row.env_id,
            "algorithm": self.algorithm.value,
            "seed": self.seed,
            "real_steps": self.real_steps,
            "strategy": asdict(self.turns),
            "dynamics": self.dynamics,
            "model": self.preset.to_json(),
            "action_delay": self.action_delay,
            "observe_pending": self.observe_pending,
            "environment": environment_record(),
        }


def make_plan(
    env_id: str,
    algo: str,
    strategy: str | Strategy,
    model: str | Preset | None,
    *,
    real_steps: int,
    dynamics: str,
    action_delay: int | None,
    observe_pending: bool,
    seed: int,
) -> Plan:
    """The plan of a run; arguments as for `mosim_gym.rl.few_steps.train_in_rounds`.

    Raises:
        UnknownNameError: for an unknown environment, algorithm, strategy or preset.
        MosimError: if the numbers lead nowhere.
    """
    row = find_env(env_id)
    algorithm = find_algorithm(algo)
    if isinstance(strategy, str):
        strategy = find_strategy(strategy, model, row.name, algorithm)
    elif model is not None and is_solved_for(model) != is_solved_for(strategy.model):
        raise MosimError(
            f"These settings of {strategy.name} take {strategy.first_refit} optimiser steps at "
            f"first and {strategy.refit} a round, as the model they are for wants; the preset "
            f'"{get_preset(model).name}" learns otherwise. Change those of find_strategy('
            f'"{strategy.name}", model, "{row.name}") (mosim_gym.rl.strategies).'
        )
    check_numbers(row, strategy, real_steps, dynamics, action_delay)
    preset = recipe_for(model or strategy.model, row)
    late = action_delay, observe_pending
    return Plan(row, algorithm, strategy, preset, real_steps, dynamics, *late, seed)


def recipe_for(model: str | Preset | None, row: TaskRow) -> Preset:
    """The preset, told the geometry of the task's body where it wants to know and does not yet.

    Without one, a network: shown where the body touches what never moves, if that is known.
    """
    body = model_of(row.domain, row.task)
    if model is None:
        try:
            model = CONTACT if len(describe(body, ground=True).pairs) else DEFAULT
        except MosimError:  # it has shapes whose distance is not known
            model = DEFAULT
    preset = get_preset(model)
    if preset.optimizer == LEVENBERG_MARQUARDT and preset.model.correctors:
        raise MosimError(
            f'The preset "{preset.name}" solves for its physics and then trains a network beside '
            "it; with few real steps both learn together, which it cannot. Give a preset without "
            'correctors ("articulated"), or fit it once (mosim-gym fit) and train in that.'
        )
    if preset.needs_geometry and preset.model.geometry is None:
        return preset.told(describe(body, ground=preset.needs_ground_only).to_json())
    return preset
