"""The environments there are: a table of bodies, and the only `gymnasium.register` calls."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mosim_gym.errors import CheckpointError, MosimError, unknown_name
from mosim_gym.tasks.own import OWN_BODIES, SHIPPED

if TYPE_CHECKING:
    from mosim_gym.tasks.base import Task

NAMESPACE = "MoSim"
#: Control steps of an episode of dm_control's suite.
_EPISODE = 1000


@dataclass(frozen=True, slots=True)
class Body:
    """One body with its tasks: of dm_control's suite, or one of `mosim_gym.tasks.own`.

    Attributes:
        domain: dm_control's domain, or the name of the body.
        fingerprint: of the body after its tasks have initialised it; a learned model must have
            been made for this one.
        n_substeps: physics steps a control step; a learned model must take as many.
        tasks: their names.
        native: whether they are there in torch: ``mosim_gym.tasks.<domain>:<task>``, or what the
            body of one's own was registered with.
        checkpoint: the shipped model, used when none is asked for.
        time_limit: control steps until an episode ends; ``None`` for never.
        unlearnable: why no model can be made, in words.
    """

    domain: str
    fingerprint: str
    n_substeps: int
    tasks: tuple[str, ...]
    native: bool = False
    checkpoint: str | None = None
    time_limit: int | None = _EPISODE
    unlearnable: str | None = None


_TERRAIN = "its terrain is drawn anew at every reset and is no part of the state a model sees"

BODIES = (
    Body(
        "acrobot",
        "592f9be8f7a25bee",
        1,
        ("swingup", "swingup_sparse"),
        native=True,
        checkpoint="acrobot",
    ),
    Body(
        "ball_in_cup",
        "6a0326cc36da2049",
        10,
        ("catch",),
        native=True,
        checkpoint="ball_in_cup",
    ),
    Body(
        "cartpole",
        "024b3eba53c5ee1b",
        1,
        ("balance", "balance_sparse", "swingup", "swingup_sparse"),
        native=True,
        checkpoint="cartpole",
    ),
    Body("cartpole", "ce46eff915ad6cdb", 1, ("two_poles",), native=True),
    Body("cartpole", "ad1cceccc3ade080", 1, ("three_poles",), native=True),
    Body("cheetah", "163d8b2ec65b5923", 1, ("run",), native=True, checkpoint="cheetah"),
    Body("dog", "ed8f5db3a851a7cd", 3, ("stand", "walk", "trot", "run")),
    Body("dog", "b7c0525fc63382f0", 3, ("fetch",)),
    Body("finger", "60f11420ee8bc16c", 2, ("spin",), native=True),
    Body("finger", "0c3d0fbf3f2e30e4", 2, ("turn_easy", "turn_hard"), native=True),
    Body("fish", "9c98b57046d1f145", 10, ("upright", "swim"), native=True),
    Body("go2", "b703ade31f110615", 5, ("stand", "walk"), native=True, checkpoint="go2"),
    Body("hopper", "9a07ec36baf2692c", 4, ("stand", "hop"), native=True, checkpoint="hopper"),
    Body(
        "humanoid",
        "f9b4510b6293ad92",
        5,
        ("stand", "walk", "run", "run_pure_state"),
        native=True,
        checkpoint="humanoid",
    ),
    Body("humanoid_CMU", "f4d087dfaab28582", 10, ("stand", "walk", "run")),
    Body("lqr", "e78d31dc0294e709", 1, ("lqr_2_1",), time_limit=None),
    Body("lqr", "9c10e6b7d67e0020", 1, ("lqr_6_2",), time_limit=None),
    Body("manipulator", "49bf026e503b827b", 10, ("bring_ball",)),
    Body("manipulator", "19ee923c9a832e32", 10, ("bring_peg",)),
    Body("manipulator", "23f25062e6c8080c", 10, ("insert_ball",)),
    Body("manipulator", "0641734ce193f421", 10, ("insert_peg",)),
    Body(
        "panda",
        "2be8fd22c01e1d2a",
        5,
        ("reach",),
        native=True,
        checkpoint="panda",
        time_limit=250,
    ),
    Body("pendulum", "4ed2b2b4ed084331", 1, ("swingup",), native=True, checkpoint="pendulum"),
    Body("point_mass", "dc046e9e4542f88c", 1, ("easy",), native=True, checkpoint="point_mass"),
    Body("point_mass", "2c602d57db35a37c", 1, ("hard",), native=True),
    Body("quadruped", "cef8a18172c70c04", 4, ("walk", "run"), checkpoint="quadruped"),
    Body("quadruped", "a6bcdb2dc257eff6", 4, ("escape",), unlearnable=_TERRAIN),
    Body("quadruped", "9427bf47d2fbf05c", 4, ("fetch",)),
    Body("reacher", "42e3b14e6f4a4008", 1, ("easy", "hard"), native=True, checkpoint="reacher"),
    Body("stacker", "f78d6391843eb746", 10, ("stack_2",)),
    Body("stacker", "62e2d02b27f315f9", 10, ("stack_4",)),
    Body(
        "swimmer",
        "3cef514e88bfd507",
        15,
        ("swimmer6",),
        native=True,
        checkpoint="swimmer6",
    ),
    Body("swimmer", "49b9bb81d0ddf251", 15, ("swimmer15",), native=True),
    Body(
        "walker",
        "980c8196e521498b",
        10,
        ("stand", "walk", "run"),
        native=True,
        checkpoint="walker",
    ),
)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One registered task.

    Attributes:
        body: what moves.
        task: its name.
    """

    body: Body
    task: str

    @property
    def domain(self) -> str:
        """The name of the body."""
        return self.body.domain

    @property
    def name(self) -> str:
        """``domain-task``."""
        return f"{self.domain}-{self.task}"

    @property
    def argument(self) -> str:
        """What the command line calls it; a body of one's own needs the module it comes from."""
        ours = self.domain in SHIPPED or self.domain not in OWN_BODIES
        return self.name if ours else f"MODULE:{self.name}"

    @property
    def env_id(self) -> str:
        """The Gymnasium id."""
        return f"{NAMESPACE}/{self.name}-v0"

    @property
    def max_episode_steps(self) -> int | None:
        """Control steps until the time limit; ``None`` for never."""
        return self.body.time_limit

    def native_task(self) -> Task[Any] | None:
        """The torch-native task, if it has one."""
        if not self.body.native:
            return None
        own = OWN_BODIES.get(self.domain)
        if own is not None:
            return own.tasks[self.task]()
        module = importlib.import_module(f"mosim_gym.tasks.{self.domain}")
        task: Task[Any] = getattr(module, self.task)()
        return task

    def require_learnable(self) -> None:
        """Raise a MosimError if no model of it can be made."""
        if self.body.unlearnable is not None:
            raise MosimError(
                f"{self.env_id} has no learned model: {self.body.unlearnable}. "
                'Use dynamics="mujoco".'
            )

    def require_checkpoint(self) -> str:
        """Name of the shipped model.

        Raises:
            CheckpointError: if there is none, with the commands that make one.
        """
        if self.body.checkpoint is None:
            raise CheckpointError(
                f"{self.env_id} has no shipped model. Make one: `mosim-gym collect {self.argument} "
                f"--out DATA`, then `mosim-gym fit DATA --out MODEL`, and pass "
                'checkpoint="MODEL"; or use true physics: dynamics="mujoco".'
            )
        return self.body.checkpoint


