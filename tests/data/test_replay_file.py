import pickle

import gymnasium as gym
import numpy as np
import pytest

from mosim_gym.data.dataset import Dataset
from mosim_gym.data.sb3 import StateReplayBuffer
from mosim_gym.data.sources import load_replay_states, open_state_source
from mosim_gym.errors import DatasetError, MosimError
from tests.data.fakes import free_body, make_dataset, point_mass
from tests.data.replays import ACT, OBS, fill


def test_bad_files(tmp_path):
    buffer = fill(StateReplayBuffer(10, OBS, ACT, device="cpu"), 5)
    path = tmp_path / "buffer.npz"
    buffer.save(path)
    whole = path.read_bytes()
    for cut in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        for read in (buffer.load, load_replay_states):
            with pytest.raises(DatasetError, match="buffer.npz"):
                read(path)
    np.savez(path, observations=np.zeros(3))
    for read in (buffer.load, load_replay_states):
        with pytest.raises(DatasetError, match="npz of something else"):
            read(path)
    path.write_bytes(whole)
    with pytest.raises(DatasetError, match="10 rows, this one has 20"):
        StateReplayBuffer(20, OBS, ACT, device="cpu").load(path)
    small = gym.spaces.Box(-1, 1, (3,), np.float32)
    with pytest.raises(DatasetError, match=r"observations is float32 \(1, 6\), in this"):
        StateReplayBuffer(10, small, ACT, device="cpu").load(path)
    with pytest.raises(DatasetError, match="Nothing at"):
        open_state_source(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="Cannot write"):
        buffer.save(tmp_path / "no folder" / "buffer.npz")
    assert len(buffer) == 5


@pytest.mark.parametrize("name", ["buffer.pkl", "script.py", "array.npy", "prefixed.npz"])
def test_files_that_are_no_npz_are_never_offered_to_pickle(tmp_path, name):
    path = tmp_path / name
    buffer = fill(StateReplayBuffer(10, OBS, ACT, device="cpu"), 5)
    if name == "buffer.pkl":
        path.write_bytes(pickle.dumps(buffer))
    elif name == "script.py":
        path.write_text("print('hello')")
    elif name == "array.npy":
        np.save(path, np.zeros(3))
    else:
        buffer.save(path)
        path.write_bytes(b"#!/bin/sh" + path.read_bytes())
    pickled = name == "buffer.pkl"
    words = r"is a pickle.*replay_buffer\.save" if pickled else "not a whole npz archive"
    for read in (buffer.load, load_replay_states, open_state_source):
        with pytest.raises(DatasetError, match=words) as caught:
            read(path)
        assert "allow_pickle" not in str(caught.value)
    assert len(buffer) == 5


def test_what_is_no_path_at_all(tmp_path):
    buffer = fill(StateReplayBuffer(10, OBS, ACT, device="cpu"), 5)
    uses = (buffer.save, buffer.load, load_replay_states, open_state_source, Dataset.open)
    for use in uses:
        with pytest.raises(DatasetError, match=r"5 is of type int; expected the path of .*Path"):
            use(5)


def edited(path, **changes):
    """The file of a buffer with some of its arrays replaced, or removed by None."""
    with np.load(path) as archive:
        arrays = dict(archive) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": None}, "size is missing"),
        ({"pos": np.zeros(3, int)}, "pos is no integer"),
        ({"state_replay_version": np.array("one")}, "state_replay_version is no integer"),
        ({"state_replay_version": np.array(2)}, "is of version 2.*Upgrade"),
        ({"state_qvel": np.zeros((2, 1, 2))}, r"qvel has shape \(2, 1, 2\), size is 5"),
        ({"robot": np.array("{}")}, "its robot is foreign"),
        ({"robot": np.array("no json")}, "its robot is foreign"),
    ],
)
def test_damaged_content(tmp_path, changes, words):
    buffer = fill(StateReplayBuffer(10, OBS, ACT, device="cpu"), 5)
    buffer.save(tmp_path / "b.npz")
    edited(tmp_path / "b.npz", **changes)
    for read in (buffer.load, load_replay_states):
        with pytest.raises(DatasetError, match=words):
            read(tmp_path / "b.npz")


def test_the_body_is_kept_where_it_is_known(tmp_path):
    def make(**options):
        return StateReplayBuffer(10, OBS, ACT, device="cpu", **options)

    path, robot = tmp_path / "b.npz", point_mass()
    told = fill(make(robot=robot), 5)
    assert told.robot is told.spec is robot
    told.save(path)
    assert open_state_source(path).spec == robot and "5 states of point" in repr(
        open_state_source(path)
    )
    untold = make()
    assert untold.spec is None
    untold.load(path)
    assert untold.spec == robot
    twin = make(robot=point_mass(name="twin"))
    with pytest.raises(MosimError, match="b.npz belongs to another body: point"):
        twin.load(path)
    assert len(twin) == 0
    # Files of buffers that were not told, or of earlier versions, stay good.
    fill(make(), 5).save(path)
    assert open_state_source(path).spec is None
    twin.load(path)
    assert twin.spec.name == "twin" and len(twin) == 5


def test_a_body_that_the_states_are_not_of(tmp_path):
    with pytest.raises(DatasetError, match="robot is 'point'; expected a RobotSpec"):
        StateReplayBuffer(10, OBS, ACT, device="cpu", robot="point")
    words = r"The buffer's state: qpos has shape \(2,\); expected \(11,\)"
    buffer = StateReplayBuffer(10, OBS, ACT, device="cpu", robot=free_body())
    for _ in range(2):
        with pytest.raises(DatasetError, match=words):
            fill(buffer, 1)
    assert len(buffer) == 0
    buffer.robot = point_mass()
    fill(buffer, 3)
    with pytest.raises(DatasetError, match=words):
        buffer.robot = free_body()
    assert buffer.spec == point_mass() and len(buffer) == 3


def test_a_dataset_is_a_state_source_too(tmp_path):
    assert isinstance(open_state_source(make_dataset(tmp_path / "d", [3])), Dataset)
