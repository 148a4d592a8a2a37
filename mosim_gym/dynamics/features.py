"""How a state is shown to the networks, and the frame they answer in.

Standard features follow the physics of a body as its spec tells it:

- a hinge angle enters as sine and cosine, and the root's horizontal translation not at all;
- a limited joint also enters as position in its range, depth past its limit, on which side it is
  past, and how far MuJoCo's constraint has hardened there: a limit pushes by depth and velocity,
  at once and only beyond it (documentation: Computation, Constraint model, Impedance);
- a free root enters as height, the direction of gravity and velocities in its own frame, so that
  neither where it is nor where it heads matters; accelerations are answered in that frame too;
- other quaternions enter as rotation matrices;
- where the context changes the dynamics (a motor's mixing), it enters beside the controls.

Contact features (`mosim_gym.dynamics.contact_features`) are those and more, and are told the
geometry; all features are then kept within what training has seen, give or take.

Raw features (the paper's) are qpos, qvel, act, such a context and the control as they are, and not
whitened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mosim_gym.dynamics.columns import Columns
from mosim_gym.dynamics.config import Flavour
from mosim_gym.dynamics.contact_features import ContactFeatures
from mosim_gym.dynamics.geometry import told_geometry
from mosim_gym.dynamics.manifold import rotation_matrix
from mosim_gym.robots.spec import Joint, JointType, RobotSpec

# Depth in which MuJoCo's constraint hardens fully, by its default `solimp` (metres or radians).
_HARDENING_DEPTH = 1e-3
# A feature that varies less than this in training carries nothing: it is shown as zero.
_CONSTANT = 1e-7
# Contact features, and those beside them, are shown up to so many standard deviations, and so far
# out of the range seen in training, in parts of it: a state far out has an answer too.
_FARTHEST, _BEYOND = 10.0, 0.1
_HORIZONTAL = ("rootx", "root_x", "rooty", "root_y")


class FeatureMap(nn.Module):
    """Whitened features of a batch: position features, then velocity features, then controls.

    Attributes:
        n_position: features of positions alone.
        n_velocity: features of velocities.
        n_control: activations, context that changes the dynamics, and controls.
    """

    shift: Tensor
    scale: Tensor
    least: Tensor
    most: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, spec: RobotSpec, flavour: Flavour, geometry: Mapping[str, Any] | None = None
    ) -> None:
        """Work out the columns once, so that a step only slices.

        Args:
            spec: the body.
            flavour: how states are shown.
            geometry: of the body, a `Description` as JSON, for those of contacts.

        Raises:
            MosimError: without the geometry where it is needed, or with that of another body.
        """
        super().__init__()
        self.contact: ContactFeatures | None = None
        if flavour is Flavour.CONTACT:
            needs = 'The features "contact" need'
            contact = ContactFeatures(told_geometry(spec, geometry, needs))
            self.contact = contact if contact.n_position else None
        standard = flavour is not Flavour.RAW
        self.whitened = standard
        joints = spec.joints
        self.root = _free_root(spec) if standard else None
        dropped = set(horizontal_root_positions(spec)) if standard else set()
        others = [joint for joint in joints if joint is not self.root]
        hinges = [j for j in others if j.type is JointType.HINGE] if standard else []
        turned = [j for j in others if j.type.nq > 1] if standard else []
        plain = [j.qpos_index for j in others if j.type is JointType.SLIDE]
        plain += [j.qpos_index + k for j in turned if j.type is JointType.FREE for k in range(3)]
        limited = [j for j in others if j.range and j.type.nq == 1] if standard else []
        plain += [j.qpos_index for j in limited if j.type is JointType.HINGE]
        raw = list(range(spec.nq))
        self.plain = Columns(sorted(set(plain) - dropped) if standard else raw, spec.nq)
        self.angles = Columns([j.qpos_index for j in hinges], spec.nq)
        self.quaternions = [j.qpos_index + j.type.nq - 4 for j in turned]
        self.limited = Columns([j.qpos_index for j in limited], spec.nq)
        # In float64 until the model is cast to its own precision.
        ranges = torch.tensor([j.range for j in limited], dtype=torch.float64).view(-1, 2)
        self.register_buffer("low", ranges[:, 0], persistent=False)
        self.register_buffer("high", ranges[:, 1], persistent=False)
        self._count(spec, len(hinges), len(limited))
        self.register_buffer("shift", torch.zeros(self.n_features))
        self.register_buffer("scale", torch.ones(self.n_features))
        if self.contact:
            self.register_buffer("least", torch.full((self.n_features,), -_FARTHEST))
            self.register_buffer("most", torch.full((self.n_features,), _FARTHEST))

    def _count(self, spec: RobotSpec, n_hinges: int, n_limited: int) -> None:
        root = 4 if self.root else 0
        self.n_position = root + self.plain.n + 2 * n_hinges + 9 * len(self.quaternions)
        self.n_position += 3 * n_limited
        self.n_velocity = spec.nv
        if self.contact:
            self.n_position += self.contact.n_position
            self.n_velocity += self.contact.n_velocity
        self.n_control = spec.na + spec.context_inputs + spec.nu
        self.n_features = self.n_position + self.n_velocity + self.n_control

    def encode(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None = None,
    ) -> Tensor:
        """Whitened features ``(batch, n_features)``; `context` only if it changes the dynamics."""
        features = self.unwhitened(qpos, qvel, act, action, context)
        if not self.whitened:
            return features
        white = torch.addcmul(self.shift, features, self.scale)
        return white if self.contact is None else torch.clamp(white, self.least, self.most)

    def unwhitened(
        self,
        qpos: Tensor,
        qvel: Tensor,
        act: Tensor | None,
        action: Tensor,
        context: Tensor | None = None,
    ) -> Tensor:
        """Features in their own units, ``(batch, n_features)``."""
        positions = [self.plain.of(qpos)] if self.plain.n else []
        if self.angles.n:
            angles = self.angles.of(qpos)
            positions += [torch.sin(angles), torch.cos(angles)]
        for start in self.quaternions:
            positions.append(rotation_matrix(qpos[:, start : start + 4]).flatten(1))
        velocities = qvel
        if self.root:
            q, v = self.root.qpos_index, self.root.dof_index
            matrix = rotation_matrix(qpos[:, q + 3 : q + 7])
            positions += [qpos[:, q + 2 : q + 3], matrix[:, 2]]
            velocities = _turn_back(matrix, qvel, v)
        if self.limited.n:
            joints = self.limited.of(qpos)
            past = joints - torch.clamp(joints, self.low, self.high)
            hardened = torch.clamp(past / _HARDENING_DEPTH, -1.0, 1.0)
            positions += [past, torch.sign(past), hardened]
        rates = [velocities]
        if self.contact:
            # Of the world's qvel: these features turn what they have to by themselves.
            places, speeds = self.contact(qpos, qvel)
            positions.append(places)
            rates.append(speeds)
        controls = [part for part in (act, context, action) if part is not None]
        return torch.cat([*positions, *rates, *controls], 1)

    def learn_scales(self, features: Tensor) -> None:
        """Set the whitening from unwhitened features of the training data ``(n, n_features)``."""
        if not self.whitened:
            return
        mean, std = features.mean(0), features.std(0)
        scale = torch.where(std > _CONSTANT, 1 / self._in_common(std), 0.0)
        self.scale.copy_(scale)
        self.shift.copy_(-mean * scale)
        self.learn_range(features)

    def learn_range(self, features: Tensor) -> None:
        """Set how far features of contacts go, from unwhitened ones ``(n, n_features)``."""
        if self.contact is None:
            return
        least, most = (
            torch.addcmul(self.shift, end, self.scale) for end in torch.aminmax(features, dim=0)
        )
        self.least.copy_(torch.lerp(least, most, -_BEYOND).clamp(min=-_FARTHEST))
        self.most.copy_(torch.lerp(most, least, -_BEYOND).clamp(max=_FARTHEST))

    def _in_common(self, std: Tensor) -> Tensor:
        """Standard deviations, those of contacts the largest of the same feature of all points.

        What rarely touched in training would else be shown a hundredfold when it does.
        """
        if self.contact is None:
            return std
        found = std.clone()
        ends = (self.n_position, self.n_position + self.n_velocity)
        widths = (self.contact.n_position, self.contact.n_velocity)
        for end, width in zip(ends, widths, strict=True):
            kinds = found[end - width : end].view(-1, self.contact.n_points)
            kinds.copy_(kinds.amax(1, keepdim=True).expand_as(kinds))
        return found

    def to_world(self, qpos: Tensor, acceleration: Tensor) -> Tensor:
        """Accelerations ``(batch, nv)`` from the networks' frame to MuJoCo's."""
        if not self.root:
            return acceleration
        start = self.root.qpos_index + 3
        matrix = rotation_matrix(qpos[:, start : start + 4]).transpose(1, 2)
        return _turn_back(matrix, acceleration, self.root.dof_index)

    def to_local(self, qpos: Tensor, acceleration: Tensor) -> Tensor:
        """Accelerations ``(batch, nv)`` from MuJoCo's frame to the networks'."""
        if not self.root:
            return acceleration
        start = self.root.qpos_index + 3
        matrix = rotation_matrix(qpos[:, start : start + 4])
        return _turn_back(matrix, acceleration, self.root.dof_index)


def horizontal_root_positions(spec: RobotSpec) -> tuple[int, ...]:
    """Indices of qpos that only say where the body is on the ground.

    The x and y of a free root, and unlimited root slides that are called so (``rootx``,
    ``root_y``): a spec tells no joint axes, and names are the convention of the bodies we know.
    Other slides stay, though they may end in x: a ball's ``ball_x`` matters to the cup beside it.
    """
    indices = []
    root = _free_root(spec)
    if root:
        indices += [root.qpos_index, root.qpos_index + 1]
    for joint in spec.joints:
        free_slide = joint.on_root and joint.type is JointType.SLIDE and joint.range is None
        if free_slide and joint.name.lower() in _HORIZONTAL:
            indices.append(joint.qpos_index)
    return tuple(indices)


def _free_root(spec: RobotSpec) -> Joint | None:
    """The one free joint, if there is one; with several, none is a root to turn with."""
    free = [joint for joint in spec.joints if joint.type is JointType.FREE and joint.on_root]
    return free[0] if len(free) == 1 else None


def _turn_back(matrix: Tensor, vectors: Tensor, start: int) -> Tensor:
    """`vectors` with the three entries from `start` turned by the transpose of `matrix`."""
    turned = torch.einsum("bij,bi->bj", matrix, vectors[:, start : start + 3])
    return torch.cat([vectors[:, :start], turned, vectors[:, start + 3 :]], 1)
