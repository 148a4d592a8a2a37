"""Few real steps, then the model: its episodes start from states the real system was in."""

import sys
from pathlib import Path

import gymnasium as gym
from stable_baselines3 import SAC

import mosim_gym


def main(real_steps: int = 2_000, folder: str = "runs/replay_seeded") -> int:
    """Fill a replay buffer on the true env, save it, go on in the model from its states."""
    real = gym.make("mosim_gym:MoSim/reacher-easy-v0", dynamics="mujoco")
    agent = SAC(
        "MlpPolicy", real, replay_buffer_class=mosim_gym.StateReplayBuffer, learning_starts=500
    )
    agent.learn(real_steps)

    # Live: what the buffer holds later is drawn later.
    model = mosim_gym.make_sb3_vec_env("MoSim/reacher-easy-v0", n_envs=64, horizon=20)
    model.env_method("set_reset_source", mosim_gym.ReplayResets(agent.replay_buffer))
    model.reset()

    # Or from a file, by a plain JSON argument of gym.make.
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = Path(folder) / "real.npz"
    agent.replay_buffer.save(file)
    env = gym.make("MoSim/reacher-easy-v0", resets=str(file), horizon=20)
    env.reset(seed=0)
    print(f"{len(agent.replay_buffer)} real states seed the model's episodes")
    return len(agent.replay_buffer)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
