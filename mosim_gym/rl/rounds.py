"""What comes between an agent's imagined steps: real ones, and a model that learns from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mosim_gym.data.dataset import Dataset
from mosim_gym.files import write_rows
from mosim_gym.rl.acting import explore
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer
from mosim_gym.rl.plasticity import reset_heads
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.result import Round
from mosim_gym.rl.strategies import Strategy


class Rounds(BaseCallback):
    """Does what comes between an agent's imagined steps.

    Args:
        reality: the real system.
        strategy: what takes turns, and how much of it.
        budget: real steps in all.
        folder: of the run.
        model: what learns from reality; ``None`` where the agent learns in true physics.
        save: called after every round.
        rounds: those that were before, of a run that goes on.
        since: when the run began, by `time.perf_counter`.
    """

    def __init__(
        self,
        reality: Reality,
        strategy: Strategy,
        budget: int,
        folder: Path,
        model: GrowingModel | None,
        save: Callable[[], None],
        rounds: list[Round],
        since: float,
    ) -> None:
        """See the class."""
        super().__init__()
        self.reality, self.strategy = reality, strategy
        self.budget, self.folder, self.growing = budget, folder, model
        self.rounds, self._save = rounds, save
        self._every = strategy.steps_a_round(budget)
        self._data: Dataset = reality.dataset()
        self._since = since

    def _on_training_start(self) -> None:
        if self.rounds:
            # Of a run that goes on: what came after its state was written does not count.
            write_rows(self.folder / "rounds.csv", self.rounds)
        self._set_horizon()

    def _on_step(self) -> bool:
        if self.n_calls % self._every == 0 and self.reality.steps < self.budget:
            self._round()
        return True

    def _set_horizon(self) -> None:
        horizon = self.strategy.horizon_at(self.reality.steps, self.budget)
        self.training_env.set_attr("horizon", horizon)

    def _round(self) -> None:
        reality, agent, model = self.reality, self.model, self.growing
        assert isinstance(agent, OffPolicyAlgorithm)
        buffer = getattr(agent, "replay_buffer", None)
        assert isinstance(buffer, MixedReplayBuffer)
        episodes = len(reality.returns)
        steps = min(self.strategy.round_steps, self.budget - reality.steps)
        reality.act(steps, partial(explore, agent), buffer.real)
        ended = len(reality.returns) > episodes
        error = float("nan")
        if model is not None:
            self._data = reality.dataset(self._data)
            error = model.error(self._data.last(1)) if ended else error
            if not error < self.strategy.enough:
                model.learn(self._data, reality.steps)
        self.rounds.append(
            Round(
                real_steps=reality.steps,
                model_steps=agent.num_timesteps,
                updates=int(getattr(agent, "_n_updates", 0)),
                model_updates=0 if model is None else model.refit.steps,
                seconds=round(time.perf_counter() - self._since, 1),
                model_error=error,
                return_train=reality.returns[-1] if ended else float("nan"),
            )
        )
        write_rows(self.folder / "rounds.csv", self.rounds)
        if self.strategy.resets_after(len(self.rounds), self.budget):
            reset_heads(agent)
        self._set_horizon()
        self._save()
