"""Pictures of a body, drawn by MuJoCo from a state; nothing else needs OpenGL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mosim_gym.errors import MosimError, unknown_name
from mosim_gym.tasks.mujoco import enter_state, load_dm_env
from mosim_gym.types import Float64Array

RENDER_MODES = ["rgb_array"]


class RenderingUnavailableError(MosimError):
    """There is no OpenGL to draw with."""


def check_render_mode(render_mode: str | None) -> str | None:
    """The render mode, if it is one.

    Raises:
        UnknownNameError: naming those there are.
    """
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise unknown_name("render mode", render_mode, RENDER_MODES)
    return render_mode


class SceneRenderer:
    """Draws states of a task; the scene is loaded at the first picture.

    Args:
        domain: dm_control's domain.
        task: dm_control's task.
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, domain: str, task: str, width: int = 320, height: int = 240) -> None:
        """See the class."""
        self._names = (domain, task)
        self._size = (width, height)
        self._env: Any = None

    def draw(self, fields: Mapping[str, Float64Array]) -> NDArray[np.uint8]:
        """An image ``(height, width, 3)`` of the state ``{qpos, qvel, ...}`` of one body.

        Raises:
            RenderingUnavailableError: if this machine has no OpenGL that MuJoCo can use.
        """
        width, height = self._size
        try:
            if self._env is None:
                self._env = load_dm_env(*self._names)
                self._env.reset()
            enter_state(self._env, fields)
            # A file without a camera is looked at from where MuJoCo thinks best.
            camera = 0 if self._env.physics.model.ncam else -1
            image = self._env.physics.render(height=height, width=width, camera_id=camera)
        except Exception as error:  # each OpenGL backend fails with errors of its own
            raise RenderingUnavailableError(
                f"MuJoCo could not draw: {str(error).rstrip('.')}. Rendering needs OpenGL: set "
                "MUJOCO_GL=egl or MUJOCO_GL=osmesa before Python starts (Debian: libegl1 or "
                "libosmesa6) on a machine without a screen, MUJOCO_GL=glfw on one with a screen."
            ) from error
        return np.asarray(image, dtype=np.uint8)

    def close(self) -> None:
        """Free the scene and its OpenGL context."""
        if self._env is not None:
            self._env.physics.free()
            self._env = None
