"""Positions as recorded velocities say they must have been, where both were recorded with noise.

A position that is off by a centimetre hides contacts, which are millimetres deep. But positions
are the sum of velocities, h at a time: what a velocity's noise adds to a step is a hundred times
less than what a position's own noise is. So positions are smoothed (Rauch, Tung and Striebel, AIAA
Journal 1965) along what velocities say; velocities stay as they are. Orientations of balls and
free joints likewise (`mosim_gym.data.turns`): a trunk that is off by a degree lifts a foot off the
ground.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.episode import Episode
from mosim_gym.data.turns import smooth_turns
from mosim_gym.robots.spec import Integrator, JointType, RobotSpec
from mosim_gym.types import Float64Array


def estimated(dataset: Dataset) -> Dataset:
    """The dataset with smoothed positions, as far as it was recorded with noise."""
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
    inner_q, inner_v = episode.substep_qpos, episode.substep_qvel
    if inner_q is None or inner_v is None:
        qpos = _along(episode.qpos, episode.qvel, spec, spec.n_substeps, noise)
        return dataclasses.replace(episode, qpos=qpos)
    steps, n, nq = inner_q.shape
    fine_q = np.concatenate([episode.qpos[:1], inner_q.reshape(-1, nq)])
    fine_v = np.concatenate([episode.qvel[:1], inner_v.reshape(steps * n, -1)])
    fine_q = _along(fine_q, fine_v, spec, 1, noise)
    return dataclasses.replace(
        episode, qpos=fine_q[::n].copy(), substep_qpos=fine_q[1:].reshape(inner_q.shape)
    )


def _along(
    qpos: Float64Array, qvel: Float64Array, spec: RobotSpec, n: int, noise: float
) -> Float64Array:
    """Positions ``(T, nq)``, smoothed along velocities that are `n` physics steps apart."""
    found = qpos.copy()
    rk4 = spec.integrator is Integrator.RK4
    moved, doubt = _moves(qvel, spec.physics_dt, n, noise, rk4=rk4)
    for joint in spec.joints:
        q, v = joint.qpos_index, joint.dof_index
        # A ball has no positions of the plain kind, a free joint three before its turns.
        plain = {JointType.FREE: 3, JointType.BALL: 0}.get(joint.type, 1)
        at, by = slice(q, q + plain), slice(v, v + plain)
        found[:, at] = _smooth(qpos[:, at], moved[:, by], doubt[:, by], noise)
        if joint.type in (JointType.FREE, JointType.BALL):
            at, by = slice(q + plain, q + plain + 4), slice(v + plain, v + plain + 3)
            found[:, at] = smooth_turns(qpos[:, at], moved[:, by], doubt[:, by].max(1), noise)
    return found


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
