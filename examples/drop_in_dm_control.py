"""Code written against `dm_control.suite.load` runs on the model after one changed line."""

import numpy as np

import mosim_gym


def main(steps: int = 1_000) -> float:
    """Random actions for so many steps; the sum of rewards."""
    # before: env = suite.load("reacher", "easy", task_kwargs={"random": 0})
    env = mosim_gym.load("reacher", "easy", task_kwargs={"random": 0})
    spec = env.action_spec()
    rng = np.random.default_rng(0)
    timestep = env.reset()
    total = 0.0
    for _ in range(steps):
        timestep = env.step(rng.uniform(spec.minimum, spec.maximum, spec.shape))
        total += timestep.reward or 0.0
    print(f"{steps} steps, {total:.0f} of them in the target; last observation:")
    print({name: part.round(3).tolist() for name, part in timestep.observation.items()})
    return total


if __name__ == "__main__":
    main()
