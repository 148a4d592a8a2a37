"""You train on Shimmy's dm_control already: keep the states, and go on in the model."""

import sys

import gymnasium as gym
import shimmy
from gymnasium.wrappers import FlattenObservation
from stable_baselines3 import SAC

import mosim_gym


def main(real_steps: int = 1_500, model_steps: int = 5_000) -> int:
    """SAC on Shimmy's reacher, then on the model from the states Shimmy's env was in."""
    gym.register_envs(shimmy)
    real = mosim_gym.PhysicsStateInfo(gym.make("dm_control/reacher-easy-v0"))
    agent = SAC(
        "MlpPolicy",
        FlattenObservation(real),
        replay_buffer_class=mosim_gym.StateReplayBuffer,
        # Which body the states are of: a model of another one would refuse them.
        replay_buffer_kwargs={"robot": real.robot},
        learning_starts=500,
    )
    agent.learn(real_steps)

    # Shimmy + FlattenObservation sorts the parts of an observation: "sorted" is the same order.
    model = mosim_gym.make_sb3_vec_env(
        "MoSim/reacher-easy-v0", n_envs=32, horizon=20, obs_order="sorted"
    )
    model.env_method("set_reset_source", mosim_gym.ReplayResets(agent.replay_buffer))
    imagined = SAC("MlpPolicy", model, learning_starts=500, gradient_steps=4)
    imagined.set_parameters(agent.get_parameters())
    imagined.learn(model_steps)
    return int(imagined.num_timesteps)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
