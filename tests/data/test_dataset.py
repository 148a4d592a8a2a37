import io
import json
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mosim_gym.data.dataset import Dataset, episode_path
from mosim_gym.data.episode import Episode, load_episode, save_episode
from mosim_gym.errors import DatasetError
from tests.data.fakes import make_dataset, make_episode, point_mass

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6)
QUICK = settings(max_examples=25, deadline=None)


@pytest.fixture
def folder(tmp_path):
    return make_dataset(tmp_path / "data", [5, 3, 8])


@QUICK
@given(lengths=LENGTHS, na=st.integers(0, 2))
def test_transitions_chain_and_agree_with_episodes(lengths, na):
    with tempfile.TemporaryDirectory() as tmp:
        data = Dataset.open(make_dataset(Path(tmp) / "d", lengths, spec=point_mass(na=na)))
        rows = data.transitions()
        assert len(rows) == data.n_steps == sum(lengths)
        start = 0
        for episode in data.episodes:
            end = start + len(episode)
            for name, value in rows.state.items():
                recorded = torch.from_numpy(getattr(episode, name))
                following = getattr(rows.next_state, name)
                assert value.dtype == torch.float64
                assert torch.equal(value[start:end], recorded[:-1])
                assert torch.equal(following[start:end], recorded[1:])
                assert torch.equal(following[start : end - 1], value[start + 1 : end])
            assert (rows.state.act is None) == (na == 0)
            assert torch.equal(rows.action[start:end], torch.from_numpy(episode.action))
            assert torch.equal(rows.reward[start:end], torch.from_numpy(episode.reward))
            flags = rows.terminated[start:end]
            assert flags[-1] == episode.terminated and not flags[:-1].any()
            start = end


@QUICK
@given(lengths=LENGTHS, horizon=st.integers(1, 6), stride=st.none() | st.integers(1, 7))
def test_windows_agree_with_episodes(lengths, horizon, stride):
    with tempfile.TemporaryDirectory() as tmp:
        data = Dataset.open(make_dataset(Path(tmp) / "d", lengths, spec=point_mass(na=1)))
        if max(lengths) < horizon:
            with pytest.raises(DatasetError, match=f"No window of {horizon} steps"):
                data.windows(horizon, stride)
            return
        windows = data.windows(horizon, stride)
        step = stride or horizon
        starts = [(e, s) for e in data.episodes for s in range(0, len(e) - horizon + 1, step)]
        assert len(windows) == len(starts) and windows.horizon == horizon
        for i, (episode, s) in enumerate(starts):
            for name in ("qpos", "qvel", "act"):
                expected = torch.from_numpy(getattr(episode, name)[s : s + horizon + 1])
                assert torch.equal(getattr(windows, name)[i], expected)
                assert torch.equal(getattr(windows.start, name)[i], expected[0])
            assert torch.equal(windows.start.context[i], torch.from_numpy(episode.context[s]))
            actions = torch.from_numpy(episode.action[s : s + horizon])
            assert torch.equal(windows.actions[i], actions)


@QUICK
@given(count=st.integers(1, 20), weights=st.lists(st.floats(0.05, 1), min_size=1, max_size=4),
       seed=st.integers(0, 99))  # fmt: skip
def test_split_partitions_episodes(count, weights, seed):
    fractions = [w / sum(weights) for w in weights]
    with tempfile.TemporaryDirectory() as tmp:
        data = Dataset.open(make_dataset(Path(tmp) / "d", [1] * count))
        if count < len(fractions):
            with pytest.raises(DatasetError, match="at least one episode a part"):
                data.split(fractions, seed)
            return
        parts = data.split(fractions, seed)
        seeds = [[e.seed for e in part.episodes] for part in parts]
        assert sorted(sum(seeds, [])) == list(range(count))
        assert all(isinstance(part, Dataset) and len(part) > 0 for part in parts)
        for part, share in zip(parts, fractions, strict=True):
            assert abs(len(part) - share * count) <= len(fractions)
        again = data.split(fractions, seed)
        assert [[e.seed for e in part.episodes] for part in again] == seeds


def test_split_shares_and_errors(folder):
    data = Dataset.open(folder)
    (part,) = data.split([0.4], seed=1)
    assert len(part) == 1
    for wrong in ([], [0.5, 0.6], [1.0, 0.0], [-1], [float("nan")]):
        with pytest.raises(DatasetError, match="Cannot split by"):
            data.split(wrong)


