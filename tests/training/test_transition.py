"""Whole runs of two generations: who teaches, who survives, kills and failures."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from generation_runs import CANDIDATES, STEPS, generation_options, play_generations
from toy_runs import ROUND, P, kill_run
from toys import (
    EPISODES,
    SPACE,
    Program,
    counted_compilations,
    final_state,
    quadratic,
    same_bits,
    same_records,
    share,
)

from bgpbt import api
from bgpbt import space as spaces
from bgpbt.assembly.parts import make_plan
from bgpbt.execution.background import BackgroundCompile
from bgpbt.forecast import forecast_rounds
from bgpbt.result import Result
from bgpbt.storage.store import RunStore
from bgpbt.training import loop, transition


class Regrouping(NamedTuple):
    """One change of groups."""

    before: Any
    members: np.ndarray
    paddings: np.ndarray
    after: Any


class Watched:
    """What a whole run did."""

    def __init__(self):
        self.states = {}  # by round: the state that was saved
        self.compiled = {}  # by round: programs that had been compiled
        self.distillations = []  # what students learnt from, by round of distillation
        self.regroupings = []
        self.result = None


@pytest.fixture(scope="module")
def watched(tmp_path_factory, engines):
    run = Watched()
    regrouped = transition.regrouped
    distillation_progress = loop.distillation_progress
    save = RunStore.save

    def regrouping(engine, groups, members, paddings):
        before = jax.tree.map(np.asarray, groups)
        groups = regrouped(engine, groups, members, paddings)
        after = jax.tree.map(np.asarray, groups)
        run.regroupings.append(Regrouping(before, members, paddings, after))
        return groups

    def distilling(engine, state):
        teaching = distillation_progress(engine, state)
        if teaching:
            run.distillations.append(jax.tree.map(np.asarray, teaching))
        return teaching

    with pytest.MonkeyPatch.context() as patch, counted_compilations() as events:

        def saving(self, state, rows, layout):
            save(self, state, rows, layout)
            number = int(state.progress.round)
            run.states[number] = jax.tree.map(np.asarray, state)
            run.compiled[number] = len(events)

        share(patch, engines)
        patch.setattr(Result, "draw", lambda self: [])
        patch.setattr(transition, "regrouped", regrouping)
        patch.setattr(loop, "distillation_progress", distilling)
        patch.setattr(RunStore, "save", saving)
        run.result = play_generations(tmp_path_factory.mktemp("watched"))
    return run


def test_steps_add_up_to_the_last_one(watched):
    records = watched.result.records
    rows = records.groupby("round")
    assert rows["timesteps"].agg(set).tolist() == [{steps} for steps in STEPS]
    members = [list(range(number)) for number in CANDIDATES]
    assert rows["member"].agg(list).tolist() == members
    task = quadratic(4, (2,))
    planned = forecast_rounds(make_plan(generation_options(), task), task)
    updates = np.diff(STEPS) // 10
    assert [(r.members, r.updates) for r in planned] == list(
        zip(CANDIDATES[1:], updates, strict=True)
    )
    # The toy's own sum.
    steps = np.append(0, np.diff(STEPS))[records["round"]]
    simulated = (steps * records["repeat"] + EPISODES).groupby(records["round"]).sum()
    assert rows["env_steps_total"].max().tolist() == simulated.cumsum().tolist()


def test_the_records_say_why_a_generation_began_and_what_went_on(watched):
    records = watched.result.records
    rows = records.groupby("round").first()
    assert rows["phase"].tolist() == [
        *["candidates"] * 2,
        *["training"] * 2,
        *["distillation"] * 6,
        *["training"] * 3,
    ]
    assert rows["generation"].tolist() == [0] * 4 + [1] * 9
    assert rows["why"].tolist() == ["start"] * 4 + ["distill_every"] * 9
    assert rows["source"].tolist()[4:11] == [
        "random",
        "previous",
        "distilled",
        *["previous"] * 3,
        "distilled",
    ]
    within_rung = records[records["round"].isin([5, 7, 8, 9])]
    assert (within_rung["parent"] == within_rung["member"]).all()
    assert set(within_rung["source"]) == {"previous"}
    line = watched.result.lineage
    # From the very first round on.
    assert line["round"].tolist() == list(range(len(line)))
    teacher = watched.states[3].progress.parents[0, 0]
    # The best of round 3 taught the winner's weights.
    if line["round"].iloc[-1] > 3:
        assert line.loc[line["round"] == 3, "member"].item() == teacher


def members_with(rows: pd.DataFrame, config: np.ndarray) -> list[int]:
    """Members whose configuration in a round was this one."""
    values = spaces.decode(SPACE, config)
    return [
        member
        for member, row in rows.iterrows()
        if all(np.isclose(float(x), row[name], rtol=1e-6) for name, x in values.items())
    ]


def test_the_best_finite_member_teaches_with_its_own_weights(watched):
    rows = watched.result.records
    before = rows[rows["round"] == 3].set_index("member")
    state = watched.states[3]  # saved after the generation had begun
    best = before["fitness"].idxmax()
    assert set(state.progress.parents.ravel()) == {best}
    assert members_with(before, state.generation.teacher_config) == [best]
    weights = jax.tree.leaves(state.teacher.params)
    assert jax.tree.leaves(state.teacher)[0].shape == (4,)
    assert state.teacher.env_state == ()
    objective = sum(np.sum(np.square(x)) for x in weights)
    assert 1.2 - objective == pytest.approx(before["fitness"][best], abs=0.03)


def test_alpha_is_annealed_once_over_the_whole_distillation(watched):
    steps_done = [float(x.steps_done) for x in watched.distillations]
    assert steps_done == [0, 480, 600, 1080, 1560, 2040]
    assert {float(x.steps_total) for x in watched.distillations} == {2400}


def test_survivors_keep_their_weights_moments_worlds_and_counters(watched):
    rows = watched.result.records
    survivors = {1: 4, 5: 5, 9: 4}  # by round
    assert len(watched.regroupings) == len(survivors)
    for (round_, number), regrouping in zip(
        survivors.items(), watched.regroupings, strict=True
    ):
        members = regrouping.members
        of_round = rows[rows["round"] == round_].set_index("member")
        fitness = of_round["fitness"]
        assert sorted(members[:number]) == sorted(fitness.nlargest(number).index)
        progress = watched.states[round_].progress
        np.testing.assert_array_equal(
            progress.fitness[:number], fitness[members[:number]]
        )
        idle = [False] * (len(members) - number)
        assert progress.active.tolist() == [True] * number + idle
        for slot, member in enumerate(members):
            assert_same_member(regrouping.before, member, regrouping.after, slot)
        values = spaces.decode(SPACE, progress.config)
        widths = np.asarray(values["first_width"]).reshape(-1, P).max(axis=1)
        assert (np.array([2, 4])[regrouping.paddings] >= widths).all()


def assert_same_member(groups, member: int, other_groups, slot: int) -> None:
    """Weights, statistics, environments and momentum are equal to the bit.

    Of `first`, which may be padded to two sizes, the part that both hold.
    """
    a, b = groups[member // P], other_groups[slot // P]
    member, slot = member % P, slot % P
    x, y = a.params["first"]["x"], b.params["first"]["x"]
    width = min(x.shape[1], y.shape[1])
    np.testing.assert_array_equal(x[member, :width], y[slot, :width])
    for field in ("statistics", "env_state"):
        leaves = (jax.tree.leaves(getattr(group, field)) for group in (a, b))
        for x, y in zip(*leaves, strict=True):
            np.testing.assert_array_equal(x[member], y[slot])
    x, y = (group.opt_state["second"]["momentum"]["x"] for group in (a, b))
    np.testing.assert_array_equal(x[member], y[slot])


def test_every_program_is_compiled_once_for_a_size_and_nothing_else_between_rounds(
    watched, engines
):
    (engine,) = engines.values()
    large = ("init", "evaluate", "train", "distil", "inherit")
    assert len(engine.programs) == 2
    assert all(
        isinstance(getattr(programs, name), BackgroundCompile)
        for programs in engine.programs
        for name in large
    )
    compiled = watched.compiled
    new = {
        number: compiled[number] - compiled[number - 1] for number in compiled if number
    }
    assert [new[number] for number in (5, 6, 7, 8, 9, 12)] == [0, 0, 0, 0, 0, 0]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [3, 4, 5, 9])
def test_a_run_of_generations_killed_after_any_round_continues_to_the_same_bits(
    tmp_path, after_save, watched, number
):
    """A generation has just begun; in a rung; between rungs; before the training."""
    kill_run(after_save, number, lambda: play_generations(tmp_path))
    result = play_generations(tmp_path)
    state = jax.tree.map(np.asarray, final_state(result))
    assert same_bits(state, watched.states[len(STEPS) - 1])
    same_records(result.records, watched.result.records)
    assert result.report == watched.result.report


def poison(monkeypatch, program: str, round_: int, members: list[int]):
    """Members of the first group become NaN before `program` runs in that round."""
    start_engine = api.start_engine

    def poisoned(*args, **settings):
        engine = start_engine(*args, **settings)
        programs = tuple(
            poison_program(p, program, round_, members) for p in engine.programs
        )
        return engine._replace(programs=programs)

    monkeypatch.setattr(api, "start_engine", poisoned)


def poison_program(programs, name: str, round_: int, members: list[int]):
    program = getattr(programs, name)

    def call(seed, number, updates, slots, active, population, *others):
        bad = np.isin(slots, members) & (int(number) == round_)

        def spoil(x):
            spoilt = jnp.where(bad.reshape(-1, *(1,) * (x.ndim - 1)), jnp.nan, x)
            return jax.device_put(spoilt, x.sharding)

        params = jax.tree.map(spoil, population.params)
        population = population._replace(params=params)
        return program(seed, number, updates, slots, active, population, *others)

    return programs._replace(**{name: Program(program, call)})


@pytest.mark.usefixtures("compile_once")
def test_a_failed_student_never_survives(tmp_path, monkeypatch, watched):
    """Only two of ten are left: the better one stands for those that are missing."""
    lost = [m for m in range(10) if m not in (3, 7)]
    poison(monkeypatch, "distil", 5, lost)
    rows = play_generations(tmp_path).records
    failed = rows.loc[rows["round"] == 5, "fitness"].isna()
    assert failed.tolist() == [m in lost for m in range(10)]
    assert set(rows.loc[rows["round"] == 6, "parent"]) == {3, 7}
    assert rows.loc[rows["round"] > 5, "fitness"].notna().all()


@pytest.mark.usefixtures("compile_once")
def test_a_failed_member_never_teaches(tmp_path, monkeypatch, watched):
    best = int(watched.states[3].progress.parents[0, 0])
    poison(monkeypatch, "train", 3, [best])
    distillations = []
    distillation_progress = loop.distillation_progress

    def distilling(engine, state):
        distillations.append(distillation_progress(engine, state))
        return distillations[-1]

    monkeypatch.setattr(loop, "distillation_progress", distilling)
    rows = play_generations(tmp_path).records
    (teacher,) = set(rows.loc[rows["round"] == 4, "parent"])
    before = rows[rows["round"] == 3].set_index("member")
    assert np.isnan(before["fitness"][best])
    assert teacher == before["fitness"].idxmax() != best
    first = next(filter(None, distillations))
    assert members_with(before, first.teacher_config) == [teacher]


@pytest.mark.usefixtures("compile_once")
def test_without_distillation_the_first_generation_goes_on(tmp_path):
    rows = play_generations(
        tmp_path, max_distillation=0, max_timesteps=4 * ROUND
    ).records
    assert set(rows["generation"]) == {0}
    assert rows["phase"].tolist() == ["candidates"] * 20 + ["training"] * 12


@pytest.mark.usefixtures("compile_once")
def test_as_many_candidates_as_members(tmp_path):
    """No halving in the beginning; all students go through the distillation."""
    rows = play_generations(tmp_path, n_init=P, max_timesteps=8 * ROUND).records
    assert set(rows["member"]) == set(range(P))
    phases = rows.groupby("round")["phase"].first().tolist()
    assert phases[:5] == ["training"] * 3 + ["distillation"] * 2
