"""What is built from options, and which parts do not fit together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_runs import run_options
from toys import quadratic

from bgpbt.assembly.parts import make_strategy, make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.registry import ENVIRONMENTS, STRATEGIES
from bgpbt.space import Integer
from bgpbt.strategies.mutation import mutation
from bgpbt.strategies.pbtnas import validate_parents
from bgpbt.tasks.ppo.spaces import hyperparameter_space


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("ant", "fast") else [pytest.mark.long])
        for name in sorted(ENVIRONMENTS)
    ],
)
def test_every_environment_has_a_task(tmp_path, name):
    """Shapes only: nothing is compiled."""
    backend = load_options({"env_name": name}).backend
    networks = {"policy_layers": (16, 16), "value_layers": (8,)}
    settings = run_options(tmp_path, env_name=name, backend=backend, **networks)
    task = make_task(settings)
    env = task.playback.env
    knobs = ["progress_weight", "effort_weight"] if name == "goal" else []
    assert list(task.space) == [*hyperparameter_space(32), *knobs]
    assert task.blocks == ("policy", "value")
    assert task.timesteps_per_update == 480 == settings.update_steps
    h = {name: np.float32(dim.default) for name, dim in task.space.items()}
    state = jax.eval_shape(task.init, jax.random.PRNGKey(0), h)
    kernels = {
        block: [layer["kernel"].shape for layer in layers]
        for block, layers in state.params.items()
    }
    assert kernels["policy"] == [
        (env.observation_size, 16),
        (16, 16),
        (16, 2 * env.action_size),
    ]
    assert kernels["value"] == [(env.observation_size, 8), (8, 1)]
    assert state.env_state.env.obs.shape == (32, env.observation_size)


@pytest.mark.parametrize(
    ("repeat", "length", "decisions"), [(1, 100, 100), (4, 100, 25), (3, 100, 34)]
)
def test_action_repeat_counts_environment_steps(tmp_path, repeat, length, decisions):
    changes = {
        "action_repeat": repeat,
        "episode_length": length,
        "t_ready": 480 * repeat,
        "max_timesteps": 9600,
    }
    task = make_task(run_options(tmp_path, **changes))
    assert task.timesteps_per_update == 480 * repeat
    assert task.playback.env.decisions_per_episode == decisions


@pytest.mark.parametrize("fitness", ["evaluation", "training", "concurrent"])
def test_the_fitness_is_an_option(tmp_path, fitness):
    task = make_task(run_options(tmp_path, fitness=fitness, eval_episodes=4))
    assert task.fitness_from_training == (fitness != "evaluation")
    h = {name: np.float32(dim.default) for name, dim in task.space.items()}
    state = jax.eval_shape(task.init, jax.random.PRNGKey(0), h)
    assert state.env_state.clock.shape == (32 + 4 * (fitness == "concurrent"),)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_is_built_from_options(tmp_path, name):
    changes = {"strategy": name, "pop_size": 8, "frequencies": "1,2"}
    strategy = make_strategy(run_options(tmp_path, **changes), quadratic())
    assert callable(strategy.init) and callable(strategy.step)


def test_smallest_quantile_fraction_is_named_and_works():
    task = quadratic()
    for size in (2, 3, 7, 8, 100, 399):
        with pytest.raises(BadInput, match="replaces nobody") as caught:
            make_strategy(Options(pop_size=size, quantile_fraction=0.9 / size), task)
        least = float(str(caught.value).split("at least ")[1])
        assert make_strategy(Options(pop_size=size, quantile_fraction=least), task)
        assert int(size * least) == 1


@pytest.mark.parametrize("size", [4, 6, 7, 18, 24, 26, 100])
def test_smallest_share_with_two_parents_is_named_and_works(size):
    least = float(validate_parents(size, 0.5 / size).split("at least ")[1])
    assert validate_parents(size, least) == "" and least < 2 / size + 1e-4


def test_mutation_needs_something_to_change():
    space = {"depth": Integer(1, 1, 1, group="first")}
    assert (
        mutation(space, ("first",))
        .validate(8)
        .startswith("strategy: mutation needs an architecture dimension with two")
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"strategy": "pbtnas"},
            "quantile_fraction: 0.125 of 8 members leaves no two parents, "
            "give at least 0.25",
        ),
        (
            {"strategy": "mutation", "pop_size": 2, "quantile_fraction": 0.5},
            "give at least 4 members",
        ),
        (
            {"strategy": "mfpbt"},
            "8 members are not 4 sub-populations (frequencies) of a multiple of 4, "
            "give 16",
        ),
        (
            {"strategy": "mfpbt", "frequencies": "1,2", "pop_size": 12},
            "of a multiple of 4, give 16",
        ),
        (
            {"task": "toy", "strategy": "pbtnas"},
            "pbtnas needs architectures to search, "
            "task toy with search_mode hpo has none",
        ),
        (
            {"task": "toy", "search_mode": "nas"},
            "search_mode: nas searches architectures, task toy has none, give -sm hpo",
        ),
        (
            {"task": "toy", "exploit": "t_test"},
            "pbt needs several returns of an evaluation, task toy",
        ),
        (
            {"task": "toy", "problem": "quadratik"},
            "problem: unknown 'quadratik', nearest: quadratic",
        ),
        (
            {"task": "toy", "strategy": "firepbt", "freeze": "sampled"},
            "freeze: configurations of firepbt travel with its members",
        ),
        ({"task": "missing.py:f"}, "task: no file missing.py"),
        ({"strategy": "missing.py:f"}, "strategy: no file missing.py"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, problem):
    settings = Options(**({"pop_size": 8} | changes))
    with pytest.raises(BadInput) as caught:
        task = quadratic() if settings.task == "ppo" else make_task(settings)
        make_strategy(settings, task)
    assert problem in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_one_episode_is_too_few_for_a_t_test():
    options = Options(exploit="t_test", eval_episodes=1)
    task = quadratic()._replace(
        evaluate=lambda key, state, hyperparams: (jnp.zeros(1), jnp.int32(1))
    )
    words = "several returns of an evaluation, eval_episodes is 1, give at least 2$"
    with pytest.raises(BadInput, match=words):
        make_strategy(options, task)
