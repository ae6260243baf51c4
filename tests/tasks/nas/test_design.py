"""Designing networks layer by layer: golden values of nas-dmrl."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.structure import Kind, digest, side_after
from bgpbt.tasks.nas import design as designs

CONV1, CONV3, CONV5, MAX2, MAX3, AVERAGE2, AVERAGE3, END = range(8)
ADD, CONCATENATE, TERMINAL = 7, 8, 9
UP1, DOWN1, UP2, DOWN2 = 10, 11, 12, 13


def chain(side: int = 84, **sizes: int) -> designs.Rules:
    return designs.Rules(designs.CHAIN, side, **sizes)


def branches(side: int = 84) -> designs.Rules:
    return designs.Rules(designs.BRANCHES, side, max_steps=20)


@partial(jax.jit, static_argnums=0)
def _act(rules: designs.Rules, design: designs.Design, action: int) -> designs.Design:
    return designs.act(rules, design, action)


def designed(rules: designs.Rules, *actions: int) -> designs.Design:
    design = designs.empty(rules)
    for action in actions:
        assert not bool(designs.over(rules, design))
        design = _act(rules, design, jnp.int32(action))
    return design


GOLDEN = {
    (): "5bda50e8c94e8415e92cb75bef5bdc8d",
    (CONV3, CONV5, MAX2, MAX2): "3fd693dfbd6f1e0994d05ee5924d43fc",
    (CONV3, CONV1, CONV3, MAX2, MAX2, MAX2, MAX2): "46583ddb1a85b6a2286657d9ef398b61",
}


@pytest.mark.parametrize(("actions", "golden"), GOLDEN.items())
def test_designs_have_the_digests_of_published_databases(actions, golden):
    design = designed(chain(), *actions)
    assert digest(designs.right_aligned(design)) == golden
    assert bool(design.buildable) and not bool(design.done)


# How many chains of at most so many layers can be built; the empty one counts.
COUNTS = {
    (84, 10): 34_800_247,
    (32, 10): 4_806_600,
    (28, 10): 3_288_621,
    (20, 10): 1_055_808,
    (16, 10): 428_582,
    (8, 10): 20_108,
    (84, 4): 2_769,
    (28, 4): 2_177,
    (16, 4): 1_426,
    (8, 4): 516,
}


def test_as_many_chains_can_be_built_as_in_the_reference():
    cells = designs.CHAIN.layers[:END]
    sides = np.arange(85)
    after = {
        cell: np.asarray(side_after(*map(jnp.asarray, cell), jnp.asarray(sides)))
        for cell in cells
    }

    @cache
    def count(side, depth):
        if depth == 0:
            return 1
        following = (int(after[cell][side]) for cell in cells)
        return 1 + sum(count(s, depth - 1) for s in following if s > 0)

    assert {key: count(*key) for key in COUNTS} == COUNTS


# Mean length of an episode of random decisions, and the share that ends with a layer
# that cannot be built.
RANDOM = {84: (5.05, 0.35), 32: (4.30, 0.47), 16: (3.61, 0.56), 8: (2.85, 0.65)}


@pytest.mark.parametrize("side", RANDOM)
def test_random_designers_fail_as_often_as_in_the_reference(side):
    rules = chain(side)

    def episode(key):
        def step(design, key):
            action = jax.random.randint(key, (), 0, rules.actions.number)
            ended = designs.over(rules, design)
            after = designs.act(rules, design, action)
            return jax.tree.map(
                lambda a, b: jnp.where(ended, a, b), design, after
            ), None

        keys = jax.random.split(key, rules.depth)
        design, _ = jax.lax.scan(step, designs.empty(rules), keys)
        return design.steps, ~design.buildable

    keys = jax.random.split(jax.random.PRNGKey(0), 20_000)
    steps, invalid = jax.jit(jax.vmap(episode))(keys)
    length, share = RANDOM[side]
    assert float(steps.mean()) == pytest.approx(length, abs=0.06)
    assert float(invalid.mean()) == pytest.approx(share, abs=0.015)


def test_an_observation_is_one_hot_in_each_of_its_groups():
    for rules, size, groups in ((chain(), 250, 3), (branches(), 360, 4)):
        assert designs.observation_size(rules) == size
        for actions in ((), (CONV3, MAX2)):
            design = designed(rules, *actions)
            seen = np.asarray(designs.observe(rules, design))
            assert seen.shape == (size,) and set(seen) <= {0.0, 1.0}
            rows = seen.reshape(10, -1)
            assert (rows.sum(axis=1) == groups).all()
            assert (rows[: 10 - len(actions), 0] == 1).all()  # empty rows come first
    kind, kernel, first = np.split(rows[-1][:25], [8, 14])
    assert (kind.argmax(), kernel.argmax(), first.argmax()) == (2, 2, 1)


def test_a_layer_that_does_not_fit_ends_the_episode_and_stays_in_the_design():
    design = designed(chain(4), CONV3, CONV3)
    assert not bool(design.buildable) and bool(design.done)
    assert int(design.layers) == 2 and int(design.sides[2]) == 0


@pytest.mark.parametrize("actions", [(END,), (CONV1,) * 10])
def test_a_terminal_layer_or_the_last_row_ends_a_design_that_can_be_built(actions):
    design = designed(chain(), *actions)
    assert bool(design.done) and bool(design.buildable)


def test_an_episode_ends_after_so_many_decisions():
    rules = chain(max_steps=2)
    assert not bool(designed(rules, CONV1, CONV1).done)
    assert bool(designs.over(rules, designed(rules, CONV1, CONV1)))


def test_pointers_persist_and_layers_read_what_they_point_to():
    design = designed(branches(), CONV3, MAX2, CONV1, DOWN1, CONV5, DOWN2, ADD)
    rows = np.asarray(design.rows)
    assert rows[3].tolist() == [4, Kind.convolution, 5, 2, 0]
    # Pointers are relative: the first one now points at layer 3.
    assert rows[4].tolist() == [5, Kind.add, 0, 3, 3]
    assert design.shifts.tolist() == [-1, -1]
    # 84, 82, 41, 41, and 37 of layer 2's 41; the sum is as large as the larger.
    assert design.sides[:6].tolist() == [84, 82, 41, 41, 37, 41]


@pytest.mark.parametrize(
    "actions", [(UP1,), (DOWN2,), (CONV1, UP2), (CONV1, *[DOWN1] * 2)]
)
def test_a_pointer_beyond_the_layers_ends_the_episode(actions):
    design = designed(branches(), *actions)
    assert not bool(design.inside) and bool(design.done)


def test_joins_need_two_layers():
    assert not bool(designed(branches(), ADD).buildable)
    assert not bool(designed(branches(), CONV1, DOWN1, CONCATENATE).buildable)
    assert bool(designed(branches(), CONV1, CONCATENATE).buildable)  # twice the same
    end = designed(branches(), CONV1, DOWN1, TERMINAL)
    assert end.rows[1].tolist() == [2, Kind.terminal, 0, 0, 0]


def test_every_action_has_a_name():
    assert designs.CHAIN.names[::7] == ("conv1", "terminal")
    assert designs.BRANCHES.names[7:] == (
        "add",
        "concat",
        "terminal",
        "move1_up",
        "move1_down",
        "move2_up",
        "move2_down",
    )


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ((), False),
        ((CONV1, MAX2, TERMINAL), False),
        ((CONV1, ADD), True),
        ((CONV1, MAX2, DOWN1, CONV3), True),
        ((CONV1, MAX2, DOWN1, TERMINAL), False),
    ],
)
def test_a_branch_is_a_layer_that_reads_another_or_two(actions, expected):
    rows = designed(branches(), *actions).rows
    assert bool(designs.is_branched(rows)) is expected
