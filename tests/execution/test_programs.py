"""What each program does to a population, beside inheritance."""

import jax
import jax.numpy as jnp
import numpy as np
from toy_programs import MEMBERS, SEED, P, host, member, table_decision, train
from toys import SPACE, same_bits

from bgpbt import space as spaces
from bgpbt.execution.streams import Stream


def test_an_idle_member_is_held_to_the_bit_and_spends_nothing(programs, config):
    start = host(programs.init(SEED, np.int32(0), MEMBERS, config))
    population, metrics = train(programs, config, active=MEMBERS != 2)
    assert same_bits(member(population, 2), member(start, 2))
    assert not same_bits(member(population, 1), member(start, 1))
    repeats = np.asarray(spaces.decode(SPACE, config)["repeat"])
    np.testing.assert_array_equal(
        metrics["env_steps"], np.where(MEMBERS == 2, 0, 10 * 2 * repeats)
    )


def test_metrics_say_which_members_are_finite(programs, config):
    population = programs.init(SEED, np.int32(0), MEMBERS, config)
    first, env_state = population.params["first"], population.env_state
    first["x"] = first["x"].at[1, 0].set(jnp.nan)
    env_state["noise"] = env_state["noise"].at[4, 0].set(jnp.inf)
    idle = np.zeros(P, bool)
    _, metrics = programs.train(
        SEED, np.int32(1), np.int32(1), MEMBERS, idle, population, config
    )
    for name, broken in (("weights_finite", [1]), ("env_finite", [4])):
        np.testing.assert_array_equal(
            np.flatnonzero(~np.asarray(metrics[name])), broken
        )


def test_training_and_inheriting_donate_the_population(programs, config):
    population = programs.init(SEED, np.int32(0), MEMBERS, config)
    args = (SEED, np.int32(1), np.int32(1), MEMBERS, np.ones(P, bool))
    after, _ = programs.train(*args, population, config)
    assert all(x.is_deleted() for x in jax.tree.leaves(population))
    best = programs.pick(after, np.int32(0))
    final = programs.inherit(SEED, np.int32(1), after, best, table_decision(config))
    assert all(x.is_deleted() for x in jax.tree.leaves(after))
    assert not any(x.is_deleted() for x in jax.tree.leaves((final, best)))


def test_evaluation_leaves_the_population_and_draws_by_number(
    programs, config, population
):
    same = programs.repeat(programs.pick(population, np.int32(2)), population)
    one_config = np.tile(config[2], (P, 1))

    def evaluate(round_, stream, start_draws):
        scalars = SEED, np.int32(round_), np.int32(stream)
        return programs.evaluate(
            *scalars, start_draws, np.ones(P, bool), same, one_config
        )

    zeros = np.zeros(P, np.int32)
    returns, steps, finite = evaluate(1, Stream.evaluate, zeros)
    # All meet the same episodes.
    np.testing.assert_array_equal(returns, np.tile(returns[0], (P, 1)))
    np.testing.assert_array_equal(steps, 3)
    assert np.asarray(finite).all()
    drawn, _, _ = evaluate(1, Stream.evaluate, MEMBERS)
    assert len(np.unique(drawn)) == drawn.size
    for stream, round_ in ((Stream.report, 1), (Stream.evaluate, 2)):
        other, _, _ = evaluate(round_, stream, zeros)
        assert (np.asarray(other) != np.asarray(returns)).all()
    assert not any(x.is_deleted() for x in jax.tree.leaves(population))


def test_pick_and_repeat(programs, population):
    picked = programs.pick(population, np.int32(5))
    assert picked.env_state == ()
    assert same_bits(host(picked), member(population, 5)._replace(env_state=()))
    copies = programs.repeat(picked, population)
    for index in range(P):
        env_state = member(population, index).env_state
        expected = member(population, 5)._replace(env_state=env_state)
        assert same_bits(member(copies, index), expected)


def test_natural_values_by_name(programs, config):
    values = programs.hyperparams(config)
    assert set(values) == set(SPACE)
    assert all(v.shape == (P,) for v in values.values())