@pytest.mark.parametrize("na", [0, 1])
def test_substep_transitions_follow_the_physics_steps(tmp_path, na):
    spec = point_mass(n_substeps=3, na=na)
    data = Dataset.open(make_dataset(tmp_path / "d", [4, 2], spec=spec, substeps=True))
    rows = data.substep_transitions()
    assert len(rows) == 3 * data.n_steps
    coarse = data.transitions()
    for name, value in rows.state.items():
        following = getattr(rows.next_state, name)
        # Within an episode the physics steps chain, and every third is a control step.
        assert torch.equal(following[:11], value[1:12])
        assert torch.equal(value[::3], getattr(coarse.state, name))
        assert torch.equal(following[2::3], getattr(coarse.next_state, name))
    assert torch.equal(rows.action, coarse.action.repeat_interleave(3, 0))
    assert torch.equal(rows.terminated[2::3], coarse.terminated)
    assert int(rows.terminated.sum()) == int(coarse.terminated.sum())


def test_substeps_not_recorded(tmp_path, folder):
    with pytest.raises(DatasetError, match="--substeps"):
        Dataset.open(folder).substep_transitions()
    single = Dataset.open(make_dataset(tmp_path / "one", [3], spec=point_mass(n_substeps=1)))
    assert torch.equal(single.substep_transitions().state.qpos, single.transitions().state.qpos)


def test_start_states_and_sampling(folder):
    data = Dataset.open(folder)
    assert len(data.start_states()) == 5 + 3 + 8 + 3
    first = data.start_states(first_only=True)
    expected = np.stack([e.qpos[0] for e in data.episodes])
    assert np.array_equal(first.qpos.numpy(), expected)
    one = data.sample_states(2000, np.random.default_rng(0))
    two = data.sample_states(2000, np.random.default_rng(0))
    assert torch.equal(one.qpos, two.qpos)
    assert len(torch.unique(one.qpos, dim=0)) == 19


def test_reprs_say_what_is_there(folder):
    data = Dataset.open(folder)
    assert "3 episodes of point" in repr(data) and "'random'" in repr(data)
    assert "8 steps, nq 2, nv 2, nu 2, context 1" in repr(data.episodes[2])
    assert "3 episodes (16 steps)" in repr(data)
    assert repr(data.transitions()) == "Transitions(16, qpos 2, qvel 2, context 1, nu 2)"
    assert repr(data.windows(3)) == "Windows(4 of 3 steps, qpos 2, qvel 2, context 1)"


def test_opening_many_episodes_is_quick(tmp_path):
    folder = make_dataset(tmp_path / "d", [1])
    content = episode_path(folder, 0).read_bytes()
    for i in range(2000):
        episode_path(folder, i).write_bytes(content)
    start = time.perf_counter()
    assert len(Dataset.open(folder)) == 2000
    assert time.perf_counter() - start < 2


def test_empty_dataset_opens_but_gives_nothing(tmp_path):
    data = Dataset.open(make_dataset(tmp_path / "d", []))
    assert len(data) == 0 and data.episodes == ()
    for use in (data.transitions, lambda: data.windows(2), data.start_states,
                lambda: data.sample_states(1, np.random.default_rng(0))):  # fmt: skip
        with pytest.raises(DatasetError, match="holds no whole episode yet"):
            use()


@pytest.mark.parametrize("kwargs", [{"horizon": 0}, {"horizon": 2, "stride": 0}])
def test_windows_need_positive_sizes(folder, kwargs):
    with pytest.raises(DatasetError, match=r"is 0; expected an integer >= 1"):
        Dataset.open(folder).windows(**kwargs)


def test_equal_episodes_give_equal_bytes(tmp_path):
    episode = make_episode(point_mass(), 4, 1)
    save_episode(tmp_path / "a.npz", episode)
    time.sleep(0.01)
    save_episode(tmp_path / "b.npz", episode)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = load_episode(tmp_path / "a.npz", point_mass(), substeps=False)
    assert np.array_equal(back.qpos, episode.qpos) and back.seed == 1


@QUICK
@given(data=st.data())
def test_any_truncation_is_told(data):
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "000000.npz"
        save_episode(path, make_episode(point_mass(), 3, 0))
        whole = path.read_bytes()
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(DatasetError, match="000000.npz"):
            load_episode(path, point_mass(), substeps=False)


