"""What ``uncertainty=`` changes for an agent that acts in a model: each use against none.

An agent acts in the ensemble that `benchmarks/uncertainty.py` fitted on random motion, 50 steps at
most from states that it visits in true physics. Every transition it would learn from is compared
with true physics twice: with one step from the same state under the same action, and with where
true physics is after all the actions since the start. Errors are whitened by the spread of the
agent's true motion; see `mosim_gym.evaluate.horizon`.

Run: python benchmarks/uncertainty_uses.py [--agent runs/some/agent.zip] (after uncertainty.py)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import write_csv
from torch import Tensor
from uncertainty import ENV_ID, FOLDER

import mosim_gym
from mosim_gym.data.dataset import Dataset
from mosim_gym.data.policies import AgentPolicy
from mosim_gym.evaluate.horizon import VALID_ERROR, measured_positions
from mosim_gym.registration import find_env
from mosim_gym.tasks.true_simulator import TrueSimulator
from mosim_gym.types import State

ROWS, STEPS = 256, 50
CASES: tuple[dict[str, Any], ...] = (
    {},
    *(
        {"uncertainty": "truncate", "uncertainty_score": score, "uncertainty_quantile": quantile}
        for score in ("spread", "disagreement", "density")
        for quantile in (0.95, 0.99, 0.999)
    ),
    {"uncertainty": "penalty", "uncertainty_quantile": 0.95},
    {"uncertainty": "penalty", "uncertainty_quantile": 0.99},
    {"uncertainty": "penalty", "uncertainty_score": "density"},
    {"uncertainty": "member"},
)


def act(case: dict[str, Any], agent: AgentPolicy, starts: State, true: TrueSimulator,
        std: Tensor) -> dict[str, Any]:  # fmt: skip
    """One row: the agent in the model, every row until it is first done."""
    checkpoint = str(FOLDER / "calibrated")
    env = mosim_gym.make_sb3_vec_env(
        ENV_ID,
        ROWS,
        seed=0,
        checkpoint=checkpoint,
        max_episode_steps=STEPS,
        state_info=True,
        **case,
    )
    fields = {name: value.numpy() for name, value in starts.items()}
    env.set_options([{name: value[i] for name, value in fields.items()} for i in range(ROWS)])
    observation = env.reset()
    keep = measured_positions(true.spec)

    def error(one: State, two: State) -> Tensor:
        apart = torch.cat([(one.qpos - two.qpos)[:, keep], one.qvel - two.qvel], 1)
        return (apart / std).square().mean(1).sqrt()

    going, real = np.ones(ROWS, bool), starts
    single, since, rewards, doubts, lengths = [], [], [], [], np.zeros(ROWS)
    for _ in range(STEPS):
        action = agent(observation)
        observation, reward, done, infos = env.step(action)
        before, after = (
            State.from_numpy({n: np.stack([i[key][n] for i in infos]) for n in ("qpos", "qvel")})
            for key in ("mosim/state_before", "mosim/state")
        )
        control = torch.as_tensor(np.clip(action, -1, 1), dtype=torch.float64)
        real = true.step(real, control)
        rows = torch.from_numpy(np.flatnonzero(going))
        single.append(error(after, true.step(before, control))[rows])
        since.append(error(after, real)[rows])
        rewards.append(torch.from_numpy(reward)[rows])
        doubts.append(torch.tensor([i.get("mosim/uncertainty", np.nan) for i in infos])[rows])
        lengths += going
        going &= ~done
        if not going.any():
            break
    one, far, paid = torch.cat(single), torch.cat(since), torch.cat(rewards)
    return {
        "uncertainty": case.get("uncertainty"),
        "score": case.get("uncertainty_score"),
        "quantile": case.get("uncertainty_quantile"),
        "mean_steps": round(float(lengths.mean()), 2),
        "one_step_median": round(float(one.median()), 4),
        "one_step_95": round(float(one.quantile(0.95)), 4),
        "since_start_median": round(float(far.median()), 4),
        "since_start_95": round(float(far.quantile(0.95)), 4),
        "share_valid": round(float((far <= VALID_ERROR).double().mean()), 4),
        "reward_mean": round(float(paid.mean()), 4),
        "doubt_mean": round(float(torch.cat(doubts).nanmean()), 4),
    }


def main() -> None:
    """All cases from the same states, with the same agent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given = FOLDER / "agent" / "agent.zip"
    parser.add_argument("--agent", type=Path, default=given, help="An SB3 agent.")
    agent = AgentPolicy(parser.parse_args().agent)
    torch.set_num_threads(1)
    motion = Dataset.open(FOLDER / "agent-motion")
    row = find_env(ENV_ID)
    true = TrueSimulator(row.domain, row.task, threads=1)
    states = motion.start_states()
    values = torch.cat([states.qpos[:, measured_positions(true.spec)], states.qvel], 1)
    starts = motion.sample_states(ROWS, np.random.default_rng(0))
    rows = []
    for case in CASES:
        rows.append(act(case, agent, starts, true, values.std(0)))
        print(rows[-1], flush=True)
    write_csv("uncertainty_uses", rows, rows_at_once=ROWS, steps=STEPS)


if __name__ == "__main__":
    main()
