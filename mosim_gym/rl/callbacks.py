"""What happens during training besides learning: judging, saving, showing progress."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from mosim_gym.files import write_atomically, write_rows
from mosim_gym.types import Float64Array

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from mosim_gym.rl.result import Round

#: Judges an agent: returns of some episodes in reality and in the environment trained on.
Judge = Callable[["BaseAlgorithm"], tuple[Float64Array, Float64Array]]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One row of ``curve.csv``.

    Attributes:
        steps: environment steps trained on so far.
        real_steps: steps in reality so far.
        updates: gradient updates so far.
        seconds: wall time since the start, judging included.
        return_real: mean return in true physics.
        return_real_std: its standard deviation over episodes.
        return_model: mean return in the environment trained on.
    """

    steps: int
    real_steps: int
    updates: int
    seconds: float
    return_real: float
    return_real_std: float
    return_model: float


class JudgeCallback(BaseCallback):
    """Judges the agent regularly in reality and in the model, and keeps what it sees.

    After every judgement the curve is on disk, the newest agent is in ``agent.zip`` and the best
    so far by its return in reality in ``best_agent.zip`` (which is picked on real episodes, and so
    is not zero-shot); a run that is killed loses at most what came after the last one.

    Args:
        folder: where to write.
        every: updates between judgements.
        judge: gives the returns.
        real_steps: how many there are so far.
        curve: judgements so far; new ones are added.
        since: when the run began, by `time.perf_counter`.
        save: called after each judgement, when all else is written.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        judge: Judge,
        real_steps: Callable[[], int],
        curve: list[CurvePoint],
        since: float,
        save: Callable[[], None] | None = None,
    ) -> None:
        """See the class."""
        super().__init__()
        self._real_steps = real_steps
        self.folder = folder
        self.every = every
        self.curve = curve
        self._judge = judge
        self._next = every
        self._since = since
        self._save = save

    def _on_training_start(self) -> None:
        self._next = self.every * (1 + self.updates // self.every)

    def _on_step(self) -> bool:
        if self.updates >= self._next:
            self._next += self.every
            self.judge()
        return True

    def _on_training_end(self) -> None:
        # The last updates come after the last step.
        if not self.curve or self.curve[-1].updates < self.updates:
            self.judge()

    @property
    def updates(self) -> int:
        """Gradient updates so far."""
        return int(getattr(self.model, "_n_updates", 0))

    def judge(self) -> CurvePoint:
        """Judge now, write the curve and the agent."""
        real, model = self._judge(self.model)
        point = CurvePoint(
            steps=self.model.num_timesteps,
            real_steps=self._real_steps(),
            updates=self.updates,
            seconds=round(time.perf_counter() - self._since, 2),
            return_real=float(real.mean()),
            return_real_std=float(real.std()),
            return_model=float(model.mean()),
        )
        best = max((p.return_real for p in self.curve), default=float("-inf"))
        self.curve.append(point)
        write_rows(self.folder / "curve.csv", self.curve)
        save_agent(self.model, self.folder / "agent.zip")
        if point.return_real > best:
            save_agent(self.model, self.folder / "best_agent.zip")
        self.logger.record("eval_real/mean_return", point.return_real)
        self.logger.record("eval_model/mean_return", point.return_model)
        self.logger.dump(self.model.num_timesteps)
        if self._save is not None:
            self._save()
        return point


class ProgressCallback(BaseCallback):
    """A progress bar in environment steps, with the last returns, real steps and model error."""

    def __init__(
        self,
        total_timesteps: int,
        curve: list[CurvePoint],
        label: str,
        rounds: Sequence[Round] = (),
    ) -> None:
        """Show `label` and the last of `curve` and `rounds` beside the bar."""
        super().__init__()
        self._rounds = rounds
        self._total = total_timesteps
        self._curve = curve
        self._label = label
        self._bar: tqdm[None] | None = None

    def _on_training_start(self) -> None:
        done = self.model.num_timesteps
        total, label = self._total, self._label
        self._bar = tqdm(total=total, initial=done, desc=label, unit="step", unit_scale=True)

    def _on_step(self) -> bool:
        assert self._bar is not None
        self._bar.update(self.model.num_timesteps - self._bar.n)
        shown = {}
        if self._rounds:
            shown["real_steps"] = f"{self._rounds[-1].real_steps:,}"
            shown["error"] = f"{self._rounds[-1].model_error:.1e}"
        if self._curve:
            last = self._curve[-1]
            shown |= {"real": f"{last.return_real:.0f}", "model": f"{last.return_model:.0f}"}
        self._bar.set_postfix(shown, refresh=False)
        return True

    def _on_training_end(self) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is and release the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def save_agent(model: BaseAlgorithm, path: Path) -> None:
    """Save an SB3 agent (SB3's own zip format) whole or not at all."""
    write_atomically(path, lambda file: model.save(cast(io.BufferedIOBase, file)))
