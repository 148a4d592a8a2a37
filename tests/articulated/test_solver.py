"""Accelerations under constraints against qacc and efc_force; their derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import jvp, vmap

from mosim_gym.articulated.contacts import Contacts
from mosim_gym.articulated.factor import _written_out, factorised
from mosim_gym.articulated.limits import JointRows
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.rows import Block
from mosim_gym.articulated.solver import Solution, solve
from mosim_gym.articulated.weights import InverseWeights
from tests.articulated.bodies import States, draw, suite_model
from tests.articulated.contact_oracle import (
    Answer,
    ask,
    described,
    limits,
    moving_states,
    parts,
    shapes,
)
from tests.articulated.test_geometry import near_ground

ITERATIONS = {"cheetah": 4, "hopper": 4, "walker": 8, "humanoid": 8}


def off(solution: Solution, answers: list[Answer]) -> float:
    expected = torch.tensor(np.stack([answer.acceleration for answer in answers]))
    gap = (solution.acceleration - expected).abs().amax(1)
    return float((gap / (1 + expected.abs().amax(1))).max())


def cast(block: Block, dtype: torch.dtype) -> Any:
    assert isinstance(block, tuple)
    return type(block)(*(value.to(dtype) for value in block))


def forces(blocks: list[Block], acceleration: Tensor, row: int) -> np.ndarray:
    found = [-block.gradient(block.miss(acceleration.t()))[..., row].flatten() for block in blocks]
    everything = torch.cat(found).numpy()
    return np.sort(everything[np.abs(everything) > 1e-6])


@pytest.mark.parametrize("domain", list(ITERATIONS))
def test_bodies_of_the_suite(domain: str) -> None:
    model = suite_model(domain)
    states = moving_states(model, 100)
    ours, answers = parts(model, states), ask(model, states)
    smooth = torch.linalg.solve(ours.motion.mass, ours.motion.force)
    solution = solve(ours.motion.mass, smooth, ours.blocks, ITERATIONS[domain])
    assert solution.converged.all()
    assert off(solution, answers) < 1e-9
    for row, answer in enumerate(answers):
        pushes = np.sort(answer.force[np.abs(answer.force) > 1e-6])
        np.testing.assert_allclose(
            forces(ours.blocks, solution.acceleration, row), pushes, rtol=1e-6, atol=1e-6
        )
    single = [cast(block, torch.float32) for block in ours.blocks]
    rough = solve(ours.motion.mass.float(), smooth.float(), single, ITERATIONS[domain])
    assert rough.converged.all()
    assert off(rough, answers) < 3e-5


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
@pytest.mark.parametrize("condim", [1, 3, 4, 6])
def test_every_cone(cone: str, condim: int) -> None:
    model = shapes(cone, condim, impratio=3.0)
    states = near_ground(model, 50)
    ours, answers = parts(model, states), ask(model, states)
    smooth = torch.linalg.solve(ours.motion.mass, ours.motion.force)
    solution = solve(ours.motion.mass, smooth, ours.blocks, 20)
    assert solution.converged.all()
    assert off(solution, answers) < 1e-8


def test_limits_and_dry_friction() -> None:
    model = limits()
    states = draw(model, 100)
    ours, answers = parts(model, states), ask(model, states)
    smooth = torch.linalg.solve(ours.motion.mass, ours.motion.force)
    solution = solve(ours.motion.mass, smooth, ours.blocks, 8)
    assert solution.converged.all()
    assert off(solution, answers) < 1e-9


def test_too_few_iterations_are_said() -> None:
    model = suite_model("walker")
    states = moving_states(model, 100)
    ours, answers = parts(model, states), ask(model, states)
    smooth = torch.linalg.solve(ours.motion.mass, ours.motion.force)
    solution = solve(ours.motion.mass, smooth, ours.blocks, 1)
    expected = torch.tensor(np.stack([answer.acceleration for answer in answers]))
    right = (solution.acceleration - expected).abs().amax(1) < 1e-6 * expected.abs().amax(1)
    assert not solution.converged.all()
    assert right[solution.converged].all()


def test_a_row_that_is_not_finite_harms_no_other() -> None:
    model = suite_model("cheetah")
    ours = parts(model, moving_states(model, 8))
    smooth = torch.linalg.solve(ours.motion.mass, ours.motion.force)
    whole = solve(ours.motion.mass, smooth, ours.blocks)
    smooth[3] = torch.nan
    broken = solve(ours.motion.mass, smooth, ours.blocks)
    assert not broken.converged[3]
    others = torch.arange(8) != 3
    torch.testing.assert_close(broken.acceleration[others], whole.acceleration[others])
    assert broken.converged[others].all()


def test_without_constraints_nothing_changes() -> None:
    smooth = torch.randn(3, 2)
    solution = solve(torch.eye(2).expand(3, 2, 2), smooth, [])
    assert solution.acceleration is smooth and solution.converged.all()


def acceleration_of(
    model: mujoco.MjModel, states: States, slots: int | None = None
) -> Callable[..., Tensor]:
    """Of masses, frictions, solrefs and states, all the way."""
    description, physics, smooth = described(model)
    contacts, joints = Contacts(description, slots), JointRows(description)
    weigh = InverseWeights(description, smooth)

    def run(mass: Tensor, friction: Tensor, solref: Tensor, qpos: Tensor, qvel: Tensor) -> Tensor:
        own: Physics = physics._replace(
            mass=mass, pair_friction=friction, pair_solref=solref, limit_solref=2 * solref[:1] + 0
            * physics.limit_solref,
        )  # fmt: skip
        weights = weigh(own)
        motion = smooth(own, qpos, qvel, states.act, states.ctrl)
        blocks = joints(own, weights, qpos, qvel)
        blocks += contacts(own, weights, motion.kinetics, qvel).blocks
        free = torch.linalg.solve(motion.mass, motion.force)
        return solve(motion.mass, free, blocks, 12).acceleration

    return run


@pytest.mark.parametrize(
    "name,model",
    [("cheetah", None), ("elliptic", shapes("elliptic", 4, 2.0)), ("capsules", shapes())],
)
def test_derivatives(name: str, model: mujoco.MjModel | None) -> None:
    model = model or suite_model(name)
    states = moving_states(model, 6) if name == "cheetah" else near_ground(model, 4, seed=5)
    _, physics, _ = described(model)
    run = acceleration_of(model, states)
    arguments = [
        value.clone().requires_grad_(True)
        for value in (
            # Off the shortest time constant, where the derivative jumps.
            physics.mass, physics.pair_friction, 1.3 * physics.pair_solref, states.qpos,
            states.qvel,
        )
    ]  # fmt: skip
    assert torch.autograd.gradcheck(
        run, arguments, fast_mode=True, eps=1e-7, atol=1e-3, rtol=1e-3, check_undefined_grad=False
    )


def test_forward_and_reverse_agree() -> None:
    model = suite_model("cheetah")
    states = moving_states(model, 6)
    _, physics, _ = described(model)
    run = acceleration_of(model, states, slots=8)

    def of_mass(mass: Tensor) -> Tensor:
        return run(mass, physics.pair_friction, physics.pair_solref, states.qpos, states.qvel)

    directions = torch.eye(len(physics.mass), dtype=torch.float64)
    with warnings.catch_warnings():
        # Loading its own rules for derivatives, torch uses what it deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        tangents = vmap(lambda d: jvp(of_mass, (physics.mass,), (d,))[1])(directions)
    reverse = torch.autograd.functional.jacobian(of_mass, physics.mass)
    torch.testing.assert_close(tangents.permute(1, 2, 0), reverse)


def test_bodies_of_many_masses_in_one_call() -> None:
    """As members of an ensemble are."""
    model = suite_model("cheetah")
    states = moving_states(model, 6)
    _, physics, _ = described(model)
    run = acceleration_of(model, states, slots=8)

    def of_mass(mass: Tensor) -> Tensor:
        return run(mass, physics.pair_friction, physics.pair_solref, states.qpos, states.qvel)

    masses = torch.stack([physics.mass, 1.5 * physics.mass, 0.7 * physics.mass])
    expected = torch.stack([of_mass(mass) for mass in masses])
    torch.testing.assert_close(vmap(of_mass)(masses), expected)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_factorisations(n: int) -> None:
    root = torch.randn(n, n, 5, dtype=torch.float64)
    matrix = torch.einsum("ikb,jkb->ijb", root, root) + torch.eye(n)[:, :, None]
    b = torch.randn(n, 5, dtype=torch.float64)
    expected = torch.linalg.solve(matrix.permute(2, 0, 1), b.t()).t()
    for solver in (factorised(matrix), _written_out(matrix)):
        torch.testing.assert_close(solver(b), expected)


def test_it_is_traced_as_one_graph() -> None:
    model = suite_model("cheetah")
    states = moving_states(model, 6)
    description, physics, smooth = described(model)
    contacts, joints = Contacts(description, slots=8), JointRows(description)
    weights = InverseWeights(description, smooth)(physics)

    def run(qpos: Tensor, qvel: Tensor, ctrl: Tensor) -> Solution:
        motion = smooth(physics, qpos, qvel, None, ctrl)
        rows = contacts(physics, weights, motion.kinetics, qvel).blocks
        blocks = [*joints(physics, weights, qpos, qvel), *rows]
        return solve(motion.mass, torch.linalg.solve(motion.mass, motion.force), blocks, 3)

    torch.compiler.reset()
    arguments = states.qpos, states.qvel, states.ctrl
    traced = torch.compile(run, fullgraph=True, dynamic=False, backend="eager")(*arguments)
    plain = run(*arguments)
    torch.testing.assert_close(traced.acceleration, plain.acceleration)
    assert torch.equal(traced.converged, plain.converged)
