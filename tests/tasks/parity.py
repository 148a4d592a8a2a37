"""What the torch-native tasks are compared with: dm_control's own code, state by state.

A twin joins all the tests of `test_parity.py` and `test_starts.py` by a row in `TWINS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from mosim_gym.robots.spec import Joint, JointType, RobotSpec
from mosim_gym.tasks.base import Task
from mosim_gym.tasks.contexts import context_place
from mosim_gym.tasks.mujoco import load_dm_env, robot_of, seed, state_of
from mosim_gym.types import Float64Array, State
from tests.tasks import edges, edges_locomotion, edges_own

#: Makes states close to where a task's reward changes.
Edges = Callable[[RobotSpec, int, np.random.Generator], State]


class Twin(NamedTuple):
    """A task of dm_control's suite, its torch-native twin and its edges.

    `edges` may leave out the context; one that the task needs is then drawn from its starts.
    Random states are enough for a task without edges only if its reward varies over them.
    """

    domain: str
    task: str
    function: str
    edges: Edges | None = None

    def __str__(self) -> str:
        return f"{self.domain}-{self.task}"

    def make(self) -> Task[Any]:
        module, _, function = self.function.partition(":")
        return getattr(importlib.import_module(module), function)()

    def load_env(self, value: int = 0) -> Any:
        """dm_control's environment of the task, reset from seed `value`."""
        env = load_dm_env(self.domain, self.task)
        seed(env, value)
        env.reset()
        return env

    @property
    def robot(self) -> RobotSpec:
        return robot_of(self.domain, self.task)


# fmt: off
TWINS = (
    Twin("acrobot", "swingup", "mosim_gym.tasks.acrobot:swingup", edges.acrobot),
    Twin("acrobot", "swingup_sparse", "mosim_gym.tasks.acrobot:swingup_sparse", edges.acrobot),
    Twin("ball_in_cup", "catch", "mosim_gym.tasks.ball_in_cup:catch", edges.ball_in_cup),
    Twin("cartpole", "balance", "mosim_gym.tasks.cartpole:balance", edges.cartpole),
    Twin("cartpole", "balance_sparse", "mosim_gym.tasks.cartpole:balance_sparse", edges.cartpole),
    Twin("cartpole", "swingup", "mosim_gym.tasks.cartpole:swingup", edges.cartpole),
    Twin("cartpole", "swingup_sparse", "mosim_gym.tasks.cartpole:swingup_sparse", edges.cartpole),
    Twin("cartpole", "three_poles", "mosim_gym.tasks.cartpole:three_poles", edges.cartpole),
    Twin("cartpole", "two_poles", "mosim_gym.tasks.cartpole:two_poles", edges.cartpole),
    Twin("cheetah", "run", "mosim_gym.tasks.cheetah:run", edges_locomotion.cheetah),
    Twin("finger", "spin", "mosim_gym.tasks.finger:spin", edges.finger_spin),
    Twin("finger", "turn_easy", "mosim_gym.tasks.finger:turn_easy", edges.finger_turn),
    Twin("finger", "turn_hard", "mosim_gym.tasks.finger:turn_hard", edges.finger_turn),
    Twin("fish", "swim", "mosim_gym.tasks.fish:swim", edges_locomotion.fish_swim),
    Twin("fish", "upright", "mosim_gym.tasks.fish:upright", edges_locomotion.fish_upright),
    Twin("go2", "stand", "mosim_gym.tasks.go2:stand", edges_own.go2),
    Twin("go2", "walk", "mosim_gym.tasks.go2:walk", edges_own.go2),
    Twin("hopper", "hop", "mosim_gym.tasks.hopper:hop", edges_locomotion.hopper),
    Twin("hopper", "stand", "mosim_gym.tasks.hopper:stand", edges_locomotion.hopper),
    Twin("humanoid", "run", "mosim_gym.tasks.humanoid:run", edges_locomotion.humanoid),
    Twin("humanoid", "run_pure_state", "mosim_gym.tasks.humanoid:run_pure_state",
         edges_locomotion.humanoid),
    Twin("humanoid", "stand", "mosim_gym.tasks.humanoid:stand", edges_locomotion.humanoid),
    Twin("humanoid", "walk", "mosim_gym.tasks.humanoid:walk", edges_locomotion.humanoid),
    Twin("panda", "reach", "mosim_gym.tasks.panda:reach", edges_own.panda),
    Twin("pendulum", "swingup", "mosim_gym.tasks.pendulum:swingup", edges.pendulum),
    Twin("point_mass", "easy", "mosim_gym.tasks.point_mass:easy", edges.point_mass),
    Twin("point_mass", "hard", "mosim_gym.tasks.point_mass:hard", edges.point_mass),
    Twin("reacher", "easy", "mosim_gym.tasks.reacher:easy"),
    Twin("reacher", "hard", "mosim_gym.tasks.reacher:hard"),
    Twin("swimmer", "swimmer15", "mosim_gym.tasks.swimmer:swimmer15", edges_locomotion.swimmer),
    Twin("swimmer", "swimmer6", "mosim_gym.tasks.swimmer:swimmer6", edges_locomotion.swimmer),
    Twin("walker", "run", "mosim_gym.tasks.walker:run", edges_locomotion.walker),
    Twin("walker", "stand", "mosim_gym.tasks.walker:stand", edges_locomotion.walker),
    Twin("walker", "walk", "mosim_gym.tasks.walker:walk", edges_locomotion.walker),
)
# fmt: on


