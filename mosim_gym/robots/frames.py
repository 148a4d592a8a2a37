"""The rotations that a kinematic tree is made of, with what need not be computed left out.

A frame is an orientation that some joint gives. Fixed rotations and hinges about parallel axes
(a planar chain, a knee below a hip) are folded into one frame, whose angle is the sum of theirs:
in a planar body every frame hangs from the world, and no rotation matrices are multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mosim_gym.types import Float64Array

#: Axes of length one count as parallel where they differ by no more.
_PARALLEL = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An orientation relative to another frame: ``before @ turn @ after``.

    Attributes:
        base: the frame it is relative to, 0 for the world.
        before: fixed rotation ahead of the joint, ``(3, 3)``.
        after: fixed rotation behind the joint, ``(3, 3)``.
        axis: what the turn is about, in the coordinates ahead of it; ``None`` if not a hinge's.
        hinges: the turn's angle is the sum of ``sign * (qpos[q] - reference)`` over these
            (q, v, sign).
        quaternion: (q, v) of a ball or free joint's quaternion; ``None`` if it is not one.
        stem: the frame from which this one differs by the fixed rotation `since` ``(3, 3)``;
            ``None`` if it is no such copy.
        since: see `stem`.
    """

    base: int
    before: Float64Array
    after: Float64Array
    axis: Float64Array | None = None
    hinges: tuple[tuple[int, int, float], ...] = ()
    quaternion: tuple[int, int] | None = None
    stem: int | None = None
    since: Float64Array = field(default_factory=lambda: np.eye(3))

    @property
    def is_fixed(self) -> bool:
        """Whether no joint turns it."""
        return self.axis is None and self.quaternion is None

    def spins(self, nv: int) -> list[tuple[Float64Array, Float64Array]]:
        """Axes ``(3,)`` in the frame's own coordinates it turns about, and their rates.

        The rates ``(nv,)`` are linear in qvel. Angular velocities of balls and free bodies are
        in the body's coordinates (MuJoCo documentation: Computation, Floating objects).
        """
        if self.quaternion is not None:
            v = self.quaternion[1]
            return [(self.after[k], np.eye(nv)[v + k]) for k in range(3)]
        if self.axis is None:
            return []
        rate = np.zeros(nv)
        for _, v, sign in self.hinges:
            rate[v] += sign
        return [(self.after.T @ self.axis, rate)]


@dataclass(slots=True)
class Frames:
    """All frames of a tree; frame 0 is the world."""

    entries: list[Frame] = field(default_factory=lambda: [Frame(0, np.eye(3), np.eye(3))])

    def __getitem__(self, index: int) -> Frame:
        """A frame."""
        return self.entries[index]

    def fixed(self, index: int, rotation: Float64Array) -> int:
        """The frame that is turned by a fixed `rotation` against another."""
        if np.array_equal(rotation, np.eye(3)):
            return index
        frame = self.entries[index]
        stem, since = self.stem(index, rotation)
        return self._add(replace(frame, after=frame.after @ rotation, stem=stem, since=since))

    def stem(self, index: int, carried: Float64Array) -> tuple[int, Float64Array]:
        """What a frame carries, ``(3,)`` or ``(3, n)``, as carried by the frame it is a copy of."""
        frame = self.entries[index]
        return (index if frame.stem is None else frame.stem), frame.since @ carried

    def hinge(self, index: int, axis: Float64Array, q: int, v: int, reference: float) -> int:
        """The frame that a hinge about `axis` (in the coordinates of another) turns."""
        base = self.entries[index]
        # The turn at the reference is none, so the reference's own turn is undone behind it.
        undo = axis_rotation(axis, -reference)
        sign = 0.0 if base.axis is None else _same_line(base.axis, base.after @ axis)
        if sign:
            hinges = (*base.hinges, (q, v, sign))
            return self._add(Frame(base.base, base.before, base.after @ undo, base.axis, hinges))
        start, before = self._start(index)
        return self._add(Frame(start, before, undo, axis=axis, hinges=((q, v, 1.0),)))

    def quaternion(self, index: int, q: int, v: int) -> int:
        """The frame that the quaternion at ``qpos[q:q + 4]`` turns against another."""
        start, before = self._start(index)
        return self._add(Frame(start, before, np.eye(3), quaternion=(q, v)))

    def chain(self, index: int) -> tuple[int, ...]:
        """The frame itself and those it hangs from, the world left out."""
        chain = []
        while index:
            chain.append(index)
            index = self.entries[index].base
        return tuple(chain)

    def depth(self, index: int) -> int:
        """How many frames lie between this one and the world."""
        return max(len(self.chain(index)) - 1, 0)

    def _start(self, index: int) -> tuple[int, Float64Array]:
        frame = self.entries[index]
        if frame.is_fixed:
            return 0, frame.before @ frame.after
        return self.stem(index, np.eye(3))

    def _add(self, frame: Frame) -> int:
        self.entries.append(frame)
        return len(self.entries) - 1


def _same_line(a: Float64Array, b: Float64Array) -> float:
    """1 for unit vectors that are equal, -1 for opposite ones, else 0."""
    for sign in (1.0, -1.0):
        if np.abs(a - sign * b).max() <= _PARALLEL:
            return sign
    return 0.0


def hinge_terms(frame: Frame) -> Float64Array:
    """``(3, 3, 3)``: the frame's rotation is ``K[0] + cos(angle) K[1] + sin(angle) K[2]``."""
    if frame.axis is None:
        fixed = frame.before @ frame.after
        return np.stack([fixed, np.zeros((3, 3)), np.zeros((3, 3))])
    along = np.outer(frame.axis, frame.axis)
    parts = np.stack([along, np.eye(3) - along, skew(frame.axis)])
    return frame.before @ parts @ frame.after


def quaternion_terms(frame: Frame) -> tuple[Float64Array, Float64Array]:
    """``(3, 3)`` C and ``(3, 3, 4, 4)`` M: the rotation is ``C + sum_ab M[..., a, b] q_a q_b``.

    C keeps a quaternion of zeros at no rotation, as MuJoCo has it.
    """
    products = np.zeros((3, 3, 4, 4))
    units = [skew(unit) for unit in np.eye(3)]
    for a in range(3):
        products[:, :, 0, a + 1] = 2 * units[a]
        for b in range(3):
            products[:, :, a + 1, b + 1] = 2 * units[a] @ units[b]
    turned = np.einsum("ij,jkab,kl->ilab", frame.before, products, frame.after)
    return frame.before @ frame.after, turned


def skew(vector: Float64Array) -> Float64Array:
    """The matrix ``(3, 3)`` that a cross product with `vector` is."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def axis_rotation(axis: Float64Array, angle: float) -> Float64Array:
    """Rotation ``(3, 3)`` by `angle` radians about `axis` of length one."""
    cross = skew(axis)
    turn: Float64Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


def rotation_of(quaternion: Float64Array) -> Float64Array:
    """Rotation ``(3, 3)`` of a quaternion (w, x, y, z) of length one."""
    w, vector = quaternion[0], skew(quaternion[1:])
    turn: Float64Array = np.eye(3) + 2 * w * vector + 2 * vector @ vector
    return turn
