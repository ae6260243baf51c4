"""What is in development for the suite."""

import jax
import numpy as np
import pytest
from toy_runs import P, keep_everyone, run_options

from bgpbt import run
from bgpbt.space import Categorical, Float
from bgpbt.strategies.bgpbt import bgpbt
from bgpbt.types import Outcome, Source, Strategy
from scripts.studies.suite_profiles import ROOT, VARIANTS
from scripts.studies.suite_variants import bgpbt_memory, bgpbt_short, with_jitter

SPACE = {
    "rate": Float(0.0, 1.0, 0.5),
    "kind": Categorical(("a", "b"), 0),
    "width": Float(0.0, 1.0, 0.5, group="policy"),
}


def outcome_of(config: np.ndarray) -> Outcome:
    zeros, steps = np.zeros(P, np.float32), np.zeros(P, np.int32)
    return Outcome(config, zeros, zeros[:, None], steps, steps, np.ones(P, bool))


def test_changes_are_around_what_was_chosen_and_do_not_add_up():
    """One member is replaced in every round, by a configuration of its own."""
    chosen = np.full(3, 0.25, np.float32)

    def step(key, state, outcome):
        decision = keep_everyone(outcome)
        parents = np.array(decision.parents)
        parents[0] = 1
        config = np.array(decision.config)
        config[0] = chosen
        return state, decision._replace(config=config, parents=parents)

    strategy = with_jitter(Strategy(lambda key, outcome: (), step), SPACE, 0.05)
    first = np.full((P, 3), 0.5, np.float32)
    outcome = outcome_of(first)
    key = jax.random.PRNGKey(0)
    state = strategy.init(key, outcome)
    played = []
    for number in range(200):
        state, decision = strategy.step(jax.random.fold_in(key, number), state, outcome)
        outcome = outcome_of(decision.config)
        played.append(decision.config)
        assert decision.source[0] != Source.perturbed
        assert (decision.source[1:] == Source.perturbed).all()
    played = np.array(played)
    np.testing.assert_array_equal(played[:, 0], np.tile(chosen, (200, 1)))
    rate, others = played[:, 1:, 0], played[:, 1:, 1:]
    assert rate.mean() == pytest.approx(0.5, abs=0.01)
    assert rate.std() == pytest.approx(0.05, abs=0.005)
    assert (rate[-50:].std(axis=0) < 0.08).all()
    np.testing.assert_array_equal(others, np.full_like(others, 0.5))


def test_variants_of_the_bandit_differ_from_it_in_one_thing():
    zeros, config = np.zeros(P, np.float32), np.full((P, 3), 0.5, np.float32)
    states = []
    for make in (bgpbt, bgpbt_memory, bgpbt_short):
        strategy = make(SPACE, ("policy",), quantile_fraction=0.25)
        key = jax.random.PRNGKey(0)
        state = strategy.init(key, outcome_of(config))
        for number in range(1, 7):  # the member that was replaced is always the best
            fitness = np.where(state.suggested, 9, np.arange(P)).astype(np.float32)
            steps = np.full(P, number, np.int32)
            outcome = Outcome(
                config, fitness + number, zeros[:, None], steps, steps, zeros == 0
            )
            state, decision = strategy.step(key, state, outcome)
            config = np.array(decision.config)
        states.append(state)
    rows = [len(state.history.valid) for state in states]
    assert rows == [100, 400, 100]
    edges = [float(state.region.length) for state in states]
    assert edges == pytest.approx([0.6, 0.6, 0.4])


@pytest.mark.scripts
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_train(name, tmp_path, compile_once):
    file, function = VARIANTS[name]["strategy"].split(":")
    settings = {"task": "toy", "strategy": f"{ROOT / file}:{function}"}
    result = run(run_options(tmp_path, t_ready=4, max_timesteps=40, **settings))
    sources = set(result.records.loc[result.records["round"] > 1, "source"])
    assert ("perturbed" in sources) == ("jitter" in name)
    assert result.records["round"].max() == 10
