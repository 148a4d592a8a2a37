"""What touch sensors read: training the head that tells it, or the scale of forces that do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.states import TOUCH
from mosim_gym.dynamics.simulator import Simulator
from mosim_gym.errors import DatasetError
from mosim_gym.fit.lessons import Lesson, thinned
from mosim_gym.fit.loop import Trainer
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.presets import DEFAULT
from mosim_gym.fit.recipe import Preset
from mosim_gym.fit.stages import Part, Stage

#: Of the largest reading: what is more is of contacts, not of a real sensor's noise.
_FELT = 0.01
#: Rows with readings that the scale of forces is learned from.
_ENOUGH = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What sensors read at the end of control steps.

    Attributes:
        features: whitened, of the states arrived at and the actions they were reached under,
            ``(N, n_features)``.
        log_touch: log1p of the readings in newtons, ``(N, ns)``.
    """

    features: Tensor
    log_touch: Tensor

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.features)

    def rows(self, index: Tensor) -> Readings:
        """The readings at `index`."""
        return Readings(self.features[index], self.log_touch[index])


@torch.no_grad()
def make_readings(simulator: Simulator, dataset: Dataset) -> Readings:
    """The readings of a dataset that has them, for a model whose whitening is learned."""
    data = dataset.transitions()
    assert data.touch is not None
    state, action = data.next_state.to(simulator.dtype), data.action.to(simulator.dtype)
    context = simulator.moving_context(state)
    # The whitening is settled, so features are worked out once and not at every step.
    features = simulator.features.encode(state.qpos, state.qvel, state.act, action, context)
    # A real sensor's noise may put it below zero.
    return Readings(features, data.touch.clamp(min=0.0).log1p().to(simulator.dtype))


def touch_error(simulator: Simulator, readings: Readings) -> Tensor:
    """Mean squared error of log1p(newtons)."""
    assert simulator.touch_head is not None
    predicted: Tensor = simulator.touch_head(readings.features)
    return (predicted - readings.log_touch).square().mean()


@torch.inference_mode()
def learn_newtons(simulator: Simulator, dataset: Dataset) -> None:
    """Learn the scale of the forces of a model that `feels` from readings; its motion stays.

    Motion tells forces only relative to each other (twice as heavy with motors twice as strong
    moves alike). As they are in proportion, one reading would do: the median is taken. Where
    nothing has touched, nothing is known.

    Raises:
        DatasetError: if the data holds no readings.
    """
    data = dataset.transitions()
    if data.touch is None:
        raise DatasetError(
            f"{dataset.path} holds no touch readings; without any a model of "
            f"{simulator.spec.name} knows its forces only relative to each other. Let the "
            f"environment report them as info[{TOUCH!r}]."
        )
    felt = _FELT * data.touch.max()
    rows = torch.arange(len(data.touch))[data.touch.amax(1) > felt]
    rows = rows[:: max(1, len(rows) // _ENOUGH)]
    simulator.newtons.fill_(1.0)
    if not len(rows):
        return
    _, told = simulator.step_and_touch(data.state[rows], data.action[rows])
    told, true = told.to("cpu", torch.float64), data.touch[rows]
    both = (told > 0) & (true > felt)
    if both.any():
        simulator.newtons.fill_(float((true[both] / told[both]).median()))


def touch_trainer(
    simulator: Simulator, preset: Preset, train: Dataset, held_out: Dataset, seed: int
) -> Trainer[Readings]:
    """A trainer of the head alone, by the recipe the motion is learned by."""
    recipe = dataclasses.replace(preset, stages=(Stage(Part.TOUCH),))
    if preset.optimizer == LEVENBERG_MARQUARDT:
        # The head is a network: too many weights to solve for.
        recipe = dataclasses.replace(recipe, optimizer=DEFAULT.optimizer, steps=DEFAULT.steps)
    readings, other = make_readings(simulator, train), make_readings(simulator, held_out)
    lesson = Lesson(readings, thinned(other), touch_error)
    return Trainer(simulator, recipe, lambda stage: lesson, seed)
