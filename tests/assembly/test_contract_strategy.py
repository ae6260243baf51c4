"""A strategy that does not keep the contract is refused in one line."""

import jax.numpy as jnp
import numpy as np
import pytest
from own_parts import WORD, strategy, task

import bgpbt
from bgpbt.assembly import contract
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options

BROKEN_STRATEGIES = {
    "init raises RuntimeError: no": strategy()._replace(
        init=lambda key, outcome: (_ for _ in ()).throw(RuntimeError("no\nmore"))
    ),
    "init: the state holds str, give arrays": strategy()._replace(
        init=lambda key, outcome: "x"
    ),
    "step raises ZeroDivisionError": strategy()._replace(
        step=lambda key, state, outcome: 1 / 0
    ),
    "step raises ZeroDivisionError: integer": strategy()._replace(
        init=lambda key, outcome: np.int32(1),
        step=lambda key, state, outcome: (
            np.int32(1 // int(state) - 1),
            strategy().step(key, state, outcome)[1],
        ),  # the second
    ),
    "step gives NoneType, not its state and a Decision": strategy()._replace(
        step=lambda key, state, outcome: None
    ),
    "step gives (Decision, an array []), not": strategy()._replace(
        step=lambda *given: strategy().step(*given)[::-1]
    ),
    "step changes the state: it is float32[2], was float32[1]; "
    "a checkpoint is read back": strategy()._replace(
        init=lambda key, outcome: jnp.ones(1),
        step=lambda key, state, outcome: (
            jnp.append(state, 1.0),
            strategy().step(key, state, outcome)[1],
        ),
    ),
    "step changes the state: it is int, was int32[]": strategy()._replace(
        step=lambda key, state, outcome: (1, strategy().step(key, state, outcome)[1])
    ),
    "diagnostics: rate is a column that the records have already": strategy()._replace(
        diagnostics=lambda state: {"rate": np.float32(1)}
    ),
    "decision: config has shape (1, 1), give (4, 1)": strategy(
        config=lambda size: np.zeros((1, 1))
    ),
    "decision: config is not finite everywhere": strategy(
        config=lambda size: np.full((size, 1), np.nan)
    ),
    "decision: parents has type float64, give whole numbers": strategy(
        parents=lambda size: np.zeros((size, 1))
    ),
    "decision: parents has 5, give members 0 to 3 or 4, the saved best": strategy(
        parents=lambda size: np.full((size, 1), 5)
    ),
    "decision: parents has -1, give": strategy(
        parents=lambda size: np.full((size, 1), -1)
    ),
    "decision: active has shape (2,), give (4,)": strategy(
        active=lambda size: np.ones(2, bool)
    ),
    "decision: source has shape (), give (4,)": strategy(source=lambda size: 0),
    "decision: source has 99, give a Source": strategy(
        source=lambda size: np.full(size, 99)
    ),
    "decision: active has type <U1, give numbers": strategy(
        active=lambda size: np.array(["x"] * size)
    ),
    "draw gives shape (1, 1), not (4, 1)": strategy()._replace(
        draw=lambda key, config: config[:1]
    ),
    "diagnostics: mood has shape (3,), give () or (4,)": strategy()._replace(
        diagnostics=lambda state: {"mood": np.zeros(3)}
    ),
    "diagnostics: mood has type <U4, give numbers": strategy()._replace(
        diagnostics=lambda state: {"mood": ["good"] * 4}
    ),
    "diagnostics raises ZeroDivisionError": strategy()._replace(
        diagnostics=lambda state: 1 / 0
    ),
    "decision: mutate has shape (0,), give (4,)": strategy()._replace(mutates=True),
}


@pytest.mark.parametrize("message", BROKEN_STRATEGIES)
def test_a_strategy_that_breaks_the_contract(message):
    with pytest.raises(BadInput) as caught:
        contract.check_strategy(WORD, BROKEN_STRATEGIES[message], task(), 4)
    assert (
        f"strategy: {WORD}: {message}" in str(caught.value)
        and len(str(caught.value).splitlines()) == 1
    )


def test_a_strategy_that_keeps_the_contract():
    contract.check_strategy(
        WORD, strategy(parents=lambda size: np.full((size, 1), size)), task(), 4
    )  # the saved best


def test_a_strategy_may_answer_in_other_numbers(tmp_path):
    """Programs are compiled for one type of each."""
    settings = {
        "task": "toy",
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 1,
        "max_timesteps": 3,
    }
    other = strategy(
        config=lambda size: np.full((size, 1), 0.5),
        parents=lambda size: np.zeros((size, 1), np.uint32),
        shrink=lambda size: np.ones((size, 1), int),
        perturb=lambda size: [[0]] * size,
        active=lambda size: np.ones(size, int),
        source=lambda size: [1] * size,
    )
    contract.check_strategy(WORD, other, task(), 4)
    result = bgpbt.run(
        load_options(settings | {"save_dir": str(tmp_path)}), task(), other
    )
    assert result.records["parent"].tail(4).tolist() == [0] * 4


def test_a_decision_that_turns_bad_in_a_run_ends_it_in_one_line(tmp_path):
    """After good rounds, which stay saved."""
    good, bad = strategy(), strategy(parents=lambda size: np.full((size, 1), 99))

    def step(key, state, outcome):
        return state, (good if outcome.timesteps[0] < 3 else bad).step(
            key, state, outcome
        )[1]

    settings = {
        "task": "toy",
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 1,
        "max_timesteps": 6,
    }
    options = load_options(settings | {"save_dir": str(tmp_path)})
    with pytest.raises(BadInput, match="strategy: round 3: decision: parents has 99"):
        bgpbt.run(options, task(), good._replace(step=step))
    assert (
        bgpbt.open_run(next(tmp_path.glob("*/seed_0")), task(), good)
        .records["round"]
        .max()
        == 2
    )
