"""A person's own task or strategy that does not keep the contract is refused in one line, before anything is written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import quadratic

import bgpbt
from bgpbt import api, contract
from bgpbt.lookup import load
from bgpbt.options import BadInput, Options, load_options
from bgpbt.space import Categorical, Float, Integer, complaint
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.operators import whole
from bgpbt.tasks import TASKS
from bgpbt.types import Source, Strategy, Task, TrainState

WORD = "own.py:f"


def task(**changes) -> Task:
    """One weight; `changes` break it."""
    return Task(
        name="own",
        space={"rate": Float(1e-3, 1.0, 0.1, log=True)},
        blocks=("w",),
        timesteps_per_update=1,
        init=lambda key, h: TrainState({"w": jnp.zeros(2)}, {"w": jnp.zeros(2)}, (), ()),
        train=lambda key, state, h, updates, extra: (state, {"loss": h["rate"], "env_steps": 4 * updates}),
        evaluate=lambda key, state, h: (jnp.ones(8) * h["rate"], jnp.int32(8)),
    )._replace(**changes)


def test_what_keeps_the_contract_passes():
    contract.check_task(WORD, task())
    contract.check_task(WORD, quadratic())
    data = np.arange(4.0, dtype=np.float32)  # of NumPy, and taken at a place that is traced

    def train(key, state, h, updates, extra, *, data):
        return state, {"loss": data[updates], "env_steps": updates}

    def evaluate(key, state, h, *, data):
        return data[jax.random.randint(key, (8,), 0, 4)], jnp.int32(8)

    contract.check_task(WORD, task(data=data, train=train, evaluate=evaluate))


STATE = TrainState({"w": jnp.zeros(2)}, {"w": jnp.zeros(2)}, (), ())
METRICS = {"loss": jnp.float32(0), "env_steps": jnp.int32(4)}
BROKEN_TASKS = {
    "space has nothing to search": {"space": {}},
    "space has nothing": {"space": ["rate"]},
    "space: rate: low 1.0 is not below high 0.1": {"space": {"rate": Float(1.0, 0.1, 0.5)}},
    "space: rate: group 'zz' is no block, give 'hyperparameter' or one of": {"space": {"rate": Float(0.1, 1.0, 0.5, group="zz")}},
    "init raises AttributeError": {"init": lambda key, h: key.nothing},
    "init gives a dict of ('w',), not a TrainState": {"init": lambda key, h: {"w": jnp.zeros(2)}},
    "init: params is a dict of ('w',), give a dict with one entry for each of blocks ('q',)": {"blocks": ("q",)},
    "init: moments is a dict of ()": {"init": lambda key, h: STATE._replace(moments={})},
    "train gives TrainState, not a state and a dict of metrics": {"train": lambda *_: STATE},
    "train gives (TrainState, an array []), not": {"train": lambda *_: (STATE, jnp.float32(0))},
    "train changes the state: .params['w'] is float32[3], was float32[2]": {
        "train": lambda *_: (STATE._replace(params={"w": jnp.zeros(3)}), METRICS)
    },
    "train changes the state: .moments['w'] is int32[2], was float32[2]": {
        "train": lambda *_: (STATE._replace(moments={"w": jnp.zeros(2, jnp.int32)}), METRICS)
    },
    "train changes the state: .shared is float32[1], was nothing": {
        "train": lambda *_: (STATE._replace(shared=jnp.zeros(1)), METRICS)
    },
    "train changes the state: .params['w'] is nothing, was float32[2]": {
        "train": lambda *_: (STATE._replace(params={"w": {"a": jnp.zeros(2)}}), METRICS)
    },
    "train changes the state: TrainState instead of TrainState, or of other kinds inside": {
        "train": lambda *_: (STATE._replace(shared=[]), METRICS)
    },
    "train raises TracerIntegerConversionError": {
        "train": lambda key, state, h, updates, extra: (state, METRICS | {"loss": 1.0 * sum(range(updates))})
    },
    "timesteps_per_update is 0, give a whole number of at least 1": {"timesteps_per_update": 0},
    "train: no 'loss' among the metrics ('env_steps',)": {"train": lambda *_: (STATE, {"env_steps": jnp.int32(4)})},
    "train: 'loss' has shape (2,), give one number": {"train": lambda *_: (STATE, METRICS | {"loss": jnp.zeros(2)})},
    "train: no 'episode_returns' among": {"fitness_from_training": True},
    "train: 'episode_returns' has shape (), give shape [E]": {
        "fitness_from_training": True,
        "train": lambda *_: (STATE, METRICS | {"episode_returns": jnp.float32(0)}),
    },
    "evaluate gives an array [8], not returns [E]": {"evaluate": lambda *_: jnp.ones(8)},
    "evaluate gives (an array [], an array []), not": {"evaluate": lambda *_: (jnp.float32(1), jnp.int32(8))},
    "evaluate raises KeyError: 'rat'": {"evaluate": lambda key, state, h: (jnp.ones(8) * h["rat"], jnp.int32(8))},
    "refresh changes the state: .params['w'] is float32[1]": {
        "refresh": lambda key, state: state._replace(params={"w": jnp.zeros(1)})
    },
}


@pytest.mark.parametrize("said", BROKEN_TASKS)
def test_a_task_that_breaks_the_contract(said):
    with pytest.raises(BadInput) as caught:
        contract.check_task(WORD, task(**BROKEN_TASKS[said]))
    assert f"task: {WORD}: {said}" in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("dim", "said"),
    [
        (Float(0.0, 1.0, 0.5), ""),
        (Float(0.0, 1.0, 0.5, log=True), "low 0.0 has no logarithm, give one above 0"),
        (Float(0.5, 1.0, 0.9, log_complement=True), "1 - high is 0.0, which has no logarithm, give high below 1"),
        (Float(0.5, 0.99, 0.9, log_complement=True), ""),
        (Integer(3, 3, 3), ""),
        (Integer(4, 3, 3), "low 4 is not below high 3"),
        (Float(0.0, 1.0, None), "default None is no number"),
        (Float(1.0, 1.0, 1.0), "low 1.0 is not below high 1.0"),
        (Float(float("nan"), 1.0, 0.5), "low nan is not below high 1.0"),
        (Float(0.0, 1.0, 2.0), "default 2.0 is not in 0.0 to 1.0"),
        (Integer(0, 8, 1, log=True), "low 0 has no logarithm, give one above 0"),
        (Integer(0, 8, 1, doubling=True), "low 0 has no logarithm, give one above 0"),
        (Integer(3, 20, 6, doubling=True), "high 20 is not 3 doubled a whole number of times"),
        (Integer(3, 24, 6, doubling=True), ""),
        (Categorical(("a", "b"), 1), ""),
        (Categorical(("a", "b"), 2), "default 2 is no place among the 2 choices"),
        (Categorical((), 0), "default 0 is no place among the 0 choices"),
        (0.5, "float is no dimension, give Float, Integer or Categorical"),
    ],
)
def test_what_is_wrong_with_a_dimension(dim, said):
    assert complaint(dim) == said


@pytest.mark.parametrize("name", [name for name in TASKS if name != "ppo"])
@pytest.mark.parametrize("search_mode", ["hpo", "both"])
def test_the_products_own_tasks_keep_it(name, search_mode):
    if (name, search_mode) != ("toy", "both"):
        contract.check_task(name, load("task", name, TASKS)(load_options({"task": name, "search_mode": search_mode})))


def strategy(**changes):
    """Everybody goes on as it is, or with a decision or a state changed."""

    def step(key, state, outcome):
        size = len(outcome.fitness)
        decision = whole(outcome, outcome.config, np.arange(size), 1, np.full(size, int(Source.previous)))
        return state, decision._replace(**{name: change(size) for name, change in changes.items()})

    return Strategy(init=lambda key, outcome: jnp.int32(0), step=step)


def refuse(key, outcome):
    raise RuntimeError("no\nmore")


BROKEN_STRATEGIES = {
    "init raises RuntimeError: no": strategy()._replace(
        init=lambda key, outcome: (_ for _ in ()).throw(RuntimeError("no\nmore"))
    ),
    "init: the state holds str, give arrays": strategy()._replace(init=lambda key, outcome: "x"),
    "step raises ZeroDivisionError": strategy()._replace(step=lambda key, state, outcome: 1 / 0),
    "step raises ZeroDivisionError: integer": strategy()._replace(
        init=lambda key, outcome: np.int32(1),
        step=lambda key, state, outcome: (np.int32(1 // int(state) - 1), strategy().step(key, state, outcome)[1]),  # the second
    ),
    "step gives NoneType, not its state and a Decision": strategy()._replace(step=lambda key, state, outcome: None),
    "step gives (Decision, an array []), not": strategy()._replace(step=lambda *given: strategy().step(*given)[::-1]),
    "step changes the state: it is float32[2], was float32[1]; a checkpoint is read back": strategy()._replace(
        init=lambda key, outcome: jnp.ones(1),
        step=lambda key, state, outcome: (jnp.append(state, 1.0), strategy().step(key, state, outcome)[1]),
    ),
    "step changes the state: it is int, was int32[]": strategy()._replace(
        step=lambda key, state, outcome: (1, strategy().step(key, state, outcome)[1])
    ),
    "decision: config has shape (1, 1), give (4, 1)": strategy(config=lambda size: np.zeros((1, 1))),
    "decision: config is not finite everywhere": strategy(config=lambda size: np.full((size, 1), np.nan)),
    "decision: parents has type float64, give whole numbers": strategy(parents=lambda size: np.zeros((size, 1))),
    "decision: parents has 5, give members 0 to 3 or 4, the saved best": strategy(parents=lambda size: np.full((size, 1), 5)),
    "decision: parents has -1, give": strategy(parents=lambda size: np.full((size, 1), -1)),
    "decision: active has shape (2,), give (4,)": strategy(active=lambda size: np.ones(2, bool)),
    "decision: source has shape (), give (4,)": strategy(source=lambda size: 0),
    "decision: source has 99, give a Source": strategy(source=lambda size: np.full(size, 99)),
    "decision: active has type <U1, give numbers": strategy(active=lambda size: np.array(["x"] * size)),
    "draw gives shape (1, 1), not (4, 1)": strategy()._replace(draw=lambda key, config: config[:1]),
    "beliefs: mood has shape (3,), give () or (4,)": strategy()._replace(beliefs=lambda state: {"mood": np.zeros(3)}),
    "beliefs raises ZeroDivisionError": strategy()._replace(beliefs=lambda state: 1 / 0),
    "decision: mutate has shape (0,), give (4,)": strategy()._replace(mutates=True),
}


@pytest.mark.parametrize("said", BROKEN_STRATEGIES)
def test_a_strategy_that_breaks_the_contract(said):
    with pytest.raises(BadInput) as caught:
        contract.check_strategy(WORD, BROKEN_STRATEGIES[said], task(), 4)
    assert f"strategy: {WORD}: {said}" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_strategy_that_keeps_the_contract():
    contract.check_strategy(WORD, strategy(parents=lambda size: np.full((size, 1), size)), task(), 4)  # the saved best


def test_a_strategy_may_answer_in_other_numbers(tmp_path):
    """Programs are compiled for one type of each."""
    settings = {"task": "toy", "pop_size": 4, "quantile_fraction": 0.25, "t_ready": 1, "max_timesteps": 3}
    other = strategy(
        config=lambda size: np.full((size, 1), 0.5),
        parents=lambda size: np.zeros((size, 1), np.uint32),
        shrink=lambda size: np.ones((size, 1), int),
        perturb=lambda size: [[0]] * size,
        active=lambda size: np.ones(size, int),
        source=lambda size: [1] * size,
    )
    contract.check_strategy(WORD, other, task(), 4)
    found = bgpbt.run(load_options(settings | {"save_dir": str(tmp_path)}), task(), other)
    assert found.records["parent"].tail(4).tolist() == [0] * 4


def test_one_array_of_data_and_of_unseen_data(tmp_path):
    settings = {"task": "toy", "pop_size": 4, "quantile_fraction": 0.25, "t_ready": 1, "max_timesteps": 3}

    def train(key, state, h, updates, extra, *, data):
        return state, {"loss": data.sum(), "env_steps": updates}

    def evaluate(key, state, h, *, data):
        return data + h["rate"] * 0, jnp.int32(8)

    data = {"data": np.arange(4, dtype=np.float32), "unseen": lambda: np.arange(6, dtype=np.float32)}
    own = task(train=train, evaluate=evaluate, **data)
    assert bgpbt.run(load_options(settings | {"save_dir": str(tmp_path)}), own, strategy()).report["mean"] == 2.5


def test_a_decision_that_turns_bad_in_a_run_ends_it_in_one_line(tmp_path):
    """After good rounds, which stay saved."""
    good, bad = strategy(), strategy(parents=lambda size: np.full((size, 1), 99))

    def step(key, state, outcome):
        return state, (good if outcome.timesteps[0] < 3 else bad).step(key, state, outcome)[1]

    settings = {"task": "toy", "pop_size": 4, "quantile_fraction": 0.25, "t_ready": 1, "max_timesteps": 6}
    options = load_options(settings | {"save_dir": str(tmp_path)})
    with pytest.raises(BadInput, match="strategy: round 3: decision: parents has 99"):
        bgpbt.run(options, task(), good._replace(step=step))
    assert bgpbt.open_run(next(tmp_path.glob("*/seed_0")), task(), good).records["round"].max() == 2


FILE = """from bgpbt.types import Strategy


