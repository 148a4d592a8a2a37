"""Positions as recorded velocities say they must have been, where both were recorded with noise.

A position that is off by a centimetre hides contacts, which are millimetres deep. But positions
are the sum of velocities, h at a time: what a velocity's noise adds to a step is a hundred times
less than what a position's own noise is. So positions are smoothed (Rauch, Tung and Striebel, AIAA
Journal 1965) along what velocities say; velocities stay as they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.episode import Episode
from mosim_gym.robots.spec import Integrator, JointType, RobotSpec
from mosim_gym.types import Float64Array


def estimated(dataset: Dataset) -> Dataset:
    """The dataset with smoothed positions, as far as it was recorded with noise.

    Coordinates of balls' and free joints' turns stay as they are.
    """
    noise = dataset.metadata.noise
    if not noise:
        return dataset
    return dataset.mapped(lambda episode: smoothed(episode, dataset.spec, noise))


def smoothed(episode: Episode, spec: RobotSpec, noise: float) -> Episode:
    """An episode with smoothed positions.

    Args:
        episode: states with noise.
        spec: the body.
        noise: standard deviation of positions and velocities (their units).
    """
    pairs = [
        (joint.qpos_index + k, joint.dof_index + k)
        for joint in spec.joints
        for k in range({JointType.FREE: 3, JointType.BALL: 0}.get(joint.type, 1))
    ]
    if not pairs:
        return episode
    at, along = (list(side) for side in zip(*pairs, strict=True))
    rk4 = spec.integrator is Integrator.RK4
    inner_q, inner_v = episode.substep_qpos, episode.substep_qvel
    if inner_q is None or inner_v is None:
        qpos = episode.qpos.copy()
        moves = _moves(episode.qvel[:, along], spec.physics_dt, spec.n_substeps, noise, rk4=rk4)
        qpos[:, at] = _smooth(qpos[:, at], *moves, noise)
        return dataclasses.replace(episode, qpos=qpos)
    steps, n, nq = inner_q.shape
    fine_q = np.concatenate([episode.qpos[:1], inner_q.reshape(-1, nq)])
    fine_v = np.concatenate([episode.qvel[:1], inner_v.reshape(steps * n, -1)])
    moves = _moves(fine_v[:, along], spec.physics_dt, 1, noise, rk4=rk4)
    fine_q[:, at] = _smooth(fine_q[:, at], *moves, noise)
    return dataclasses.replace(
        episode, qpos=fine_q[::n].copy(), substep_qpos=fine_q[1:].reshape(inner_q.shape)
    )


def _moves(
    v: Float64Array, dt: float, n: int, noise: float, *, rk4: bool
) -> tuple[Float64Array, Float64Array]:
    """How far positions move between velocities ``(T, k)``, and the variance of that.

    Args:
        v: with noise.
        dt: seconds a physics step.
        n: physics steps from one to the next.
        noise: standard deviation.
        rk4: positions follow velocities smoothly; else each physics step moves them by dt times
            its new velocity, as MuJoCo's Euler does.
    """
    h, change = n * dt, v[1:] - v[:-1]
    moved = h * (v[1:] + v[:-1]) / 2
    if rk4:
        # What the trapezoidal rule leaves out is h/12 times the second difference.
        bend = np.zeros_like(moved)
        bend[1:] = h / 12 * (change[1:] - change[:-1])
        return moved, (h * noise) ** 2 / 2 + bend**2
    # Exact for one physics step, and for any number with the same change in each.
    moved += dt / 2 * change
    unlike = h / 2 * change if n > 1 else np.zeros_like(change)
    return moved, (h * noise) ** 2 + unlike**2


def _smooth(
    q: Float64Array, moved: Float64Array, doubt: Float64Array, noise: float
) -> Float64Array:
    """Positions ``(T, k)`` with noise, along how they moved ``(T - 1, k)`` and its variance."""
    mean, spread = np.empty_like(q), np.empty_like(q)
    mean[0], spread[0] = q[0], noise**2
    for t in range(1, len(q)):
        before, guess = spread[t - 1] + doubt[t - 1], mean[t - 1] + moved[t - 1]
        gain = before / (before + noise**2)
        mean[t], spread[t] = guess + gain * (q[t] - guess), (1 - gain) * before
    for t in range(len(q) - 2, -1, -1):
        back = spread[t] / (spread[t] + doubt[t])
        mean[t] += back * (mean[t + 1] - mean[t] - moved[t])
    return mean
