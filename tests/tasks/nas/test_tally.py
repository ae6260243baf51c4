"""What episodes gave is counted as a loop would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.tasks.nas import tally
from bgpbt.tasks.nas.designer import Happened, Step

NAMES = ("a", "b", "c", "d")


def note_of(actions) -> tally.Note:
    """Whatever is done but action 0 can be built, and 3 has branches."""
    actions = jnp.asarray(actions)
    return tally.Note(actions > 0, actions == 3)


def steps_of(rewards, over, actions) -> Step:
    nothing = jnp.zeros(len(rewards))
    happened = Happened(
        jnp.asarray(rewards), jnp.asarray(over), over, note=note_of(actions)
    )
    return Step(nothing, jnp.asarray(actions), nothing, nothing + 0.5, happened)


@pytest.mark.parametrize("episodes", [2, 50])
def test_episodes_are_those_of_a_loop(episodes):
    rng = np.random.default_rng(0)
    rewards = rng.random(40).astype(np.float32)
    over = rng.random(40) < 0.25
    actions = rng.choice([0, 1, 3], 40)
    returns, bests, lengths, current = [], [], [], []
    for reward, ends in zip(rewards, over, strict=True):
        current.append(reward)
        if ends:
            returns.append(sum(current))
            bests.append(max(current))
            lengths.append(len(current))
            current = []
    state = tally.nothing_yet(), tally.empty(episodes, 4)
    add = jax.jit(tally.add_all)
    for part in (slice(0, 15), slice(15, 40)):  # an episode runs on over the seam
        state = add(*state, steps_of(rewards[part], over[part], actions[part]))
    found = tally.statistics(*state, NAMES)
    for name, expected in (
        ("return", returns),
        ("best_reward", bests),
        ("episode_length", lengths),
    ):
        kept = np.asarray(found[name])
        kept = np.sort(kept[np.isfinite(kept)])
        assert kept == pytest.approx(np.sort(expected[-episodes:]), rel=1e-5)
    assert float(found["entropy"][0]) == pytest.approx(0.5)
    assert float(found["share_b"][0]) == pytest.approx((actions == 1).mean())
    assert int(state[1].judged) == (actions > 0).sum()
    branched = (actions == 3).sum() / (actions > 0).sum()
    assert float(found["branched"][0]) == pytest.approx(branched)
    assert float(state[0].gained) == pytest.approx(sum(current), rel=1e-5)


def test_where_no_episode_ended_the_running_one_counts():
    rewards, over = np.full(3, 0.2, np.float32), np.zeros(3, bool)
    state = tally.nothing_yet(), tally.empty(4, 4)
    state = tally.add_all(*state, steps_of(rewards, over, np.zeros(3, int)))
    found = tally.statistics(*state, NAMES)
    assert np.nanmean(found["return"]) == pytest.approx(0.6)
    assert np.nanmean(found["best_reward"]) == pytest.approx(0.2)
    assert np.nanmean(found["episode_length"]) == 3
