"""CARD.md: what a checkpoint was made from, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mosim_gym.dynamics.config import Flavour
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.evaluate.horizon import TRUSTED_SHARE, VALID_ERROR


def write_card(
    simulator: Simulator, acceptance: Mapping[str, Any], provenance: Mapping[str, Any]
) -> str:
    """The text of a card, from what the checkpoint's config.json holds."""
    spec, data = simulator.spec, provenance["data"]
    horizon = acceptance["trusted_horizon"]
    parts = [
        f"# {spec.name}: a learned simulator",
        f"Steps {spec.name} (nq {spec.nq}, nv {spec.nv}, nu {spec.nu}, na {spec.na}) by "
        f"{spec.control_dt:g} s a control step. Body fingerprint `{spec.fingerprint}`.",
        "## How far to trust it",
        f"**{horizon} control steps ({horizon * spec.control_dt:g} s)**: the longest horizon "
        f"within which at least {TRUSTED_SHARE:.0%} of open-loop rollouts on held-out test "
        f"episodes stay valid (whitened error at most {VALID_ERROR:g}). The figure holds for "
        "motion like that of the data below; states or actions far from it were never seen.",
        _table(acceptance),
        "## What it was trained on",
        f"{data['episodes']} episodes ({data['steps']} control steps) of {data['source']}, policy "
        f"{data['policy']}, seed {data['seed']}, noise {data['noise']:g}; {data['split']} by whole "
        f"episodes for training, held-out selection and test. Data fingerprint "
        f"`{data['fingerprint']}`.",
        "## What it was told, what it learned",
        _told(simulator),
        "## How to make it again",
        f"```\n{provenance['command']}\n```",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in provenance["versions"].items()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _table(acceptance: Mapping[str, Any]) -> str:
    rows = [
        "| rollouts | steps | MSE mean | MSE median | share still valid |",
        "|---|---|---|---|---|",
    ]
    for kind in ("short", "long"):
        figures = acceptance.get(kind, {"by_horizon": {}})
        for steps, values in figures["by_horizon"].items():
            rows.append(
                f"| {figures['rollouts']} | {steps} | {values['mse_mean']:.2g} | "
                f"{values['mse_median']:.2g} | {values['share_valid']:.1%} |"
            )
    note = (
        "MSE: squared error of (qpos, qvel) in SI units, averaged over dimensions and over the "
        "steps up to the horizon; root x and y left out."
    )
    return "\n".join(rows) + "\n\n" + note


def _told(simulator: Simulator) -> str:
    config, spec = simulator.config, simulator.spec
    told = ["joint types", f"the time step ({simulator.step_dt:g} s)", f"{config.integrator}"]
    if config.features is Flavour.STANDARD:
        if any(joint.range for joint in spec.joints):
            told.append("joint limits and MuJoCo's default depth of hardening past them")
        told.append("that ground position (and, for a free root, heading) does not matter")
    n_weights = sum(p.numel() for p in simulator.parameters())
    return (
        f"Told: {', '.join(told)}. Learned: everything else, by a `{config.predictor}` predictor "
        f"and {config.correctors} correctors ({n_weights:,} weights, {config.precision}). "
        "No masses, lengths, gears or damping were given."
    )
