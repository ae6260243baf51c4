"""What is known is looked up, what is not is judged once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.tasks.nas import rewards
from bgpbt.tasks.nas.design import BRANCHES, CHAIN, Rules, act, empty
from bgpbt.tasks.nas.rewards import Known, RewardData

RULES = Rules(CHAIN, side=28, depth=5)


def designed(rules: Rules, *actions: int):
    design = empty(rules)
    for action in actions:
        design = act(rules, design, jnp.int32(action))
    return design


@pytest.mark.parametrize("depth", [4, 5, 10])
def test_a_key_is_a_design(depth):
    rules = Rules(BRANCHES, side=60, depth=depth)
    designs = [(), (0,), (1,), (2, 3), (0, 0, 7), (0, 0, 8), (0, 0, 11, 1), (5, 6, 1)]
    rows = np.stack([np.asarray(designed(rules, *d).rows) for d in designs])
    keys = rewards.key_of(rows)
    assert keys.shape == (len(designs), rewards.words(depth))
    assert len({tuple(key) for key in keys}) == len(designs)
    assert keys.max() < rewards.NO_KEY and keys.min() >= 0
    assert (rewards.rows_of(keys, depth) == rows).all()
    assert (np.asarray(rewards.key_of(jnp.asarray(rows))) == keys).all()


def test_a_terminal_layer_changes_no_key():
    with_end = designed(RULES, 1, 3, 7).rows
    without = designed(RULES, 1, 3).rows
    assert (rewards.key_of(with_end) == rewards.key_of(without)).all()


@pytest.mark.parametrize("number", [0, 1, 5, 16])
def test_every_known_design_is_found_and_no_other(number):
    rng = np.random.default_rng(number)
    keys = np.unique(rng.integers(0, 4, (60, 3)), axis=0).astype(np.int32)
    rng.shuffle(keys)
    inside, outside = keys[:number], keys[number:]
    known = Known(*map(np.array, rewards.nothing_known(16, 6)))
    inside = inside[np.lexsort(inside.T[::-1])]
    known.keys[:number] = inside
    known.worths[:number] = np.arange(number)
    known = Known(*map(jnp.asarray, known))
    look = jax.jit(jax.vmap(partial(rewards.look_up, known)))
    hits, _ = look(keys)
    expected = [(key == inside).all(axis=1).any() for key in keys]
    assert hits.tolist() == expected and len(outside)
    assert look(inside)[1].tolist() == list(range(number)) if number else True


def judged_by_layers(data, rows):
    """A judge whose answers can be told apart: layers, and the data."""
    return (rows[:, 0] > 0).sum() / 10 + data


@pytest.fixture
def data() -> RewardData:
    return RewardData(jnp.float32(0.01), rewards.nothing_known(4, RULES.depth))


def test_a_design_is_judged_once_and_then_remembered(data):
    worth = jax.jit(partial(rewards.worth, judged_by_layers))
    found = rewards.nothing_found(2, RULES.depth)
    first, found = worth(data, found, designed(RULES, 1))
    assert float(first) == pytest.approx(0.11) and int(found.number) == 1
    again, found = worth(data._replace(judging=5.0), found, designed(RULES, 1))
    assert float(again) == float(first) and int(found.number) == 1
    _, found = worth(data, found, designed(RULES, 1, 1))
    third, found = worth(data, found, designed(RULES, 1, 1, 1))  # there is no room
    assert float(third) == pytest.approx(0.31) and int(found.number) == 2
    assert float(worth(data, found, designed(RULES, 1, 1))[0]) == pytest.approx(0.21)


def test_what_was_known_before_the_round_is_not_judged(data):
    design = designed(RULES, 1)
    keys = np.array(data.known.keys)
    keys[0] = rewards.key_of(np.asarray(design.rows))
    known = Known(jnp.asarray(keys), jnp.array([0.7, 0, 0, 0]))
    found = rewards.nothing_found(2, RULES.depth)
    worth = jax.jit(partial(rewards.worth, judged_by_layers))
    value, found = worth(data._replace(known=known), found, design)
    assert float(value) == pytest.approx(0.7) and int(found.number) == 0


def test_what_cannot_be_built_is_worth_nothing_and_not_remembered(data):
    rules = RULES._replace(side=2)
    found = rewards.nothing_found(2, RULES.depth)
    worth = jax.jit(partial(rewards.worth, judged_by_layers))
    value, found = worth(data, found, designed(rules, 1))
    assert float(value) == 0 and int(found.number) == 0


def test_side_by_side_members_judge_only_where_one_of_them_asks(data):
    """Under vmap the branch stays a branch."""

    def counted(count, wanted):
        run = jax.lax.cond(
            rewards.any_member(wanted), lambda: jnp.ones(()), lambda: jnp.zeros(())
        )
        return count + run

    jaxpr = str(jax.make_jaxpr(jax.vmap(counted))(jnp.zeros(3), jnp.zeros(3, bool)))
    assert "cond" in jaxpr and "select" not in jaxpr
    both = jax.vmap(counted)(jnp.zeros(2), jnp.array([False, True]))
    assert both.tolist() == [1, 1]
    found = rewards.nothing_found(2, RULES.depth)
    designs = [designed(RULES, 1), designed(RULES, 1, 1)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *designs)
    founds = jax.tree.map(lambda x: jnp.stack([x, x]), found)
    worth = partial(rewards.worth, judged_by_layers, data)
    values, founds = jax.jit(jax.vmap(worth))(founds, batch)
    assert values.tolist() == pytest.approx([0.11, 0.21])
    assert founds.number.tolist() == [1, 1]


def test_side_by_side_a_member_that_does_not_ask_has_nothing_of_its_own_judged(data):
    """Its design may be one that no judge can build."""
    seen = []

    def judge(data, rows):
        jax.debug.callback(lambda x: seen.append(x), rows)
        return judged_by_layers(data, rows)

    small = RULES._replace(side=2)
    designs = [designed(RULES, 1), designed(small, 1)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *designs)
    found = rewards.nothing_found(2, RULES.depth)
    founds = jax.tree.map(lambda x: jnp.stack([x, x]), found)
    worth = partial(rewards.worth, judge, data)
    values, _ = jax.jit(jax.vmap(worth))(founds, batch)
    jax.effects_barrier()
    assert values.tolist() == pytest.approx([0.11, 0])
    assert sorted(int((rows[:, 0] > 0).sum()) for rows in seen) == [0, 1]
