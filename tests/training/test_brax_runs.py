"""Whole runs on a Brax environment, which share one tiny compiled population."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from agent_runs import agent_options
from toy_runs import ROUND, P, kill_run
from toys import Program, counted_compilations, same_bits, with_programs

import bgpbt
from bgpbt import api
from bgpbt.assembly.parts import assemble, make_task, start_engine
from bgpbt.config.errors import PopulationLost
from bgpbt.result import Result
from bgpbt.storage.store import RunStore
from bgpbt.tasks.ppo import minibatches
from bgpbt.tasks.ppo.spaces import hyperparameter_space
from bgpbt.training.engine import ROUND_PROGRAMS
from bgpbt.training.round_records import COLUMNS
from bgpbt.training.run_state import Progress

OVERLOAD = 1e30


def overload(env):
    """Makes a motor too strong for the simulator beyond 90 % of its range."""
    gear = env.sys.actuator.gear * OVERLOAD
    env.sys = env.sys.tree_replace({"actuator.gear": gear})
    limit = 0.9 * env.sys.actuator.ctrl_range[0, 1]
    step = env.pipeline_step

    def pipeline_step(state, act):
        return step(state, act * jnp.where(jnp.abs(act) > limit, 1, 1 / OVERLOAD))

    env.pipeline_step = pipeline_step
    return env


def overloaded_pendulum(options):
    """A pendulum with such a motor, and members that never meet its overload.

    They start quiet, with a narrow policy around zero, so that only one made loud does.
    """
    from brax import envs as brax_envs

    get = brax_envs.get_environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            brax_envs,
            "get_environment",
            lambda name, **settings: overload(get(name, **settings)),
        )
        usual = make_task(options)

    def init(key, h):
        state = usual.init(key, h)
        kernel = 0.1 * state.params["policy"][-1]["kernel"]
        bias = jnp.array([0.0, -3.0])
        state.params["policy"][-1] = {"kernel": kernel, "bias": bias}
        return state

    return usual._replace(init=init)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Of the overloaded pendulum, with two numbers of minibatches.

    Their branches are most of the time that compiling takes, and other tests are about
    them.
    """
    options = agent_options(tmp_path_factory.mktemp("unused"))
    task = overloaded_pendulum(options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
        engine = start_engine(assemble(options, task))
        for name in ROUND_PROGRAMS:
            getattr(engine.programs[0], name).wait()
    return engine


def use_engine(monkeypatch, engine) -> None:
    """Runs use its compiled programs."""
    monkeypatch.setattr(
        api,
        "start_engine",
        lambda parts, **_: engine._replace(plan=parts.plan, strategy=parts.strategy),
    )


@pytest.fixture(autouse=True)
def one_compilation(monkeypatch, engine):
    """Runs of this file use the compiled programs of `engine`, and draw nothing."""
    use_engine(monkeypatch, engine)
    monkeypatch.setattr(Result, "draw", lambda self: [])


def member(tree, index: int):
    return jax.tree.map(lambda x: x[index], tree)


def play(engine, options):
    return bgpbt.run(options, task=engine.task)


def keep_states(monkeypatch, states: dict) -> None:
    """Keeps every state that is saved, by round."""
    save = RunStore.save

    def saving(self, state, rows, layout):
        save(self, state, rows, layout)
        states[int(state.progress.round)] = jax.tree.map(np.asarray, state)

    monkeypatch.setattr(RunStore, "save", saving)


@pytest.fixture(scope="module")
def unbroken(engine, tmp_path_factory):
    """A whole run, compilations by round, and the states that were saved, by round."""
    counted, states = {}, {}
    with pytest.MonkeyPatch.context() as patch, counted_compilations() as events:
        save = RunStore.save

        def counting(self, state, rows, layout):
            save(self, state, rows, layout)
            counted[int(state.progress.round)] = len(events)

        patch.setattr(RunStore, "save", counting)
        keep_states(patch, states)
        patch.setattr(Result, "draw", lambda self: [])
        use_engine(patch, engine)
        result = play(engine, agent_options(tmp_path_factory.mktemp("unbroken")))
    return result, counted, states


def test_nothing_compiles_from_the_second_round_on(unbroken):
    result, counted, _ = unbroken
    assert [counted[number] - counted[1] for number in range(2, 6)] == [0] * 4
    assert (result.records["parent"] != result.records["member"]).sum() >= 4


def test_every_round_has_records_and_fitness(unbroken):
    rows = unbroken[0].records
    assert len(rows) == 6 * P and np.isfinite(rows["fitness"]).any()
    assert rows.columns[6] == "parent_value"
    # All that a dimension may not be called; `report` is there where it is asked for.
    assert [*rows.columns[:13].drop("parent_value"), "report"] == list(COLUMNS)
    assert list(rows.columns[13:]) == list(hyperparameter_space(32))
    timesteps = [set(rows.loc[rows["round"] == n, "timesteps"]) for n in range(6)]
    assert timesteps == [{n * ROUND} for n in range(6)]
    training = np.arange(6) * P * ROUND
    total = rows.groupby("round")["env_steps_total"].first().to_numpy()
    evaluations = np.diff(total - training, prepend=0)
    # An evaluation takes 1 to 100 steps of two environments of each member.
    assert (evaluations >= 2 * P).all() and (evaluations <= 200 * P).all()
    assert (evaluations % 2 == 0).all()


def test_moments_of_adam_move_with_the_weights(unbroken):
    _, _, states = unbroken
    for number in range(1, 5):
        progress = states[number].progress
        (population,) = states[number].population
        child = int(np.flatnonzero(progress.parents[:, 0] != np.arange(P))[0])
        parent = int(progress.parents[child, 0])
        inherited = population._replace(env_state=())
        assert same_bits(member(inherited, child), member(inherited, parent))
        adam = population.opt_state["policy"]["adam"]
        assert adam.count[child] > 0
        assert max(np.abs(x[child]).max() for x in jax.tree.leaves(adam.mu)) > 0
        env_state = population.env_state
        assert not np.array_equal(env_state.env.obs[child], env_state.env.obs[parent])
        # Staggered anew.
        np.testing.assert_array_equal(env_state.clock[child], np.arange(32) * 100 // 32)


@pytest.mark.parametrize("number", [0, 3])
def test_a_killed_run_of_agents_continues_to_the_same_bits(
    engine, unbroken, tmp_path, after_save, number
):
    kill_run(after_save, number, lambda: play(engine, agent_options(tmp_path)))
    result = play(engine, agent_options(tmp_path))
    assert same_bits(jax.tree.map(np.asarray, result.load()), unbroken[2][5])
    records = [r.records.drop(columns="seconds") for r in (result, unbroken[0])]
    pd.testing.assert_frame_equal(*records, check_exact=True)
    assert result.report == unbroken[0].report


# NaN from the simulator itself


def make_loud(engine, monkeypatch, when: dict) -> list:
    """Before the rounds in `when`, these members' policies press the motor to its end.

    Returns a list of the metrics of every round, and the count of observations in them.
    """
    metrics = []
    program = engine.programs[0].train

    def train(seed, round_, updates, members, active, population, config, data):
        if int(round_) in when:
            population = press(population, when[int(round_)])
        population, of_round = program(
            seed, round_, updates, members, active, population, config, data
        )
        count = np.asarray(population.statistics.count)
        metrics.append(jax.tree.map(np.asarray, of_round) | {"count": count})
        return population, of_round

    use_engine(monkeypatch, with_programs(engine, train=Program(program, train)))
    return metrics


def press(population, members: list[int]):
    """The policies of these members answer with the largest action."""
    *layers, output = population.params["policy"]
    bias = output["bias"]
    loud = bias.at[jnp.array(members), 0].set(20.0)
    output = output | {"bias": jax.device_put(loud, bias.sharding)}
    return population._replace(params=population.params | {"policy": [*layers, output]})


def test_a_member_whose_simulator_breaks_is_replaced_and_its_environments_are_fresh(
    engine, tmp_path, monkeypatch, printed
):
    states = {}
    metrics = make_loud(engine, monkeypatch, {2: [1]})
    keep_states(monkeypatch, states)
    result = play(engine, agent_options(tmp_path, freeze="default"))
    assert list(metrics[1]["env_finite"]) == [True, False, True, True]
    # The normaliser left out what was not finite, and nothing but that.
    counts = [m["count"] for m in metrics]
    assert counts[1][0] - counts[0][0] == ROUND > counts[1][1] - counts[0][1]

    rows = result.records
    failed = rows[rows["fitness"].isna()]
    assert list(zip(failed["round"], failed["member"], strict=True)) == [(2, 1)]
    after = rows[rows["round"] == 3].set_index("member")
    assert after.loc[1, "parent"] != 1
    lines = printed.getvalue().splitlines()
    line = next(line for line in lines if "round 2 " in line)
    assert "member 1 failed" in line and "environments" in line
    assert "member 1 <- member" in line

    state = states[2]
    assert isinstance(state.progress, Progress)
    leaves = jax.tree.leaves((state.population, state.best))
    assert all(np.isfinite(x).all() for x in leaves if x.dtype.kind == "f")
    (population,) = state.population
    assert set(population.env_state.episode_return[1]) == {0.0}
    clock = population.env_state.clock[1]
    np.testing.assert_array_equal(clock, np.arange(32) * 100 // 32)
    parent = int(state.progress.parents[1, 0])
    statistics = population.statistics
    assert same_bits(member(statistics, 1), member(statistics, parent))
    assert all(m["env_finite"].all() for m in metrics[2:])
    assert np.isfinite(result.report["mean"])


def test_when_all_simulators_break_the_last_checkpoint_goes_on(
    engine, unbroken, tmp_path, monkeypatch
):
    words = r"all members failed in round 3.*environments"
    with (
        monkeypatch.context() as patch,
        pytest.raises(PopulationLost, match=words),
    ):
        make_loud(engine, patch, {3: [0, 1, 2, 3]})
        play(engine, agent_options(tmp_path))
    result = play(engine, agent_options(tmp_path))
    assert same_bits(jax.tree.map(np.asarray, result.load()), unbroken[2][5])


# The Python interface on a run of the project's own task


def act(result, obs) -> np.ndarray:
    """The reported member's actions without noise."""
    policy = result.policy()
    return np.asarray(policy(policy.carry, obs)[1].mode())


def test_open_run_gives_records_best_lineage_and_a_policy(engine, unbroken):
    opened = bgpbt.open_run(unbroken[0].path, engine.task)
    pd.testing.assert_frame_equal(opened.records, unbroken[0].records, check_exact=True)
    report, best = opened.report, opened.best
    assert report == unbroken[0].report and opened.options.seed == (0,)
    assert (best["round"], best["member"]) == (report["round"], report["member"])
    lineage = opened.lineage
    assert list(lineage["round"]) == list(range(int(best["round"]) + 1))
    assert lineage.iloc[-1]["member"] == best["member"]
    pairs = zip(
        lineage.iloc[:-1].itertuples(), lineage.iloc[1:].itertuples(), strict=True
    )
    for before, row in pairs:
        assert row.parent == before.member
    env = engine.task.playback.env
    obs = np.zeros((3, env.observation_size), np.float32)
    actions = act(opened, obs)
    assert act(opened, obs[0]).shape == (1,) and actions.shape == (3, 1)
    assert (np.abs(actions) <= 1).all()
    np.testing.assert_allclose(actions, act(unbroken[0], obs))


def test_the_reported_member_plays_fresh_episodes(unbroken):
    result = unbroken[0]
    trials = result.evaluate(5, seed=3)
    assert trials.gained["return"].shape == trials.steps.shape == (5,)
    # A pendulum gets a reward of 1 for every step that it stands.
    np.testing.assert_allclose(trials.gained["return"], trials.steps)
    assert (trials.steps >= 1).all() and (trials.steps <= 100).all()
