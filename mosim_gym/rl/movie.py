"""A film of the model beside true physics: same start, same actions, two simulators."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import trange

from mosim_gym.data.policies import AgentPolicy, Policy
from mosim_gym.data.states import STATE
from mosim_gym.errors import MosimError
from mosim_gym.registration import find_env
from mosim_gym.types import Array

FORMATS = (".gif", ".mp4")
_GAP = 8


def render_comparison(
    env_id: str,
    policy: Policy,
    out: Path,
    *,
    steps: int = 250,
    seed: int = 0,
    checkpoint: str | None = None,
    every: int = 1,
    progress: bool = True,
) -> float:
    """Write a film: left true physics, right the model, under the actions of `policy`.

    The model is never corrected: it sees the first state and then the actions only.

    Args:
        env_id: such as "MoSim/reacher-easy-v0".
        policy: gives the action for an observation of true physics.
        out: a ``.gif`` or ``.mp4`` file.
        steps: control steps.
        seed: of the true episode and the policy.
        checkpoint: the model; the task's own by default.
        every: draw every so many steps.
        progress: show a progress bar.

    Returns:
        The largest difference of any position between the two, in metres or radians.

    Raises:
        RenderingUnavailableError: if this machine has no OpenGL that MuJoCo can use.
        MosimError: for another kind of file, or if it cannot be written.
    """
    if out.suffix.lower() not in FORMATS:
        raise MosimError(f"{out} is no film; expected a name that ends in {' or '.join(FORMATS)}.")
    name = find_env(env_id).env_id
    _probe(out)
    true: Any = gym.make(name, dynamics="mujoco", render_mode="rgb_array")
    model: Any = gym.make(name, checkpoint=checkpoint, render_mode="rgb_array")
    frames, worst = [], 0.0
    try:
        if isinstance(policy, AgentPolicy):
            policy.check(true)
        observation, info = true.reset(seed=seed)
        model.reset(seed=seed, options=info[STATE])
        policy.reset(np.random.default_rng(seed))
        for step in trange(steps, desc="film", unit="step", disable=not progress):
            if step % every == 0:
                frames.append(_side_by_side(true.render(), model.render()))
            action = policy(observation)
            observation, _, ended, cut, info = true.step(action)
            guess = model.step(action)[-1]
            worst = max(worst, float(np.abs(info[STATE]["qpos"] - guess[STATE]["qpos"]).max()))
            if ended or cut:
                break
        _write(out, frames, true.metadata["render_fps"] / every)
    finally:
        true.close()
        model.close()
    return worst


def _side_by_side(left: Array, right: Array) -> Array:
    gap = np.full((left.shape[0], _GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _write(out: Path, frames: list[Array], fps: float) -> None:
    import imageio.v3 as iio

    temporary = out.with_name(f"{out.stem}.tmp{out.suffix}")
    try:
        if out.suffix.lower() == ".gif":
            iio.imwrite(temporary, frames, duration=1000 / fps, loop=0)
        else:
            iio.imwrite(temporary, frames, fps=fps)
        os.replace(temporary, out)
    except (OSError, ImportError, ValueError) as error:
        hint = 'pip install "mosim-gym[video]"' if out.suffix.lower() == ".mp4" else "another --out"
        raise MosimError(f"Cannot write {out}: {error}. Try {hint}, or a .gif.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _probe(out: Path) -> None:
    """Before any work: a folder that cannot be written shows now."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe = out.with_name(f"{out.stem}.tmp{out.suffix}")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MosimError(f"Cannot write {out}: {error}. Choose another --out.") from error
