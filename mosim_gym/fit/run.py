"""One fit under way: its parts of the data, its trainers, its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.estimate import estimated
from mosim_gym.dynamics.checkpoint import save_checkpoint
from mosim_gym.dynamics.predictors import Detailed, Observant
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.acceptance import accept
from mosim_gym.fit.card import write_card
from mosim_gym.fit.confidence import confidence
from mosim_gym.fit.identified import PICTURE, draw
from mosim_gym.fit.interrupts import StoppedBetweenStepsError
from mosim_gym.fit.lessons import Lessons
from mosim_gym.fit.loop import LossNotFiniteError, Trainer, steps_within
from mosim_gym.fit.pairs import choose_start, data_fingerprint, learn_scales, make_pairs
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.resume import differences, read_state, write_state
from mosim_gym.fit.stages import Part
from mosim_gym.fit.touch import learn_newtons, touch_trainer
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.versions import installed_versions

#: Shares of whole episodes for training, for picking the best weights, and for acceptance.
SPLIT = (0.8, 0.1, 0.1)
_STATE = "state.safetensors"
_MOST_NAMED = 3


class Run:
    """One fit under way.

    The motion is learned first and then, where the data holds any and the model does not know the
    forces they follow from, touch readings: by trainers of their own, one after the other; the
    second takes as large a part of its recipe's steps as the first does of its own.

    Attributes:
        simulator: the model.
        trainers: of the motion and, perhaps, of the head for touch readings.
        steps: of the first trainer.
        saved: steps of all trainers at which the state was last written.
    """

    def __init__(self, dataset: Dataset, preset: Preset, out: Path, seed: int) -> None:
        """Split the data, make the model and learn its scales."""
        self.dataset, self.preset, self.out, self.seed = dataset, preset, out, seed
        learned_from = estimated(dataset) if preset.estimate else dataset
        self.parts = learned_from.split(SPLIT, seed=seed)
        train, held_out, _ = self.parts
        # Judged on what was recorded.
        self.test = dataset.split(SPLIT, seed=seed)[2]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = preset.model_config(dataset.spec, touch=dataset.has_touch)
            simulator = self.simulator = Simulator(dataset.spec, config)
        pairs = make_pairs(simulator, train)
        learn_scales(simulator, pairs)
        choose_start(simulator, pairs)
        predictor = simulator.predictor
        if isinstance(predictor, Observant) and isinstance(predictor, Detailed):
            # A fit is known by the recipe that was asked for.
            preset = preset.around_details() if predictor.details() else preset
        lessons = Lessons(simulator, preset.loss, train, held_out, pairs)
        self._one_step = lessons.one_step
        self.trainers: list[Trainer[Any]] = [Trainer(simulator, preset, lessons, seed)]
        if simulator.touch_head is not None:
            self.trainers.append(touch_trainer(simulator, preset, train, held_out, seed))
        self._states: list[Mapping[str, Any]] = []
        self._current = 0
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
            steps = steps_within(self.trainers, 60 * minutes)
        self.steps = self.preset.steps if steps is None else steps
        # Before any work: a folder or disk that cannot be written shows now.
        self.save()

    def train(self, progress: bool) -> LossNotFiniteError | None:
        """Take the steps; the error that ended them early, if one did."""
        total = self._before(len(self.trainers))
        writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.saved)
        bar = tqdm(total=total, initial=self.saved, disable=not progress, desc="fit", unit="step")

        def report(trainer: Trainer[Any], error: float) -> None:
            stage, at = trainer.stage, self._done
            group = stage.part.value if stage.part is Part.TOUCH else "loss"
            writer.add_scalar(f"{group}/train", trainer.last_loss, at)
            writer.add_scalar(f"{group}/held_out", error, at)
            writer.add_scalar(f"{group}/best_held_out", trainer.progress.best_error, at)
            bar.set_postfix_str(f"{stage.name}, held-out {error:.3g}", refresh=False)
            bar.update(at - bar.n)
            self.save()

        broken = None
        try:
            for index, trainer in enumerate(self.trainers):
                self._current = index
                if index < len(self._states):
                    trainer.load_state(self._states[index])
                try:
                    trainer.run(self._steps_of(index), report)
                except LossNotFiniteError as error:
                    broken = broken or error
        except StoppedBetweenStepsError:
            self.save()
            raise
        finally:
            bar.close()
            writer.close()
        return broken

    def finish(self, command: str | None) -> dict[str, Any]:
        """Measure the model on the test episodes and write the checkpoint."""
        simulator = self.simulator.eval().requires_grad_(False)
        if simulator.feels:
            learn_newtons(simulator, self.parts[0])
        acceptance = accept(simulator, self.test)
        acceptance["held_out_error"] = self._held_out_error()
        if simulator.touch_head is not None:
            acceptance["touch"]["held_out_error"] = self.trainers[1].progress.best_error
        pictures = {}
        identified = confidence(simulator, self._one_step)
        if identified is not None:
            acceptance["identified"] = identified.to_json()
            pictures[PICTURE] = draw(identified)
        provenance = self._provenance(command)
        save_checkpoint(
            self.out,
            simulator,
            acceptance=acceptance,
            provenance=provenance,
            card=write_card(simulator, acceptance, provenance),
            pictures=pictures,
        )
        (self.folder / _STATE).unlink(missing_ok=True)
        return acceptance

    @torch.inference_mode()
    def _held_out_error(self) -> float:
        """Of the best weights, by the preset's loss: a stage that is tamed has another."""
        trainer, lesson = self.trainers[0], self._one_step
        if trainer.stage.tame == 1:
            return trainer.progress.best_error
        return float(lesson.loss(self.simulator, lesson.held_out))

    def save(self) -> None:
        """Write the state of the fit."""
        begun = [trainer.state() for trainer in self.trainers[: self._current + 1]]
        state = {**self._identity(), "steps": self.steps, "trainers": begun}
        write_state(self.folder / _STATE, state)
        self.saved = self._done

    def where(self) -> str:
        """What to tell who interrupted it."""
        return (
            f"Interrupted at step {self._done} of {self._before(len(self.trainers))}; "
            f"{self.folder} holds the state of step {self.saved}."
        )

    @property
    def _done(self) -> int:
        """Steps taken by all trainers."""
        return self._before(self._current) + self.trainers[self._current].progress.step

    def _steps_of(self, index: int) -> int:
        """Steps of a trainer."""
        share = self.trainers[index].preset.steps / self.preset.steps
        return max(1, round(self.steps * share))

    def _before(self, index: int) -> int:
        """Steps of all trainers before that one."""
        return sum(map(self._steps_of, range(index)))

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
        # Loaded one by one, each when its turn comes: they train parts of one model.
        self.steps, self._states = state["steps"], state["trainers"]
        self.saved = self._before(len(self._states) - 1) + self._states[-1]["step"]

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
            "best_step": self.trainers[0].progress.best_step,
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


def _shown(path: Path) -> str:
    """A path for a card: of an absolute one the name, for where a user works is not for others."""
    return path.name if path.is_absolute() else path.as_posix()
