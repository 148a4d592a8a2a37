"""The fingerprint changes exactly with what moves the body."""

import mujoco
import numpy as np
import pytest

from mosim_gym.registration import ROWS
from mosim_gym.robots.fingerprint import fingerprint
from mosim_gym.tasks.mujoco import load_dm_env, robot_of, seed, spec_of
from tests.robots.bodies import BODY, compiled

BASE = fingerprint(compiled(BODY))


def edited(old, new):
    assert BODY.count(old) == 1, old
    return fingerprint(compiled(BODY.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type="box" size=".2 .1 .1"', 'type="box" size=".2 .1 .1" mass="3"'),
        ('type="ball" damping=".3"', 'type="ball" damping=".31"'),
        ('timestep="0.005"', 'timestep="0.004"'),
        ('integrator="RK4"', 'integrator="Euler"'),
        ('range="-.1 .3"', 'range="-.1 .4"'),
        ('axis="1 0 0"', 'axis="0 1 0"'),
        ('ctrlrange="-1 2"', 'ctrlrange="-1 1"'),
        ('dynprm=".1"', 'dynprm=".2"'),
        ('dyntype="filter"', 'dyntype="filter" actlimited="true" actrange="0 .5"'),
        ('<exclude body1="head" body2="arm"/>', '<exclude body1="mast" body2="wheel"/>'),
        ('<contact><exclude body1="head" body2="arm"/></contact>', ""),
        ('name="floor" type="plane"', 'name="floor" type="plane" pos="0 0 .1"'),
        ('name="floor" type="plane"', 'name="floor" type="plane" friction=".5"'),
        ('<motor name="motor" joint="wheel"', '<motor name="motor" joint="wheel" gear="2"'),
        ('<motor name="motor" joint="wheel"', '<motor name="motor" site="tip"'),
        ('pos="2 0 1"', 'pos="2 0 1.1"'),
    ],
)
def test_it_changes_with_the_physics(old, new):
    assert edited(old, new) != BASE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('rgba="1 0 0 1"', 'rgba="0 1 0 1"'),
        ('name="eye" pos="0 -2 1"', 'name="eye" pos="0 -3 1"'),
        ('name="sun" pos="0 0 3"', 'name="sun" pos="0 1 3"'),
        ('name="mark" type="sphere" size=".1"', 'name="mark" type="sphere" size=".2"'),
        ('pos="1 1 1"', 'pos="1 1 2"'),
        ('size="5 5 .1"', 'size="9 9 .1"'),
        ('site name="tip" pos=".3 0 0"', 'site name="tip" pos=".2 0 0"'),
        ("</worldbody>", '<geom contype="0" conaffinity="0" size=".1"/></worldbody>'),
        ("</mujoco>", '<sensor><framepos objtype="site" objname="tip"/></sensor></mujoco>'),
        ('name="wheel" type="cylinder"', 'name="tyre" type="cylinder"'),
    ],
)
def test_it_does_not_change_with_looks(old, new):
    assert edited(old, new) == BASE


def test_a_site_counts_where_something_acts_at_it():
    pulled = BODY.replace('name="motor" joint="wheel"', 'name="motor" site="tip"')
    moved = pulled.replace('site name="tip" pos=".3 0 0"', 'site name="tip" pos=".2 0 0"')
    assert fingerprint(compiled(pulled)) != fingerprint(compiled(moved))


def test_tendons_count_even_where_nothing_collides():
    body = """<mujoco><option><flag contact="disable"/></option><worldbody>
      <site name="a" pos="0 0 1"/><geom name="peg" type="sphere" size="{size}" pos="0 .1 .5"/>
      <body><joint type="slide"/><geom size=".1"/><site name="b"/></body></worldbody>
      <tendon><spatial stiffness="1"><site site="a"/><geom geom="peg"/><site site="b"/></spatial>
      </tendon></mujoco>"""
    thin, thick = (fingerprint(compiled(body.format(size=s))) for s in (".05", ".06"))
    assert thin != thick


def test_it_ignores_the_last_bits_and_is_a_short_hash():
    model = compiled(BODY)
    model.body_mass[1] *= 1 + 1e-13
    assert fingerprint(model) == BASE
    assert len(BASE) == 16 and int(BASE, 16) >= 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.env_id)
def test_the_table_of_environments_names_the_bodies_there_are(row):
    robot = robot_of(row.domain, row.task)
    assert (robot.fingerprint, robot.n_substeps) == (row.body.fingerprint, row.body.n_substeps)


@pytest.mark.parametrize(
    ("domain", "tasks", "bodies"),
    [
        ("reacher", ("easy", "hard"), 1),
        ("walker", ("stand", "walk", "run"), 1),
        ("quadruped", ("walk", "run"), 1),
        ("finger", ("spin", "turn_easy"), 2),
        ("finger", ("turn_easy", "turn_hard"), 1),
        ("cartpole", ("swingup", "two_poles"), 2),
        ("fish", ("upright", "swim"), 1),
        ("point_mass", ("easy", "hard"), 2),
    ],
)
def test_tasks_share_a_model_exactly_if_their_bodies_move_alike(domain, tasks, bodies):
    assert len({robot_of(domain, task).fingerprint for task in tasks}) == bodies


@pytest.mark.parametrize(
    ("domain", "task"),
    [("reacher", "hard"), ("point_mass", "hard"), ("fish", "swim"), ("manipulator", "insert_peg")],
)
def test_it_is_the_same_in_every_episode(domain, task):
    env = load_dm_env(domain, task)
    found = set()
    for value in range(4):
        seed(env, value)
        env.reset()
        found.add(spec_of(env).fingerprint)
    assert len(found) == 1


def test_a_heavier_reacher_is_another_body():
    env = load_dm_env("reacher", "easy")
    env.reset()
    model = env.physics.model.ptr
    assert isinstance(model, mujoco.MjModel)
    model.body_mass[np.argmax(model.body_mass)] *= 1.01
    assert spec_of(env).fingerprint != robot_of("reacher", "easy").fingerprint
