"""More candidates than members: the best of them become the population."""

import jax
import numpy as np
import pytest
from toy_runs import ROUND, run_options
from toys import EPISODES, final_state, play, quadratic

from bgpbt import space as spaces
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.programs import make_programs
from bgpbt.execution.streams import Stream

SEED = np.uint32(0)
CANDIDATES = 20
UPDATES = np.int32(48)


def candidates_alone(programs, config):
    """What becomes of the candidates where each of them is a member."""
    members = np.arange(CANDIDATES, dtype=np.int32)
    everyone = np.ones(CANDIDATES, bool)
    start_draws = np.zeros(CANDIDATES, np.int32)
    stream = np.int32(int(Stream.evaluate))
    number = np.int32(1)
    population = programs.init(SEED, np.int32(0), members, config)
    untrained, _, _ = programs.evaluate(
        SEED, np.int32(0), stream, start_draws, everyone, population, config
    )
    population, metrics = programs.train(
        SEED, number, UPDATES, members, everyone, population, config
    )
    trained, _, _ = programs.evaluate(
        SEED, number, stream, start_draws, everyone, population, config
    )
    steps = int(np.asarray(metrics["env_steps"]).sum())
    return population, np.asarray(untrained), np.asarray(trained), steps


@pytest.mark.usefixtures("compile_once")
def test_of_many_candidates_the_best_go_on(tmp_path):
    """20 candidates for 8 places, in three groups of which the last is half idle."""
    task = quadratic()
    settings = run_options(
        tmp_path,
        pop_size=8,
        n_init=CANDIDATES,
        quantile_fraction=0.125,
        max_timesteps=ROUND,
    )
    result = play(settings, task)
    alone = make_programs(task, CANDIDATES, DeviceLayout(1, 1))
    drawn = alone.configure(SEED, np.arange(CANDIDATES, dtype=np.int32))
    config = spaces.snap_architectures(task.space, np.asarray(drawn))
    population, untrained, trained, steps = candidates_alone(alone, config)
    fitness = trained.mean(axis=1)
    survivors = np.sort(np.argsort(-fitness)[:8])

    state, rows = final_state(result), result.records
    for actual, expected in zip(
        jax.tree.leaves(state.population[0]), jax.tree.leaves(population), strict=True
    ):
        np.testing.assert_allclose(
            np.asarray(actual), np.asarray(expected)[survivors], rtol=1e-6, atol=1e-7
        )
    np.testing.assert_array_equal(state.progress.config, config[survivors])
    assert int(state.progress.untrained) == int(untrained.mean(axis=1).argmax())

    first = rows[rows["round"] == 1]
    assert list(first["member"]) == list(range(CANDIDATES))
    assert set(first["phase"]) == {"candidates"}
    np.testing.assert_allclose(first["fitness"], fitness, rtol=1e-5)
    rates = np.asarray(alone.hyperparams(config)["rate"])
    np.testing.assert_allclose(first["rate"], rates, rtol=1e-6)
    np.testing.assert_array_equal(state.progress.parents[:, 0], survivors)
    assert set(first["timesteps"]) == {ROUND}
    evaluated = CANDIDATES * EPISODES  # those that only fill the last group are idle
    before = rows[rows["round"] == 0]
    assert set(before["env_steps_total"]) == {evaluated}
    assert set(first["env_steps_total"]) == {2 * evaluated + steps}
    assert len(before) == CANDIDATES
    assert result.best["member"] == fitness.argmax()
