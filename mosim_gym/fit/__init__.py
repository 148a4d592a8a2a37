"""Training a model on a dataset."""

from mosim_gym.fit.ensemble import fit_ensemble
from mosim_gym.fit.trainer import FitResult, fit

__all__ = ["FitResult", "fit", "fit_ensemble"]
