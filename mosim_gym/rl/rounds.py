"""What comes between an agent's imagined steps: real ones, and a model that learns from them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.files import write_rows
from mosim_gym.fit.refit import Refit
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.strategies import Strategy
from mosim_gym.versions import installed_versions


@dataclass(frozen=True, slots=True)
class Round:
    """One row of ``rounds.csv``.

    Attributes:
        real_steps: so far.
        model_steps: imagined so far.
        updates: of the agent so far.
        model_updates: optimiser steps of the model so far.
        seconds: wall time since training began.
        model_error: one-step loss on the newest real episode, before it was learned from; in units
            of the model's loss.
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
        refit: the model under training.
        strategy: what takes turns, and how much of it.
        budget: real steps in all.
        folder: of the run; the model is kept in ``model``.
        imagined: the simulator that the agent's environment steps.
    """

    def __init__(
        self,
        reality: Reality,
        refit: Refit,
        strategy: Strategy,
        budget: int,
        folder: Path,
        imagined: Simulator,
    ) -> None:
        """See the class."""
        super().__init__()
        self.reality, self.refit, self.strategy = reality, refit, strategy
        self.budget, self.folder, self.imagined = budget, folder, imagined
        self.rounds: list[Round] = []
        self._data: Dataset = reality.dataset()
        self._start = 0.0

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        if self.n_calls % self.strategy.vector_steps == 0 and self.reality.steps < self.budget:
            self._round()
        return True

    def _round(self) -> None:
        strategy, reality, agent = self.strategy, self.reality, self.model
        buffer = getattr(agent, "replay_buffer", None)
        assert isinstance(buffer, MixedReplayBuffer)
        episodes = len(reality.returns)
        steps = min(strategy.round_steps, self.budget - reality.steps)
        reality.act(steps, lambda seen: agent.predict(seen)[0], buffer.real)
        self._data = reality.dataset(self._data)
        ended = len(reality.returns) > episodes
        error = self.refit.error(self._data.last(1)) if ended else float("nan")
        self.refit.learn(
            self._data,
            strategy.refit,
            newest=strategy.newest,
            newest_share=strategy.newest_share,
        )
        save_model(self.folder / "model", self.refit, reality.steps)
        self.imagined.load_state_dict(self.refit.simulator.state_dict())
        self.rounds.append(
            Round(
                real_steps=reality.steps,
                model_steps=agent.num_timesteps,
                updates=int(getattr(agent, "_n_updates", 0)),
                model_updates=self.refit.steps,
                seconds=round(time.perf_counter() - self._start, 1),
                model_error=error,
                return_train=reality.returns[-1] if ended else float("nan"),
            )
        )
        write_rows(self.folder / "rounds.csv", self.rounds)


def save_model(path: Path, refit: Refit, real_steps: int) -> Path:
    """Write a model under training as a checkpoint; nobody has judged it."""
    name = refit.simulator.spec.name
    card = (
        f"# {name}: a model under training\n\nLearned from {real_steps} real steps by the preset "
        f"`{refit.preset.name}`, {refit.steps} optimiser steps; not judged on episodes of its own. "
        "`mosim-gym evaluate` does.\n"
    )
    provenance = {
        "command": "train_in_rounds",
        "preset": refit.preset.to_json(),
        "seed": refit.seed,
        "steps": refit.steps,
        "real_steps": real_steps,
        "versions": installed_versions(),
    }
    return save_checkpoint(path, refit.simulator, acceptance={}, provenance=provenance, card=card)
