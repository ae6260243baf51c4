"""Knobs of an environment count in training only; an objective ranks in their place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bgpbt
from bgpbt.assembly.parts import make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.environment import Env, EnvState, with_knobs, with_objective
from bgpbt.space import Categorical, Float, Integer
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.adapted import adapted
from bgpbt.tasks.ppo.agents import agents
from bgpbt.tasks.ppo.environments import make_environment

SMALL = {
    "env_name": "goal",
    "num_envs": 32,
    "policy_layers": (16,),
    "value_layers": (16,),
    "t_ready": 24_000,
    "eval_episodes": 4,
}


def task_of(**values):
    return agents(load_options(SMALL | values))


@pytest.fixture(scope="module")
def measured():
    """What members with and without shaped rewards measure, by objective or none.

    Both begin alike and play the same actions: one update, with the same key.
    """
    key = jax.random.PRNGKey(1)
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (2,))  # it compiles sooner
        for objective in (None, "success"):
            fitness = "training" if objective else "evaluation"
            task = task_of(objective=objective, fitness=fitness)
            train = jax.jit(lambda k, s, h, t=task: t.train(k, s, h, jnp.int32(7), ()))
            evaluate = jax.jit(task.evaluate)
            plain = {name: jnp.asarray(d.default) for name, d in task.space.items()}
            begun = task.init(key, plain)
            for weight in (0.0, 10.0):
                h = plain | {"progress_weight": jnp.float32(weight)}
                h["num_update_epochs"] = jnp.int32(0)  # it plays and does not learn
                _, metrics = train(key, begun, h)
                results[objective, weight] = metrics, evaluate(key, begun, h)[0]
    return results


def test_an_evaluation_does_not_see_what_members_search(measured):
    for objective in (None, "success"):
        plain, shaped = (measured[objective, weight][1] for weight in (0.0, 10.0))
        jax.tree.map(np.testing.assert_array_equal, plain, shaped)


def test_a_shaped_reward_cannot_buy_its_way_up(measured):
    """Ranked by the objective, members with the same episodes are worth the same."""
    plain, shaped = (measured["success", weight][0] for weight in (0.0, 10.0))
    np.testing.assert_array_equal(plain["episode_returns"], shaped["episode_returns"])
    assert np.nanmax(np.abs(plain["return"] - shaped["return"])) > 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fitness": "training"}, "fitness: training would rank members by what their"),
        ({"fitness": "concurrent", "objective": "success"}, "fitness: concurrent"),
        ({"objective": "sucess"}, "goal has no metric 'sucess', nearest: success"),
    ],
)
def test_what_would_buy_fitness_is_refused(values, words):
    with pytest.raises(BadInput) as caught:
        task_of(**values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"search_mode": "nas"},
        {"fix": {"progress_weight": "1", "effort_weight": "0"}},
    ],
)
def test_where_no_knob_is_searched_training_may_rank(values):
    assert task_of(fitness="training", **values).fitness_from_training


def test_knobs_are_searched_and_can_be_fixed():
    task = make_task(load_options(SMALL | {"fix": {"effort_weight": "0.1"}}))
    assert "progress_weight" in task.space and "effort_weight" not in task.space
    nas = task_of(search_mode="nas")
    assert "progress_weight" not in nas.space and "progress_weight" in nas.offered


def pays(**changes) -> Env:
    """Pays what its knobs say, and tells them."""

    def state(knobs):
        metrics = {"bonus": knobs["bonus"], "level": knobs["level"]}
        reward = knobs["bonus"] * (1 + knobs["kind"])
        return EnvState((), jnp.zeros(1), reward, False, metrics=metrics)

    knobs = {
        "bonus": Float(0.0, 5.0, 1),
        "level": Integer(1, 3, 2),
        "kind": Categorical(("low", "high"), 1),
    }
    return Env(
        "pays",
        1,
        1,
        10,
        1,
        1.0,
        lambda key, knobs: state(knobs),
        lambda before, action, knobs: state(knobs),
        knobs=knobs,
    )._replace(**changes)


def test_a_users_environment_gets_its_knobs_and_gives_metrics():
    env = with_objective(adapted("mine.py:f", pays()), "level")
    turned = with_knobs(env, {"bonus": 3.0, "level": 3, "kind": 0, "other": 7})
    for env_state in (
        turned.reset(jax.random.PRNGKey(0)),
        turned.step(turned.reset(jax.random.PRNGKey(0)), jnp.zeros(1)),
    ):
        assert float(env_state.reward) == 3
        assert {name: float(x) for name, x in env_state.metrics.items()} == {"level": 3}
    assert turned.knobs == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"knobs": ["bonus"]}, "knobs is list, give a dict of dimensions"),
        ({"knobs": {"bonus": Float(1.0, 0.0, 0.5)}}, "knobs: bonus: "),
        ({"knobs": {"bonus": Float(0.0, 1.0, 0.5)}}, "reset raises KeyError"),
        (
            {"knobs": {"bonus": Float(0.0, 1.0, 0.5, group="policy")}},
            "knobs: bonus: group 'policy', leave it out",
        ),
        (
            {"reset": lambda key, knobs: (0.0, 1.0)[knobs["kind"]]},
            "reset raises TracerIntegerConversionError",
        ),
    ],
)
def test_knobs_that_cannot_be_are_one_line(changes, words):
    with pytest.raises(BadInput) as caught:
        adapted("mine.py:f", pays(**changes))
    assert str(caught.value).startswith("env_name: mine.py:f: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_rate", "knobs: learning_rate is a word of ppo's"),
        ("return", "knobs: return is a word of ppo's"),
        ("fitness", "space: fitness is a column that the records have already"),
    ],
)
def test_a_knob_with_a_name_that_is_taken_is_one_line(tmp_path, name, words):
    (tmp_path / "mine.py").write_text(
        "from bgpbt.environment import *\n"
        "from bgpbt.space import Float\n"
        "def f():\n"
        "    state = EnvState((), jnp.zeros(1), 0.0, False)\n"
        "    return Env('x', 1, 1, 9, 1, 1.0, lambda k, h: state, lambda s, a, h: s,\n"
        f"        knobs={{'{name}': Float(0.0, 1.0, 0.5)}})\n"
    )
    values = SMALL | {"env_name": f"{tmp_path}/mine.py:f"}
    with pytest.raises(BadInput, match=words):
        make_task(load_options(values))


def test_metrics_of_brax_are_there_when_they_are_asked_for():
    plain = make_environment("inverted_pendulum")
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    assert jax.eval_shape(plain.reset, key).metrics == ()
    asked = make_environment("reacher", objective="reward_dist")
    assert set(jax.eval_shape(asked.reset, key).metrics) == {"reward_dist"}


@pytest.mark.long
def test_a_run_is_ranked_by_success_and_records_the_return(tmp_path, no_figures):
    values = {"objective": "success", "pop_size": 4, "quantile_fraction": 0.25}
    values |= {"max_timesteps": 48_000, "save_dir": str(tmp_path)}
    result = bgpbt.run(load_options(SMALL | values))
    assert result.report["untrained_mean"] < 0.2 and result.report["mean"] > 0.8
    records = result.records
    # With its default weights, the environment pays success and nothing else.
    np.testing.assert_allclose(records["return"], records["fitness"])
    assert records["progress_weight"].nunique() > 3
    assert result.task.return_label == "success"
