"""A replay buffer of imagined transitions with the real ones beside them."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from mosim_gym.data.sb3 import StateReplayBuffer
from mosim_gym.errors import MosimError


class RealReplayBuffer(StateReplayBuffer, NStepReplayBuffer):
    """What was seen in reality: transitions for the agent, states for the model's resets."""


class MixedReplayBuffer(NStepReplayBuffer):
    """SB3's buffer for an agent that learns in a model; each batch holds some of reality too.

    The agent adds what it imagines, as to any buffer; whoever acts in reality adds to `real`. Give
    it as ``SAC(..., replay_buffer_class=MixedReplayBuffer, replay_buffer_kwargs={"real": buffer,
    "real_ratio": 0.1})``.

    Attributes:
        real: the real transitions and their states, one environment.
        real_ratio: share of a batch that is real, as soon as there is any.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        real: RealReplayBuffer,
        real_ratio: float = 0.1,
        n_steps: int = 1,
        gamma: float = 0.99,
    ) -> None:
        """Make the buffer of what is imagined.

        Args:
            buffer_size: imagined transitions kept, all environments together.
            observation_space: of both environments.
            action_space: of both.
            device: of the samples.
            n_envs: imagined environments.
            optimize_memory_usage: not supported.
            handle_timeout_termination: as in SB3.
            real: what is seen in reality; takes over device, n_steps and gamma.
            real_ratio: share of a batch that is real, as soon as there is any.
            n_steps: of the returns.
            gamma: discount a control step.

        Raises:
            MosimError: if real_ratio is no share.
        """
        if not 0 <= real_ratio <= 1:
            raise MosimError(f"real_ratio is {real_ratio!r}; expected a share of 0 to 1.")
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs=n_envs,
            optimize_memory_usage=optimize_memory_usage,
            handle_timeout_termination=handle_timeout_termination,
            n_steps=n_steps,
            gamma=gamma,
        )
        self.real_ratio = real_ratio
        self.real = real
        # Batches are made of both.
        real.device, real.n_steps, real.gamma = self.device, n_steps, gamma

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """A batch: `real_ratio` of it real, as far as there is anything of either kind."""
        n_real = round(self.real_ratio * batch_size) if self.real.size() else 0
        if not self.size():
            n_real = batch_size
        if n_real == 0:
            return super().sample(batch_size, env)
        real = self.real.sample(n_real, env)
        if n_real == batch_size:
            return real
        imagined = super().sample(batch_size - n_real, env)
        # Both say how far their returns look ahead, or neither does.
        pairs = [(a, b) for a, b in zip(real, imagined, strict=True) if a is not None]
        return ReplayBufferSamples(*(torch.cat([a, b]) for a, b in pairs if b is not None))
