"""CARD.md: what a checkpoint was made from, and how far it can be trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mosim_gym.dynamics.checkpoint import load_checkpoint
from mosim_gym.dynamics.config import Flavour, ModelConfig
from mosim_gym.dynamics.predictors import Informed
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.dynamics.summary import CARD
from mosim_gym.errors import CheckpointError
from mosim_gym.evaluate.horizon import TRUSTED_SHARE, VALID_ERROR
from mosim_gym.fit.identified import table

#: What a Recorder calls the true physics of one of our environments.
_OURS = re.compile(r"MoSim/(?P<task>.+)-v\d+ \(dynamics=mujoco\)")
#: How the policies of ``mosim-gym collect`` describe themselves.
_RANDOM = re.compile(r"held-random\(resample_probability=(?P<r>.+), zero_fraction=(?P<z>.+)\)")
#: Share of the variance on held-out data from which on a told geometry is doubted.
_CONTRADICTION = 0.1
_AGENT = re.compile(r"agent\(.+\)")


def write_card(
    simulator: Simulator, acceptance: Mapping[str, Any], provenance: Mapping[str, Any]
) -> str:
    """The text of a card, from what the checkpoint's config.json holds."""
    spec, data = simulator.spec, provenance["data"]
    horizon = acceptance["trusted_horizon"]
    # Sorted here and below: config.json has its keys in alphabetical order.
    versions = sorted(provenance["versions"].items())
    parts = [
        f"# {spec.name}: a learned simulator",
        f"Steps {spec.name} (nq {spec.nq}, nv {spec.nv}, nu {spec.nu}, na {spec.na}) by "
        f"{spec.control_dt:g} s a control step. Body fingerprint `{spec.fingerprint}`.",
        "## How far to trust it",
        f"**{horizon} control steps ({horizon * spec.control_dt:g} s)**: the longest horizon "
        f"within which at least {TRUSTED_SHARE:.0%} of open-loop rollouts on held-out test "
        f"episodes stay valid (whitened error at most {VALID_ERROR:g}). The figure holds for "
        "motion like that of the data below; states or actions far from it were never seen.",
        _table(acceptance, data["noise"]),
        *_touch(acceptance),
        "## What it was trained on",
        f"{data['episodes']} episodes ({data['steps']} control steps) of {data['source']}, policy "
        f"{data['policy']}, seed {data['seed']}, noise {data['noise']:g}. Whole episodes were set "
        f"apart, {data['split']} for training, for picking the best weights, and for the test "
        f"above. Data fingerprint `{data['fingerprint']}`.",
        "## What it was told, what it learned",
        _told(simulator, acceptance),
        *(table(acceptance["identified"]) if "identified" in acceptance else ()),
        "## How to make it again",
        _recipe(data, provenance["command"]),
        "Versions: " + ", ".join(f"{k} {v}" for k, v in versions) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def rewrite_card(path: str | Path) -> str:
    """Write the card of a checkpoint that `fit` made anew, from its config.json; gives the text.

    Raises:
        CheckpointError: if it is no checkpoint, or holds no figures of a fit.
    """
    checkpoint = load_checkpoint(path)
    try:
        text = write_card(checkpoint.simulator, checkpoint.acceptance, checkpoint.provenance)
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} lacks what a card tells: {error!r}. Expected a checkpoint made by "
            "mosim-gym fit."
        ) from error
    (checkpoint.path / CARD).write_text(text, encoding="utf-8")
    return text


def _table(acceptance: Mapping[str, Any], noise: float) -> str:
    rows = [
        "| open-loop rollouts | up to step | mean MSE | median MSE | still valid there |",
        "|---|---|---|---|---|",
    ]
    diverged = []
    for kind in [kind for kind in ("short", "long") if kind in acceptance]:
        figures = acceptance[kind]
        which = f"{figures['rollouts']} rollouts of {figures['steps']} steps"
        diverged.append(f"{figures['diverged']} of {which}")
        for step, values in sorted(figures["by_horizon"].items(), key=lambda item: int(item[0])):
            rows.append(
                f"| {which} | {step} | {_error(values['mse_mean'])} | "
                f"{_error(values['mse_median'])} | {values['share_valid']:.1%} |"
            )
    notes = [
        f"Diverged: {', '.join(diverged)}. MSE: squared error of (qpos, qvel) in SI units, "
        "averaged over dimensions and over the steps up to the one given; infinite from where a "
        "rollout diverges; root x and y left out."
    ]
    if noise > 0:
        notes.append(
            f"The recorded states carry noise of standard deviation {noise:g}: measured against "
            f"them, no model gets below an MSE of {noise:g}² = {noise**2:.2g}."
        )
    return "\n\n".join(["\n".join(rows), *notes])


def _touch(acceptance: Mapping[str, Any]) -> list[str]:
    """A paragraph on the touch readings, for a model that tells them."""
    if "touch" not in acceptance:
        return []
    rows = ["| touch sensor | MSE of log1p(newtons) | explained |", "|---|---|---|"]
    for name, figures in acceptance["touch"]["by_sensor"].items():
        mse, variance = figures["mse"], figures["variance"]
        explained = f"{1 - mse / variance:.1%}" if variance else "never touched"
        rows.append(f"| {name} | {mse:.2g} | {explained} |")
    explained = "Explained: share of the variance of log1p(newtons)."
    error = acceptance["touch"].get("held_out_error")
    if error is None:
        note = (
            "Touch readings follow from the forces of the model's contacts, here a control step "
            "after the true states of the test episodes; recorded ones told it no more than what "
            f"a newton is. {explained}"
        )
    else:
        note = (
            "Touch readings come from a network trained beside the motion, here on the true states "
            f"of the test episodes. {explained} Error on the held-out episodes: {error:.2g}."
        )
    return ["\n".join(rows), note]


