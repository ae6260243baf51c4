"""A task that does not keep the contract is refused in one line: it names the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_parts import WORD, strategy, task
from toys import quadratic

import bgpbt
from bgpbt.assembly import contract
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.lookup import resolve
from bgpbt.registry import TASKS
from bgpbt.space import Float
from bgpbt.types import TrainState


def test_what_keeps_the_contract_passes():
    contract.check_task(WORD, task())
    contract.check_task(WORD, quadratic())
    # Of NumPy, and taken at a place that is traced.
    data = np.arange(4.0, dtype=np.float32)

    def train(key, state, h, updates, teaching, *, data):
        return state, {"loss": data[updates], "env_steps": updates}

    def evaluate(key, state, h, *, data):
        return data[jax.random.randint(key, (8,), 0, 4)], jnp.int32(8)

    contract.check_task(WORD, task(data=data, train=train, evaluate=evaluate))


STATE = TrainState({"w": jnp.zeros(2)}, {"w": jnp.zeros(2)}, (), ())
METRICS = {"loss": jnp.float32(0), "env_steps": jnp.int32(4)}
BROKEN_TASKS = {
    "figures is (str), give a dict": {"figures": ("designers",)},
    "figures: 'designer', nearest: designers": {"figures": {"designer": {}}},
    "space has nothing to search": {"space": {}},
    "space has nothing": {"space": ["rate"]},
    "space: rate: low 1.0 is not below high 0.1": {
        "space": {"rate": Float(1.0, 0.1, 0.5)}
    },
    "space: rate: group 'zz' is no block, give 'hyperparameter' or one of": {
        "space": {"rate": Float(0.1, 1.0, 0.5, group="zz")}
    },
    "space: fitness is a column that the records have already, give another": {
        "space": {"fitness": Float(0.1, 1.0, 0.5)}
    },
    "space: parent_q is a column that": {"space": {"parent_q": Float(0.1, 1.0, 0.5)}},
    "space: 'a=b' is no name, leave out spaces, = and ,": {
        "space": {"a=b": Float(0.1, 1.0, 0.5)}
    },
    "space: rate: high inf is not finite": {
        "space": {"rate": Float(0.1, float("inf"), 0.5)}
    },
    "init raises AttributeError": {"init": lambda key, h: key.nothing},
    "init gives a dict of ('w',), not a TrainState": {
        "init": lambda key, h: {"w": jnp.zeros(2)}
    },
    "init: params is a dict of ('w',), "
    "give a dict with one entry for each of blocks ('q',)": {"blocks": ("q",)},
    "init: opt_state is a dict of ()": {
        "init": lambda key, h: STATE._replace(opt_state={})
    },
    "minimise is 'yes', give True or False": {"minimise": "yes"},
    "offered is list, give a dict as space is": {"offered": []},
    "offered: rate is in space, too, keep one": {
        "offered": {"rate": Float(0.1, 1.0, 0.5)}
    },
    "init: averages is (a dict of ('w',)), give a dict whose entries are some of": {
        "init": lambda key, h: STATE._replace(averages=({"w": jnp.zeros(2)},))
    },
    "init: averages is a dict of ('q',), give a dict whose entries are some of": {
        "init": lambda key, h: STATE._replace(averages={"q": jnp.zeros(2)})
    },
    "train changes the state: .memory is float32[3], was nothing": {
        "train": lambda *_: (STATE._replace(memory=jnp.zeros(3)), METRICS)
    },
    "train gives TrainState, not a state and a dict of metrics": {
        "train": lambda *_: STATE
    },
    "train gives (TrainState, an array []), not": {
        "train": lambda *_: (STATE, jnp.float32(0))
    },
    "train changes the state: .params['w'] is float32[3], was float32[2]": {
        "train": lambda *_: (STATE._replace(params={"w": jnp.zeros(3)}), METRICS)
    },
    "train changes the state: .opt_state['w'] is int32[2], was float32[2]": {
        "train": lambda *_: (
            STATE._replace(opt_state={"w": jnp.zeros(2, jnp.int32)}),
            METRICS,
        )
    },
    "train changes the state: .statistics is float32[1], was nothing": {
        "train": lambda *_: (STATE._replace(statistics=jnp.zeros(1)), METRICS)
    },
    "train changes the state: .params['w'] is nothing, was float32[2]": {
        "train": lambda *_: (STATE._replace(params={"w": {"a": jnp.zeros(2)}}), METRICS)
    },
    "train changes the state: TrainState instead of TrainState, "
    "or of other kinds inside": {
        "train": lambda *_: (STATE._replace(statistics=[]), METRICS)
    },
    "train raises TracerIntegerConversionError": {
        "train": lambda key, state, h, updates, teaching: (
            state,
            METRICS | {"loss": 1.0 * sum(range(updates))},
        )
    },
    "timesteps_per_update is 0, give a whole number of at least 1": {
        "timesteps_per_update": 0
    },
    "train: no 'loss' among the metrics ('env_steps',)": {
        "train": lambda *_: (STATE, {"env_steps": jnp.int32(4)})
    },
    "train: 'loss' has shape (2,), give one number": {
        "train": lambda *_: (STATE, METRICS | {"loss": jnp.zeros(2)})
    },
    "train: no 'episode_returns' among": {"fitness_from_training": True},
    "train: 'episode_returns' has shape (), give shape [E]": {
        "fitness_from_training": True,
        "train": lambda *_: (STATE, METRICS | {"episode_returns": jnp.float32(0)}),
    },
    "evaluate gives an array [8], not returns [E]": {
        "evaluate": lambda *_: jnp.ones(8)
    },
    "evaluate gives (an array [], an array []), not": {
        "evaluate": lambda *_: (jnp.float32(1), jnp.int32(8))
    },
    "evaluate gives an array [8], not statistics and the simulated steps []": {
        "evaluate": lambda *_: jnp.ones(8),
        "score": lambda statistics: statistics,
    },
    "columns are read from statistics, give a score, too": {"columns": ("extra",)},
    "columns: evaluate has no statistic 'extra' of shape [E]": {
        "columns": ("extra",),
        "score": lambda statistics: statistics,
    },
    "columns: the records have fitness already, give another name": {
        "columns": ("fitness",),
        "score": lambda statistics: statistics,
    },
    "num_scores is 0, give a whole number of at least 1": {
        "score": lambda statistics: statistics,
        "num_scores": 0,
    },
    "evaluate raises KeyError: 'rat'": {
        "evaluate": lambda key, state, h: (jnp.ones(8) * h["rat"], jnp.int32(8))
    },
    "refresh changes the state: .params['w'] is float32[1]": {
        "refresh": lambda key, state, h: state._replace(params={"w": jnp.zeros(1)})
    },
}


@pytest.mark.parametrize("message", BROKEN_TASKS)
def test_a_task_that_breaks_the_contract(message):
    with pytest.raises(BadInput) as caught:
        contract.check_task(WORD, task(**BROKEN_TASKS[message]))
    assert (
        f"task: {WORD}: {message}" in str(caught.value)
        and len(str(caught.value).splitlines()) == 1
    )


@pytest.mark.parametrize("name", [name for name in TASKS if name != "ppo"])
@pytest.mark.parametrize("search_mode", ["hpo", "both"])
def test_the_products_own_tasks_keep_it(name, search_mode):
    if search_mode == "hpo" or name not in ("toy", "nas"):
        settings = {"task": name, "search_mode": search_mode}
        task = resolve("task", name, TASKS)(load_options(settings))
        contract.check_task(name, task)


def test_one_array_of_data_and_of_unseen_data(tmp_path):
    settings = {
        "task": "toy",
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 1,
        "max_timesteps": 3,
    }

    def train(key, state, h, updates, teaching, *, data):
        return state, {"loss": data.sum(), "env_steps": updates}

    def evaluate(key, state, h, *, data):
        return data + h["rate"] * 0, jnp.int32(8)

    data = {
        "data": np.arange(4, dtype=np.float32),
        "test_data": lambda: np.arange(6, dtype=np.float32),
    }
    own = task(train=train, evaluate=evaluate, **data)
    assert (
        bgpbt.run(
            load_options(settings | {"save_dir": str(tmp_path)}), own, strategy()
        ).report["mean"]
        == 2.5
    )
