import numpy as np
import pytest
import torch
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
