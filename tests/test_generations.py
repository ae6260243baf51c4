"""Generations on a toy whose networks have two padded sizes: who begins, learns, survives; kills; failures. `P` members."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from toys import (
    EPISODES,
    SPACE,
    Killed,
    Program,
    counted_compilations,
    final_state,
    kill_after,
    play,
    quadratic,
    same_bits,
    same_records,
    share,
)

from bgpbt import api, controller, generations, succession
from bgpbt import space as spaces
from bgpbt.options import BadInput, Options
from bgpbt.plan import rounds_of
from bgpbt.population import Ahead
from bgpbt.store import RunStore
from bgpbt.strategies import architectures
from bgpbt.strategies.pbt import pbt
from bgpbt.tasks.ppo import architecture_space
from bgpbt.types import Source, Why

P, ROUND = 4, 480  # steps of a member in a round
ARCHITECTURE = generations.architecture(SPACE)
# A round of 10 candidates, two of training; then 10 students for 600 steps (rounds 4, 5) and 5 for 1,800 (6 to 9); then training.
STEPS = [0, 480, 960, 1440, 1920, 2040, 2520, 3000, 3480, 3840, 4320, 4800, 5280]
CANDIDATES = [10, 10, 4, 4, 10, 10, 5, 5, 5, 5, 4, 4, 4]


def options(folder=".", **changes) -> Options:
    settings = {
        "env_name": "inverted_pendulum",
        "num_envs": 32,
        "pop_size": P,
        "quantile_fraction": 0.25,
        "strategy": "bgpbt",
        "search_mode": "both",
        "n_init": 10,
        "t_ready": ROUND,
        "max_timesteps": 11 * ROUND,
        "distill_every": 2 * ROUND,
        "t_distillation": 5 * ROUND,
        "max_distillation": 1,
        "arch_policy": "random",
        "report_episodes": 8,
        "render": False,
        "devices": 2,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))


def run(folder, **changes):
    """A strategy without a process, which would take long to compile."""
    return play(options(folder, **changes), quadratic(4, (2,)), pbt(SPACE, ("first", "second"), quantile_fraction=0.25))


class Watched:
    """What a whole run did: the states that were saved, compilations, lessons, and every change of groups."""

    def __init__(self):
        self.states, self.compiled, self.lessons, self.moves = {}, {}, [], []


@pytest.fixture(scope="module")
def watched(tmp_path_factory, engines):
    seen, regrouped, lesson, save = Watched(), succession.regrouped, controller.lesson_of, RunStore.save

    def moving(engine, groups, take, sizes):
        after = regrouped(engine, groups, take, sizes)
        seen.moves.append((jax.tree.map(np.asarray, groups), take, sizes, jax.tree.map(np.asarray, after)))
        return after

    def teaching(engine, state):
        seen.lessons.append(jax.tree.map(np.asarray, lesson(engine, state)))
        return lesson(engine, state)

    with pytest.MonkeyPatch.context() as patch, counted_compilations() as events:

        def saving(self, state, rows, layout):
            save(self, state, rows, layout)
            number = int(state.progress.round)
            seen.states[number], seen.compiled[number] = jax.tree.map(np.asarray, state), len(events)

        share(patch, engines)
        patch.setattr(api.Result, "draw", lambda self: [])
        patch.setattr(succession, "regrouped", moving)
        patch.setattr(controller, "lesson_of", teaching)
        patch.setattr(RunStore, "save", saving)
        seen.result = run(tmp_path_factory.mktemp("watched"))
    return seen


def test_steps_add_up_to_the_last_one(watched):
    rows = watched.result.records.groupby("round")
    assert rows["timesteps"].agg(set).tolist() == [{steps} for steps in STEPS]
    assert rows["member"].agg(list).tolist() == [list(range(number)) for number in CANDIDATES]
    planned = rounds_of(options(), quadratic(4, (2,)))
    assert [(r.members, r.updates) for r in planned] == list(zip(CANDIDATES[1:], np.diff(STEPS) // 10, strict=True))
    repeat = watched.result.records.assign(steps=np.append(0, np.diff(STEPS))[watched.result.records["round"]])
    simulated = (repeat["steps"] * repeat["repeat"] + EPISODES).groupby(repeat["round"]).sum()  # the toy's own sum
    assert rows["env_steps_total"].max().tolist() == simulated.cumsum().tolist()


def test_the_records_say_why_a_generation_began_and_what_went_on(watched):
    rows = watched.result.records.groupby("round").first()
    assert rows["phase"].tolist() == ["candidates"] * 2 + ["training"] * 2 + ["distillation"] * 6 + ["training"] * 3
    assert rows["generation"].tolist() == [0] * 4 + [1] * 9
    assert rows["why"].tolist() == ["start"] * 4 + ["distill_every"] * 9
    assert rows["source"].tolist()[4:11] == ["random", "previous", "distilled", *["previous"] * 3, "distilled"]
    within = watched.result.records[watched.result.records["round"].isin([5, 7, 8, 9])]
    assert (within["parent"] == within["member"]).all() and set(within["source"]) == {"previous"}
    line = watched.result.lineage
    assert line["round"].tolist() == list(range(len(line)))  # from the very first round on
    teacher = watched.states[3].progress.parents[0, 0]
    if line["round"].iloc[-1] > 3:  # the winner's weights were taught by the best of round 3
        assert line.loc[line["round"] == 3, "member"].item() == teacher


def who_had(rows: pd.DataFrame, config: np.ndarray) -> list[int]:
    """Members whose configuration in a round was this one."""
    values = spaces.decode(SPACE, config)
    return [m for m, row in rows.iterrows() if all(np.isclose(float(x), row[name], rtol=1e-6) for name, x in values.items())]


def test_the_best_finite_member_teaches_with_its_own_weights(watched):
    rows = watched.result.records
    before = rows[rows["round"] == 3].set_index("member")
    state = watched.states[3]  # saved after the generation had begun
    best = before["fitness"].idxmax()
    assert set(state.progress.parents.ravel()) == {best}
    assert who_had(before, state.generation.teacher_config) == [best]
    assert jax.tree.leaves(state.teacher)[0].shape == (4,) and state.teacher.world == ()
    assert 1.2 - sum(np.sum(np.square(x)) for x in jax.tree.leaves(state.teacher.params)) == pytest.approx(
        before["fitness"][best], abs=0.03
    )


def test_alpha_is_annealed_once_over_the_whole_distillation(watched):
    assert [float(x.trained) for x in watched.lessons] == [0, 480, 600, 1080, 1560, 2040]
    assert {float(x.length) for x in watched.lessons} == {2400}


def test_survivors_keep_their_weights_moments_worlds_and_counters(watched):
    rows = watched.result.records
    ends = {1: 4, 5: 5, 9: 4}  # round: how many go on
    assert len(watched.moves) == len(ends)
    for (round_, number), (groups, take, sizes, after) in zip(ends.items(), watched.moves, strict=True):
        fitness = rows[rows["round"] == round_].set_index("member")["fitness"]
        assert sorted(take[:number]) == sorted(fitness.nlargest(number).index)
        progress = watched.states[round_].progress
        np.testing.assert_array_equal(progress.fitness[:number], fitness[take[:number]])
        assert progress.active.tolist() == [True] * number + [False] * (len(take) - number)
        for slot, old in enumerate(take):
            source, target = groups[old // P], after[slot // P]
            width = int(np.minimum(source.params["first"]["x"].shape[1], target.params["first"]["x"].shape[1]))
            np.testing.assert_array_equal(
                source.params["first"]["x"][old % P, :width], target.params["first"]["x"][slot % P, :width]
            )
            for field in ("shared", "world"):
                for x, y in zip(*(jax.tree.leaves(getattr(g, field)) for g in (source, target)), strict=True):
                    np.testing.assert_array_equal(x[old % P], y[slot % P])
            np.testing.assert_array_equal(
                source.moments["second"]["momentum"]["x"][old % P], target.moments["second"]["momentum"]["x"][slot % P]
            )
        widths = np.asarray(spaces.decode(SPACE, progress.config)["first_width"]).reshape(-1, P).max(axis=1)
        assert (np.array([2, 4])[sizes] >= widths).all()


def test_every_program_is_compiled_once_for_a_size_and_nothing_else_between_rounds(watched, engines):
    (engine,) = engines.values()
    large = ("init", "evaluate", "train", "distil", "inherit")
    assert len(engine.programs) == 2 and all(isinstance(getattr(p, name), Ahead) for p in engine.programs for name in large)
    new = {number: watched.compiled[number] - watched.compiled[number - 1] for number in range(1, len(STEPS))}
    assert [new[number] for number in (5, 6, 7, 8, 9, 12)] == [0, 0, 0, 0, 0, 0]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [3, 4, 5, 9])
def test_a_run_killed_after_any_round_continues_to_the_same_bits(tmp_path, after_save, watched, number):
    """A generation has just begun; inside a rung; between rungs; between distillation and training."""
    after_save.hook = kill_after(number)
    with pytest.raises(Killed):
        run(tmp_path)
    after_save.hook = lambda round_: None
    result = run(tmp_path)
    assert same_bits(jax.tree.map(np.asarray, final_state(result)), watched.states[len(STEPS) - 1])
    same_records(result.records, watched.result.records)
    assert result.report == watched.result.report


def poisoned(monkeypatch, program: str, round_: int, members):
    """These members of the first group become NaN before `program` runs in that round."""
    make = api.make_engine

    def spoiled(*args, **settings):
        engine = make(*args, **settings)

        def wrap(programs):
            inner = getattr(programs, program)

            def call(seed, number, updates, slots, active, population, config, *lesson):
                bad = np.isin(slots, members) & (int(number) == round_)
                nan = lambda x: jnp.where(bad.reshape(-1, *(1,) * (x.ndim - 1)), jnp.nan, x)  # noqa: E731
                place = lambda x, old: jax.device_put(x, old.sharding)  # noqa: E731
                params = jax.tree.map(place, jax.tree.map(nan, population.params), population.params)
                return inner(seed, number, updates, slots, active, population._replace(params=params), config, *lesson)

            return programs._replace(**{program: Program(inner, call)})

        return engine._replace(programs=tuple(map(wrap, engine.programs)))

    monkeypatch.setattr(api, "make_engine", spoiled)


@pytest.mark.usefixtures("compile_once")
def test_a_failed_student_never_survives(tmp_path, monkeypatch, watched):
    """Only two of ten are left: the better one stands for those that are missing."""
    lost = [m for m in range(10) if m not in (3, 7)]
    poisoned(monkeypatch, "distil", 5, lost)
    rows = run(tmp_path).records
    assert rows.loc[rows["round"] == 5, "fitness"].isna().tolist() == [m in lost for m in range(10)]
    assert set(rows.loc[rows["round"] == 6, "parent"]) == {3, 7}
    assert rows.loc[rows["round"] > 5, "fitness"].notna().all()


@pytest.mark.usefixtures("compile_once")
def test_a_failed_member_never_teaches(tmp_path, monkeypatch, watched):
    best = int(watched.states[3].progress.parents[0, 0])
    poisoned(monkeypatch, "train", 3, [best])
    lessons, lesson = [], controller.lesson_of
    monkeypatch.setattr(controller, "lesson_of", lambda engine, state: lessons.append(lesson(engine, state)) or lessons[-1])
    rows = run(tmp_path).records
    (teacher,) = set(rows.loc[rows["round"] == 4, "parent"])
    before = rows[rows["round"] == 3].set_index("member")
    assert np.isnan(before["fitness"][best]) and teacher == before["fitness"].idxmax() != best
    assert who_had(before, lessons[0].config) == [teacher]


@pytest.mark.usefixtures("compile_once")
def test_without_distillation_the_first_generation_goes_on(tmp_path):
    rows = run(tmp_path, max_distillation=0, max_timesteps=4 * ROUND).records
    assert set(rows["generation"]) == {0} and rows["phase"].tolist() == ["candidates"] * 20 + ["training"] * 12


@pytest.mark.usefixtures("compile_once")
def test_as_many_candidates_as_members(tmp_path):
    """No tournament in the beginning; all students go through the distillation."""
    rows = run(tmp_path, n_init=P, max_timesteps=8 * ROUND).records
    assert set(rows["member"]) == set(range(P))
    assert rows.groupby("round")["phase"].first().tolist()[:5] == ["training"] * 3 + ["distillation"] * 2


# When, and which


def test_when_a_generation_begins():
    task, now = quadratic(), generations.first(options(max_timesteps=10_000), SPACE)
    settings = options(max_timesteps=10_000)

    def due(steps, number=0, stalled=0, began=0):
        generation = now._replace(number=np.array(number), stalled=np.array(stalled), began=np.array(began))
        return generations.due(settings, task, generation, steps)

    assert due(959) is None and due(960) is Why.distill_every
    assert due(960, began=480) is None and due(1440, began=480) is Why.distill_every
    assert due(480, stalled=19) is None and due(480, stalled=20) is Why.patience
    assert due(7599, stalled=20) is Why.patience and due(7600, stalled=20) is None  # its 2,400 steps must end in time
    assert due(960, number=1) is None


def test_patience_counts_rounds_of_training_without_a_better_fitness():
    generation = generations.first(options(n_init=P), SPACE)

    def seen(generation, fitness, active=True):
        config = np.full((P, len(SPACE)), 0.5, np.float32)
        active = np.ones(P, bool) & active
        return generations.observe(generation, SPACE, Counted(config, np.array(fitness), active), 5)

    stalled = []
    for fitness in ([1, 2, 3, np.nan], [3, 3, 3, 3], [np.nan] * 4, [0, 0, 0, 3.5], [3, 3, 3, 3]):
        generation = seen(generation, fitness)
        stalled.append(int(generation.stalled))
    assert stalled == [0, 1, 2, 0, 1] and generation.best == 3.5
    tournament = seen(generation._replace(candidates=np.array(10)), [9, 9, 9, 9])
    assert tournament.best == 3.5 and tournament.stalled == 1  # only training counts
    assert tournament.tried.score[0] == 9 and tournament.updates == 5 and generation.updates == 0


class Counted(NamedTuple):
    config: np.ndarray
    fitness: np.ndarray
    active: np.ndarray


def test_the_highest_fitness_of_an_architecture_in_its_generation_counts():
    tried = generations.first(options(), SPACE).tried
    a, b = [0.125], [0.625]
    tried = generations.remember(tried, 0, np.array([a, b, a, b]), np.array([1.0, np.nan, 3.0, 2.0]))
    tried = generations.remember(tried, 0, np.array([a]), np.array([2.0]))
    tried = generations.remember(tried, 1, np.array([a, b]), np.array([10.0, 20.0]))
    kept = ~np.isnan(tried.score)
    found = {(g, c): s for c, s, g in zip(tried.config[kept, 0].tolist(), tried.score[kept], tried.generation[kept], strict=True)}
    assert found == {(0, 0.125): 3.0, (0, 0.625): 2.0, (1, 0.125): 10.0, (1, 0.625): 20.0}
    assert generations.standing(tried)[kept].tolist() == [0.75, 0.25, 0.25, 0.75]  # among those of the same generation


def test_candidates_are_proposed_kept_and_drawn():
    """Five of ten come from the process, which is told everything; the best of each generation, five at random."""
    settings, told = options(arch_policy="search"), {}
    drawn = np.random.default_rng(0).uniform(size=(16, len(SPACE)))
    tried = generations.first(settings, SPACE).tried
    tried = generations.remember(tried, 0, np.array([[0.125], [0.625]], np.float32), np.array([1.0, 2.0]))
    tried = generations.remember(tried, 1, np.array([[0.125], [0.875]], np.float32), np.array([5.0, 4.0]))
    population = np.random.default_rng(1).uniform(size=(P, len(SPACE))).astype(np.float32)

    def propose(key, config, score, number):
        told.update(config=config[:, 0].tolist(), score=score.tolist())
        return np.full((number, 1), 0.375, np.float32)

    progress = Counted(population, np.zeros(P), np.ones(P, bool))
    config, source = generations.candidates(jax.random.PRNGKey(0), settings, SPACE, propose, progress, tried, drawn)
    assert told["config"] == pytest.approx([0.125, 0.625, 0.125, 0.875]) and told["score"] == [0.25, 0.75, 0.75, 0.25]
    assert source.tolist() == [Source.gp] * 5 + [Source.previous] * 2 + [Source.random] * 5
    np.testing.assert_allclose(config[:7, ARCHITECTURE][:, 0], [0.375] * 5 + [0.125, 0.625])
    members = population[:, ~ARCHITECTURE].tolist()
    assert all(row in members for row in config[:5, ~ARCHITECTURE].tolist())  # with the hyperparameters of a member
    assert not any(row in members for row in config[5:, ~ARCHITECTURE].tolist())
    other, _ = generations.candidates(jax.random.PRNGKey(0), options(), SPACE, propose, progress, tried, drawn)
    np.testing.assert_array_equal(other, spaces.settle(SPACE, drawn)[:10])


def test_the_search_prefers_what_its_data_favour():
    """On the real space: whatever has a wide policy did well. Without its data, the process would not know."""
    space = architecture_space()
    rng = np.random.default_rng(0)
    config = architectures.every(space)[rng.choice(1600, 24, replace=False)]
    wide = np.asarray(spaces.decode(space, config)["policy_width"])
    propose = architectures.searched(space)
    for sign in (1, -1):
        found = propose(jax.random.PRNGKey(0), config, sign * np.log2(wide) + rng.normal(0, 0.3, 24), 6)
        widths = np.asarray(spaces.decode(space, found)["policy_width"])
        assert (widths == (256 if sign == 1 else 32)).sum() >= 5


def test_equal_architectures_are_one_observation():
    tried = generations.first(options(), SPACE).tried
    tried = generations.remember(tried, 0, np.full((10, 1), 0.125, np.float32), np.arange(10.0))
    assert np.nansum(tried.score) == 9 and (~np.isnan(tried.score)).sum() == 1
    assert generations.standing(tried)[0] == 0.5


def test_settled_architectures_decode_as_before():
    config = np.random.default_rng(0).uniform(size=(50, len(SPACE))).astype(np.float32)
    settled = spaces.settle(SPACE, config)
    np.testing.assert_array_equal(settled[:, ~ARCHITECTURE], config[:, ~ARCHITECTURE])
    a, b = (np.asarray(spaces.decode(SPACE, c)["first_width"]) for c in (config, settled))
    assert a.tolist() == b.tolist() and len(np.unique(settled[:, ARCHITECTURE])) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze": "sampled"}, "freeze: keeps configurations"),
        ({"max_distillation": -1}, "negative, give at least 0"),
        ({"t_distillation": 959}, "one update of every rung, give at least 960"),
    ],
)
def test_what_generations_cannot_do(changes, words):
    with pytest.raises(BadInput, match=words):
        options(**changes)
