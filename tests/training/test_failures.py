"""Members that break: who replaces them, what is said, when a run is lost."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_runs import run_options, watch
from toys import (
    Program,
    final_state,
    play,
    quadratic,
    same_bits,
    same_records,
    with_programs,
)

import bgpbt
from bgpbt import api
from bgpbt.assembly import parts
from bgpbt.cli.command import main
from bgpbt.config.errors import OutOfMemory, PopulationLost
from bgpbt.execution.streams import Stream


def poison(monkeypatch, when: dict, once: bool = False):
    """Spoils members before they are trained.

    `when` maps a round to (member, field): that field of the member becomes NaN. With
    `once` it does not when the round is played again.
    """
    when = dict(when)
    start_engine = api.start_engine

    def poisoned(*args, **settings):
        engine = start_engine(*args, **settings)
        program = engine.programs[0].train

        def train(seed, round_, updates, members, active, population, config, data):
            if int(round_) in when:
                population = spoil(population, *when[int(round_)])
                _ = once and when.pop(int(round_))
            return program(
                seed, round_, updates, members, active, population, config, data
            )

        return with_programs(engine, train=Program(program, train))

    monkeypatch.setattr(api, "start_engine", poisoned)


def spoil(population, member, field: str):
    """NaN in a field of one member, of several, or of all (None)."""
    rows = slice(None) if member is None else jnp.array(member)

    def leaf(x):
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        return x.at[rows].set(jnp.nan) if floating else x

    return population._replace(
        **{field: jax.tree.map(leaf, getattr(population, field))}
    )


def replace_evaluate(monkeypatch, change):
    """`change(round, stream, returns)` gives what evaluations return instead."""
    start_engine = api.start_engine

    def changed(*args, **settings):
        engine = start_engine(*args, **settings)
        program = engine.programs[0].evaluate

        def evaluate(seed, round_, stream, *others):
            returns, steps, finite = program(seed, round_, stream, *others)
            return change(int(round_), int(stream), returns), steps, finite

        return with_programs(engine, evaluate=Program(program, evaluate))

    monkeypatch.setattr(api, "start_engine", changed)


FIELDS = [
    ("params", "weights"),
    ("opt_state", "weights"),
    ("statistics", "weights"),
    ("env_state", "environments"),
]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(("field", "words"), FIELDS)
def test_a_broken_member_is_replaced_in_its_round_and_reported(
    tmp_path, monkeypatch, printed, after_save, field, words
):
    """Member 2 breaks before round 2.

    It is last, and inherits beside the one that the quantile names.
    """
    poison(monkeypatch, {2: (2, field)})
    outcomes = []
    settings = run_options(tmp_path)
    strategy = watch(api.make_strategy(settings, quadratic()), outcomes)
    result = play(settings, strategy=strategy)
    rows = result.records
    fitness = outcomes[2].fitness
    assert np.isnan(fitness[2]) and np.isfinite(np.delete(fitness, 2)).all()
    best = int(np.nanargmax(fitness))
    after = rows[rows["round"] == 3].set_index("member")
    assert after.loc[2, "parent"] == best != 2 and after.loc[2, "source"] == "perturbed"
    failed = rows[(rows["round"] == 2) & (rows["member"] == 2)]
    assert np.isnan(failed["fitness"].item())
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()
    lines = printed.getvalue().splitlines()
    line = next(line for line in lines if "round 2 " in line)
    assert "member 2 failed" in line and words in line and "replaced" in line
    state = final_state(result)
    leaves = jax.tree.leaves((state.population, state.best))
    assert all(np.isfinite(x).all() for x in leaves if x.dtype.kind == "f")
    assert np.isfinite(result.report["mean"])


@pytest.mark.usefixtures("compile_once")
def test_three_of_four_broken_at_once_all_inherit_from_the_fourth(
    tmp_path, monkeypatch
):
    poison(monkeypatch, {2: ([0, 1, 3], "params")})
    rows = play(run_options(tmp_path)).records
    assert list(rows.loc[rows["round"] == 3, "parent"]) == [2, 2, 2, 2]
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()


@pytest.mark.usefixtures("compile_once")
def test_a_broken_member_never_becomes_the_saved_best(tmp_path, monkeypatch):
    """Not even one whose returns are finite and large while its weights are not."""

    def boast(round_, stream, returns):
        if round_ == 2 and stream == Stream.evaluate:
            return jnp.nan_to_num(returns).at[1].set(1e6)
        return returns

    replace_evaluate(monkeypatch, boast)
    poison(monkeypatch, {2: (1, "params")})
    result = play(run_options(tmp_path))
    assert result.best["fitness"] < 1e5 and result.report["fitness"] < 1e5
    assert math.isfinite(result.report["mean"])


@pytest.mark.usefixtures("compile_once")
def test_of_equally_good_members_the_earliest_stays_the_saved_best(
    tmp_path, monkeypatch
):
    replace_evaluate(monkeypatch, lambda _, __, returns: jnp.ones_like(returns))
    result = play(run_options(tmp_path))
    best = final_state(result).best
    assert (int(best.round), int(best.member)) == (1, 0)
    assert (result.best["round"], result.best["member"]) == (1, 0)


@pytest.mark.usefixtures("compile_once")
def test_random_search_gives_a_broken_member_a_fresh_start(tmp_path, monkeypatch):
    poison(monkeypatch, {2: (1, "params")})
    rows = play(run_options(tmp_path, strategy="random")).records
    after = rows[rows["round"] == 3].set_index("member")
    assert list(after.index[after["source"] == "random"]) == [1]
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()


@pytest.mark.usefixtures("compile_once")
def test_a_population_lost_leaves_a_checkpoint_that_goes_on_to_the_same_bits(
    tmp_path, monkeypatch, unbroken
):
    with (
        monkeypatch.context() as patch,
        pytest.raises(PopulationLost, match="all members failed in round 3") as lost,
    ):
        poison(patch, {3: (None, "params")})
        play(run_options(tmp_path))
    assert "\n" not in str(lost.value)
    path = next(tmp_path.rglob("options.yaml")).parent
    opened = bgpbt.open_run(path, quadratic())
    assert opened.report is None
    assert opened.records["round"].max() == int(opened.load().progress.round) == 2
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("save_every", [1, 3])
def test_a_population_lost_by_bad_luck_goes_on_from_its_last_checkpoint(
    tmp_path, monkeypatch, printed, after_save, unbroken, save_every
):
    """Once, with other random numbers; and so does a run that is killed after it."""
    poison(monkeypatch, {2: (None, "params")}, once=True)
    options = run_options(tmp_path, save_every=save_every)
    rows = play(options).records
    line = "the last checkpoint stays; once more, with other random numbers"
    assert line in printed.getvalue()
    expected = unbroken[0].records
    same_records(rows[rows["round"] < 2], expected[expected["round"] < 2])
    again = rows["round"] == 2
    assert np.isfinite(rows.loc[again, "fitness"]).all() and again.sum() == 4
    assert (rows.loc[again, "fitness"] != expected.loc[again, "fitness"]).any()
    assert sorted(set(rows["round"])) == [0, 1, 2, 3, 4, 5]


@pytest.mark.usefixtures("compile_once")
def test_two_rounds_that_are_lost_before_a_checkpoint_are_both_played_again(
    tmp_path, monkeypatch, printed, after_save
):
    """Going back repeats the first one, whose other numbers are then known."""
    failed = []

    def lost(round_, stream, returns):
        if stream == Stream.evaluate and tries.get(round_, 0) > failed.count(round_):
            failed.append(round_)
            return jnp.full_like(returns, jnp.nan)
        return returns

    replace_evaluate(monkeypatch, lost)
    tries = {2: 1, 4: 1}
    rows = play(run_options(tmp_path / "luck", save_every=10)).records
    assert failed == [2, 4] and rows["round"].max() == 5
    assert printed.getvalue().count("once more, with other random numbers") == 2
    failed.clear()
    tries = {4: 2}
    with pytest.raises(PopulationLost, match="in round 4"):
        play(run_options(tmp_path / "none", save_every=10))
    assert failed == [4, 4]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 B."),
        jax.errors.JaxRuntimeError("INTERNAL: Error: Out of memory allocating 9 B."),
        # As JAX hands on what a function of the host raises.
        jax.errors.JaxRuntimeError(
            "INTERNAL: CpuCallback error\n  File x\nOutOfMemory: RESOURCE_EXHAUSTED: y"
        ),
    ],
)
def test_out_of_memory_is_one_line_and_the_last_round_is_intact(
    tmp_path, monkeypatch, unbroken, error
):
    def full(round_, stream, returns):
        if round_ == 3 and stream == Stream.evaluate:
            raise error
        return returns

    with monkeypatch.context() as patch:
        replace_evaluate(patch, full)
        words = (
            r"^out of memory.*; the last checkpoint is intact: give fewer --num_envs"
        )
        with pytest.raises(OutOfMemory, match=words) as caught:
            play(run_options(tmp_path))
    assert caught.value.exit_code == 5 and "\n" not in str(caught.value)
    assert "CpuCallback" not in str(caught.value)
    result = play(run_options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_another_error_of_a_device_is_not_taken_for_memory(tmp_path, monkeypatch):
    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: it is broken")

    replace_evaluate(monkeypatch, broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        play(run_options(tmp_path))


@pytest.mark.usefixtures("compile_once")
def test_main_ends_with_three_when_the_population_is_lost(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    monkeypatch.setattr(parts, "make_task", lambda options: quadratic())
    poison(monkeypatch, {2: (None, "params")})
    words = (
        "-e inverted_pendulum --num_envs 32 -ps 4 -qf 0.25 -tr 480 -mt 2400 "
        f"--devices 2 --no_cache --save_dir {tmp_path}"
    )
    assert main(words.split()) == 3
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0 and "all members failed in round 2" in error