def _error(value: float | None) -> str:
    """JSON has no infinity: it is None there."""
    return "inf" if value is None else f"{value:.2g}"


def _recipe(data: Mapping[str, Any], command: str) -> str:
    """The commands that make the data and the checkpoint."""
    collect = _collect_command(data)
    if collect is not None:
        return f"```\n{collect}\n{command}\n```"
    return (
        f"The data is the user's own recording ({data['source']}). From it:\n\n```\n{command}\n```"
    )


def _collect_command(data: Mapping[str, Any]) -> str | None:
    """The command the data can be collected with; ``None`` if it was recorded in another way."""
    task = _OURS.fullmatch(data["source"])
    random, agent = _RANDOM.fullmatch(data["policy"]), _AGENT.fullmatch(data["policy"])
    by_hand = data["seed"] is None or data.get("max_episode_steps") is not None
    if task is None or by_hand or not (random or agent):
        return None
    words = [f"mosim-gym collect {task['task']}", f"--episodes {data['episodes']}"]
    words.append(f"--seed {data['seed']}")
    if random:
        words.append(f"--resample {random['r']} --zeros {random['z']}")
    else:
        words.append("--policy AGENT.zip")
    if data["noise"]:
        words.append(f"--noise {data['noise']:g}")
    if data.get("substeps"):
        words.append("--substeps")
    return " ".join([*words, f"--out {data.get('folder', 'DATA')}"])


def _told(simulator: Simulator, acceptance: Mapping[str, Any]) -> str:
    config, spec = simulator.config, simulator.spec
    told = ["joint types", f"the time step ({simulator.step_dt:g} s)", f"{config.integrator}"]
    if config.features is not Flavour.RAW:
        if any(joint.range for joint in spec.joints):
            told.append("joint limits and MuJoCo's default depth of hardening past them")
        told.append("that ground position (and, for a free root, heading) does not matter")
    if spec.context_inputs:
        told.append(f"the {spec.context_inputs} numbers of the context, which change the motion")
    if config.predictor == "lagrangian":
        told.append(
            "Lagrange's equations for a chain of its joints (a mass matrix and a potential of the "
            "positions, linear damping, actuators by their gains) and MuJoCo's formula for a soft "
            "joint limit, which starts from MuJoCo's default parameters"
        )
    if config.predictor == "articulated":
        return _told_geometry(simulator, float(acceptance["held_out_error"]))
    lengths = "lengths, "
    if config.features is Flavour.CONTACT:
        told.append(
            "the geometry (links, joints, shapes and what can touch), from which the networks are "
            "shown how near each point is to the ground and how it moves there"
        )
        lengths = ""
    n_weights = sum(p.numel() for p in simulator.parameters())
    return (
        f"Told: {', '.join(told)}. Learned: everything else, by a `{config.predictor}` predictor "
        f"and {config.correctors} correctors ({n_weights:,} weights, {config.precision}). "
        f"No masses, {lengths}gears or damping were given."
    )


def _told_geometry(simulator: Simulator, unexplained: float) -> str:
    config = simulator.config
    n_weights = sum(p.numel() for p in simulator.predictor.parameters())
    text = (
        "Told: the geometry of the body (links, joints and their ranges, shapes, which of them can "
        "touch and how many directions of friction they have, what each actuator acts on), the "
        f"time step ({simulator.step_dt:g} s), {config.integrator}, gravity, and MuJoCo's formulas "
        f"for rigid bodies, soft limits and contacts{_told_numbers(config)}. Learned: masses, "
        "centres of mass, inertias, armature, damping, springs, dry friction, strength of the "
        f"motors, friction and hardness of contacts and limits, as far as they were not told "
        f"({n_weights} numbers), by an `articulated` predictor; and {config.correctors} "
        "correctors."
    )
    predictor = simulator.predictor
    if isinstance(predictor, Informed):
        if predictor.told():
            text += f" Told besides: {'; '.join(predictor.told())}."
        if predictor.numbers().scale is not None:
            text += " Masses, motors, damping and springs are known relative to each other only."
    missing = (config.geometry or {}).get("missing")
    if missing:
        text += f" Left out, as it is not covered: {'; '.join(missing)}."
    if unexplained < _CONTRADICTION:
        return text
    return (
        f"**The motion contradicts the geometry that was told**: {unexplained:.0%} of the variance "
        "of the acceleration is left unexplained on held-out episodes. Is it the same body, with "
        "its joints in the same order, in metres and radians? Or does something act on it that "
        f"the geometry does not say?\n\n{text}"
    )


def _told_numbers(config: ModelConfig) -> str:
    """Where the numbers started, and how far from there they were expected."""
    if config.numbers is None and not config.widths:
        return ". Its numbers start from one density, one damping and one friction"
    start = "from one density, one damping and one friction"
    if config.numbers is not None:
        start = "from the numbers of a description"
    widths = config.widths or {}
    told = [kind for kind, width in widths.items() if width == 0]
    near = [f"{kind} {width:g}" for kind, width in widths.items() if width > 0]
    text = f". Its numbers start {start}"
    if near:
        text += f", with priors of these widths: {', '.join(near)}"
    return text + (f"; told: {', '.join(told)}" if told else "")
