"""Orientations smoothed along angular velocities: what `mosim_gym.data.estimate` does with turns.

The same filter as for positions (Rauch, Tung and Striebel, AIAA Journal 1965), with errors that are
small turns in the world's frame: there, what angular velocities leave unsaid simply adds up.
Quaternions are (w, x, y, z), from the body's frame to the world's.
"""

from __future__ import annotations

import math

import numpy as np

from mosim_gym.types import Float64Array

#: Turns in radians that are as good as none.
_TINY = 1e-12


def smooth_turns(
    quaternion: Float64Array, moved: Float64Array, doubt: Float64Array, noise: float
) -> Float64Array:
    """Unit quaternions ``(T, 4)``, along how a body turned between them.

    Args:
        quaternion: with noise, ``(T, 4)``.
        moved: turns between them in the body's frame, rotation vectors ``(T - 1, 3)``.
        doubt: variance of each, ``(T - 1,)``.
        noise: standard deviation of the quaternions' entries.
    """
    seen = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)
    turns = [_of_vector(turn) for turn in moved]
    # A quaternion that is off by e is a turn by 2 e.
    seen_variance = (2 * noise) ** 2
    mean, spread = seen.copy(), np.empty(len(seen))
    spread[0] = seen_variance
    for t in range(1, len(seen)):
        before, guess = spread[t - 1] + doubt[t - 1], _times(mean[t - 1], turns[t - 1])
        gain = before / (before + seen_variance)
        mean[t] = _times(_of_vector(gain * _between(guess, seen[t])), guess)
        spread[t] = (1 - gain) * before
    for t in range(len(seen) - 2, -1, -1):
        back = spread[t] / (spread[t] + doubt[t])
        left = _between(_times(mean[t], turns[t]), mean[t + 1])
        mean[t] = _times(_of_vector(back * left), mean[t])
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _between(first: Float64Array, second: Float64Array) -> Float64Array:
    """The turn in the world's frame that leads from one to the other, a rotation vector."""
    w, *xyz = _times(second, first * np.array([1.0, -1.0, -1.0, -1.0]))
    axis = np.array(xyz)
    size = float(np.linalg.norm(axis))
    if size < _TINY:
        return axis * math.copysign(2.0, w)
    # The shorter way round: a quaternion and its negative are one orientation.
    return axis * (2 * math.atan2(math.copysign(size, w), abs(w)) / size)


def _of_vector(turn: Float64Array) -> Float64Array:
    """The quaternion of a rotation vector."""
    angle = float(np.linalg.norm(turn))
    if angle < _TINY:
        return np.array([1.0, *(0.5 * turn)])
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) / angle * turn)])


def _times(a: Float64Array, b: Float64Array) -> Float64Array:
    """The product of two quaternions: first b, then a."""
    aw, ax, ay, az = a.tolist()
    bw, bx, by, bz = b.tolist()
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )
