"""What comes between an agent's imagined steps: real ones, and a model that learns from them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from mosim_gym.data.dataset import Dataset
from mosim_gym.files import write_rows
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.strategies import Strategy


@dataclass(frozen=True, slots=True)
class Round:
    """One row of ``rounds.csv``.

    Attributes:
        real_steps: so far.
        model_steps: imagined so far.
        updates: of the agent so far.
        model_updates: optimiser steps of the model so far; 0 in true physics.
        seconds: wall time since training began.
        model_error: one-step loss on the newest real episode, before it was learned from; in units
            of the model's loss. NaN in true physics, and where no episode ended.
        return_train: of that episode, with the agent's noise.
    """

    real_steps: int
    model_steps: int
    updates: int
    model_updates: int
    seconds: float
    model_error: float
    return_train: float


class Rounds(BaseCallback):
    """Does what comes between an agent's imagined steps.

    Args:
        reality: the real system.
        strategy: what takes turns, and how much of it.
        budget: real steps in all.
        folder: of the run.
        model: what learns from reality; ``None`` where the agent learns in true physics.
    """

    def __init__(
        self,
        reality: Reality,
        strategy: Strategy,
        budget: int,
        folder: Path,
        model: GrowingModel | None,
    ) -> None:
        """See the class."""
        super().__init__()
        self.reality, self.strategy = reality, strategy
        self.budget, self.folder, self.growing = budget, folder, model
        self.rounds: list[Round] = []
        self._every = strategy.steps_a_round(budget)
        self._data: Dataset = reality.dataset()
        self._start = 0.0

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        if self.n_calls % self._every == 0 and self.reality.steps < self.budget:
            self._round()
        return True

    def _round(self) -> None:
        reality, agent, model = self.reality, self.model, self.growing
        buffer = getattr(agent, "replay_buffer", None)
        assert isinstance(buffer, MixedReplayBuffer)
        episodes = len(reality.returns)
        steps = min(self.strategy.round_steps, self.budget - reality.steps)
        reality.act(steps, lambda seen: agent.predict(seen)[0], buffer.real)
        ended = len(reality.returns) > episodes
        error = float("nan")
        if model is not None:
            self._data = reality.dataset(self._data)
            error = model.error(self._data.last(1)) if ended else error
            model.learn(self._data, reality.steps)
        self.rounds.append(
            Round(
                real_steps=reality.steps,
                model_steps=agent.num_timesteps,
                updates=int(getattr(agent, "_n_updates", 0)),
                model_updates=0 if model is None else model.refit.steps,
                seconds=round(time.perf_counter() - self._start, 1),
                model_error=error,
                return_train=reality.returns[-1] if ended else float("nan"),
            )
        )
        write_rows(self.folder / "rounds.csv", self.rounds)
