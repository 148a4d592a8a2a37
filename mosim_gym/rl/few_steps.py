"""`train_in_rounds`: an agent, a model and few real steps, in turns.

The agent is SB3's, unmodified: it learns in the model as in any environment, and a callback
(`mosim_gym.rl.rounds`) does the rest. After the last imagined step of a round the agent acts in
reality, the model learns from what was seen, and the next imagined episodes start from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import gymnasium as gym

from mosim_gym.data.delay import find_action_delay
from mosim_gym.envs.learned import LearnedEngine
from mosim_gym.envs.sb3 import MosimVecEnv, make_sb3_vec_env
from mosim_gym.errors import MosimError
from mosim_gym.files import write_json
from mosim_gym.fit.recipe import Preset
from mosim_gym.rl.agent_state import seed_after
from mosim_gym.rl.growing_model import GrowingModel
from mosim_gym.rl.imagination import make_agent, starts
from mosim_gym.rl.learning import Judges, learn_and_judge, make_run_folder
from mosim_gym.rl.mixed_buffer import RealReplayBuffer
from mosim_gym.rl.plan import Plan, make_plan
from mosim_gym.rl.reality import Reality
from mosim_gym.rl.refusals import CONFIG, check_reality, check_same_run
from mosim_gym.rl.result import TrainResult
from mosim_gym.rl.rounds import Rounds
from mosim_gym.rl.run_state import RunState
from mosim_gym.rl.strategies import Strategy
from mosim_gym.threads import torch_threads


def train_in_rounds(
    env_id: str,
    algo: str = "sac",
    *,
    strategy: str | Strategy = "on_policy",
    real_steps: int,
    model: str | Preset | None = None,
    dynamics: str = "learned",
    reality: Callable[[], gym.Env[Any, Any]] | None = None,
    action_delay: int | None = 0,
    observe_pending: bool = False,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    judgements: int = 8,
    curve_episodes: int = 5,
    final_episodes: int = 20,
    final_seed: int = 10_000,
    threads: int | None = 1,
    progress: bool = True,
) -> TrainResult:
    """Train an SB3 agent with few real steps and a model that is learned on the way.

    Args:
        env_id: such as "MoSim/cheetah-run-v0".
        algo: "sac", "tqc" or "td3".
        strategy: a name ("few_shot", "on_policy") or settings.
        real_steps: budget of steps in reality, those before the first fit included.
        model: what is learned, a preset or its name; "articulated" is told the geometry of the
            body. The strategy's own by default.
        dynamics: "learned", or "mujoco" to imagine in true physics: the same rounds with a perfect
            model, to compare with. What is imagined is then no step of the budget.
        reality: makes environments that report their states and observe as `env_id` does: one to
            act in, others to judge in (``judgements * curve_episodes + final_episodes`` whole
            episodes, which are not counted). True physics by default.
        action_delay: control steps that actions take to arrive in reality, and so in the model;
            ``None`` to find out in the first data (`mosim_gym.data.delay`). True physics, where it
            is reality, is given this delay: none, if it is to be found out.
        observe_pending: where there is a delay, tell the agent which actions are on their way: its
            observations end with them, and it acts in ``PendingActions(env, steps)`` afterwards.
        out: run folder, by default ``runs/<task>-<algo>-<strategy>-seed<seed>``; new or empty,
            unless resumed.
        resume: go on with the unfinished run in the folder, from the end of its last round; a new
            one if there is none. Imagined and real episodes begin anew there, and the updates of
            one step are lost. Real steps never are.
        seed: of all.
        judgements: how often to judge in true physics during training; costs no real steps of the
            budget, and nothing is learned from it.
        curve_episodes: whole episodes a judgement of the curve.
        final_episodes: whole episodes of the final judgement.
        final_seed: episode i of it is the one of ``final_seed + i``.
        threads: as for `train_agent`.
        progress: show a progress bar.

    Raises:
        UnknownNameError: for an unknown environment, algorithm, strategy or preset.
        MosimError: if the budget does not reach beyond the first steps, reality is of another
            body or has touch sensors that the model does not tell, the folder cannot be used, or
            the run there is finished.
    """
    began = time.perf_counter()
    if reality is None and action_delay is None:
        action_delay = 0  # true physics is as late as it is asked to be
    for what, count in (("curve", curve_episodes), ("final", final_episodes)):
        if count < 1:
            raise MosimError(f"{what}_episodes is {count}; expected 1 or more.")
    plan = make_plan(
        env_id,
        algo,
        strategy,
        model,
        real_steps=real_steps,
        dynamics=dynamics,
        action_delay=action_delay,
        observe_pending=observe_pending,
        seed=seed,
    )
    folder = Path("runs") / plan.name if out is None else Path(out)
    state = RunState(folder)
    with _acting(plan, reality, folder, state, resume) as real, torch_threads(threads):
        past = state.read() if resume and state.file.exists() else None
        seen = real.make_buffer(real_steps)
        if past is None:
            delay = _first_steps(plan, real, seen, progress)
        else:
            delay = past.action_delay
        told = observe_pending and delay > 0
        if told:
            seen = real.tell_pending(delay, seen)
        if past is not None:
            past.restore_reality(real, seen)
        growing = None
        if dynamics == "learned":
            growing = GrowingModel(real.robot, plan.preset, plan.turns, seed, folder, delay)
            if past is None:
                growing.begin(real.dataset(), real.steps)
            else:
                past.restore_model(growing, real)
        world: dict[str, Any] = {
            "dynamics": dynamics,
            "state_info": False,
            "action_delay": delay,
            "observe_pending": told,
        }
        if growing is not None:
            world["checkpoint"] = str(growing.path)
        rounds, curve = ([], []) if past is None else (past.rounds, past.curve)
        since = began - (0.0 if past is None else past.seconds)
        imagined = make_sb3_vec_env(
            plan.row.env_id,
            n_envs=plan.turns.agent.n_envs,
            horizon=plan.turns.agent.horizon,
            **world,
        )
        imagined.env_method("set_reset_source", starts(plan.turns, seen))
        agent = make_agent(plan.algorithm, imagined, plan.turns, seen, seed, folder)
        imagined.seed(seed_after(seed, len(rounds)))  # SB3 seeded it with the agent
        if past is not None:
            past.restore_agent(agent)
        if growing is not None:
            engine = cast(MosimVecEnv, imagined.unwrapped).world.engine
            assert isinstance(engine, LearnedEngine)
            growing.attach(engine.simulator)

        def save() -> None:
            state.write(agent, real, growing, delay, rounds, curve)

        save()  # real steps are dear: from here on none is lost
        result = learn_and_judge(
            agent,
            imagined,
            Judges(plan.row.env_id, world, reality),
            folder,
            total=plan.vector_steps * plan.turns.agent.n_envs,
            every=max(1, plan.updates // max(1, judgements)),
            real_steps=lambda: real.steps,
            separate=True,
            curve_episodes=curve_episodes,
            final=(final_episodes, final_seed),
            threads=threads,
            label=f"{plan.algorithm.value.upper()} {plan.name}" if progress else None,
            callbacks=[Rounds(real, plan.turns, real_steps, folder, growing, save, rounds, since)],
            since=since,
            curve=curve,
            rounds=rounds,
        )
        if not result.interrupted:
            state.remove()
        return result


@contextmanager
def _acting(
    plan: Plan,
    reality: Callable[[], gym.Env[Any, Any]] | None,
    folder: Path,
    state: RunState,
    resume: bool,
) -> Iterator[Reality]:
    """Reality, to act in and record; the run folder is made first, or is that of this run."""
    row = plan.row
    # A model of the physics step is taught by physics steps, where there are any to see.
    substeps = reality is None and plan.preset.own_integrator and row.body.n_substeps > 1
    if reality is None:
        delay = plan.action_delay or 0
        env = gym.make(row.env_id, dynamics="mujoco", substeps=substeps, action_delay=delay)
    else:
        env = reality()
    try:
        check_reality(env, row, plan.preset if plan.dynamics == "learned" else None)
        if resume and (folder / CONFIG).exists():
            check_same_run(folder, plan.settings())
        else:
            make_run_folder(folder)
            write_json(folder / CONFIG, plan.settings())
        policy = plan.turns.name
        real = Reality(env, folder / "real", policy=policy, seed=plan.seed, substeps=substeps)
    except BaseException:
        env.close()
        raise
    try:
        yield real
    finally:
        real.close()


def _first_steps(plan: Plan, real: Reality, seen: RealReplayBuffer, progress: bool) -> int:
    """The real steps before the first fit; after how many control steps actions arrive there.

    A run that broke off before its first state was written has taken some of them. Those teach the
    model; the agent's buffer, which began anew, is given a round's worth of others.
    """
    steps = plan.turns.first_steps - real.steps
    if real.steps:
        least = min(plan.turns.round_steps, plan.turns.first_steps, plan.real_steps - real.steps)
        steps = max(steps, least, 1)
    if progress:
        print(f"{steps} real steps under random actions, then a fit ...")
    real.act(steps, real.random_policy(), seen)
    if not real.has_episodes:
        raise MosimError(
            f"No episode of reality ended within {real.steps} steps; models learn from whole "
            "episodes. Let episodes end earlier, or give a strategy with larger first_steps."
        )
    if plan.action_delay is not None:
        return plan.action_delay
    delay = find_action_delay(real.dataset())
    if progress:
        print(f"Actions arrive {delay} control steps after they are chosen.")
    return delay
