"""The state of an unfinished run with few real steps: written after every round, and gone on from.

One safetensors file, nothing pickled, and the real transitions beside it. What goes on is the agent
with its optimisers, both buffers, the model and how it learns, and the random numbers of torch and
NumPy; imagined and real episodes begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from mosim_gym.errors import CheckpointError
from mosim_gym.fit.resume import read_state, write_state
from mosim_gym.rl.agent_state import (
    STATE,
    agent_state,
    end_running_episodes,
    require_whole,
    restore_agent,
)
from mosim_gym.rl.callbacks import CurvePoint
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.mixed_buffer import MixedReplayBuffer, RealReplayBuffer
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.result import Round


class RunState:
    """Reads and writes the state in a run folder.

    Attributes:
        file: the state; it names the file of the real transitions that belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        """See the class."""
        self.file = folder / STATE

    def write(
        self,
        agent: OffPolicyAlgorithm,
        reality: Reality,
        model: GrowingModel | None,
        action_delay: int,
        rounds: Sequence[Round],
        curve: Sequence[CurvePoint],
    ) -> None:
        """Write where a run stands; what was there before is replaced as a whole."""
        buffer = agent.replay_buffer
        assert isinstance(buffer, MixedReplayBuffer)
        real = self.file.with_name(f"real-{reality.steps}.npz")
        buffer.real.save(real)
        state = {
            "agent": agent_state(agent),
            "real": real.name,
            "reality": {"steps": reality.steps, "returns": list(reality.returns)},
            "action_delay": action_delay,
            "model": None if model is None else model.refit.state(),
            "rounds": [asdict(item) for item in rounds],
            "curve": [asdict(point) for point in curve],
        }
        write_state(self.file, state)
        for older in self.file.parent.glob("real-*.npz"):
            if older != real:
                older.unlink()

    def read(self) -> Past:
        """What was written.

        Raises:
            CheckpointError: if the file is damaged or foreign.
        """
        try:
            return Past(self.file.parent, read_state(self.file))
        except (CheckpointError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self.file} is damaged, or of another version, and cannot be gone on from. What "
                f"was recorded is in {self.file.parent / 'real'}; start afresh with another --out."
            ) from error

    def remove(self) -> None:
        """Delete what only an unfinished run needs."""
        for file in (self.file, *self.file.parent.glob("real-*.npz")):
            file.unlink(missing_ok=True)


class Past:
    """What a run was when it was last written.

    Attributes:
        rounds: that were.
        curve: of the agent until then.
        seconds: since it began.
        action_delay: control steps that actions take to arrive.
    """

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        """See the class."""
        self._folder, self._state, self._more = folder, state, False
        self._agent = require_whole(state["agent"])
        self.action_delay = int(state["action_delay"])
        self.rounds = [Round(**row) for row in state["rounds"]]
        self.curve = [CurvePoint(**point) for point in state["curve"]]
        ends = [row.seconds for row in self.rounds] + [point.seconds for point in self.curve]
        self.seconds = max(ends, default=0.0)

    def restore_reality(self, reality: Reality, seen: RealReplayBuffer) -> None:
        """Let the counts and what was seen go on."""
        seen.load(self._folder / self._state["real"])
        end_running_episodes(seen)
        self._more = reality.go_on(**self._state["reality"])

    def restore_model(self, model: GrowingModel, reality: Reality) -> None:
        """Let a model go on, and learn from what was recorded since it was written."""
        model.go_on(self._state["model"], reality.steps)
        if self._more:
            model.learn(reality.dataset(), reality.steps)

    def restore_agent(self, agent: OffPolicyAlgorithm) -> None:
        """Let a new agent go on as the one that was written, its imagined transitions included."""
        restore_agent(agent, self._agent)
