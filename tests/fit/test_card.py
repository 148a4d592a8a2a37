"""CARD.md: its figures and its commands are those of the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mosim_gym.dynamics.checkpoint import load_checkpoint, save_checkpoint
from mosim_gym.errors import CheckpointError
from mosim_gym.evaluate.horizon import HorizonErrors
from mosim_gym.fit.card import rewrite_card, write_card
from tests.fit.fakes import Pendulum, pendulum_spec

RANDOM = "held-random(resample_probability=0.5, zero_fraction=0.1)"


def card(**changed: Any) -> str:
    """A card of a model one of whose four rollouts diverged at the second step."""
    squared = torch.full((4, 2), 1e-3)
    squared[3, 1] = torch.inf
    errors = HorizonErrors(squared, squared, squared[:, 1].isinf(), 0.02)
    acceptance = {"trusted_horizon": 1, "long": errors.summary((1, 2))}
    data = {"episodes": 10, "steps": 20, "source": "MoSim/reacher-easy-v0 (dynamics=mujoco)",
            "policy": RANDOM, "seed": 3, "noise": 0.0, "split": "8/1/1", "folder": "runs/data",
            "fingerprint": "f"}  # fmt: skip
    fit = "mosim-gym fit runs/data --out x"
    provenance = {"command": fit, "versions": {"python": "3"}, "data": data | changed}
    return write_card(Pendulum(pendulum_spec()), acceptance, provenance)


def test_diverged_rollouts_are_counted_and_their_mean_is_infinite() -> None:
    text = card()
    assert "| 4 rollouts of 2 steps | 2 | inf | 0.001 | 75.0% |" in text
    assert "Diverged: 1 of 4 rollouts of 2 steps." in text
    assert "no model gets below" not in text
    assert "no model gets below an MSE of 0.01² = 0.0001" in card(noise=0.01)


def test_both_commands_are_given_for_data_of_ours() -> None:
    collect = "mosim-gym collect reacher-easy --episodes 10 --seed 3"
    held = "--resample 0.5 --zeros 0.1"
    assert f"```\n{collect} {held} --out runs/data\nmosim-gym fit runs/data" in card()
    noisy = card(noise=0.01, substeps=True)
    assert f"{collect} {held} --noise 0.01 --substeps --out runs/data" in noisy
    assert f"{collect} --policy AGENT.zip --out" in card(policy="agent(sac, sha256 12ab)")


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "dm_control/reacher-easy-v0"},
        {"source": "MoSim/reacher-easy-v0 (dynamics=learned)"},
        {"policy": "SAC under training"},
        {"seed": None},
        {"max_episode_steps": 50},
    ],
    ids=str,
)
def test_other_data_is_the_users_own(changed: dict[str, Any]) -> None:
    text = card(**changed)
    assert "mosim-gym collect" not in text and "mosim-gym fit runs/data" in text
    assert "The data is the user's own recording" in text


def test_a_card_is_rewritten_without_a_fit(tmp_path: Path) -> None:
    shipped = load_checkpoint("reacher")
    old = {"acceptance": shipped.acceptance, "provenance": shipped.provenance}
    save_checkpoint(tmp_path / "x", shipped.simulator, **old, card="old")
    assert rewrite_card(tmp_path / "x") == load_checkpoint(tmp_path / "x").card
    assert "mosim-gym collect reacher-easy --episodes 300" in load_checkpoint(tmp_path / "x").card
    save_checkpoint(tmp_path / "y", shipped.simulator, acceptance={}, provenance={}, card="old")
    with pytest.raises(CheckpointError, match="lacks what a card tells.*'data'"):
        rewrite_card(tmp_path / "y")
    assert load_checkpoint(tmp_path / "y").card == "old"