def broken(space, blocks):
    raise ValueError("boom")


def leaves(options):
    raise SystemExit(0)


def later(space, blocks):
    def init(key, outcome):
        return space["nothing"]

    return Strategy(init=init, step=None)


def grumpy(space, blocks):
    return Strategy(init=None, step=None, complaint=lambda size: 1 / 0)


def idle(options):
    from test_own_files import task

    return task(train=lambda *given: None)


def hungry(space, blocks):
    return Strategy(init=None, step=None, needs=("bananas",))
"""


def test_an_error_of_the_file_is_told_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    for name, said in {
        "broken": "the function raises ValueError: boom, line 5",
        "later": "init raises KeyError: 'nothing', line 14",
        "grumpy": "complaint raises ZeroDivisionError: division by zero, line 20",
        "hungry": r"needs 'bananas' is unknown, give some of \('hyperparameters'",
    }.items():
        with pytest.raises(BadInput, match=rf"^strategy: mine\.py:{name}: {said}"):
            api.make_strategy(Options(strategy=f"mine.py:{name}"), quadratic())
    (tmp_path / "gone.py").write_text("raise SystemExit(0)")
    with pytest.raises(BadInput, match=r"^task: gone\.py cannot be imported: SystemExit: 0"):
        api.make_task(Options(task="gone.py:f"))
    with pytest.raises(BadInput, match=r"^task: mine\.py:idle: train gives NoneType, not a state and a dict of metrics"):
        api.make_task(Options(task="mine.py:idle"))
    with pytest.raises(BadInput, match=r"^task: mine\.py:leaves: the function raises SystemExit: 0, line 9"):
        api.make_task(Options(task="mine.py:leaves"))


def test_the_products_own_errors_are_not_told_as_a_persons(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "pbt", "builtins:divmod")
    monkeypatch.setattr("builtins.divmod", lambda space, blocks: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        api.make_strategy(Options(strategy="pbt"), quadratic())
