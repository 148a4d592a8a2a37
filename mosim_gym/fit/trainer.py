"""fit: from a dataset to an accepted checkpoint, in one call that can be interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import require_replaceable, save_checkpoint
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit.card import write_card
from mosim_gym.fit.loop import LossNotFiniteError, StoppedBetweenStepsError, Trainer
from mosim_gym.fit.pairs import data_fingerprint, learn_scales, make_pairs
from mosim_gym.fit.presets import Preset, get_preset
from mosim_gym.fit.resume import differences, read_state, write_state
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.versions import installed_versions

#: Shares of whole episodes for training, for picking the best weights, and for acceptance.
SPLIT = (0.8, 0.1, 0.1)
_STATE = "state.safetensors"
_SHORT = 100
_MOST_NAMED = 3
_HORIZONS = (1, 10, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a fit gave.

    Attributes:
        path: the checkpoint's folder.
        simulator: the model, with its best weights.
        steps: optimiser steps of the whole fit.
        held_out_error: of the best weights, in units of the preset's loss.
        acceptance: figures on the test episodes; see the card.
        seconds: this call took.
    """

    path: Path
    simulator: Simulator
    steps: int
    held_out_error: float
    acceptance: Mapping[str, Any]
    seconds: float


def fit(
    dataset: Dataset | str | Path,
    *,
    out: str | Path,
    preset: str | Preset = "default",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    resume: bool = True,
    progress: bool = True,
    command: str | None = None,
) -> FitResult:
    """Train a model on a dataset and save it as a checkpoint.

    The state of the fit is kept beside `out`, in ``<out>.run``, with TensorBoard scalars; after an
    interrupt the same call goes on from there, to the same bits. A fit that has finished keeps no
    state: the same call then trains anew and replaces the checkpoint.

    Args:
        dataset: or its folder.
        out: folder of the checkpoint; a checkpoint that is there is replaced at the end.
        preset: a name (``default``, ``paper``) or a recipe.
        steps: optimiser steps; the preset's by default.
        minutes: turned into a step count once, by timing; not with `steps`.
        seed: of weights, split and batches.
        threads: of torch; as they are by default.
        resume: go on with the unfinished fit in ``<out>.run``, if there is one.
        progress: show a bar with the held-out error; on Ctrl-C, print where the state is.
        command: recorded in the checkpoint as what made it.

    Raises:
        MosimError: for a dataset, preset, budget or folder that cannot be used.
        LossNotFiniteError: if training broke down; the best weights are saved at `out`.
        KeyboardInterrupt: on Ctrl-C, after the step under way was done and the state written; on
            a second Ctrl-C at once, with the state as it was last written.
    """
    started = time.perf_counter()
    recipe = get_preset(preset)
    _check_budget(steps, minutes)
    if not isinstance(dataset, Dataset):
        dataset = Dataset.open(dataset)
    out = Path(out)
    require_replaceable(out)
    with _threads(threads):
        run = _Run(dataset, recipe, out, seed)
        run.begin(steps, minutes, resume)
        try:
            broken = run.train(progress)
            acceptance = run.finish(command)
        except KeyboardInterrupt:
            if progress:
                again = "the same" if resume else "the same with resume=True (no --no-resume)"
                print(f"{run.where()} Run {again} again to go on from there.")
            raise
    if broken is not None:
        raise LossNotFiniteError(f"{broken} They are saved at {out}.") from broken
    trainer = run.trainer
    seconds = time.perf_counter() - started
    return FitResult(
        out, trainer.simulator, run.steps, trainer.progress.best_error, acceptance, seconds
    )


