"""Trials: what an agent sees and earns, and the numbers of chains."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.networks.structure import CELLS
from bgpbt.tasks.nas import table, trial
from bgpbt.tasks.nas.design import BRANCHES, CHAIN, Rules
from bgpbt.tasks.nas.trial import Trial

CONV1, CONV3, CONV5, MAX2, MAX3, AVERAGE2, AVERAGE3, END = range(8)
UP1, DOWN1 = 10, 11
RULES = Rules(CHAIN, side=8, depth=3)


def layers(found, design):
    """A reward from which the design can be told: its layers, in hundredths."""
    return design.layers / 100, found + 1


def played(rules: Rules, *actions: int, move_factor: float = 1.0):
    step = jax.jit(partial(trial.decide, rules, layers, move_factor))
    now, decided, found = trial.begin(rules), [], 0
    for action in actions:
        now, result, found = step(found, now, jnp.int32(action))
        decided.append(result)
    assert found == len(actions)
    return now, decided


def test_a_new_design_begins_after_one_that_ended_and_the_last_action_stays():
    now, decided = played(RULES, CONV3, END, MAX2)
    assert [bool(d.over) for d in decided] == [False, True, False]
    assert [float(d.reward) for d in decided] == pytest.approx([0.01, 0.02, 0.01])
    assert int(now.design.layers) == 1 and int(now.action) == MAX2
    after_end, _ = played(RULES, CONV3, END)
    assert int(after_end.design.layers) == 0 and int(after_end.design.steps) == 0
    assert int(after_end.action) == END and float(after_end.reward) == pytest.approx(
        0.02
    )


def test_what_cannot_be_built_earns_nothing():
    _, decided = played(RULES, MAX3, CONV3)  # 8, 2, and a window of 3
    assert float(decided[1].reward) == 0 and bool(decided[1].over)


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_moves_earn_a_share_and_pointers_that_leave_nothing(factor):
    rules = Rules(BRANCHES, side=20, max_steps=20)
    _, decided = played(rules, CONV3, CONV3, DOWN1, UP1, UP1, move_factor=factor)
    assert float(decided[2].reward) == pytest.approx(0.02 * factor)
    assert float(decided[4].reward) == 0 and bool(decided[4].over)


def test_what_an_agent_sees():
    assert trial.input_size(Rules(CHAIN, 84)) == 260
    assert trial.input_size(Rules(BRANCHES, 84)) == 376
    now, _ = played(RULES, CONV3, MAX2)
    inputs = np.asarray(trial.seen(RULES, now))
    assert inputs.shape == (trial.input_size(RULES),)
    assert inputs[-10:-2].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert inputs[-2:] == pytest.approx([0.02, 2.0])
    first = np.asarray(trial.seen(RULES, trial.begin(RULES)))
    assert first[-10:].tolist() == [1, *[0] * 9]  # as in the reference


def test_every_chain_has_a_number_and_every_number_a_chain():
    count = table.chains(3)
    assert count == 1 + 7 + 49 + 343
    rows = np.zeros((count, 3, 5), np.int32)
    for number in range(count):
        for i, (kind, kernel) in enumerate(table.layers_of(number)):
            rows[number, i] = i + 1, kind, kernel, i, 0
    numbers = jax.jit(jax.vmap(table.number_of))(rows)
    assert numbers.tolist() == list(range(count))
    assert table.layers_of(7 * 3 + 4) == [tuple(CELLS[2]), tuple(CELLS[3])]
    assert table.chains(10) < 2**31


def test_a_terminal_layer_changes_no_number():
    with_end, decided = played(RULES, CONV3, END)
    assert isinstance(with_end, Trial)
    without, _ = played(RULES, CONV3)
    assert int(table.number_of(decided[1].design.rows)) == int(
        table.number_of(without.design.rows)
    )
    worths = jnp.arange(table.chains(3)) / 1000
    assert float(table.of_rows(worths, without.design.rows)) == pytest.approx(0.002)


def test_what_the_published_code_learns_from():
    seen = jnp.arange(12.0).reshape(3, 4)  # the last two: reward and step
    over = jnp.array([False, True, False])
    found = trial.as_the_reference_learns(seen, over, jnp.array([0.5, 0.25, 0.125]))
    assert found[:, :2].tolist() == seen[:, :2].tolist()
    assert found[:, 2].tolist() == [2.0, 0.5, 0.25]
    assert found[:, 3].tolist() == [4.0, 0.0, 12.0]
