"""A robot of one's own: an MJCF, and a task as a few functions of the state, batched, in torch."""

import torch

import mosim_gym
from mosim_gym.robots.kinematics import Kinematics
from mosim_gym.robots.tree import Tree
from mosim_gym.tasks.layout import ObservationLayout

MJCF = __file__.replace("__init__.py", "arm.xml")


class Reach:
    layout = ObservationLayout({"angles": (2,), "way": (3,), "speeds": (2,)})
    context_size, touch = 3, ()  # the context is the target's x, y, z

    def __init__(self):
        self.body = Kinematics(Tree.from_mjcf(MJCF))
        self.hand = self.body.sites("hand")

    def initial_states(self, n, rng):
        pose, goal = torch.from_numpy(rng.uniform(-1, 1, (2, n, 2)))
        target = self.body(goal).points(self.hand)[:, 0]
        return mosim_gym.State(pose, torch.zeros_like(pose), context=target)

    def measure(self, state, action, touch=None):
        hand = self.body(state.qpos).points(self.hand)[:, 0]
        return state.qpos, state.context - hand, state.qvel

    def observe(self, measured):
        return torch.cat(measured, 1)

    def reward(self, measured):
        return (-10 * measured[1].norm(dim=1)).exp()

    def terminated(self, measured):
        return None


mosim_gym.register_body("arm", MJCF, {"reach": Reach}, n_substeps=2, time_limit=200)
