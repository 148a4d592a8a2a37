"""How far numbers may be from where they start: told, expected to be near, or learned from scratch.

A width is the standard deviation of a prior around the start: of the logarithm of numbers that are
positive (0.2: some 20 %), in units of a body's size for centres of mass, in radians or metres for
where springs rest. Width 0 is a number that is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mosim_gym.errors import MosimError, unknown_name

#: Parameters of `mosim_gym.articulated.learned.LearnedPhysics` by what users call them.
KINDS: dict[str, tuple[str, ...]] = {
    "mass": ("mass",),
    "centre": ("centre",),
    "inertia": ("width", "skew"),
    "armature": ("armature",),
    "damping": ("damping",),
    "spring": ("stiffness", "spring_reference"),
    "dry_friction": ("friction_loss",),
    "motor": ("gear", "gain", "bias"),
    "limit": ("limit_solref", "limit_solimp"),
    "friction": ("pair_friction",),
    "contact": ("pair_solref", "pair_solimp"),
}
#: All of them.
EVERY = "all"
#: Of what nothing is known: a factor of 20 either way is nothing special. It only decides what
#: motion says nothing of.
UNKNOWN = 3.0
#: How far one of a kind is from what all of them have in common: limits of a body are mostly alike,
#: and what was never touched rubs as what was.
APART = 1.0


def parameter_widths(widths: Mapping[str, float] | None) -> dict[str, float]:
    """Widths by parameter, from widths by kind, of which "all" comes first.

    Raises:
        MosimError: for an unknown kind, or a width that is none.
    """
    given = dict(widths or {})
    for kind, width in given.items():
        if kind != EVERY and kind not in KINDS:
            raise unknown_name("kind of number", kind, [EVERY, *KINDS])
        if not (width >= 0 and math.isfinite(width)):
            raise MosimError(
                f"The width of {kind} is {width}; expected 0 (told) or more, and finite: the "
                "standard deviation of a prior around where the number starts."
            )
    rest = given.get(EVERY, UNKNOWN)
    return {name: given.get(kind, rest) for kind, names in KINDS.items() for name in names}
