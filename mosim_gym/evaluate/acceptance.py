"""The figures a model is accepted on, measured on episodes it never saw."""

from __future__ import annotations

from typing import Any

import torch

from mosim_gym.data.dataset import Dataset
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import DatasetError
from mosim_gym.evaluate.horizon import open_loop

_HORIZONS = (1, 10, 100, 300, 1000)


def accept(simulator: Simulator, test: Dataset) -> dict[str, Any]:
    """Figures of a model on test episodes: many short rollouts, and one along each episode.

    Plain JSON values, among them ``trusted_horizon``; for a model that tells touch readings, their
    error too.
    """
    *short, long = open_loop(simulator, test)
    figures: dict[str, Any] = {"trusted_horizon": long.trusted_horizon}
    for kind, errors in (*(("short", errors) for errors in short), ("long", long)):
        marks = {h for h in _HORIZONS if h < errors.horizon} | {errors.horizon}
        figures[kind] = errors.summary(sorted(marks))
    if simulator.touch_head is not None or (simulator.feels and test.has_touch):
        figures["touch"] = {"by_sensor": touch_errors(simulator, test)}
    return figures


@torch.inference_mode()
def touch_errors(simulator: Simulator, test: Dataset) -> dict[str, dict[str, float]]:
    """How well touch readings are told at the true states, by the name of the sensor.

    By a model that `feels` they are told after a control step from there; rows that it cannot step
    read nothing.

    Each has ``mse``, the mean squared error of log1p(newtons), and ``variance``, that of the true
    log1p(newtons): what a constant would be wrong by.

    Raises:
        MosimError: if the model does not tell them, or the data has no readings.
    """
    data = test.transitions()
    if data.touch is None:
        raise DatasetError(
            f"{test.path} holds no touch readings to compare with. Collect it anew from an "
            "environment that reports them (mosim-gym collect does)."
        )
    true = data.touch.clamp(min=0.0).log1p()
    if simulator.feels:
        readings = simulator.step_and_touch(data.state, data.action)[1].nan_to_num()
    else:
        readings = simulator.touch(data.next_state, data.action)
    told = readings.double().cpu().log1p()
    mse, variance = (told - true).square().mean(0), true.var(0, correction=0)
    return {
        name: {"mse": float(mse[i]), "variance": float(variance[i])}
        for i, name in enumerate(simulator.spec.touch)
    }
