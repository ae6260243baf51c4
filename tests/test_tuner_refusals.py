"""What `bgpbt.Tuner` refuses: one line, and nothing has changed."""

import jax.numpy as jnp
import numpy as np
import pytest
from toys import same_bits
from tuners import SMALL, answers_of, idle_then_best, small

import bgpbt
from bgpbt.config.errors import BadInput, NotSaved, PopulationLost
from bgpbt.space import Categorical, Integer
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Source, Strategy


def takes_nothing():
    """No strategy is built like this."""


def gives_nothing(space, blocks):
    """Forgets to return what it built."""


def keeps(blocks, *, init=0, parent=None, **fields) -> Strategy:
    """Everyone goes on; in round 3, member 0 copies `parent` where there is one."""

    def step(key, state, outcome):
        members = np.arange(len(outcome.fitness))
        if parent is not None and outcome.timesteps.max() >= 30:
            members[0] = parent
        source = np.full(len(members), int(Source.previous))
        decision = inherit_all(outcome, outcome.config, members, len(blocks), source)
        return state, decision

    return Strategy(init=lambda key, outcome: init, step=step, **fields)


def keeping(**fields):
    """A function of one's own for a strategy such as `keeps`, with other fields."""

    def own(space, blocks):
        return keeps(blocks, **{"init": np.int32(0)} | fields)

    return {"strategy": own, "quantile_fraction": None}