class _Run:
    """One fit under way: its parts of the data, its trainer, its folder."""

    def __init__(self, dataset: Dataset, preset: Preset, out: Path, seed: int) -> None:
        self.dataset, self.preset, self.out, self.seed = dataset, preset, out, seed
        self.parts = dataset.split(SPLIT, seed=seed)
        train, held_out, self.test = self.parts
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            simulator = Simulator(dataset.spec, preset.model_config(dataset.spec))
        pairs = make_pairs(simulator, train)
        learn_scales(simulator, pairs)
        self.trainer = Trainer(simulator, preset, pairs, make_pairs(simulator, held_out), seed)
        self.fingerprint = data_fingerprint(dataset)
        self.folder = out.with_name(out.name + ".run")
        self.steps = self.saved = 0

    def begin(self, steps: int | None, minutes: float | None, resume: bool) -> None:
        """Find out how many steps to take, and where to go on."""
        file = self.folder / _STATE
        if resume and file.is_file():
            self._go_on(read_state(file), steps)
            return
        if minutes is not None:
            steps = self.trainer.steps_within(60 * minutes)
        self.steps = self.preset.steps if steps is None else steps
        # Before any work: a folder or disk that cannot be written shows now.
        self.save()

    def train(self, progress: bool) -> LossNotFiniteError | None:
        """Take the steps; the error that ended them early, if one did."""
        done = self.trainer.progress.step
        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=done)
        bar = tqdm(total=self.steps, initial=done, disable=not progress, desc="fit", unit="step")

        def report(trainer: Trainer, error: float) -> None:
            at = trainer.progress.step
            writer.add_scalar("loss/train", trainer.last_loss, at)
            writer.add_scalar("loss/held_out", error, at)
            writer.add_scalar("loss/best_held_out", trainer.progress.best_error, at)
            stage = self.preset.stages[trainer.progress.stage].name
            bar.set_postfix_str(f"{stage}, held-out {error:.3g}", refresh=False)
            bar.update(at - bar.n)
            self.save()

        try:
            self.trainer.run(self.steps, report)
        except StoppedBetweenStepsError:
            self.save()
            raise
        except LossNotFiniteError as error:
            return error
        finally:
            bar.close()
            writer.close()
        return None

    def finish(self, command: str | None) -> dict[str, Any]:
        """Measure the model on the test episodes and write the checkpoint."""
        simulator = self.trainer.simulator.eval().requires_grad_(False)
        acceptance = accept(simulator, self.test)
        acceptance["held_out_error"] = self.trainer.progress.best_error
        provenance = self._provenance(command)
        card = write_card(simulator, acceptance, provenance)
        save_checkpoint(
            self.out, simulator, acceptance=acceptance, provenance=provenance, card=card
        )
        (self.folder / _STATE).unlink(missing_ok=True)
        return acceptance

    def save(self) -> None:
        """Write the state of the fit."""
        state = {**self._identity(), "steps": self.steps, "trainer": self.trainer.state()}
        write_state(self.folder / _STATE, state)
        self.saved = self.trainer.progress.step

    def where(self) -> str:
        """What to tell who interrupted it."""
        return (
            f"Interrupted at step {self.trainer.progress.step} of {self.steps}; {self.folder} "
            f"holds the state of step {self.saved}."
        )

    def _go_on(self, state: Mapping[str, Any], steps: int | None) -> None:
        where = f"the dataset at {self.dataset.path}"
        RobotSpec.from_json(state["robot"]).require_same_body(self.dataset.spec, where)
        now = self._identity() | ({} if steps is None else {"steps": steps})
        other = differences("", {name: state[name] for name in now}, now)
        if other:
            more = f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
            raise MosimError(
                f"{self.folder} holds an unfinished fit with another "
                f"{', '.join(other[:_MOST_NAMED])}{more}. Repeat the call that began it, give "
                "another --out, or pass resume=False (--no-resume)."
            )
        self.steps, self.saved = state["steps"], state["trainer"]["step"]
        self.trainer.load_state(state["trainer"])

    def _identity(self) -> dict[str, Any]:
        """What makes a fit this fit."""
        return {
            "robot": self.dataset.spec.to_json(),
            "data": self.fingerprint,
            "preset": self.preset.to_json(),
            "seed": self.seed,
        }

    def _provenance(self, command: str | None) -> dict[str, Any]:
        metadata = self.dataset.metadata
        folder = _shown(self.dataset.path)
        default = (
            f"mosim-gym fit {folder} --preset {self.preset.name} --steps {self.steps} "
            f"--seed {self.seed} --out {_shown(self.out)}"
        )
        return {
            "command": command or default,
            "preset": self.preset.to_json(),
            "seed": self.seed,
            "steps": self.steps,
            "best_step": self.trainer.progress.best_step,
            "threads": torch.get_num_threads(),
            "versions": installed_versions(),
            "data": {
                "fingerprint": self.fingerprint,
                "episodes": len(self.dataset),
                "steps": self.dataset.n_steps,
                "folder": folder,
                "split": "/".join(str(len(part)) for part in self.parts),
                "source": metadata.source,
                "policy": metadata.policy,
                "seed": metadata.seed,
                "noise": metadata.noise,
                "substeps": metadata.substeps,
                "max_episode_steps": metadata.max_episode_steps,
            },
        }


def accept(simulator: Simulator, test: Dataset) -> dict[str, Any]:
    """Figures of a model on test episodes: many short rollouts, and one along each episode."""
    lengths = sorted(len(episode) for episode in test.episodes)
    length = lengths[len(lengths) // 2]
    long = horizon_errors(simulator, test.windows(length))
    figures: dict[str, Any] = {"trusted_horizon": long.trusted_horizon}
    if length > _SHORT:
        short = horizon_errors(simulator, test.windows(_SHORT))
        figures["short"] = short.summary((*[h for h in _HORIZONS if h < _SHORT], _SHORT))
    figures["long"] = long.summary(tuple(sorted({h for h in _HORIZONS if h < length} | {length})))
    return figures


def _check_budget(steps: int | None, minutes: float | None) -> None:
    if steps is not None and minutes is not None:
        raise MosimError(f"fit got steps={steps} and minutes={minutes}; give one of them.")
    for name, value in (("steps", steps), ("minutes", minutes)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise MosimError(f"fit got {name}={value}; expected more than 0, and finite.")


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        if count < 1:
            raise MosimError(f"fit got threads={count}; expected 1 or more.")
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _shown(path: Path) -> str:
    """A path for a card: of an absolute one the name, for where a user works is not for others."""
    return path.name if path.is_absolute() else path.as_posix()
