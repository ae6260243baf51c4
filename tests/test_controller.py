"""The run loop on a toy: counters, kills and resumes, failures, controls, the report. `P` members."""

import math
import os
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from toys import (
    EPISODES,
    Killed,
    Program,
    final_state,
    kill_after,
    play,
    quadratic,
    same_bits,
    same_records,
    share,
    with_programs,
)

import bgpbt
import main
from bgpbt import api, controller
from bgpbt import engine as engine_module
from bgpbt import space as spaces
from bgpbt.options import Options, PopulationLost
from bgpbt.population import Arrangement, Purpose, arrange, make_programs
from bgpbt.strategies.operators import whole
from bgpbt.types import Outcome, Source, Strategy

P = 4
ROUND = 480  # steps of a member


def options(folder, **changes) -> Options:
    """Five short rounds of four members, of which one is replaced after each."""
    settings = {
        "env_name": "inverted_pendulum",
        "num_envs": 32,
        "pop_size": P,
        "quantile_fraction": 0.25,
        "t_ready": ROUND,
        "max_timesteps": 5 * ROUND,
        "report_episodes": 8,
        "render": False,
        "devices": 2,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, engines):
    """A whole run without incident."""
    with pytest.MonkeyPatch.context() as patch:
        share(patch, engines)
        patch.setattr(api.Result, "draw", lambda self: [])
        result = play(options(tmp_path_factory.mktemp("unbroken")))
        return result, final_state(result)


# Kills and resumes


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", range(5))
def test_a_run_killed_after_any_round_continues_to_the_same_bits(tmp_path, after_save, unbroken, number):
    after_save.hook = kill_after(number)
    with pytest.raises(Killed):
        play(options(tmp_path))
    after_save.hook = lambda round_: None
    result = play(options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)
    assert result.report == unbroken[0].report


