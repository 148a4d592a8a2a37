"""A predictor that is told the geometry of a body, and learns its physics.

Rigid-body dynamics with MuJoCo's actuators, limits and contacts (`mosim_gym.articulated`); what is
learned are masses, centres, inertias, damping, springs, motors, friction and the hardness of
limits and contacts: tens to hundreds of numbers, each of which is physics that can be.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mosim_gym.articulated.forward import Forward, Prepared
from mosim_gym.articulated.guess import guess
from mosim_gym.articulated.learned import LearnedPhysics
from mosim_gym.articulated.numbers import labelled
from mosim_gym.articulated.physics import Physics
from mosim_gym.articulated.priors import parameter_widths
from mosim_gym.articulated.servos import Motion, all_found, servos_from_motion, tells_scale
from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.geometry import told_geometry
from mosim_gym.dynamics.memo import Memo
from mosim_gym.dynamics.predictors import Inputs, Numbers, Prior, register_predictor
from mosim_gym.errors import MosimError
from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State


@register_predictor("articulated")
class Articulated(nn.Module):
    """Forward dynamics of a body with learned physics.

    Attributes:
        physics: the parameters.
        description: what was told.
        forward_dynamics: of the body, for any physics.
    """

    needs_features = False
    #: Few accelerations depend on many parameters.
    cheap_by_row = True

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Start at the numbers told, or at physics guessed from shapes.

        Raises:
            MosimError: without the geometry, with that of another body, or where a context
                changes how the body moves.
        """
        super().__init__()
        self.description = told_geometry(spec, config.geometry, 'The predictor "articulated" needs')
        _require_no_context(spec)
        numbers = config.numbers
        start = guess(self.description) if numbers is None else Physics.from_json(numbers)
        #: Whether `look_at` may choose where servos start, and whether it has.
        self._may_look = numbers is None and parameter_widths(config.widths)["gain"] > 0
        self._looked = False
        self.physics = LearnedPhysics(self.description, start, config.widths)
        self.forward_dynamics = Forward(self.description, spec.control_dt / config.integrator_steps)
        # Not a part of this module: it is the simulator's.
        self._to_local = features.to_local
        self._memo = Memo(self._prepare)

    @torch.no_grad()
    def start_from(self, physics: Physics) -> None:
        """Put all parameters to known physics, such as that of an MJCF."""
        self.physics.restart(physics)

    @torch.no_grad()
    def look_at(self, state: State, action: Tensor, acceleration: Tensor, n_steps: int) -> None:
        """See `mosim_gym.dynamics.predictors.Observant`: for servos of which nothing is told.

        Only single steps show at which states a servo is at its limit.
        """
        self._looked = self._may_look and n_steps == 1
        if not self._looked:
            return
        motion = Motion(state.qpos, state.qvel, acceleration, action)
        self.start_from(servos_from_motion(self.description, self.physics.start(), motion))

    def told(self) -> list[str]:
        """See `mosim_gym.dynamics.predictors.Informed`."""
        description, found = self.description, []
        fluid, strings = description.fluid, description.strings
        if fluid is not None:
            found.append(
                f"a fluid (density {fluid.density:g}, viscosity {fluid.viscosity:g}) and the axes "
                "of the boxes that stand for the bodies in it"
            )
        if strings is not None:
            found.append("where strings are fastened, their lengths and their hardness")
        if description.actuators.force_limited.any():
            found.append("the limits of the actuators' forces")
        if description.sprung is not None and description.sprung.any():
            found.append("which joints have a spring though nothing limits them")
        if self._may_look and all_found(description):
            found.append(
                "the gears of the servos, whose gains start from the motion of their own joints "
                "(where physics steps were recorded)"
            )
        if self.felt:
            found.append("where its touch sensors are, and their shapes")
        return found

    def details(self) -> list[nn.Parameter]:
        """See `mosim_gym.dynamics.predictors.Detailed`: servos, if `look_at` has found all of them.

        What their joints carry is far off at first, and would drag them along.
        """
        if not (self._looked and all_found(self.description)):
            return []
        return [getattr(self.physics, name) for name in ("gain", "bias")]

    def priors(self) -> dict[nn.Parameter, Prior]:
        """See `mosim_gym.dynamics.predictors.Informed`."""
        physics = self.physics
        return {
            parameter: Prior(physics.widths[name], physics.least(name))
            for name, parameter in physics.named_parameters()
        }

    def numbers(self) -> Numbers:
        """See `mosim_gym.dynamics.predictors.Informed`.

        Twice as heavy with motors twice as strong moves alike: the first motor (or the gain of the
        first servo) tells the scale. Limits of force and fluids are told as they are, and tell it.
        """
        labels, values = labelled(self.description, self.physics, self.physics())
        _, start = labelled(self.description, self.physics, self.physics.start())
        kinds = [label.kind for label in labels]
        return Numbers(
            [(label.kind, label.where) for label in labels],
            values,
            start,
            None
            if tells_scale(self.description)
            else next((kinds.index(kind) for kind in ("gear", "gain") if kind in kinds), None),
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)``; NaN in rows whose solver did not converge."""
        found = self.forward_dynamics(*self._arguments(inputs), differentiable=_wants_derivatives())
        acceleration = torch.where(found.converged[:, None], found.acceleration, torch.nan)
        return self._to_local(inputs.qpos, acceleration) / inputs.scale

    @property
    def felt(self) -> tuple[str, ...]:
        """See `mosim_gym.dynamics.predictors.Feeling`."""
        sensors = self.description.touch
        return () if sensors is None else sensors.names

    def touch(self, inputs: Inputs) -> Tensor:
        """See `mosim_gym.dynamics.predictors.Feeling`; NaN as in `forward`."""
        return self.forward_dynamics.touch(
            *self._arguments(inputs), differentiable=_wants_derivatives()
        )

    def _arguments(self, inputs: Inputs) -> tuple[Prepared, Tensor, Tensor, Tensor | None, Tensor]:
        # Memo's tensors: all that physics is made of.
        numbers = (*self.physics.parameters(), *self.physics.buffers())
        return self._memo(*numbers), inputs.qpos, inputs.qvel, inputs.act, inputs.action

    def _prepare(self, *_: Tensor) -> Prepared:
        return self.forward_dynamics.prepare(self.physics())


def _wants_derivatives() -> bool:
    # Forward mode works without gradients enabled: only inference mode tells that none are wanted.
    if torch.compiler.is_compiling():
        return torch.is_grad_enabled()
    return not torch.is_inference_mode_enabled()


def _require_no_context(spec: RobotSpec) -> None:
    if spec.context_inputs:
        raise MosimError(
            f"{spec.name} moves by a context of {spec.context_inputs} numbers, which the "
            'predictor "articulated" does not know; use "lagrangian" or "residual".'
        )