WRONG = {
    "space has nothing to search": {"space": {}},
    "space: a b is no": {"space": {"a b": SMALL["rate"]}},
    "space: rate: float is no dimension": {"space": {"rate": 0.1}},
    "space: fitness is a column": {"space": {"fitness": SMALL["rate"]}},
    "space: width: group 'body' is no block": {
        "space": {"width": Integer(1, 2, 1, group="body")}
    },
    "space: act: choice (1, 2) is no text": {
        "space": {"act": Categorical(((1, 2),), 0)}
    },
    "blocks: 'net' are no names": {"blocks": "net"},
    "blocks: () are no names": {"blocks": ()},
    "blocks: ['a', 'a'] name one twice": {"blocks": ("a", "a")},
    "blocks: ['net', 'hyperparameter'] name one twice, or 'hyperparameter'": {
        "blocks": ("net", "hyperparameter")
    },
    "pop_size: 1 is no population": {"pop_size": 1},
    "minimise: 'no' is neither True nor False": {"minimise": "no"},
    "seed: 2 seeds, give one": {"seed": (0, 1)},
    "seed: -1 lies outside": {"seed": -1},
    "strategy: unknown 'ppt', nearest: pbt": {"strategy": "ppt"},
    "strategy: int is no name": {"strategy": 3},
    "nowhere.py, give path/to/file.py:function": {"strategy": "nowhere.py:f"},
    "quantile_fraction: 0.9 lies outside (0, 0.5]": {"quantile_fraction": 0.9},
    "quantile_fraction: 0.1 of 4 members replaces nobody": {"quantile_fraction": 0.1},
    "quantil: strategy pbt has no such setting, nearest: quantile_fraction": {
        "quantil": 0.25
    },
    "patience: strategy pbt has no such setting": {"patience": 3},
    "eta: strategy random has no such setting, it has none": {
        "strategy": "random",
        "quantile_fraction": None,
        "eta": 3,
    },
    "strategy: mutation mutates weights": {"strategy": "mutation"},
    "strategy: pbtnas needs architectures to search, space has none": {
        "strategy": "pbtnas",
        "pop_size": 8,
    },
    "strategy: pbt changes architectures through generations": {
        "space": SMALL | {"width": Integer(1, 2, 1, group="net")}
    },
    "pop_size: 4 members are not 4 sub-populations": {
        "strategy": "mfpbt",
        "quantile_fraction": None,
    },
    "own needs hyperparameters to search, space has none": {
        "space": {"width": Integer(1, 2, 1, group="net")},
        "strategy": keeping(needs=("hyperparameters",))["strategy"],
        "quantile_fraction": None,
    },
    "strategy: pb2 needs hyperparameters that are numbers, space has none": {
        "space": {"act": Categorical(("tanh", "relu"), 0)},
        "strategy": "pb2",
    },
    "takes_nothing cannot be called as one": {
        "strategy": takes_nothing,
        "quantile_fraction": None,
    },
    "gives_nothing gives NoneType, not a Strategy": {
        "strategy": gives_nothing,
        "quantile_fraction": None,
    },
    "own: needs 'weights' is unknown, give some of": keeping(needs=("weights",)),
    "three members are too many": keeping(
        validate=lambda pop_size: f"three members are too many for {pop_size}"
    ),
    "own: validate raises ZeroDivisionError": keeping(validate=lambda size: 1 // 0),
    "own: init: the state holds str, give arrays": keeping(init="none"),
    "own: draw gives shape (3,), not (4, 1)": keeping(
        draw=lambda key, drawn: np.zeros(3)
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_tuner_that_cannot_be(message):
    changes = {"space": SMALL, "strategy": "pbt", "pop_size": 4}
    changes |= {"quantile_fraction": 0.25} | WRONG[message]
    changes = {k: v for k, v in changes.items() if v is not None}
    with pytest.raises(BadInput) as caught:
        bgpbt.Tuner(**changes)
    assert message in str(caught.value).replace("'a b'", "a b")
    assert "\n" not in str(caught.value)


NAN, INF = float("nan"), float("inf")
TOLD_WRONG = {
    "fitness: has shape (3,), give (4,)": ([1.0] * 3, 5),
    "fitness: has shape (), give (4,)": (1.0, 5),
    "fitness: has type <U1, give numbers": (["a"] * 4, 5),
    "fitness: has type bool, give numbers": ([True] * 4, 5),
    "fitness: cannot be read as numbers": ([[1.0], [1.0, 2.0], 3.0, 4.0], 5),
    "fitness: member 2 has inf": ([1.0, 2.0, INF, 3.0], 5),
    "fitness: member 1 has -1e+39": ([1.0, -1e39, 2.0, 3.0], 5),
    "steps: has -1.0, give whole numbers": ([1.0] * 4, -1),
    "steps: has 0.5, give whole numbers": ([1.0] * 4, [1, 0.5, 1, 1]),
    "steps: has nan, give whole numbers": ([1.0] * 4, NAN),
    "steps: has shape (2,), give one number or (4,)": ([1.0] * 4, [5, 5]),
    "steps: holds what is no number": ([1.0] * 4, None),
    "steps: a member would have 2147483653 in all": ([1.0] * 4, 2**31 - 5),
    "returns: has shape (4,), give (4, E)": ([1.0] * 4, 5, [1.0] * 4),
    "returns: has shape (3, 2), give (4, E)": ([1.0] * 4, 5, np.ones((3, 2))),
    "returns: has shape (4, 0), give (4, E)": ([1.0] * 4, 5, np.ones((4, 0))),
    "returns: member 3 has -inf": ([1.0] * 4, 5, [[1.0]] * 3 + [[-INF]]),
    "returns: those of member 1 have the mean 2.5, its fitness is 2,": (
        [1.0, 2.0, 3.0, 4.0],
        5,
        [[1.0, 1.0], [2.0, 3.0], [3.0, 3.0], [4.0, 4.0]],
    ),
}


@pytest.fixture(scope="module")
def told_twice():
    """A Tuner after two rounds, which refused calls must leave as it is."""
    tuner = small()
    tuner.tell([0.0] * 4, steps=0)
    tuner.tell([1.0, 2.0, 3.0, 4.0], steps=10)
    return tuner


@pytest.mark.parametrize("message", TOLD_WRONG)
def test_what_cannot_be_told_changes_nothing(told_twice, message):
    before, records = told_twice._state, told_twice.records
    with pytest.raises(BadInput) as caught:
        told_twice.tell(*TOLD_WRONG[message])
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert same_bits(told_twice._state, before)
    assert told_twice.records.equals(records)


def test_all_failed_changes_nothing(told_twice):
    before = told_twice._state
    with pytest.raises(PopulationLost, match="all members failed in round 2"):
        told_twice.tell([NAN] * 4, steps=10)
    assert same_bits(told_twice._state, before) and told_twice.round == 1


def test_untrained_members_have_no_steps():
    with pytest.raises(BadInput, match="steps: the first round is of the untrained"):
        small().tell([1.0] * 4, steps=10)


def test_a_t_test_needs_returns():
    tuner = small(exploit="t_test")
    with pytest.raises(BadInput, match="returns: the strategy needs several"):
        tuner.tell([1.0] * 4, steps=0)
    with pytest.raises(BadInput, match="E at least 2"):
        tuner.tell([1.0] * 4, 0, np.ones((4, 1)))
    tuner.tell([1.0] * 4, 0, jnp.ones((4, 2)))


def test_a_decision_that_cannot_be_changes_nothing():
    """It is found in the round in which it is made."""
    tuner = small(**keeping(parent=9))
    answers_of(tuner, 3)
    before, records = tuner._state, tuner.records
    match = "round 3: decision: parents has 9, give members 0 to 3 or 4, the saved best"
    with pytest.raises(BadInput, match=match):
        tuner.tell([1.0] * 4, steps=10)
    assert same_bits(tuner._state, before) and tuner.round == 2
    assert tuner.records.equals(records)


OTHERS = {
    "arrays there, ": (np.int32(0), np.int32(0)),
    "float32": np.float32(0),
}


@pytest.mark.parametrize("problem", OTHERS)
def test_a_state_of_another_strategy_is_not_loaded(tmp_path, problem):
    path = tmp_path / "tuner.bin"
    small(strategy=idle_then_best, quantile_fraction=None).save(path)
    other = keeping(init=OTHERS[problem])["strategy"]
    with pytest.raises(BadInput, match="its state is not one of strategy ") as caught:
        bgpbt.Tuner.load(path, strategy=other)
    message = str(caught.value)
    assert problem in message and "own: " in message and "\n" not in message


def test_a_folder_is_no_file_to_save_in():
    with pytest.raises(NotSaved, match=r"^\. is no file, give a path such as"):
        small().save("")