@pytest.mark.long
@pytest.mark.usefixtures("compile_once")
def test_a_bandit_killed_between_suggestions_continues_to_the_same_bits(tmp_path, after_save):
    """History, fitted parameters, trust region and counters come back; the records hold its beliefs."""
    settings = {"strategy": "bgpbt", "n_init": 6, "patience": 3}  # with a restart on the way
    whole = play(options(tmp_path / "whole", **settings))
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        play(options(tmp_path / "killed", **settings))
    after_save.hook = lambda round_: None
    result = play(options(tmp_path / "killed", **settings))
    assert same_bits(final_state(result), final_state(whole)) and result.report == whole.report
    same_records(result.records, whole.records)
    a, b = (pd.read_csv(r.path / "records.csv", dtype=str, keep_default_na=False) for r in (result, whole))
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))  # spelt alike, too
    rows = result.records
    assert (rows["source"] == "gp").any() and rows.loc[rows["round"] > 1, "gp_fitness"].notna().any()


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_kill_between_the_commit_and_the_records_loses_nothing(tmp_path, monkeypatch, unbroken, number):
    replace = os.replace

    def dying(source, target):
        replace(source, target)
        if str(target).endswith(f"round_{number:06d}"):
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", dying)
        play(options(tmp_path))
    result = play(options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("number", [1, 3])
def test_a_kill_before_the_commit_repeats_the_round(tmp_path, monkeypatch, unbroken, number):
    replace = os.replace

    def dying(source, target):
        if str(target).endswith(f"round_{number:06d}"):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", dying)
        play(options(tmp_path))
    result = play(options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_a_kill_during_the_report_costs_only_the_report(tmp_path, monkeypatch, unbroken):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(api, "report", lambda *_: (_ for _ in ()).throw(Killed()))
        play(options(tmp_path))
    assert play(options(tmp_path)).report == unbroken[0].report


def test_nothing_compiles_after_the_first_full_round_also_after_a_resume(tmp_path, after_save, compilations):
    """From the second full round of a process on; `make_engine` compiles anew each time, as a new process does."""
    counted = {}

    def hook(round_):
        counted[round_] = len(compilations)
        if round_ == 4:
            raise Killed

    after_save.hook = hook
    with pytest.raises(Killed):
        play(options(tmp_path, max_timesteps=8 * ROUND))
    assert counted[1] > 4
    assert [counted[r] - counted[1] for r in (2, 3, 4)] == [0, 0, 0]
    after_save.hook = lambda round_: counted.update({round_: len(compilations)})
    result = play(options(tmp_path, max_timesteps=8 * ROUND))
    assert [counted[r] - counted[5] for r in (6, 7, 8)] == [0, 0, 0]
    for rounds in ((2, 3, 4), (6, 7, 8)):
        rows = result.records[result.records["round"].isin(rounds)]
        assert (rows["parent"] != rows["member"]).any() and (rows["source"] == "perturbed").any()


@pytest.mark.usefixtures("compile_once")
def test_resume_says_where_it_starts(tmp_path, after_save, said):
    after_save.hook = kill_after(2)
    with pytest.raises(Killed):
        play(options(tmp_path))
    assert "nothing to resume, new run in" in said.getvalue()
    after_save.hook = lambda round_: None
    play(options(tmp_path))
    assert "resume: continuing after round 2" in said.getvalue()


@pytest.mark.usefixtures("compile_once")
def test_a_finished_run_given_again_is_only_drawn(tmp_path, monkeypatch, said):
    first = play(options(tmp_path))
    monkeypatch.delattr(api, "train_population")
    again = play(options(tmp_path))
    assert f"finished: the run in {first.path} (round 5) is only drawn again" in said.getvalue()
    assert again.report == first.report is not None
    pd.testing.assert_frame_equal(again.records, first.records, check_exact=True)
    assert same_bits(final_state(again), final_state(first))


@pytest.mark.usefixtures("compile_once")
def test_overwrite_says_what_it_removes_and_starts_at_round_zero(tmp_path, said, unbroken):
    first = play(options(tmp_path, perturb_scale=0.5))
    again = play(options(tmp_path, existing_policy="overwrite"))
    assert f"overwrite: the run in {first.path} (round 5) is removed" in said.getvalue()
    same_records(again.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_after_a_damaged_last_checkpoint_the_round_before_is_used_to_the_same_bits(tmp_path, after_save, said, unbroken):
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        play(options(tmp_path))
    after_save.hook = lambda round_: None
    damaged = next(tmp_path.rglob("round_000003"))
    for file in (damaged / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"round 3 is damaged, that of round 2 is read"):
        assert int(bgpbt.open_run(damaged.parents[1], quadratic()).load().progress.round) == 2
    result = play(options(tmp_path))
    assert "the checkpoint of round 3 is damaged" in said.getvalue()
    assert "resume: continuing after round 2" in said.getvalue()
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_where_every_checkpoint_is_damaged_the_run_starts_afresh_with_clean_records(tmp_path, after_save, said, unbroken):
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        play(options(tmp_path))
    after_save.hook = lambda round_: None
    for file in tmp_path.rglob("rows.csv"):
        file.unlink()
    result = play(options(tmp_path))
    assert "afresh" in said.getvalue()
    same_records(result.records, unbroken[0].records)


# Counters


@pytest.mark.usefixtures("compile_once")
def test_both_counters_are_exact_and_rounds_shorten(tmp_path):
    """100, 79 and 62 updates: floor((1000 - 500 t / 2400) / 10) at t = 0, 1000, 1790; the toy takes 10 `repeat` steps each."""
    result = play(options(tmp_path, t_ready=1000, t_ready_end=500, max_timesteps=2400))
    rows = result.records
    assert [set(rows.loc[rows["round"] == r, "timesteps"]) for r in range(4)] == [{0}, {1000}, {1790}, {2410}]
    assert rows["round"].max() == 3
    total = P * EPISODES
    assert set(rows.loc[rows["round"] == 0, "env_steps_total"]) == {total}
    for number, updates in ((1, 100), (2, 79), (3, 62)):
        of_round = rows[rows["round"] == number]
        total += int((10 * updates * of_round["repeat"]).sum()) + P * EPISODES
        assert set(of_round["env_steps_total"]) == {total}
    progress = final_state(result).progress
    assert int(progress.env_steps_total) == total == result.report["env_steps_total"]
    assert set(progress.timesteps) == {2410} and result.report["timesteps"] == 2410


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(("t_ready", "max_timesteps"), [(480, 480), (480, 481), (487, 1000), (999, 1000)])
def test_members_end_past_the_budget_by_less_than_a_round(tmp_path, t_ready, max_timesteps):
    end = set(final_state(play(options(tmp_path, t_ready=t_ready, max_timesteps=max_timesteps))).progress.timesteps)
    assert len(end) == 1 and max_timesteps <= end.pop() < max_timesteps + t_ready


@pytest.mark.usefixtures("compile_once")
def test_the_age_of_weights_travels_with_them_and_timesteps_stay(tmp_path, after_save):
    seen = []
    result = play(options(tmp_path), strategy=watch(fresh_start_of(0), seen))
    assert [list(o.age) for o in seen[1:3]] == [[480] * 4, [480, 960, 960, 960]]
    assert [list(o.timesteps) for o in seen[1:3]] == [[480] * 4, [960] * 4]
    assert set(result.records.loc[result.records["round"] == 5, "timesteps"]) == {5 * ROUND}


# Strategies through whole rounds


def stay(outcome):
    members = np.arange(len(outcome.fitness))
    return whole(outcome, outcome.config, jnp.asarray(members), 2, jnp.full(len(members), int(Source.previous)))


def fixed(decide) -> Strategy:
    """A strategy that answers with `decide(outcome)`."""
    return Strategy(lambda key, outcome: (), lambda key, state, outcome: (state, decide(outcome)))


def fresh_start_of(member: int) -> Strategy:
    """This member starts afresh after every round."""

    def decide(outcome):
        decision = stay(outcome)
        chosen = (np.arange(len(outcome.fitness)) == member)[:, None] * np.ones((1, 2), np.float32)
        return decision._replace(shrink=1 - chosen, perturb=chosen)

    return fixed(decide)


def watch(strategy: Strategy, seen: list) -> Strategy:
    """Keeps every outcome, the untrained one first."""

    def init(key, outcome):
        seen.append(outcome)
        return strategy.init(key, outcome)

    def step(key, state, outcome):
        seen.append(outcome)
        return strategy.step(key, state, outcome)

    return Strategy(init, step)


@pytest.mark.usefixtures("compile_once")
def test_moments_and_statistics_move_with_the_weights(tmp_path, after_save):
    """The checkpoint is taken after inheriting: the child holds what its parent, which nobody replaced, holds."""
    after_save.hook = kill_after(3)
    with pytest.raises(Killed):
        play(options(tmp_path))
    after_save.hook = lambda round_: None
    states = []
    with pytest.MonkeyPatch.context() as patch:
        train = controller._round
        patch.setattr(
            controller, "_round", lambda engine, state, shown: states.append(state) or train(engine, copy(state), shown)
        )
        play(options(tmp_path))
    state = states[0]
    child = int(np.flatnonzero(state.progress.parents[:, 0] != np.arange(P))[0])
    parent = int(state.progress.parents[child, 0])
    people = jax.tree.map(np.asarray, state.population[0])
    of = lambda i: jax.tree.map(lambda x: x[i], people._replace(world=()))  # noqa: E731
    assert same_bits(of(child), of(parent))
    assert np.any(people.moments["second"]["momentum"]["x"][child] != 0) and people.moments["second"]["count"][child] > 0
    assert not np.array_equal(people.world["noise"][child], people.world["noise"][parent])
    assert people.world["clock"][child] == 0 < people.world["clock"][parent]


def copy(state):
    return jax.tree.map(lambda x: x.copy() if isinstance(x, jax.Array) else x, state)


@pytest.mark.usefixtures("compile_once")
def test_what_a_strategy_holds_true_is_recorded_with_the_round_it_was_held_for(tmp_path):
    counting = Strategy(lambda key, _: np.zeros(()), lambda key, n, outcome: (n + 1, stay(outcome)), lambda n: {"belief": n})
    rows = play(options(tmp_path), strategy=counting).records
    assert list(rows["belief"]) == [max(number - 1, 0) for number in rows["round"]]


def test_a_strategy_is_prepared_before_its_first_step(tmp_path, monkeypatch):
    """In the background: the engine is made at once, the step waits, and what goes wrong there is not lost."""
    happened, may_end = [], threading.Event()

    def prepare(size):
        happened.append(size)
        assert may_end.wait(60)
        happened.append("ready")

    def step(key, state, outcome):
        happened.append("step")
        return state, stay(outcome)

    monkeypatch.setattr(engine_module, "compile_ahead", lambda programs, *_: programs)
    slow = Strategy(lambda key, outcome: (), step, prepare=prepare)
    made = engine_module.make_engine(options(tmp_path), quadratic(), slow, arrange(P, "auto"))
    threading.Timer(0.2, may_end.set).start()
    made.strategy.step(None, (), Outcome(np.zeros((P, 2)), *[np.zeros(P)] * 5))
    assert happened == [P, "ready", "step"]

    broken = slow._replace(prepare=lambda size: 1 / 0)
    made = engine_module.make_engine(options(tmp_path), quadratic(), broken, arrange(P, "auto"))
    with pytest.raises(ZeroDivisionError):
        made.strategy.step(None, (), None)


@pytest.mark.usefixtures("compile_once")
def test_random_search_exchanges_nothing(tmp_path):
    rows = play(options(tmp_path, strategy="random")).records
    assert (rows["parent"] == rows["member"]).all()
    assert configs_per_slot(rows) == 1
    assert set(rows.loc[rows["round"] > 1, "source"]) == {"previous"}


@pytest.mark.usefixtures("compile_once")
def test_frozen_configurations_stay_in_their_slots_while_weights_travel(tmp_path):
    rows = play(options(tmp_path, freeze="sampled")).records
    assert (rows["parent"] != rows["member"]).any()
    assert configs_per_slot(rows) == 1
    assert rows[rows["round"] == 1].groupby(list(quadratic().space)).ngroups == P


@pytest.mark.usefixtures("compile_once")
def test_frozen_defaults_are_everywhere(tmp_path):
    rows = play(options(tmp_path, freeze="default")).records
    for name, dim in quadratic().space.items():
        np.testing.assert_allclose(rows[name], dim.default, rtol=1e-5)
    assert (rows["parent"] != rows["member"]).any()


def configs_per_slot(rows: pd.DataFrame) -> int:
    return int(rows.groupby("member")[list(quadratic().space)].nunique().to_numpy().max())


@pytest.mark.usefixtures("compile_once")
def test_records_name_whom_the_weights_came_from(tmp_path):
    seen = []
    settings = options(tmp_path)
    rows = play(settings, strategy=watch(api.make_strategy(settings, quadratic()), seen)).records
    for number in range(1, 6):
        of_round = rows[rows["round"] == number]
        outcome = seen[number] if number < 5 else None
        if outcome is not None:
            np.testing.assert_array_equal(of_round["fitness"].to_numpy(np.float32), outcome.fitness)
            after = rows[(rows["round"] == number + 1) & (rows["parent"] != rows["member"])]
            assert outcome.fitness[after["member"].item()] == outcome.fitness.min()
            assert outcome.fitness[after["parent"].item()] == outcome.fitness.max()


# More candidates than members


@pytest.mark.usefixtures("compile_once")
def test_of_many_candidates_the_best_go_on(tmp_path):
    """20 candidates for 8 places, in three groups of which the last is half idle."""
    task, seed, number = quadratic(), np.uint32(0), 20
    settings = options(tmp_path, pop_size=8, n_init=number, quantile_fraction=0.125, max_timesteps=ROUND)
    result = play(settings, task)
    alone = make_programs(task, number, Arrangement(1, 1))
    members = np.arange(number, dtype=np.int32)
    config = spaces.settle(task.space, np.asarray(alone.configure(seed, members)))
    people = alone.init(seed, np.int32(0), members, config)
    zeros, one, everyone = np.zeros(number, np.int32), np.int32(1), np.ones(number, bool)
    evaluate = int(Purpose.evaluate)
    before, _, _ = alone.evaluate(seed, np.int32(0), np.int32(evaluate), zeros, everyone, people, config)
    people, metrics = alone.train(seed, one, np.int32(48), members, everyone, people, config)
    after, _, _ = alone.evaluate(seed, one, np.int32(evaluate), zeros, everyone, people, config)
    fitness = np.asarray(after).mean(axis=1)
    survivors = np.sort(np.argsort(-fitness)[:8])

    state, rows = final_state(result), result.records
    for got, wanted in zip(jax.tree.leaves(state.population[0]), jax.tree.leaves(people), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted)[survivors], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(state.progress.config, config[survivors])
    assert int(state.progress.untrained) == int(np.asarray(before).mean(axis=1).argmax())

    first = rows[rows["round"] == 1]
    assert list(first["member"]) == list(range(number)) and set(first["phase"]) == {"candidates"}
    np.testing.assert_allclose(first["fitness"], fitness, rtol=1e-5)
    np.testing.assert_allclose(first["rate"], np.asarray(alone.hyperparams(config)["rate"]), rtol=1e-6)
    np.testing.assert_array_equal(state.progress.parents[:, 0], survivors)
    assert set(first["timesteps"]) == {ROUND}
    evaluated = number * EPISODES  # those that only fill the last group are idle
    assert set(rows.loc[rows["round"] == 0, "env_steps_total"]) == {evaluated}
    assert set(first["env_steps_total"]) == {2 * evaluated + int(np.asarray(metrics["env_steps"]).sum())}
    assert len(rows[rows["round"] == 0]) == number and result.best["member"] == fitness.argmax()


# Bad members


def poison(monkeypatch, make, when: dict):
    """`when` maps a round to (member, field): that field of the member becomes NaN before the round is trained."""

    def poisoned(*args, **settings):
        engine = make(*args, **settings)

        def train(seed, round_, updates, members, active, population, config, data):
            if int(round_) in when:
                member, field = when[int(round_)]
                rows = slice(None) if member is None else jnp.array(member)
                spoil = lambda x: x.at[rows].set(jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x  # noqa: E731
                population = population._replace(**{field: jax.tree.map(spoil, getattr(population, field))})
            return engine.programs[0].train(seed, round_, updates, members, active, population, config, data)

        return with_programs(engine, train=Program(engine.programs[0].train, train))

    monkeypatch.setattr(api, "make_engine", poisoned)


FIELDS = [("params", "weights"), ("moments", "weights"), ("shared", "weights"), ("world", "environments")]


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize(("field", "words"), FIELDS)
def test_a_broken_member_is_replaced_in_its_round_and_reported(tmp_path, monkeypatch, said, after_save, field, words):
    """Member 2 breaks before round 2. It is last, and inherits beside the one that the quantile names."""
    poison(monkeypatch, api.make_engine, {2: (2, field)})
    seen = []
    settings = options(tmp_path)
    result = play(settings, strategy=watch(api.make_strategy(settings, quadratic()), seen))
    rows = result.records
    outcome = seen[2]
    assert np.isnan(outcome.fitness[2]) and np.isfinite(np.delete(outcome.fitness, 2)).all()
    best = int(np.nanargmax(outcome.fitness))
    after = rows[rows["round"] == 3].set_index("member")
    assert after.loc[2, "parent"] == best != 2 and after.loc[2, "source"] == "perturbed"
    assert np.isnan(rows[(rows["round"] == 2) & (rows["member"] == 2)]["fitness"].item())
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()
    line = next(line for line in said.getvalue().splitlines() if "round 2 " in line)
    assert "member 2 failed" in line and words in line and "replaced" in line
    state = final_state(result)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.population, state.best)) if x.dtype.kind == "f")
    assert np.isfinite(result.report["mean"])


@pytest.mark.usefixtures("compile_once")
def test_three_of_four_broken_at_once_all_inherit_from_the_fourth(tmp_path, monkeypatch):
    poison(monkeypatch, api.make_engine, {2: ([0, 1, 3], "params")})
    rows = play(options(tmp_path)).records
    assert list(rows.loc[rows["round"] == 3, "parent"]) == [2, 2, 2, 2]
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()


@pytest.mark.usefixtures("compile_once")
def test_a_broken_member_never_becomes_the_saved_best(tmp_path, monkeypatch):
    """Not even one whose returns are finite and large while its weights are not."""
    engine_of = api.make_engine

    def boasting(*args, **settings):
        engine = engine_of(*args, **settings)

        def evaluate(seed, round_, purpose, *others):
            returns, steps, finite = engine.programs[0].evaluate(seed, round_, purpose, *others)
            if int(round_) == 2 and int(purpose) == Purpose.evaluate:
                returns = jnp.nan_to_num(returns).at[1].set(1e6)
            return returns, steps, finite

        return with_programs(engine, evaluate=Program(engine.programs[0].evaluate, evaluate))

    monkeypatch.setattr(api, "make_engine", boasting)
    poison(monkeypatch, api.make_engine, {2: (1, "params")})
    result = play(options(tmp_path))
    assert result.best["fitness"] < 1e5 and result.report["fitness"] < 1e5
    assert math.isfinite(result.report["mean"])


@pytest.mark.usefixtures("compile_once")
def test_of_equally_good_members_the_earliest_stays_the_saved_best(tmp_path, monkeypatch):
    engine_of = api.make_engine

    def level(*args, **settings):
        engine = engine_of(*args, **settings)

        def evaluate(*call):
            returns, steps, finite = engine.programs[0].evaluate(*call)
            return jnp.ones_like(returns), steps, finite

        return with_programs(engine, evaluate=Program(engine.programs[0].evaluate, evaluate))

    monkeypatch.setattr(api, "make_engine", level)
    result = play(options(tmp_path))
    progress = final_state(result).progress
    assert (int(progress.best_round), int(progress.best_member)) == (1, 0)
    assert (result.best["round"], result.best["member"]) == (1, 0)


@pytest.mark.usefixtures("compile_once")
def test_random_search_gives_a_broken_member_a_fresh_start(tmp_path, monkeypatch):
    poison(monkeypatch, api.make_engine, {2: (1, "params")})
    rows = play(options(tmp_path, strategy="random")).records
    after = rows[rows["round"] == 3].set_index("member")
    assert list(after.index[after["source"] == "random"]) == [1]
    assert np.isfinite(rows.loc[rows["round"] >= 3, "fitness"]).all()


@pytest.mark.usefixtures("compile_once")
def test_a_population_lost_leaves_a_checkpoint_that_goes_on_to_the_same_bits(tmp_path, monkeypatch, unbroken):
    with monkeypatch.context() as patch, pytest.raises(PopulationLost, match="all members failed in round 3") as lost:
        poison(patch, api.make_engine, {3: (None, "params")})
        play(options(tmp_path))
    assert "\n" not in str(lost.value)
    path = next(tmp_path.rglob("options.yaml")).parent
    opened = bgpbt.open_run(path, quadratic())
    assert opened.report is None and opened.records["round"].max() == int(opened.load().progress.round) == 2
    result = play(options(tmp_path))
    assert same_bits(final_state(result), unbroken[1])
    same_records(result.records, unbroken[0].records)


@pytest.mark.usefixtures("compile_once")
def test_main_ends_with_three_when_the_population_is_lost(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    monkeypatch.setattr(api, "make_task", lambda options: quadratic())
    poison(monkeypatch, api.make_engine, {2: (None, "params")})
    words = f"-e inverted_pendulum --num_envs 32 -ps 4 -qf 0.25 -tr 480 -mt 2400 --devices 2 --no_cache --save_dir {tmp_path}"
    assert main.main(words.split()) == 3
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0 and "all members failed in round 2" in error


# Several seeds


def test_seeds_have_folders_of_their_own_and_share_one_compilation(tmp_path, after_save, compilations, unbroken):
    """The second seed compiles nothing but what belongs to its end."""
    counted = []
    after_save.hook = lambda round_: counted.append(len(compilations))
    results = bgpbt.run_seeds(options(tmp_path, seed=(3, 0)), quadratic())
    assert [r.path.name for r in results] == ["seed_3", "seed_0"]
    assert len(counted) == 12 and counted[-1] == counted[6]
    same_records(results[1].records, unbroken[0].records)
    assert same_bits(final_state(results[1]), unbroken[1])
    assert results[1].report == unbroken[0].report
    assert not np.array_equal(results[0].records["fitness"], results[1].records["fitness"])
    assert results[0].options.seed == (3,) or bgpbt.open_run(results[0].path).options.seed == (3,)


# The report


@pytest.mark.usefixtures("compile_once")
@pytest.mark.parametrize("episodes", [8, 12, 13, 30])
def test_the_report_uses_fresh_keys_and_enough_episodes(tmp_path, monkeypatch, episodes):
    """No key of the report was seen by a selection, and none is used twice for one member."""
    engine_of, calls = api.make_engine, []

    def watching(*args, **settings):
        engine = engine_of(*args, **settings)

        def evaluate(seed, round_, purpose, draws, *others):
            calls.append((int(purpose), int(round_), tuple(np.asarray(draws).tolist())))
            return engine.programs[0].evaluate(seed, round_, purpose, draws, *others)

        return with_programs(engine, evaluate=Program(engine.programs[0].evaluate, evaluate))

    monkeypatch.setattr(api, "make_engine", watching)
    result = play(options(tmp_path, report_episodes=episodes))
    selection = [c for c in calls if c[0] != Purpose.report]
    final = [c for c in calls if c[0] == Purpose.report]
    assert [c[1] for c in selection] == list(range(6)) and all(set(c[2]) == {0} for c in selection)
    needed = -(-episodes // (P * EPISODES))
    best, untrained = final[:needed], final[needed:]
    assert best == untrained and all(c[2] == tuple(range(P)) for c in best) and len(set(best)) == needed
    assert result.report["episodes"] == needed * P * EPISODES >= episodes


@pytest.mark.usefixtures("compile_once")
def test_a_report_of_more_episodes_is_made_when_it_is_asked_for(tmp_path):
    first = play(options(tmp_path))
    assert play(options(tmp_path, report_episodes=4)).report == first.report
    assert play(options(tmp_path, report_episodes=30)).report["episodes"] >= 30 > first.report["episodes"]


@pytest.mark.usefixtures("compile_once")
def test_the_report_is_of_the_saved_best_beside_the_best_untrained(tmp_path, said):
    result = play(options(tmp_path, report_episodes=48))
    state = final_state(result)
    objective = lambda member: sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(member.params))  # noqa: E731
    assert result.report["mean"] == pytest.approx(1.2 - objective(state.best), abs=0.01)
    rows = result.records
    untrained = rows[rows["round"] == 0]
    assert int(state.progress.untrained) == int(untrained["fitness"].argmax())
    assert result.report["untrained_mean"] == pytest.approx(untrained["fitness"].max(), abs=0.02)
    assert result.report["mean"] > result.report["untrained_mean"]
    best = rows[rows["round"] > 0].sort_values("fitness").iloc[-1]
    assert (result.report["round"], result.report["member"]) == (best["round"], best["member"])
    assert result.report["fitness"] == best["fitness"] == result.best["fitness"]
    for name, value in result.report["hyperparameters"].items():
        assert value == pytest.approx(best[name], rel=1e-6)
    assert "best untrained member" in said.getvalue() and f"on {result.report['episodes']} fresh episodes" in said.getvalue()


def test_a_task_without_pictures_runs_with_the_usual_settings(tmp_path, monkeypatch, engines):
    share(monkeypatch, engines)
    result = play(options(tmp_path, render=True))
    assert (result.path / "learning_curve.png").exists() and not (result.path / "policy.gif").exists()


def test_which_returns_make_a_fitness():
    """In training some may be missing, where no episode ended; an infinite one is a failure in any case."""
    nan, inf = np.nan, np.inf
    returns = np.array([[1, 2], [nan, 2], [nan, nan], [inf, 2], [-inf, 2]])
    assert engine_module.judgeable(returns).tolist() == [True, False, False, False, False]
    assert engine_module.judgeable(returns, some=True).tolist() == [True, True, False, False, False]
