import jax
import jax.numpy as jnp
import numpy as np
from toys import SPACE, outcome

from bgpbt.strategies.frozen import frozen
from bgpbt.strategies.pbt import pbt
from bgpbt.types import Source, Strategy

INNER = pbt(SPACE, ("first",), quantile_fraction=0.25)


def test_configurations_never_change_while_parents_do():
    strategy, seen = frozen(INNER), outcome([3, 9, 1, 7, 8, 2, 5, 6])
    for seed in range(5):
        key = jax.random.PRNGKey(seed)
        (_, inner), (_, decision) = (
            INNER.step(key, (), seen),
            strategy.step(key, (), seen),
        )
        np.testing.assert_array_equal(decision.config, seen.config)
        np.testing.assert_array_equal(
            decision.parents, inner.parents
        )  # the selection is that of the wrapped strategy
        assert set(
            np.flatnonzero(np.asarray(decision.parents)[:, 0] != np.arange(8))
        ) == {2, 5}
        assert (np.asarray(decision.source) == Source.previous).all()


def test_the_wrapped_strategys_state_goes_on():
    def step(key, state, outcome):
        return state + 1, INNER.step(key, (), outcome)[1]

    strategy, seen = (
        frozen(Strategy(lambda key, outcome: jnp.zeros((), jnp.int32), step)),
        outcome([1, 2, 3, 4]),
    )
    state = strategy.init(jax.random.PRNGKey(0), seen)
    for seed in range(3):
        state, _ = strategy.step(jax.random.PRNGKey(seed), state, seen)
    assert int(state) == 3
