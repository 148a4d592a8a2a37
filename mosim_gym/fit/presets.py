"""The recipes there are, by name."""

from __future__ import annotations

import dataclasses

from mosim_gym.dynamics.config import Flavour, ModelConfig, Precision
from mosim_gym.errors import unknown_name
from mosim_gym.fit.optimizers import LEVENBERG_MARQUARDT
from mosim_gym.fit.recipe import TAME, TAME_LAST, Preset
from mosim_gym.fit.stages import Part, Stage

DEFAULT = Preset(
    name="default",
    model=ModelConfig(predictor="residual", width=48, blocks=2),
    own_integrator=True,
    loss="whitened_increment",
    optimizer="soap",
    learning_rate=3e-3,
    batch_size=2048,
    clip=1.0,
    steps=20_000,
    patience=0.5,
    stages=(Stage(Part.PREDICTOR),),
)

#: For bodies that touch the ground and whose geometry is told, see `Preset.told`: a network that is
#: shown how near each point of the body is to the ground, and how it moves there.
CONTACT = dataclasses.replace(
    DEFAULT,
    name="contact",
    model=ModelConfig(predictor="residual", width=192, blocks=2, features=Flavour.CONTACT),
)

#: For recorded states with noise: a single step's target is mostly noise, ten steps' is not.
UNROLLED = dataclasses.replace(
    DEFAULT,
    name="unrolled",
    stages=(
        Stage(Part.PREDICTOR, share=4.0),
        Stage(Part.PREDICTOR, learning_rate=0.3, batch_size=512, unroll=10),
    ),
)

#: MoSim's own recipe (arXiv 2504.07095), the baseline of every table: raw inputs, one-step
#: unweighted error, Adam, an adaptive solver, the predictor first, then its corrector, then both.
PAPER = Preset(
    name="paper",
    model=ModelConfig(
        predictor="rigid_body",
        width=128,
        blocks=2,
        correctors=1,
        corrector_width=128,
        features=Flavour.RAW,
        integrator="dopri5",
    ),
    own_integrator=False,
    loss="state_mse",
    optimizer="adam",
    learning_rate=1e-3,
    batch_size=2048,
    clip=1.0,
    # The adaptive solver makes a step cost a second: a few minutes are a few hundred steps.
    steps=300,
    patience=1.0,
    stages=(
        Stage(Part.PREDICTOR, share=0.5),
        Stage(Part.CORRECTOR, share=0.3),
        Stage(Part.JOINT, share=0.2, learning_rate=0.3),
    ),
    estimate=False,
)

#: What is tried first elsewhere, and the other baseline of every table: a plain network of raw
#: states that tells the mean acceleration over a control step, one-step unweighted error, Adam.
MLP = Preset(
    name="mlp",
    model=ModelConfig(
        predictor="residual",
        width=256,
        blocks=2,
        features=Flavour.RAW,
        integrator="semi_implicit_euler",
    ),
    own_integrator=False,
    loss="state_mse",
    optimizer="adam",
    learning_rate=1e-3,
    batch_size=512,
    clip=1.0,
    steps=20_000,
    patience=1.0,
    stages=(Stage(Part.PREDICTOR),),
    estimate=False,
)

#: For contact-free bodies of hinges and slides: the Lagrangian is learned, exactly where the data
#: is. Few weights, solved for in float64: first the motion, then how its limits harden.
LAGRANGIAN = Preset(
    name="lagrangian",
    model=ModelConfig(predictor="lagrangian", precision=Precision.FLOAT64),
    own_integrator=True,
    loss="whitened_increment",
    optimizer=LEVENBERG_MARQUARDT,
    learning_rate=3e-3,
    batch_size=1024,
    clip=1.0,
    steps=70,
    patience=0.5,
    stages=(
        Stage(Part.OUTLINE, share=4.0),
        Stage(Part.PREDICTOR, share=3.0, batch_size=4096, hard=0.5),
    ),
)

#: The same for recorded states with noise. Hard rows would be the noisiest ones.
LAGRANGIAN_UNROLLED = dataclasses.replace(
    LAGRANGIAN,
    name="lagrangian_unrolled",
    steps=40,
    stages=(
        Stage(Part.OUTLINE, share=2.0, batch_size=16_384),
        Stage(Part.PREDICTOR, share=2.0, batch_size=2048, unroll=20),
    ),
)

#: The same mechanics for more than three hinges: the mass matrix and the potential are networks.
LAGRANGIAN_NETWORK = dataclasses.replace(
    DEFAULT,
    name="lagrangian_network",
    model=ModelConfig(predictor="lagrangian", width=64, blocks=2),
)

#: For bodies whose geometry is told, see `Preset.told`: their physics is learned, from few data.
ARTICULATED = dataclasses.replace(
    LAGRANGIAN,
    name="articulated",
    model=ModelConfig(predictor="articulated", precision=Precision.FLOAT64),
    batch_size=1024,
    steps=60,
    # From numbers that are far off it takes a few tens of steps; then it is there, or will not be.
    patience=0.25,
    stages=(Stage(Part.PREDICTOR),),
)

#: For bodies that touch in many places at once (humanoid), which a model far from the truth gets
#: all wrong: by their squares, a few rows would lead it to where nothing better is near.
ARTICULATED_ROBUST = dataclasses.replace(
    ARTICULATED,
    name="articulated_robust",
    patience=0.5,
    stages=(
        Stage(Part.PREDICTOR, share=3.0, tame=TAME),
        Stage(Part.PREDICTOR, share=1.0, tame=TAME_LAST),
    ),
)

#: What such physics leaves over (drag, play, what the geometry does not say) is then learned by a
#: network, which starts at zero and is kept as far as it lowers the held-out error.
ARTICULATED_CORRECTED = dataclasses.replace(
    ARTICULATED,
    name="articulated_corrected",
    model=dataclasses.replace(
        ARTICULATED.model, correctors=1, corrector_width=48, corrector_blocks=2
    ),
    steps=3_060,
    stages=(
        Stage(Part.PREDICTOR, share=60.0),
        Stage(Part.CORRECTOR, share=3_000.0, optimizer="soap", batch_size=512),
    ),
)

_ALL = (
    ARTICULATED,
    ARTICULATED_CORRECTED,
    ARTICULATED_ROBUST,
    CONTACT,
    DEFAULT,
    UNROLLED,
    LAGRANGIAN,
    LAGRANGIAN_UNROLLED,
    LAGRANGIAN_NETWORK,
    MLP,
    PAPER,
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def get_preset(preset: str | Preset) -> Preset:
    """The preset of that name; a preset is returned as it is.

    Raises:
        UnknownNameError: listing the names there are.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    return PRESETS[preset]