class Samples(NamedTuple):
    """States and the actions they were reached under, ``(n, nu)``."""

    state: State
    action: Tensor


class Truth(NamedTuple):
    """dm_control's word on a batch of samples: float64 arrays, and the touch it was given by."""

    observation: Float64Array
    reward: Float64Array
    terminated: Float64Array
    touch: Tensor | None


def random_samples(twin: Twin, n: int, rng: np.random.Generator) -> Samples:
    """Wide: past the joints' stops, many turns round, from almost at rest to very fast."""
    robot = twin.robot
    qpos = np.concatenate([_random_position(joint, n, rng) for joint in robot.joints], 1)
    speed = 10 ** rng.uniform(-2, 1.3, (n, 1))
    fields = {"qpos": qpos, "qvel": speed * rng.normal(size=(n, robot.nv))}
    if robot.na:
        fields["act"] = rng.uniform(-1, 1, (n, robot.na))
    return _with_actions(twin, State.from_numpy(fields), rng)


def edge_samples(twin: Twin, n: int, rng: np.random.Generator) -> Samples:
    """Near where the reward changes; random where the task names no such states."""
    if twin.edges is None:
        return random_samples(twin, n, rng)
    return _with_actions(twin, twin.edges(twin.robot, n, rng), rng)


def trajectory_samples(twin: Twin, n: int, rng: np.random.Generator) -> Samples:
    """The states of `n` control steps under random actions, each held for a few steps."""
    env = twin.load_env(int(rng.integers(2**31)))
    states, actions = [], []
    for step in range(n):
        if step % 7 == 0:
            action = rng.uniform(-1, 1, twin.robot.nu)
        env.step(action)
        states.append(State.from_numpy(state_of(env)))
        actions.append(action)
    return Samples(State.cat(states), torch.tensor(np.array(actions)))


def ask_dm_control(twin: Twin, samples: Samples) -> Truth:
    """Observation, reward and termination of dm_control's task after a forward pass, row by row."""
    env, touch = twin.load_env(), list(twin.make().touch)
    physics, place = env.physics, context_place(env)
    fields = {**samples.state.numpy(), "ctrl": samples.action.numpy()}
    context = fields.pop("context", None)
    rows = []
    for row in range(len(samples.state)):
        if place is not None and context is not None:
            place.write(place.of_model(physics.model.ptr), context[row])
        for name, values in fields.items():
            getattr(physics.data, name)[:] = values[row]
        mujoco.mj_forward(physics.model.ptr, physics.data.ptr)
        parts = env.task.get_observation(physics).values()
        rows.append((
            np.concatenate([np.ravel(part) for part in parts]),
            env.task.get_reward(physics),
            env.task.get_termination(physics) is not None,
            np.array(physics.named.data.sensordata[touch]) if touch else np.zeros(0),
        ))  # fmt: skip
    observation, reward, terminated, newtons = (np.array(part) for part in zip(*rows, strict=True))
    return Truth(observation, reward, terminated, torch.from_numpy(newtons) if touch else None)


def ask_twin(task: Task[Any], samples: Samples, touch: Tensor | None) -> Truth:
    """The same of a torch-native task, in the same form."""
    measured = task.measure(samples.state, samples.action, touch)
    observation, reward = task.observe(measured), task.reward(measured)
    ended = task.terminated(measured)
    if ended is None:
        ended = torch.zeros(len(samples.state), dtype=torch.bool)
    return Truth(observation.numpy(), reward.numpy(), ended.numpy(), touch)


def cast(samples: Samples, target: torch.dtype | str) -> Samples:
    """The same samples in another dtype or on another device."""
    return Samples(samples.state.to(target), samples.action.to(target))


def greatest_error(ours: Float64Array, theirs: Float64Array) -> float:
    """Absolute up to magnitude 1, relative above it."""
    assert ours.shape == theirs.shape
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())


def _with_actions(twin: Twin, state: State, rng: np.random.Generator) -> Samples:
    n = len(state)
    # dm_control's rewards clip no control, so some are beyond the range.
    action = torch.from_numpy(rng.uniform(-1.2, 1.2, (n, twin.robot.nu)))
    action[rng.random(n) < 0.2] = 0
    task, context = twin.make(), state.context
    if task.context_size and context is None:
        context = task.initial_states(n, rng).context
    return Samples(State(state.qpos, state.qvel, state.act, context), action)


def _random_position(joint: Joint, n: int, rng: np.random.Generator) -> Float64Array:
    if joint.type in (JointType.FREE, JointType.BALL):
        quaternion = rng.normal(size=(n, 4))
        quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
        place = rng.normal([0, 0, 1], 0.5, (n, 3))
        free = joint.type is JointType.FREE
        return np.concatenate([place, quaternion], 1) if free else quaternion
    if joint.range is not None:
        lower, upper = joint.range
        past = 0.1 * (upper - lower)
        return rng.uniform(lower - past, upper + past, (n, 1))
    if joint.type is JointType.HINGE:
        return rng.uniform(-12, 12, (n, 1))
    return rng.normal(0, 0.5, (n, 1))
