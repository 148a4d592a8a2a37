"""The model of a run with few real steps: learned anew from what was seen, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.delay import arrived
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.refit import Refit
from mosim_gym.rl.strategies import Strategy
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.versions import installed_versions


class GrowingModel:
    """A model under training, its checkpoint, and the copy that an agent's rows are stepped by.

    Attributes:
        path: of the checkpoint, written after every round.
        refit: the model and how it learns.
        action_delay: control steps that actions take to arrive.
    """

    def __init__(
        self,
        robot: RobotSpec,
        preset: Preset,
        strategy: Strategy,
        seed: int,
        folder: Path,
        action_delay: int = 0,
    ) -> None:
        """Make an untrained model.

        Args:
            robot: the body.
            preset: the recipe.
            strategy: how much is learned when.
            seed: of weights and batches.
            folder: of the run; the checkpoint is its ``model``.
            action_delay: control steps from the choice of an action to its arrival.
        """
        self.action_delay = action_delay
        self.path = folder / "model"
        self.refit = Refit(robot, preset, seed)
        self._strategy = strategy
        self._imagined: Simulator | None = None

    def begin(self, data: Dataset, real_steps: int) -> None:
        """Learn from the first data."""
        self.refit.learn(self._arrived(data), self._strategy.first_refit)
        self._save(real_steps)

    def go_on(self, state: Mapping[str, Any], real_steps: int) -> None:
        """Be the model that `Refit.state` was of."""
        self.refit.load_state(state)
        self._save(real_steps)

    def attach(self, imagined: Simulator) -> None:
        """From now on let this simulator be what was learned last."""
        self._imagined = imagined

    def error(self, data: Dataset) -> float:
        """One-step loss on data, in units of the preset's loss."""
        return self.refit.error(self._arrived(data))

    def learn(self, data: Dataset, real_steps: int) -> None:
        """Learn from all data there is now, the newest preferred."""
        strategy = self._strategy
        self.refit.learn(
            self._arrived(data),
            strategy.refit,
            newest=strategy.newest,
            newest_share=strategy.newest_share,
        )
        self._save(real_steps)
        if self._imagined is not None:
            self._imagined.load_state_dict(self.refit.simulator.state_dict())

    def _arrived(self, data: Dataset) -> Dataset:
        return arrived(data, self.action_delay)

    def _save(self, real_steps: int) -> None:
        """Write the checkpoint; nobody has judged it."""
        refit = self.refit
        name = refit.simulator.spec.name
        late = ""
        if self.action_delay:
            late = (
                f" It was told actions as they arrived, {self.action_delay} control steps after "
                "they were chosen: step it with action_delay= that many."
            )
        card = (
            f"# {name}: a model under training\n\nLearned from {real_steps} real steps by the "
            f"preset `{refit.preset.name}`, {refit.steps} optimiser steps; not judged on episodes "
            f"of its own. `mosim-gym evaluate` does.{late}\n"
        )
        provenance = {
            "command": "train_in_rounds",
            "preset": refit.preset.to_json(),
            "seed": refit.seed,
            "steps": refit.steps,
            "real_steps": real_steps,
            "action_delay": self.action_delay,
            "versions": installed_versions(),
        }
        save_checkpoint(self.path, refit.simulator, acceptance={}, provenance=provenance, card=card)
