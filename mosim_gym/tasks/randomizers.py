"""Random poses: the batched twin of ``dm_control/suite/utils/randomizers.py``."""

from __future__ import annotations

import numpy as np
import torch

from mosim_gym.robots.spec import JointType
from mosim_gym.robots.tree import Joints, Tree
from mosim_gym.types import Float64Array, State


def randomize_joints(tree: Tree, n: int, rng: np.random.Generator) -> State:
    """Draw `n` states at rest: what has limits anywhere within them, what turns without any way.

    Limited hinges and slides are uniform in their range, unlimited hinges in [-pi, pi), unlimited
    ball joints uniform over all orientations, limited ones turned by a uniform angle about a
    uniform axis. Free joints turn, but not uniformly: like dm_control, only into the orthant of
    positive quaternions. Everything else stays as the model has it.

    Args:
        tree: the body.
        n: number of states.
        rng: where the draws come from.

    Returns:
        States in float64 without activations or context.
    """
    qpos = np.tile(tree.qpos0, (n, 1))
    for joint, kind in enumerate(tree.joints.types):
        start = int(tree.joints.qpos_index[joint])
        match kind:
            case JointType.FREE:
                qpos[:, start + 3 : start + 7] = _unit(rng.random((n, 4)))
            case JointType.BALL:
                qpos[:, start : start + 4] = _ball(tree.joints, joint, n, rng)
            case JointType.HINGE | JointType.SLIDE if tree.joints.limited[joint]:
                low, high = tree.joints.range[joint]
                qpos[:, start] = rng.uniform(low, high, n)
            case JointType.HINGE:
                qpos[:, start] = rng.uniform(-np.pi, np.pi, n)
    return State(torch.from_numpy(qpos), torch.zeros(n, tree.nv, dtype=torch.float64))


def _ball(joints: Joints, joint: int, n: int, rng: np.random.Generator) -> Float64Array:
    if not joints.limited[joint]:
        return _unit(rng.standard_normal((n, 4)))
    half = rng.uniform(0, joints.range[joint, 1], (n, 1)) / 2
    return np.concatenate([np.cos(half), np.sin(half) * _unit(rng.standard_normal((n, 3)))], 1)


def _unit(vectors: Float64Array) -> Float64Array:
    length: Float64Array = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / length
