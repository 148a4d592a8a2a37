"""Correctors: what the predictor leaves over, learned afterwards and added to it."""

from __future__ import annotations

from torch import Tensor, nn

from mosim_gym.dynamics.config import ModelConfig
from mosim_gym.dynamics.features import FeatureMap
from mosim_gym.dynamics.networks import ResidualMLP
from mosim_gym.dynamics.predictors import Inputs
from mosim_gym.robots.spec import RobotSpec


class Corrector(nn.Module):
    """A residual network of all features (positions, velocities, controls); starts at zero."""

    def __init__(self, spec: RobotSpec, features: FeatureMap, config: ModelConfig) -> None:
        """Build the network."""
        super().__init__()
        self.network = ResidualMLP(
            features.n_features,
            spec.nv,
            width=config.corrector_width,
            blocks=config.corrector_blocks,
            zero_output=True,
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Whitened accelerations ``(batch, nv)`` to add."""
        out: Tensor = self.network(inputs.features)
        return out