@QUICK
@given(position=st.floats(0, 0.999), flip=st.integers(1, 255))
def test_damaged_bytes_raise_only_dataset_errors(position, flip):
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / "000000.npz"
        save_episode(path, make_episode(point_mass(), 3, 0))
        content = bytearray(path.read_bytes())
        content[int(position * len(content))] ^= flip
        path.write_bytes(content)
        try:
            load_episode(path, point_mass(), substeps=False)
        except DatasetError as error:
            assert "000000.npz" in str(error)


def _npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _edited(**changes):
    episode = make_episode(point_mass(), 3, 0)
    arrays = {n: getattr(episode, n) for n in ("qpos", "qvel", "context", "action", "reward")}
    arrays |= {"terminated": np.array(False), "truncated": np.array(True), "seed": np.array(1)}
    return _npz(**{k: v for k, v in (arrays | changes).items() if v is not None})


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "truncated or foreign"),
        (b"not a zip", "truncated or foreign"),
        (pickle.dumps({"qpos": 1}), "truncated or foreign"),
        (_npz(x=np.zeros(2)), "qpos, qvel, action, reward, terminated, truncated, seed missing"),
        (_edited(qpos=np.array([{}], dtype=object)), "nothing pickled"),
        (_edited(qpos=np.zeros((4, 3))), r"qpos is float64 \(4, 3\); expected float64 \(4, 2\)"),
        (_edited(qvel=np.zeros((3, 2))), r"qvel is float64 \(3, 2\); expected float64 \(4, 2\)"),
        (_edited(action=np.zeros((0, 2))), r"action is float64 \(0, 2\)"),
        (_edited(reward=np.zeros(3, np.float32)), r"reward is float32 \(3,\)"),
        (_edited(qpos=np.full((4, 2), np.nan)), "qpos holds NaN"),
        (_edited(context=np.full((4, 1), np.inf)), "context holds NaN"),
        (_edited(context=np.zeros(4)), r"context is float64 \(4,\)"),
        (_edited(act=np.zeros((4, 1))), r"act is float64 \(4, 1\)"),
        (_edited(seed=np.array([1, 2])), "expected one integer"),
        (_edited(terminated=None), "terminated missing"),
    ],
)
def test_foreign_episodes_are_named(folder, content, match):
    episode_path(folder, 1).write_bytes(content)
    with pytest.raises(DatasetError, match=match) as caught:
        Dataset.open(folder).transitions()
    assert "000001.npz" in str(caught.value)


def test_npy_file_under_an_episode_name(folder):
    np.save(folder / "x.npy", np.zeros(3))
    (folder / "x.npy").rename(episode_path(folder, 1))
    with pytest.raises(DatasetError, match="000001.npz"):
        Dataset.open(folder)


def test_contexts_of_different_width(folder):
    episode_path(folder, 2).write_bytes(_edited(context=np.zeros((4, 2))))
    with pytest.raises(DatasetError, match="000002.npz has a context of 2 numbers.* of 1"):
        Dataset.open(folder).transitions()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: "{", "Cannot read .*metadata.json"),
        (lambda m: "[1]", "no schema_version"),
        (lambda m: '{"a": 1}', "no schema_version"),
        (lambda m: json.dumps(m | {"schema_version": 9}), "schema_version 9.*Upgrade mosim_gym"),
        (lambda m: json.dumps(m | {"robot": {"name": "x"}}), "incomplete or foreign.*robot spec"),
        (lambda m: json.dumps({k: v for k, v in m.items() if k != "policy"}), "policy"),
        (lambda m: json.dumps(m | {"noise": -1}), "noise is -1"),
    ],
)
def test_foreign_metadata_is_named(folder, change, match):
    path = folder / "metadata.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(DatasetError, match=match) as caught:
        Dataset.open(folder)
    assert "metadata.json" in str(caught.value)


def test_no_dataset_there(tmp_path):
    with pytest.raises(DatasetError, match="metadata.json is missing"):
        Dataset.open(tmp_path / "nowhere")


def test_episode_repr_of_an_open_end():
    episode = Episode(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((1, 1)), np.ones(1), False, True)
    assert "return 1, truncated, seed None" in repr(episode)
