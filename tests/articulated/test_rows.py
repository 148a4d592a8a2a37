"""Rows of limits, dry friction and contacts against efc_J, efc_aref and efc_D."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mosim_gym.articulated.cones import Cones
from mosim_gym.articulated.edges import Edges
from mosim_gym.articulated.rows import Block, OnDofs
from tests.articulated.bodies import States, draw, suite_model
from tests.articulated.contact_oracle import ask, limits, moving_states, parts, shapes
from tests.articulated.test_geometry import near_ground


def rows_of(block: Block, row: int) -> np.ndarray:
    """What is there: one line (J, aref, D) for each row."""
    if isinstance(block, OnDofs):
        sign = block.sign.expand_as(block.reference)[:, row]
        jacobian, lead = torch.diag(sign), (block.reference[:, row], block.firmness[:, row])
        present = (lead[1] > 0) & (block.most - block.least > 0)[:, 0]
    elif isinstance(block, Edges):
        axes, slopes = block.jacobian[..., row], block.friction.expand_as(block.jacobian[:, 1:, 0])
        tangents = slopes[..., row, None] * axes[:, 1:]
        jacobian = torch.cat([axes[:, :1] + tangents, axes[:, :1] - tangents], 1).flatten(0, 1)
        firmness = block.firmness[:, None].expand_as(block.reference)
        lead = (block.reference[..., row].flatten(), firmness[..., row].flatten())
        present = lead[1] > 0
    else:
        jacobian = block.jacobian[..., row].flatten(0, -2)
        lead = (block.reference[..., row].flatten(), block.firmness[..., row].flatten())
        present = lead[1] > 0
    table = torch.cat([jacobian, lead[0][:, None], lead[1][:, None]], 1)
    return table[present].numpy()


def check(model: mujoco.MjModel, states: States, slots: int | None = None) -> int:
    """All rows of MuJoCo are ours, and no more; how many there were."""
    ours = parts(model, states, slots)
    assert not ours.overflow.any()
    total = 0
    for row, answer in enumerate(ask(model, states)):
        mine = np.concatenate([rows_of(block, row) for block in ours.blocks])
        theirs = np.column_stack([answer.jacobian, answer.reference, answer.firmness])
        assert len(mine) == len(theirs), (len(mine), len(theirs))
        total += len(theirs)
        scale = np.abs(theirs).max(0, initial=1.0)
        free = list(range(len(mine)))
        for line in theirs:
            gaps = np.abs((mine[free] - line) / scale).max(1)
            assert gaps.min() < 1e-8, gaps.min()
            free.pop(int(gaps.argmin()))
    return total


@pytest.mark.parametrize("domain", ["cheetah", "hopper", "walker", "humanoid"])
def test_bodies_of_the_suite(domain: str) -> None:
    model = suite_model(domain)
    assert check(model, moving_states(model, 60)) > 60


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
@pytest.mark.parametrize("condim", [1, 3, 4, 6])
def test_every_cone(cone: str, condim: int) -> None:
    model = shapes(cone, condim, impratio=3.0)
    assert check(model, near_ground(model, 60)) > 60 * condim


def test_limits_and_dry_friction() -> None:
    model = limits()
    states = draw(model, 100)
    assert check(model, states) > 200


def test_slots_hold_the_deepest() -> None:
    model = suite_model("cheetah")
    assert check(model, moving_states(model, 60), slots=10) > 60
    states = moving_states(model, 60)
    assert parts(model, states, slots=1).overflow.any()


def test_a_cone_of_no_friction_is_none_of_ours() -> None:
    model = shapes("elliptic", 3)
    blocks = parts(model, near_ground(model, 2)).blocks
    assert any(isinstance(block, Cones) for block in blocks)
