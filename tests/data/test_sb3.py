import inspect

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from mosim_gym.data.sb3 import StateDictReplayBuffer, StateReplayBuffer
from mosim_gym.data.sources import ReplayStates, load_replay_states, open_state_source
from mosim_gym.data.state_info import PhysicsStateInfo
from mosim_gym.errors import DatasetError
from tests.data.fakes import PointMassEnv, point_mass
from tests.data.replays import ACT, OBS, fill, step


@settings(max_examples=25, deadline=None)
@given(steps=st.integers(1, 25), n_envs=st.integers(1, 3), thrifty=st.booleans())
def test_is_sb3s_buffer_with_states(steps, n_envs, thrifty):
    arguments = {
        "device": "cpu", "n_envs": n_envs, "optimize_memory_usage": thrifty,
        "handle_timeout_termination": not thrifty,
    }  # fmt: skip
    ours = fill(StateReplayBuffer(10 * n_envs, OBS, ACT, **arguments), steps)
    plain = fill(ReplayBuffer(10 * n_envs, OBS, ACT, **arguments), steps)
    for seed in range(2):
        np.random.seed(seed)
        mine = ours.sample(8)
        np.random.seed(seed)
        theirs = plain.sample(8)
        assert all(
            torch.equal(a, b)
            for a, b in zip(mine, theirs, strict=True)
            if a is not None and b is not None
        )
    assert ours.size() == plain.size() and len(ours) == ours.size() * n_envs
    states = ours.states()
    together = torch.cat([states.qpos, states.qvel, states.context], 1)
    assert states.act is None and together.dtype == torch.float64
    expected = plain.observations[: plain.size()].reshape(-1, 6)
    # With optimize_memory_usage the row at pos holds a newer observation than its state.
    keep = np.ones(len(expected), dtype=bool)
    if thrifty and plain.full:
        keep[plain.pos * n_envs : (plain.pos + 1) * n_envs] = False
    assert np.array_equal(together.float().numpy()[keep], expected[keep])


def test_signature_is_sb3s():
    ours = inspect.signature(StateReplayBuffer.__init__).parameters
    theirs = inspect.signature(ReplayBuffer.__init__).parameters
    assert list(ours) == [*theirs, "robot"]
    expected = [*(p.default for p in theirs.values()), None]
    assert [p.default for p in ours.values()] == expected


def test_samples_are_uniform_over_all_that_is_stored():
    buffer = fill(StateReplayBuffer(8, OBS, ACT, device="cpu", n_envs=2), 7)
    stored = buffer.states().qpos
    drawn = buffer.sample_states(4000, np.random.default_rng(0)).qpos
    counts = (drawn[:, None] == stored[None]).all(2).sum(0)
    assert counts.sum() == 4000 and counts.min() > 350
    again = buffer.sample_states(4000, np.random.default_rng(0)).qpos
    assert torch.equal(drawn, again)


@pytest.mark.parametrize("steps", [1, 7, 13])
@pytest.mark.parametrize("thrifty", [False, True])
def test_save_and_load(tmp_path, steps, thrifty):
    def make():
        options = {"optimize_memory_usage": thrifty, "handle_timeout_termination": not thrifty}
        return StateReplayBuffer(20, OBS, ACT, device="cpu", n_envs=2, **options)

    buffer, path = fill(make(), steps), tmp_path / "buffer.npz"
    buffer.save(path)
    loaded = make()
    loaded.load(path)
    for more in range(2):
        np.random.seed(more)
        first = buffer.sample(16)
        np.random.seed(more)
        assert all(
            torch.equal(a, b)
            for a, b in zip(first, loaded.sample(16), strict=True)
            if a is not None and b is not None
        )
        assert torch.equal(buffer.states().qpos, loaded.states().qpos)
        for each in (buffer, loaded):
            each.add(*step(100 + more, 2))
    source = open_state_source(path)
    assert isinstance(source, ReplayStates) and len(source) == 2 * min(steps, 10)
    loaded.load(path)
    assert torch.equal(source.states.context, loaded.states().context)
    assert "states, qpos 2" in repr(source)
    assert len(source.sample_states(3, np.random.default_rng(0))) == 3


def test_empty_buffer(tmp_path):
    buffer = StateReplayBuffer(10, OBS, ACT, device="cpu")
    assert len(buffer) == 0 and buffer
    with pytest.raises(DatasetError, match="holds no state yet"):
        buffer.sample_states(1, np.random.default_rng(0))
    buffer.save(tmp_path / "empty.npz")
    with pytest.raises(DatasetError, match="holds no state yet"):
        load_replay_states(tmp_path / "empty.npz")
    fill(buffer, 3).load(tmp_path / "empty.npz")
    assert len(buffer) == 0


def test_bad_infos():
    buffer = StateReplayBuffer(10, OBS, ACT, device="cpu", n_envs=2)
    *rest, infos = step(0, 2)
    with pytest.raises(DatasetError, match="environment 1 holds no .*PhysicsStateInfo"):
        buffer.add(*rest, [infos[0], {}])
    bad = [infos[0], {"mosim/state_before": infos[1]["mosim/state_before"] | {"qpos": np.ones(3)}}]
    with pytest.raises(DatasetError, match="differ in their fields or sizes"):
        buffer.add(*rest, bad)
    bad[1]["mosim/state_before"]["qpos"] = np.array([np.nan, 0])
    with pytest.raises(DatasetError, match="not finite"):
        buffer.add(*rest, bad)
    assert len(buffer) == 0
    buffer.add(*rest, infos)
    for info in infos:
        info["mosim/state_before"] = {"qpos": np.ones(3), "qvel": np.ones(2)}
    with pytest.raises(DatasetError, match="one buffer for one robot"):
        buffer.add(*rest, infos)
    assert len(buffer) == 2


def test_plain_sac_run(tmp_path):
    env = DummyVecEnv([lambda: PointMassEnv(10) for _ in range(2)])
    model = SAC("MlpPolicy", env, replay_buffer_class=StateReplayBuffer, learning_starts=20,
                policy_kwargs={"net_arch": [8]}, buffer_size=100, device="cpu",
                replay_buffer_kwargs={"robot": point_mass()})  # fmt: skip
    model.learn(60)
    states = model.replay_buffer.states()
    together = torch.cat([states.qpos, states.qvel, states.context], 1).float().numpy()
    assert np.array_equal(together, model.replay_buffer.observations[:30].reshape(-1, 6))
    assert model.replay_buffer.spec == point_mass()


def test_sac_on_shimmy_with_dict_observations(tmp_path):
    pytest.importorskip("shimmy")
    env = PhysicsStateInfo(gym.make("dm_control/reacher-easy-v0"))
    model = SAC("MultiInputPolicy", env, replay_buffer_class=StateDictReplayBuffer,
                policy_kwargs={"net_arch": [8]}, learning_starts=20, buffer_size=50,
                device="cpu")  # fmt: skip
    model.learn(30)
    buffer = model.replay_buffer
    assert np.array_equal(buffer.states().qpos.numpy(), buffer.observations["position"][:30, 0])
    buffer.save(tmp_path / "b.npz")
    other = StateDictReplayBuffer(50, env.observation_space, env.action_space, device="cpu")
    other.load(tmp_path / "b.npz")
    assert np.array_equal(other.observations["velocity"], buffer.observations["velocity"])
    with pytest.raises(DatasetError, match="StateDictReplayBuffer"):
        StateReplayBuffer(50, env.observation_space, env.action_space)
    with pytest.raises(DatasetError, match="StateDictReplayBuffer was given .*Box"):
        StateDictReplayBuffer(50, OBS, env.action_space)
