"""When a generation begins, and with which architectures. `P` members."""

from typing import NamedTuple

import jax
import numpy as np
import pytest
from generation_runs import generation_options
from toy_runs import P
from toys import SPACE, quadratic

from bgpbt import space as spaces
from bgpbt.assembly.parts import make_plan
from bgpbt.config.errors import BadInput
from bgpbt.training import generations
from bgpbt.training.plan import Plan
from bgpbt.training.run_state import Trigger
from bgpbt.types import Source

ARCHITECTURE = generations.architecture_mask(SPACE)


def plan_with(**changes) -> Plan:
    return make_plan(generation_options(**changes), quadratic())


class Counted(NamedTuple):
    """What generations read of a run's `Progress`."""

    config: np.ndarray
    fitness: np.ndarray
    active: np.ndarray


def test_when_a_generation_begins():
    plan = plan_with(max_timesteps=10_000)
    first = generations.first_generation(plan, SPACE)

    def should_start(steps, number=0, stalled=0, began=0):
        generation = first._replace(
            number=np.array(number),
            stalled_rounds=np.array(stalled),
            began=np.array(began),
        )
        return generations.should_start(plan, generation, steps)

    assert should_start(959) is None
    assert should_start(960) is Trigger.distill_every
    assert should_start(960, began=480) is None
    assert should_start(1440, began=480) is Trigger.distill_every
    assert should_start(480, stalled=19) is None
    assert should_start(480, stalled=20) is Trigger.patience
    # Its 2,400 steps must end in time.
    assert should_start(7599, stalled=20) is Trigger.patience
    assert should_start(7600, stalled=20) is None
    assert should_start(960, number=1) is None


def test_patience_counts_rounds_of_training_without_a_better_fitness():
    generation = generations.first_generation(plan_with(n_init=P), SPACE)

    def observe(generation, fitness):
        config = np.full((P, len(SPACE)), 0.5, np.float32)
        progress = Counted(config, np.array(fitness), np.ones(P, bool))
        return generations.observe(generation, SPACE, progress, 5)

    stalled = []
    for fitness in (
        [1, 2, 3, np.nan],
        [3, 3, 3, 3],
        [np.nan] * 4,
        [0, 0, 0, 3.5],
        [3, 3, 3, 3],
    ):
        generation = observe(generation, fitness)
        stalled.append(int(generation.stalled_rounds))
    assert stalled == [0, 1, 2, 0, 1] and generation.best == 3.5
    halving = observe(generation._replace(candidates=np.array(10)), [9, 9, 9, 9])
    # Only training counts.
    assert halving.best == 3.5 and halving.stalled_rounds == 1
    assert halving.architectures.score[0] == 9
    assert halving.updates == 5 and generation.updates == 0


def test_the_highest_fitness_of_an_architecture_in_its_generation_counts():
    history = generations.first_generation(plan_with(), SPACE).architectures
    a, b = [0.125], [0.625]
    for number, config, fitness in (
        (0, [a, b, a, b], [1.0, np.nan, 3.0, 2.0]),
        (0, [a], [2.0]),
        (1, [a, b], [10.0, 20.0]),
    ):
        history = generations.remember(
            history, number, np.array(config), np.array(fitness)
        )
    filled = ~np.isnan(history.score)
    config = history.config[filled, 0].tolist()
    keys = zip(history.generation[filled], config, strict=True)
    assert dict(zip(keys, history.score[filled], strict=True)) == {
        (0, 0.125): 3.0,
        (0, 0.625): 2.0,
        (1, 0.125): 10.0,
        (1, 0.625): 20.0,
    }
    # Among those of the same generation.
    rank = generations.normalised_rank(history)[filled]
    assert rank.tolist() == [0.75, 0.25, 0.25, 0.75]


def test_candidates_are_proposed_kept_and_drawn():
    """Five of ten come from the process, which is told everything.

    Then come the best of each generation and five at random.
    """
    plan = plan_with(arch_policy="search")
    told = {}
    drawn = np.random.default_rng(0).uniform(size=(16, len(SPACE)))
    history = generations.first_generation(plan, SPACE).architectures
    for number, config, fitness in (
        (0, [[0.125], [0.625]], [1.0, 2.0]),
        (1, [[0.125], [0.875]], [5.0, 4.0]),
    ):
        history = generations.remember(
            history, number, np.array(config, np.float32), np.array(fitness)
        )
    population = np.random.default_rng(1).uniform(size=(P, len(SPACE)))
    population = population.astype(np.float32)

    def propose(key, config, score, number):
        told.update(config=config[:, 0].tolist(), score=score.tolist())
        return np.full((number, 1), 0.375, np.float32)

    progress = Counted(population, np.zeros(P), np.ones(P, bool))

    def choose(plan):
        return generations.choose_candidates(
            jax.random.PRNGKey(0), plan, SPACE, propose, progress, history, drawn
        )

    config, source = choose(plan)
    assert told["config"] == pytest.approx([0.125, 0.625, 0.125, 0.875])
    assert told["score"] == [0.25, 0.75, 0.75, 0.25]
    sources = [Source.gp] * 5 + [Source.previous] * 2 + [Source.random] * 5
    assert source.tolist() == sources
    np.testing.assert_allclose(
        config[:7, ARCHITECTURE][:, 0], [0.375] * 5 + [0.125, 0.625]
    )
    # Those proposed have the hyperparameters of a member.
    members = population[:, ~ARCHITECTURE].tolist()
    assert all(row in members for row in config[:5, ~ARCHITECTURE].tolist())
    assert not any(row in members for row in config[5:, ~ARCHITECTURE].tolist())
    random, _ = choose(plan_with())
    np.testing.assert_array_equal(random, spaces.snap_architectures(SPACE, drawn)[:10])


def test_equal_architectures_are_one_observation():
    history = generations.first_generation(plan_with(), SPACE).architectures
    config = np.full((10, 1), 0.125, np.float32)
    history = generations.remember(history, 0, config, np.arange(10.0))
    assert np.nansum(history.score) == 9 and (~np.isnan(history.score)).sum() == 1
    assert generations.normalised_rank(history)[0] == 0.5


def test_snapped_architectures_decode_as_before():
    config = np.random.default_rng(0).uniform(size=(50, len(SPACE))).astype(np.float32)
    snapped = spaces.snap_architectures(SPACE, config)
    np.testing.assert_array_equal(snapped[:, ~ARCHITECTURE], config[:, ~ARCHITECTURE])
    a, b = (
        np.asarray(spaces.decode(SPACE, c)["first_width"]) for c in (config, snapped)
    )
    assert a.tolist() == b.tolist()
    assert len(np.unique(snapped[:, ARCHITECTURE])) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze": "sampled"}, "freeze: keeps configurations"),
        ({"max_distillation": -1}, "negative, give at least 0"),
        ({"t_distillation": 959}, "one update of every rung, give at least 960"),
    ],
)
def test_what_generations_cannot_do(changes, words):
    with pytest.raises(BadInput, match=words):
        generation_options(**changes)
