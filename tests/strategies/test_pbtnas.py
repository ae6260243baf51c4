"""PBT-NAS and its ablations, and the mutation-based search, rule by rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import outcome

from bgpbt import space as spaces
from bgpbt.execution import mutation as weights
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.programs import make_programs
from bgpbt.space import Float, Integer
from bgpbt.strategies.mutation import mutation
from bgpbt.strategies.pbtnas import pbtnas, select_parents, stratified
from bgpbt.types import Source, Task, TrainState

BLOCKS = ("a", "b", "c")
SPACE = {
    "rate": Float(0.0, 1.0, 0.5),
    "a_depth": Integer(1, 4, 1, group="a"),
    "a_width": Integer(1, 3, 1, group="a"),
    "b_depth": Integer(1, 4, 1, group="b"),
    "c_depth": Integer(1, 1, 1, group="c"),
}
NAN = float("nan")
FITNESS = [3.0, 1, 8, 7, 2, 6, 5, 4]  # pool of 0.25: 2 and 3; removed: 1 and 4
KEYS = jax.random.split(jax.random.PRNGKey(0), 300)


def seen(fitness=FITNESS):
    config = np.random.default_rng(0).uniform(size=(len(fitness), len(SPACE)))
    return outcome(
        fitness, config=spaces.snap_architectures(SPACE, config), space=SPACE
    )


def decisions(strategy, what):
    step = jax.jit(jax.vmap(lambda key: strategy.step(key, (), what)[1]))
    return jax.tree.map(np.asarray, step(KEYS))


def test_two_different_parents_of_the_best_share_and_the_fitter_is_first():
    removed, first, second = jax.vmap(
        lambda key: select_parents(key, jnp.array(FITNESS), 0.375)
    )(KEYS)  # pool 2, 3, 5
    assert np.flatnonzero(removed[0]).tolist() == [0, 1, 4]
    pairs = {(int(a), int(b)) for a, b in zip(first[:, 1], second[:, 1], strict=True)}
    assert pairs == {(2, 3), (2, 5), (3, 5)}


def test_failed_members_are_removed_beyond_the_share_and_are_no_parents():
    removed, first, second = select_parents(
        KEYS[0], jnp.array([NAN, NAN, NAN, 1, NAN, 2.0, NAN, 3]), 0.5
    )
    assert np.flatnonzero(removed).tolist() == [0, 1, 2, 4, 6]
    assert set(np.asarray(first)) | set(np.asarray(second)) <= {3, 5, 7}
    removed, first, second = select_parents(
        KEYS[0], jnp.array([NAN, NAN, NAN, 1.0]), 0.5
    )
    assert np.flatnonzero(removed).tolist() == [0, 1, 2] and set(
        np.asarray(first)
    ) == set(np.asarray(second)) == {3}


def test_a_child_is_the_first_parent_but_for_blocks_of_the_second():
    what = seen()
    found = decisions(pbtnas(SPACE, BLOCKS, quantile_fraction=0.25), what)
    for child in (1, 4):
        mixed = found.parents[:, child] == 3  # 2 is fitter
        assert (found.parents[:, child][~mixed] == 2).all()
        assert abs(mixed.mean() - 0.25) < 0.05  # each block by itself
        assert np.abs(np.corrcoef(mixed.T) - np.eye(3)).max() < 0.2
        np.testing.assert_allclose(
            found.shrink[:, child], np.where(mixed, 0.4, 1), rtol=1e-6
        )
        np.testing.assert_allclose(
            found.perturb[:, child], np.where(mixed, 0.1, 0), rtol=1e-6
        )
        np.testing.assert_array_equal(
            found.config[:, child, 0], np.full(300, what.config[2, 0])
        )  # hyperparameters: the first's
        for block, columns in enumerate(([1, 2], [3], [4])):
            expected = what.config[np.where(mixed[:, block], 3, 2)][:, columns]
            np.testing.assert_array_equal(found.config[:, child][:, columns], expected)
        source = np.where(mixed.any(axis=1), Source.mixed, Source.copied)
        np.testing.assert_array_equal(found.source[:, child], source)
    others = [0, 2, 3, 5, 6, 7]
    assert (found.parents[:, others] == np.array(others)[:, None]).all() and (
        found.shrink[:, others] == 1
    ).all()


def test_a_block_without_an_architecture_is_always_the_first_parents():
    found = decisions(
        pbtnas(SPACE, (*BLOCKS, "stem"), quantile_fraction=0.25, mix_probability=1.0),
        seen(),
    )
    assert (
        (found.parents[:, 1, 3] == 2).all()
        and (found.parents[:, 1, :3] == 3).all()
        and (found.shrink[:, 1, 3] == 1).all()
    )
    found = decisions(pbtnas(SPACE, (*BLOCKS, "stem"), mixing="whole"), seen())
    assert (found.shrink[..., 3] < 1).all()


@pytest.mark.parametrize(("shrink", "perturb"), [(1.0, 0.0), (0.0, 1.0)])
def test_copy_exactly_and_reset(shrink, perturb):
    found = decisions(pbtnas(SPACE, BLOCKS, shrink=shrink, perturb=perturb), seen())
    mixed = found.parents[:, 1] == 3
    assert (found.shrink[:, 1][mixed] == shrink).all() and (
        found.perturb[:, 1][mixed] == perturb
    ).all()


def test_no_new_architecture():
    """Both parents are the fitter one.

    A quarter of a copy's own blocks are shrunk and perturbed.
    """
    what = seen()
    found = decisions(pbtnas(SPACE, BLOCKS, mixing="none"), what)
    assert (found.parents[:, [1, 4]] == 2).all()
    np.testing.assert_array_equal(found.config[:, 1], np.tile(what.config[2], (300, 1)))
    assert abs((found.shrink[:, 1] < 1).mean() - 0.25) < 0.05


def test_whole_networks_without_selection():
    what = seen([*FITNESS[:7], NAN])
    found = decisions(pbtnas(SPACE, BLOCKS, mixing="whole"), what)
    np.testing.assert_allclose(found.shrink, np.full((300, 8, 3), 0.4), rtol=1e-6)
    assert (found.parents[:, :7] == np.arange(7)[:, None]).all() and np.isin(
        found.parents[:, 7], [2, 3]
    ).all()


def test_every_value_is_there_equally_often_at_the_start():
    drawn = np.random.default_rng(1).uniform(size=(10, len(SPACE)))
    config = stratified(KEYS[0], SPACE, drawn)
    np.testing.assert_array_equal(config[:, 0], drawn[:, 0])
    for column, dim in list(enumerate(SPACE.values()))[1:]:
        _, counts = np.unique(
            spaces.value_at(dim, config[:, column]), return_counts=True
        )
        assert counts.min() >= 10 // len(counts) and len(counts) == len(
            spaces.bin_centres(dim)
        )
    assert not np.array_equal(config, stratified(KEYS[1], SPACE, drawn))


# The mutation-based search


def test_a_third_each_of_copies_mutated_weights_and_new_architectures():
    what = seen()
    found = decisions(
        mutation(SPACE, BLOCKS, quantile_fraction=0.375), what
    )  # pool 2, 3, 5: the parent is 2 or 3
    child = 1
    parent = found.parents[:, child, 0]
    assert set(parent) == {2, 3} and (found.parents[:, child] == parent[:, None]).all()
    assert abs((parent == 2).mean() - 2 / 3) < 0.1  # the fitter of two
    changed_arch = (found.config[:, child] != what.config[parent]).any(axis=1)
    mutated = found.mutate[:, child]
    assert not (changed_arch & mutated).any()
    for share in (
        changed_arch.mean(),
        mutated.mean(),
        (~changed_arch & ~mutated).mean(),
    ):
        assert abs(share - 1 / 3) < 0.1
    np.testing.assert_array_equal(
        found.source[:, child],
        np.where(changed_arch | mutated, Source.mutated, Source.copied),
    )
    assert (
        not found.mutate[:, [2, 3, 5]].any()
        and (found.config[:, 2] == what.config[2]).all()
    )


def test_one_dimension_gets_a_different_value_and_its_block_starts_afresh():
    what = seen()
    found = decisions(mutation(SPACE, BLOCKS, quantile_fraction=0.375), what)
    parent = what.config[found.parents[:, 1, 0]]
    changed = found.config[:, 1] != parent
    assert (changed.sum(axis=1) <= 1).all() and not changed[
        :, [0, 4]
    ].any()  # neither a hyperparameter nor a single value
    columns = np.flatnonzero(changed.any(axis=0)).tolist()
    assert columns == [1, 2, 3]
    for column in columns:
        values = spaces.value_at(
            list(SPACE.values())[column], found.config[changed[:, column], 1, column]
        )
        kept = parent[changed[:, column], column]
        assert len(set(zip(kept.tolist(), values.tolist(), strict=True))) == (
            len(np.unique(kept)) * (3 if column != 2 else 2)
        )
        fresh = found.perturb[changed[:, column], 1] == 1
        assert (fresh == [column in (1, 2), column == 3, False]).all()


def test_weights_mutate_as_often_as_stated():
    """100 units: each element is hit with a chance of m / 100, m from 0 to 9.

    So 4.5 % of a matrix that is chosen.
    """
    params = {
        "one": {"kernel": jnp.ones((50, 100)), "bias": jnp.ones(100)},
        "two": {"kernel": jnp.full((50, 100), 2.0)},
    }
    found = jax.jit(jax.vmap(lambda key: weights.mutate(key, params)))(KEYS)
    assert (found["one"]["bias"] == 1).all()  # no matrix
    one, two = np.asarray(found["one"]["kernel"]), np.asarray(found["two"]["kernel"])
    hit_one, hit_two = (one != 1).mean(axis=(1, 2)), (two != 2).mean(axis=(1, 2))
    chosen = (hit_one > 0) | (hit_two > 0)
    assert chosen.mean() > 0.75  # nobody is hit only where m is 0
    # One of two matrices, or both, equally often: each is chosen in 3 of 4 cases.
    assert (
        abs((hit_one > 0).mean() - 0.75 * 0.9) < 0.1
        and abs(hit_one[hit_one > 0].mean() - 0.05) < 0.01
    )
    change = np.abs(one[one != 1] - 1)
    assert abs((change < 0.35).mean() - 0.9) < 0.06  # a tenth of itself, mostly
    assert (change > 5).mean() > 0.02  # ten times itself, sometimes
    large = np.asarray(
        jax.vmap(lambda key: weights.mutate(key, {"kernel": jnp.full((50, 100), 1e3)}))(
            KEYS
        )["kernel"]
    )
    hits = large[large != 1e3]
    anew = np.abs(hits) < 6  # of size one, whatever was there
    assert abs(anew.mean() - 0.05) < 0.01 and abs(hits[anew].std() - 1) < 0.1
    assert (
        abs((np.abs(hits - 1e3) > 500).mean() - 0.05 * (1 + 0.96)) < 0.02
    )  # those, and the tenfold beyond half of it


def test_padding_stays_zero():
    params = {"kernel": jnp.zeros((50, 100)).at[:10, :10].set(1.0)}
    found = np.asarray(
        jax.vmap(lambda key: weights.mutate(key, params))(KEYS)["kernel"]
    )
    assert (
        (found[:, 10:] == 0).all()
        and (found[:, :, 10:] == 0).all()
        and (found[:, :10, :10] != 1).any()
    )


def test_the_program_mutates_only_whom_it_is_told_to():
    def init(key, h):
        del key, h
        return TrainState({"a": jnp.ones((30, 40))}, {"a": ()}, (), ())

    task = Task("matrix", SPACE, ("a",), 1, init, None, None)
    programs = make_programs(task, 4, DeviceLayout(2, 1))
    population = programs.init(
        np.uint32(0), np.int32(0), np.arange(4), np.zeros((4, len(SPACE)), np.float32)
    )
    changed = np.zeros(4, bool)
    for round_ in range(5):  # a matrix may go untouched, where m is 0
        found = programs.mutate(
            np.uint32(0),
            np.int32(round_),
            population,
            np.array([False, True, False, True]),
        )
        changed |= (np.asarray(found.params["a"]) != 1).any(axis=(1, 2))
    assert changed.tolist() == [False, True, False, True]
