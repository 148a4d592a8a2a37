"""Where planes lie in the world: the only shape that never moves, whatever body it is of.

MuJoCo lets planes be geoms of the world and of bodies that are fixed to it, which may be moved and
turned against it (XML reference, geom: type plane).
"""

from __future__ import annotations

import numpy as np

from mosim_gym.robots.frames import rotation_of
from mosim_gym.robots.tree import IntArray, Tree
from mosim_gym.types import Float64Array


def planes_of(tree: Tree, geoms: IntArray) -> tuple[Float64Array, Float64Array]:
    """Normals and levels of planes in the world.

    Args:
        tree: the body.
        geoms: the planes among its geoms, ``(k,)``.

    Returns:
        Normals n ``(k, 3)`` of length one and levels l ``(k,)`` in metres: points p of a plane are
        those where ``n . p = l``.
    """
    normals, levels = np.zeros((len(geoms), 3)), np.zeros(len(geoms))
    for k, geom in enumerate(geoms.tolist()):
        normal = rotation_of(tree.geoms.quaternion[geom])[:, 2]
        point, body = tree.geoms.position[geom], int(tree.geoms.body[geom])
        # From body to body outwards; of the world's own planes nothing changes.
        while body:
            turn = rotation_of(tree.bodies.quaternion[body])
            normal, point = turn @ normal, tree.bodies.position[body] + turn @ point
            body = int(tree.bodies.parent[body])
        normals[k], levels[k] = normal, (normal * point).sum()
    return normals, levels
