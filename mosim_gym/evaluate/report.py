"""What ``mosim-gym evaluate`` does: measure, print, draw, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.checkpoint import Checkpoint
from mosim_gym.errors import MosimError
from mosim_gym.evaluate.baselines import ConstantVelocity, Model
from mosim_gym.evaluate.compare import Figures, Truth, compare, table
from mosim_gym.evaluate.horizon import TRUSTED_SHARE, VALID_ERROR
from mosim_gym.evaluate.plots import plot
from mosim_gym.files import write_json
from mosim_gym.versions import environment_record

#: Of the test set that is collected where none is given; no seed a user would pick by chance.
FRESH_SEED = 987_654
FRESH_EPISODES = 200
_BASELINE = "constant velocity"


def report(
    checkpoints: Mapping[str, Checkpoint],
    data: Sequence[Path],
    out: Path,
    *,
    longest: int | None = None,
    truth: Truth | None = None,
) -> list[Figures]:
    """Measure models, and constant velocity beside them, on datasets.

    Prints a table for each dataset and writes ``evaluation.json`` and a picture for each.

    Args:
        checkpoints: by name; the first one is the one in question.
        data: dataset folders, of the same body.
        out: the folder to write to.
        longest: control steps of the long rollouts; whole episodes by default.
        truth: the body's true physics, where it is at hand.

    Raises:
        MosimError: if a baseline or a dataset is of another body, or the folder cannot be made.
    """
    spec = next(iter(checkpoints.values())).spec
    for name, checkpoint in checkpoints.items():
        spec.require_same_body(checkpoint.spec, f"The checkpoint {name}")
    datasets = {}
    for folder in data:
        dataset = Dataset.open(folder)
        spec.require_same_body(dataset.spec, f"The dataset {folder}")
        datasets[str(folder)] = dataset
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MosimError(f"Cannot make {out}: {error}. Choose another --out.") from error
    models: dict[str, Model] = {name: each.simulator for name, each in checkpoints.items()}
    models[_BASELINE] = ConstantVelocity(spec)
    figures = list(compare(models, datasets, longest=longest, truth=truth))
    for k, (name, dataset) in enumerate(datasets.items()):
        mine = [one for one in figures if one.data == name]
        title = _title(dataset)
        picture = out / f"{k}-{dataset.path.name}.png"
        print(f"\n{title}\n{table(mine)}")
        for one in mine:
            print(_calibration(one, checkpoints), end="")
        plot(mine, picture, title)
    content = {
        "definitions": {"valid_error": VALID_ERROR, "trusted_share": TRUSTED_SHARE},
        "versions": environment_record(),
        "data": {name: _origin(dataset) for name, dataset in datasets.items()},
        "trusted_horizon": {name: each.trusted_horizon for name, each in checkpoints.items()},
        "figures": [one.to_json() for one in figures],
    }
    write_json(out / "evaluation.json", content)
    print(f"\nFigures and pictures written to {out}")
    return figures


def _calibration(one: Figures, checkpoints: Mapping[str, Checkpoint]) -> str:
    """A line on how many rollouts are valid as far as the checkpoint itself says it is trusted."""
    told = checkpoints[one.model].trusted_horizon if one.model in checkpoints else None
    errors = one.errors[-1]
    if not told or told > errors.horizon:
        return ""
    share = errors.share_valid[told - 1]
    return (
        f"{one.model} was accepted as trusted for {told} steps; here {share:.1%} are valid then.\n"
    )


def _title(dataset: Dataset) -> str:
    m = dataset.metadata
    return f"{dataset.path.name}: {len(dataset)} episodes of {m.source}, policy {m.policy}"


def _origin(dataset: Dataset) -> dict[str, object]:
    m = dataset.metadata
    return {
        "episodes": len(dataset),
        "steps": dataset.n_steps,
        "source": m.source,
        "policy": m.policy,
        "seed": m.seed,
        "noise": m.noise,
    }