#: All tasks; `add_body` adds to them.
ROWS = [TaskRow(body, task) for body in BODIES for task in body.tasks]


def find_row(domain: str, task: str) -> TaskRow:
    """The row of a task.

    Raises:
        UnknownNameError: listing near matches.
    """
    mine = {row.task: row for row in ROWS if row.domain == domain}
    if not mine:
        raise unknown_name("domain", domain, sorted({row.domain for row in ROWS}))
    if task not in mine:
        raise unknown_name(f"task of {domain}", task, mine)
    return mine[task]


def find_env(env_id: str) -> TaskRow:
    """The row of a Gymnasium id, with or without the module that registers it, ``module:id``.

    Raises:
        UnknownNameError: listing near matches.
        MosimError: if there is no such module.
    """
    name = without_module(env_id)
    for row in ROWS:
        if row.env_id == name:
            return row
    raise unknown_name("environment", name, [row.env_id for row in ROWS])


def without_module(name: str) -> str:
    """What comes after ``module:``; the module is imported first, as Gymnasium does.

    Raises:
        MosimError: if there is no such module.
    """
    module, _, rest = name.rpartition(":")
    if module and module != "mosim_gym":
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise MosimError(
                f"{name!r} asks for the module {module!r}: {error}. Run it where the module is, or "
                "install it."
            ) from error
    return rest


def add_body(body: Body) -> None:
    """Add a body of the user's, in place of one of the same name, and register its tasks."""
    import gymnasium

    for row in [row for row in ROWS if row.domain == body.domain]:
        ROWS.remove(row)
        gymnasium.registry.pop(row.env_id, None)
    ROWS.extend(TaskRow(body, task) for task in body.tasks)
    register_envs()


def register_envs() -> None:
    """Register every row with Gymnasium; called when `mosim_gym` is imported."""
    import gymnasium

    for row in ROWS:
        if row.env_id not in gymnasium.registry:
            gymnasium.register(
                id=row.env_id,
                entry_point="mosim_gym.envs.single:MosimEnv",
                vector_entry_point="mosim_gym.envs.vector:MosimVectorEnv",
                max_episode_steps=row.max_episode_steps,
                kwargs={"domain": row.domain, "task": row.task},
            )
