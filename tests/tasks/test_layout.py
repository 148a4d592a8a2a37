"""Observation orders: dm_control's own, Shimmy's sorted one, and the parts."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from mosim_gym.envs.spaces import ObservationFormat, row_of
from mosim_gym.tasks.layout import ObservationLayout, ObsOrder
from mosim_gym.tasks.mujoco import load_dm_env

SHAPES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.sampled_from([(), (1,), (3,), (2, 2)]),
    min_size=1,
    max_size=5,
)


@given(SHAPES, st.integers(1, 3))
def test_split_gives_the_parts_of_the_flat_vector_in_order(shapes, rows):
    layout = ObservationLayout(shapes)
    flat = np.arange(rows * layout.size, dtype=np.float64).reshape(rows, layout.size)
    parts = layout.split(flat)
    assert list(parts) == list(shapes)
    assert {name: part.shape for name, part in parts.items()} == {
        name: (rows, *shape) for name, shape in shapes.items()
    }
    joined = np.concatenate([part.reshape(rows, -1) for part in parts.values()], 1)
    np.testing.assert_array_equal(joined, flat)


@given(SHAPES)
def test_sorted_columns_are_a_permutation_that_agrees_with_flattening_a_dict_space(shapes):
    layout = ObservationLayout(shapes)
    columns = layout.sorted_columns()
    assert sorted(columns) == list(range(layout.size))
    space = spaces.Dict({name: spaces.Box(-np.inf, np.inf, s) for name, s in shapes.items()})
    flat = np.arange(layout.size, dtype=np.float32)
    parts = {name: part[0] for name, part in layout.split(flat[None]).items()}
    np.testing.assert_array_equal(spaces.flatten(space, parts), flat[columns])


@given(SHAPES, st.sampled_from(list(ObsOrder)))
def test_packed_observations_are_fresh_and_in_their_space(shapes, order):
    layout = ObservationLayout(shapes)
    shown = ObservationFormat(layout, order)
    flat = np.arange(2 * layout.size, dtype=np.float32).reshape(2, layout.size)
    packed = shown.pack(flat)
    parts = packed if isinstance(packed, dict) else {"": packed}
    for part in parts.values():
        assert part.dtype == np.float32
        assert not np.shares_memory(part, flat)
    for row in range(2):
        assert shown.space.contains(row_of(packed, row))


@pytest.mark.parametrize(
    ("domain", "task"),
    [("reacher", "easy"), ("walker", "walk"), ("humanoid", "stand"), ("hopper", "hop")],
)
def test_layout_of_the_suite(domain, task):
    observation = load_dm_env(domain, task).reset().observation
    layout = ObservationLayout.of(observation)
    native = np.concatenate([np.ravel(part) for part in observation.values()])
    in_order = np.concatenate([np.ravel(observation[name]) for name in sorted(observation)])
    np.testing.assert_array_equal(native[layout.sorted_columns()], in_order)
    for name, part in layout.split(native[None]).items():
        np.testing.assert_array_equal(part[0], observation[name])
    # Whether the orders differ is what users of flat vectors trip over.
    differs = {"reacher": False, "walker": True, "humanoid": True, "hopper": True}[domain]
    assert (layout.sorted_columns() != np.arange(layout.size)).any() == differs


@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")
@pytest.mark.parametrize("domain,task", [("reacher", "easy"), ("walker", "walk")])
def test_sorted_is_what_shimmy_flattened_gives(domain, task):
    gym.register_envs(pytest.importorskip("shimmy"))
    env = gym.make(f"dm_control/{domain}-{task}-v0")
    flattened = gym.wrappers.FlattenObservation(env)
    observation, _ = flattened.reset(seed=1)
    parts = env.unwrapped._env.task.get_observation(env.unwrapped._env.physics)
    layout = ObservationLayout.of(parts)
    native = np.concatenate([np.ravel(part) for part in parts.values()])[None]
    shown = ObservationFormat(layout, ObsOrder.SORTED)
    np.testing.assert_array_equal(shown.pack(native)[0], observation.astype(np.float32))
    assert shown.space.shape == flattened.observation_space.shape
    as_dict = ObservationFormat(layout, ObsOrder.DICT)
    assert list(as_dict.space.spaces) == list(env.observation_space.spaces)
    env.close()
