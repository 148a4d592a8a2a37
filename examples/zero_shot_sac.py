"""Plain SB3: SAC learns reacher on the learned model, then acts in dm_control's own reacher."""

import sys

import gymnasium as gym
from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy

import mosim_gym


def main(updates: int = 12_000) -> float:
    """Train for so many updates; the mean return of 5 true episodes."""
    model = mosim_gym.make_sb3_vec_env("MoSim/reacher-easy-v0", n_envs=256, horizon=100)
    agent = SAC(
        "MlpPolicy",
        model,
        learning_rate=1e-3,
        tau=0.01,
        n_steps=3,  # a sparse reward travels faster through three steps at once
        gradient_steps=2,  # fresh experience is cheap here: one vector step is 256 steps
        learning_starts=12_800,
        buffer_size=400_000,
        ent_coef="auto_0.05",
        policy_kwargs={"net_arch": [128, 128]},
        seed=0,
    )
    agent.learn(12_800 + updates // 2 * 256)
    reality = gym.make("MoSim/reacher-easy-v0", dynamics="mujoco")
    mean, std = evaluate_policy(agent, reality, n_eval_episodes=5, warn=False)
    print(f"true dm_control reacher-easy: {mean:.0f} +- {std:.0f}, after 0 real training steps")
    return float(mean)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
