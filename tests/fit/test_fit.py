"""fit: same bits for the same seed, resumed or not; and it learns what can be learned."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.evaluate.horizon import horizon_errors
from mosim_gym.fit import fit
from mosim_gym.fit import losses as losses_module
from mosim_gym.fit.card import rewrite_card
from mosim_gym.fit.loop import LossNotFiniteError, Trainer
from mosim_gym.fit.presets import PAPER
from mosim_gym.fit.stages import stage_ends
from mosim_gym.robots.spec import Integrator
from tests.fit.fakes import FILTER, pendulum_spec, write_dataset
from tests.fit.recipes import SMALL, STAGED, interrupt_at, kill, quick


def test_same_seed_gives_the_same_bytes(
    pendulum: Dataset, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    torch.rand(7)  # other draws in the program change nothing
    assert whole == quick(pendulum, tmp_path / "b" / "x")
    assert (
        whole["model.safetensors"] != quick(pendulum, tmp_path / "c", seed=1)["model.safetensors"]
    )


@pytest.fixture(scope="module")
def whole(pendulum: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a fit writes that was not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "x"
    files = quick(pendulum, out)
    assert load_checkpoint(out).provenance["best_step"] > 50
    return files


@pytest.mark.parametrize("step", [3, 31, 48])
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_resumed_equals_uninterrupted(
    pendulum: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: dict[str, bytes],
    step: int,
    how: str,
) -> None:
    stops = {"Ctrl-C": lambda: signal.raise_signal(signal.SIGINT), "kill": kill}
    errors = {"Ctrl-C": KeyboardInterrupt, "kill": RuntimeError}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupt_at(step, stops[how]))
        with pytest.raises(errors[how]):
            quick(pendulum, tmp_path / "parts" / "x")
    assert not (tmp_path / "parts" / "x").exists()
    assert quick(pendulum, tmp_path / "parts" / "x") == whole
    assert not list((tmp_path / "parts" / "x.run").glob("*.safetensors"))


def test_a_second_interrupt_keeps_the_last_saved_state(
    pendulum: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    whole: dict[str, bytes],
) -> None:
    original = Trainer._step

    def twice(self: Trainer, done: float) -> None:
        original(self, done)
        if self.progress.step == 7:  # the weights have moved, the count has not
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    out = tmp_path / "parts" / "x"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", twice)
        with pytest.raises(KeyboardInterrupt):
            fit(pendulum, out=out, preset=STAGED, steps=60)
    assert f"Interrupted at step 7 of 60; {out}.run holds the state of step 7. Run the same" in (
        capsys.readouterr().out
    )
    assert quick(pendulum, out) == whole


def test_an_interrupt_tells_where_the_state_is(
    pendulum: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop = interrupt_at(50, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(Trainer, "_step", stop)
    for progress in (True, False):
        with pytest.raises(KeyboardInterrupt):
            fit(
                pendulum,
                out=tmp_path / "x",
                preset=SMALL,
                steps=400,
                resume=False,
                progress=progress,
            )
        printed = capsys.readouterr().out
        assert ("step 51 of 400; " in printed and "holds the state of step 51" in printed) == (
            progress
        )
        assert ("resume=True" in printed) == progress


def test_minutes_become_steps_and_leave_the_weights_alone(
    pendulum: Dataset, tmp_path: Path
) -> None:
    timed = fit(
        pendulum, out=tmp_path / "a" / "x", preset=SMALL, minutes=0.003, progress=False, threads=1
    )
    counted = quick(pendulum, tmp_path / "b" / "x", steps=timed.steps, preset=SMALL)
    assert timed.steps > 1
    assert (timed.path / "model.safetensors").read_bytes() == counted["model.safetensors"]


def test_learns_an_exact_pendulum(pendulum: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "x"
    result = fit(pendulum, out=out, preset=SMALL, steps=600, progress=False)
    assert result.held_out_error < 1e-4
    assert result.acceptance["trusted_horizon"] >= 50
    checkpoint = load_checkpoint(out)
    assert checkpoint.trusted_horizon == result.acceptance["trusted_horizon"]
    assert checkpoint.provenance["steps"] == 600
    for fact in (
        "fake/pendulum",
        "10 episodes",
        "--steps 600",
        "whitened error",
        "residual",
        "8/1/1 for training",
        "user's own recording",
        "Diverged: 0 of 1 rollouts of 60",
    ):
        assert fact in checkpoint.card
    assert rewrite_card(out) == checkpoint.card
    assert str(tmp_path) not in (out / "config.json").read_text() + checkpoint.card
    again = horizon_errors(checkpoint.simulator, pendulum.windows(30))
    assert again.mse(30).median() < 1e-4
    scalars = EventAccumulator(str(tmp_path / "x.run" / "tensorboard")).Reload()
    assert scalars.Scalars("loss/held_out")[-1].step == 600


@pytest.mark.parametrize("substeps", [True, False])
@pytest.mark.parametrize("integrator", [Integrator.EULER, Integrator.RK4])
def test_learns_the_physics_step_from_either_recording(
    tmp_path: Path, substeps: bool, integrator: Integrator
) -> None:
    spec = pendulum_spec(n_substeps=2, integrator=integrator)
    data = write_dataset(tmp_path / "data", spec, substeps=substeps)
    result = fit(data, out=tmp_path / "x", preset=SMALL, steps=400, progress=False)
    assert result.simulator.config.integrator_steps == 2
    assert result.held_out_error < 3e-3


def test_activations_are_learned_exactly(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", pendulum_spec(na=1))
    result = fit(data, out=tmp_path / "x", preset=SMALL, steps=500, progress=False)
    layer = result.simulator.activation
    assert layer is not None
    torch.testing.assert_close(
        torch.cat([layer.weight[0], layer.bias]),
        torch.tensor([-1 / FILTER, 1 / FILTER, 0.0]),
        atol=0.02,
        rtol=0,
    )
    assert result.held_out_error < 3e-3


def test_paper_preset_runs_its_stages(pendulum: Dataset, tmp_path: Path) -> None:
    tiny = dataclasses.replace(
        PAPER,
        model=dataclasses.replace(PAPER.model, width=8, corrector_width=8),
        batch_size=64,
        learning_rate=0.02,
    )
    untrained = fit(pendulum, out=tmp_path / "a", preset=tiny, steps=1, progress=False)
    trained = fit(pendulum, out=tmp_path / "b", preset=tiny, steps=40, progress=False)
    assert trained.held_out_error < 0.9 * untrained.held_out_error
    assert trained.simulator.features.shift.abs().max() == 0  # raw inputs
    assert stage_ends(PAPER.stages, 100) == [50, 80, 100]


def test_a_loss_that_is_not_finite_keeps_the_best(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(10_000))

    def breaks(*arguments: object) -> torch.Tensor:
        loss = losses_module.whitened_increment(*arguments)  # type: ignore[arg-type]
        return loss * float("nan") if next(calls) > 200 else loss

    monkeypatch.setitem(losses_module.LOSSES, "whitened_increment", breaks)
    with pytest.raises(LossNotFiniteError, match="became nan at step.*They are saved at"):
        quick(pendulum, tmp_path / "x", steps=400, preset=SMALL)
    assert load_checkpoint(tmp_path / "x").provenance["best_step"] > 0


def test_a_stage_that_gets_no_better_ends_early(
    pendulum: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    original = Trainer._step

    def counted(self: Trainer, done: float) -> None:
        taken.append(self.progress.step)
        original(self, 1.0)  # as at the end, a learning rate of zero: nothing gets better

    monkeypatch.setattr(Trainer, "_step", counted)
    quick(pendulum, tmp_path / "x", steps=40, preset=dataclasses.replace(SMALL, patience=0.5))
    assert taken == list(range(21))
