"""Optimisers by name: those of torch that follow gradients, and the name of the one that solves."""

from __future__ import annotations

import torch
from pytorch_optimizer import SOAP
from torch import nn


def soap(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """SOAP (arXiv 2409.11321): Adam in the eigenbasis of Shampoo's preconditioner."""
    return SOAP(parameters, lr=learning_rate, weight_decay=0.0, precondition_frequency=10)


def adam(parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """Adam with its default momenta."""
    return torch.optim.Adam(parameters, lr=learning_rate)


OPTIMIZERS = {"soap": soap, "adam": adam}
#: Not an optimiser of torch: it solves for the weights; see `mosim_gym.fit.levenberg`.
LEVENBERG_MARQUARDT = "levenberg_marquardt"
