"""How usual a state and action are: a normalizing flow of those that a model was trained on.

MoSim (arXiv 2504.07095) takes a residual flow, whose log-density is an estimate that differs from
call to call; a masked autoregressive flow gives it exactly, in one pass.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mosim_gym.robots.spec import RobotSpec
from mosim_gym.types import State
from mosim_gym.uncertainty.view import View

# Rows at a time where many are scored.
_CHUNK = 8192
_CHECK_EVERY = 100


@dataclass(frozen=True, slots=True)
class DensityConfig:
    """The shape of a flow and how it is fitted.

    Attributes:
        transforms: autoregressive transforms.
        width: units of the two hidden layers of each.
        noise: what is added to whitened training vectors (standard deviation). Actions are held,
            clipped and at times zero, and joints rest at limits: without it the density there
            is infinite, and rises for as long as it is fitted.
        steps: at most.
        batch_size: pairs a step.
        learning_rate: of Adam, falls to 0 along a cosine.
        patience: ends after so many checks (one every 100 steps) without a better held-out figure.
    """

    transforms: int = 3
    width: int = 64
    noise: float = 0.1
    steps: int = 3000
    batch_size: int = 1024
    learning_rate: float = 3e-3
    patience: int = 8

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Density(nn.Module):
    """Score: minus the log-density of a whitened state and action."""

    def __init__(self, spec: RobotSpec, config: DensityConfig) -> None:
        """An unfitted flow for a body."""
        # Here, for it takes a third of a second and few who load this room fit or run a flow.
        from zuko.flows import MAF

        super().__init__()
        self.config = config
        self.view = View(spec)
        self.flow = MAF(
            self.view.size,
            transforms=config.transforms,
            hidden_features=(config.width, config.width),
            randperm=False,
        )

    def forward(self, state: State, action: Tensor) -> Tensor:
        """Scores ``(batch,)``; infinite where there is no finite one."""
        score = self.score_vectors(self.view(state, action))
        return torch.where(score.isfinite(), score, torch.inf)

    def score_vectors(self, vectors: Tensor) -> Tensor:
        """Scores ``(batch,)`` of whitened vectors."""
        return -self.flow().log_prob(vectors)

    @torch.no_grad()
    def scores(self, state: State, action: Tensor) -> Tensor:
        """`forward` for many rows, chunk by chunk."""
        starts = range(0, len(action), _CHUNK)
        parts = [self(state[i : i + _CHUNK], action[i : i + _CHUNK]) for i in starts]
        return torch.cat(parts)


def fit_density(
    spec: RobotSpec,
    train: tuple[State, Tensor],
    held_out: tuple[State, Tensor],
    *,
    config: DensityConfig | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Density:
    """Fit a flow by maximum likelihood, and keep what was best on held-out motion.

    Args:
        spec: the body.
        train: states and actions, N rows.
        held_out: others, of other episodes.
        config: its shape and how it is fitted.
        seed: of weights, batches and noise.
        progress: show a bar.
    """
    config = config or DensityConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        density = Density(spec, config)
        density.view.learn_scales(density.view.unwhitened(*train))
        _train(density, density.view(*train), density.view(*held_out), progress)
    return density.eval().requires_grad_(False)


def _train(density: Density, train: Tensor, held_out: Tensor, progress: bool) -> None:
    config = density.config
    optimizer = torch.optim.Adam(density.flow.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    # The same rows and the same noise at every check.
    rows = torch.randperm(len(held_out))[:_CHUNK]
    judged = held_out[rows] + config.noise * torch.randn(len(rows), held_out.shape[1])
    best, weights, stale = torch.inf, copy.deepcopy(density.flow.state_dict()), 0
    for step in tqdm(range(1, config.steps + 1), desc="density", disable=not progress):
        batch = train[torch.randint(len(train), (config.batch_size,))]
        loss = density.score_vectors(batch + config.noise * torch.randn_like(batch)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(density.flow.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        if step % _CHECK_EVERY == 0 or step == config.steps:
            with torch.no_grad():
                figure = float(density.score_vectors(judged).mean())
            stale += 1
            if figure < best:
                best, weights, stale = figure, copy.deepcopy(density.flow.state_dict()), 0
            if stale >= config.patience:
                break
    density.flow.load_state_dict(weights)
