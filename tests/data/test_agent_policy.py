import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, TransformAction, TransformObservation
from sb3_contrib import TQC
from stable_baselines3 import A2C, PPO, SAC

from mosim_gym.data.collect import collect
from mosim_gym.data.policies import AgentPolicy
from mosim_gym.errors import MosimError, UnknownNameError
from tests.data.fakes import PointMassEnv, contents


def save(tmp_path, algorithm, **kwargs):
    model = algorithm("MlpPolicy", PointMassEnv(), seed=0, device="cpu",
                      policy_kwargs={"net_arch": [8]}, **kwargs)  # fmt: skip
    model.save(tmp_path / "agent.zip")
    return tmp_path / "agent.zip"


@pytest.mark.parametrize(
    ("algorithm", "kwargs"),
    [(SAC, {"buffer_size": 10}), (SAC, {"buffer_size": 10, "use_sde": True}),
     (TQC, {"buffer_size": 10}), (PPO, {"n_steps": 8, "batch_size": 8}), (A2C, {})],
)  # fmt: skip
def test_acts_by_its_rng_alone(tmp_path, algorithm, kwargs):
    policy = AgentPolicy(save(tmp_path, algorithm, **kwargs))
    assert policy.description.startswith(f"agent({algorithm.__name__.lower()}, sha256 ")
    observation = np.ones(6, dtype=np.float32)
    torch.manual_seed(1)
    outside = torch.rand(1)
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(1)
        policy.reset(np.random.default_rng(seed))
        runs.append(np.stack([policy(observation) for _ in range(3)]))
        assert torch.equal(torch.rand(1), outside)
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    if not kwargs.get("use_sde"):
        assert not np.array_equal(runs[0][0], runs[0][1])


def test_collects_reproducibly(tmp_path):
    path = save(tmp_path, SAC, buffer_size=10)
    for name in ("a", "b"):
        collect(PointMassEnv(), tmp_path / name, episodes=2, policy=AgentPolicy(path),
                progress=False)  # fmt: skip
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_bad_agents(tmp_path):
    with pytest.raises(MosimError, match="No agent at"):
        AgentPolicy(tmp_path / "none.zip")
    with pytest.raises(MosimError, match="No agent at"):
        AgentPolicy(tmp_path / "none.zip", algo="sac")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(MosimError, match="is not a Stable-Baselines3 agent"):
        AgentPolicy(tmp_path / "text.zip")
    with pytest.raises(MosimError, match="Cannot load .* as a SAC agent"):
        AgentPolicy(tmp_path / "text.zip", algo="sac")
    with pytest.raises(UnknownNameError, match="Did you mean 'sac'"):
        AgentPolicy(save(tmp_path, A2C), algo="sacc")
    with pytest.raises(MosimError, match="5 is of type int; expected the path of a zip"):
        AgentPolicy(5)


def with_observations(space, value):
    return TransformObservation(PointMassEnv(), lambda _: value, space)


def test_an_agent_of_other_spaces_is_refused_before_a_folder_is_made(tmp_path):
    policy = AgentPolicy(save(tmp_path, A2C))
    short = with_observations(spaces.Box(-1, 1, (4,), np.float32), np.zeros(4, np.float32))
    parts = {"position": spaces.Box(-1, 1, (6,), np.float32)}
    dicts = with_observations(spaces.Dict(parts), {"position": np.zeros(6, np.float32)})
    double = spaces.Box(-2, 2, (2,), np.float32)
    scaled = TransformAction(PointMassEnv(), lambda action: action / 2, double)
    for env, words in (
        (short, r"with observations Box\(-inf, inf, \(6,\).* are Box\(-1.0, 1.0, \(4,\)"),
        (dicts, "are Dict.*Use an agent trained on this task"),
        (scaled, r"with actions Box\(-1.0.* are Box\(-2.0"),
    ):
        with pytest.raises(MosimError, match=words):
            collect(env, tmp_path / "d", episodes=1, policy=policy)
    assert not (tmp_path / "d").exists()


def test_spaces_that_differ_in_nothing_that_matters_pass(tmp_path):
    policy = AgentPolicy(save(tmp_path, A2C))
    policy.check(PointMassEnv())
    # Other limits and another float type; flattened from a dict.
    policy.check(with_observations(spaces.Box(-9, 9, (6,), np.float64), np.zeros(6)))
    parts = {name: spaces.Box(-1, 1, (3,), np.float64) for name in "ab"}
    policy.check(FlattenObservation(with_observations(spaces.Dict(parts), {})))


def test_agents_of_dicts_and_images(tmp_path):
    parts = {"camera": spaces.Box(0, 255, (36, 40, 3), np.uint8), "x": spaces.Box(-1, 1, (2,))}
    env = with_observations(spaces.Dict(parts), {})
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, device="cpu",
                policy_kwargs={"net_arch": [8]})  # fmt: skip
    model.save(tmp_path / "agent.zip")
    policy = AgentPolicy(tmp_path / "agent.zip")
    policy.check(env)
    with pytest.raises(MosimError, match="was trained with observations"):
        policy.check(with_observations(spaces.Dict({"x": parts["x"]}), {}))
