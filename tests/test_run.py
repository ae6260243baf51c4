"""Whole runs on a Brax environment, sharing one tiny compiled population; and fitness where no episode ends in a round."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toys import counted_compilations, same_bits

import bgpbt
from bgpbt import api, display
from bgpbt import engine as engine_module
from bgpbt.networks.mlp import MLP
from bgpbt.options import Options, PopulationLost
from bgpbt.plan import PROGRAMS
from bgpbt.store import RunStore
from bgpbt.tasks import minibatches
from bgpbt.tasks.ppo import hyperparameter_space, ppo
from bgpbt.types import Progress
from envs.base import Env, EnvState

P = 4
ROUND = 480  # one update of 32 environments
OVERLOAD = 1e30


class Killed(BaseException):
    """Stands for a signal: nothing in the product may catch it."""


def options(folder, **changes) -> Options:
    settings = {
        "env_name": "inverted_pendulum",
        "num_envs": 32,
        "episode_length": 100,
        "pop_size": P,
        "quantile_fraction": 0.25,
        "policy_layers": (8,),
        "value_layers": (8,),
        "t_ready": ROUND,
        "max_timesteps": 5 * ROUND,
        "eval_episodes": 2,
        "report_episodes": 8,
        "render": False,
        "devices": 2,
        "save_dir": str(folder),
    }
    return Options(**(settings | changes))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A pendulum whose motor, beyond 90 % of its range, is too strong for the simulator by a factor of 1e30.

    Members start quiet (a narrow policy around zero), so that only one made loud meets the overload. The ladder is short:
    its branches are most of the time that compiling takes, and other tests are about them.
    """
    from brax import envs as brax_envs

    get = brax_envs.get_environment

    def overloaded(name, **settings):
        env = get(name, **settings)
        env.sys = env.sys.tree_replace({"actuator.gear": env.sys.actuator.gear * OVERLOAD})
        limit, advance = 0.9 * env.sys.actuator.ctrl_range[0, 1], env.pipeline_step
        env.pipeline_step = lambda state, act: advance(state, act * jnp.where(jnp.abs(act) > limit, 1, 1 / OVERLOAD))
        return env

    settings = options(tmp_path_factory.mktemp("unused"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brax_envs, "get_environment", overloaded)
        usual = api.make_task(settings)

    def init(key, h):
        state = usual.init(key, h)
        state.params["policy"][-1] = {"kernel": 0.1 * state.params["policy"][-1]["kernel"], "bias": jnp.array([0.0, -3.0])}
        return state

    task = usual._replace(init=init)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "LADDER", (2, 8))
        made = engine_module.make_engine(settings, task, api.make_strategy(settings, task), api.arrange(P, "auto", 2))
        for name in PROGRAMS:
            getattr(made.programs[0], name).wait()
    return made


@pytest.fixture(autouse=True)
def one_compilation(monkeypatch, request):
    """Runs of this file use the compiled programs of `engine`, and draw nothing."""

    def made(options, task, strategy, arrangement, **_):
        return request.getfixturevalue("engine")._replace(options=options, strategy=strategy)

    monkeypatch.setattr(api, "make_engine", made)
    monkeypatch.setattr(api.Result, "draw", lambda self: [])


def member(tree, index: int):
    return jax.tree.map(lambda x: x[index], tree)


def play(engine, settings):
    return bgpbt.run(settings, task=engine.task)


@pytest.fixture(scope="module")
def unbroken(engine, tmp_path_factory):
    """A whole run, its final state, the compilations counted at every save, and the states that were saved."""
    counted, saved, save = {}, {}, RunStore.save

    def saving(self, state, rows, layout):
        save(self, state, rows, layout)
        number = int(state.progress.round)
        counted[number] = len(events)
        saved[number] = jax.tree.map(np.asarray, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunStore, "save", saving)
        patch.setattr(api.Result, "draw", lambda self: [])
        patch.setattr(
            api, "make_engine", lambda options, task, strategy, _, **__: engine._replace(options=options, strategy=strategy)
        )
        with counted_compilations() as events:  # `saving` reads it
            result = play(engine, options(tmp_path_factory.mktemp("unbroken")))
    return result, counted, saved


def test_nothing_compiles_from_the_second_round_on(unbroken):
    result, counted, _ = unbroken
    assert [counted[number] - counted[1] for number in range(2, 6)] == [0] * 4
    assert (result.records["parent"] != result.records["member"]).sum() >= 4


def test_every_round_has_records_and_fitness(unbroken):
    rows = unbroken[0].records
    assert len(rows) == 6 * P and np.isfinite(rows["fitness"]).any()
    assert list(rows.columns[:12]) == [
        "round", "generation", "why", "phase", "member", "parent", "source", "fitness", "timesteps", "age", "env_steps_total",
        "seconds",
    ]  # fmt: skip
    assert list(rows.columns[12:]) == list(hyperparameter_space(32))
    assert [set(rows.loc[rows["round"] == n, "timesteps"]) for n in range(6)] == [{n * ROUND} for n in range(6)]
    training = np.arange(6) * P * ROUND
    evaluations = rows.groupby("round")["env_steps_total"].first().to_numpy() - training
    # An evaluation takes 1 to 100 steps of two environments of each member.
    assert (np.diff(evaluations, prepend=0) >= 2 * P).all() and (np.diff(evaluations, prepend=0) <= 200 * P).all()
    assert (np.diff(evaluations, prepend=0) % 2 == 0).all()


def test_moments_of_adam_move_with_the_weights(unbroken):
    _, _, saved = unbroken
    for number in range(1, 5):
        state = saved[number]
        child = int(np.flatnonzero(state.progress.parents[:, 0] != np.arange(P))[0])
        parent = int(state.progress.parents[child, 0])
        assert same_bits(*(member(state.population[0]._replace(world=()), i) for i in (child, parent)))
        assert state.population[0].moments["policy"]["adam"].count[child] > 0
        assert max(np.abs(x[child]).max() for x in jax.tree.leaves(state.population[0].moments["policy"]["adam"].mu)) > 0
        world = state.population[0].world
        assert not np.array_equal(world.env.obs[child], world.env.obs[parent])
        np.testing.assert_array_equal(world.clock[child], np.arange(32) * 100 // 32)  # staggered anew


@pytest.mark.parametrize("number", [0, 3])
def test_a_killed_run_continues_to_the_same_bits(engine, unbroken, tmp_path, monkeypatch, number):
    save = RunStore.save

    def dying(self, state, rows, layout):
        save(self, state, rows, layout)
        if int(state.progress.round) == number:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunStore, "save", dying)
        play(engine, options(tmp_path))
    result = play(engine, options(tmp_path))
    assert same_bits(jax.tree.map(np.asarray, result.load()), unbroken[2][5])
    plain = [r.records.drop(columns="seconds") for r in (result, unbroken[0])]
    pd.testing.assert_frame_equal(*plain, check_exact=True)
    assert result.report == unbroken[0].report


# NaN from the simulator itself


def loud(engine, monkeypatch, when: dict):
    """Before the rounds in `when`, these members' policies press the motor to its end."""

    class Train:
        begin, wait, ready = engine.programs[0].train.begin, engine.programs[0].train.wait, True
        metrics: list = []  # noqa: RUF012

        def __call__(self, seed, round_, updates, members, active, population, config, data):
            if int(round_) in when:
                who = jnp.array(when[int(round_)])
                output = population.params["policy"][-1]
                bias = jax.device_put(output["bias"].at[who, 0].set(20.0), output["bias"].sharding)
                layers = [*population.params["policy"][:-1], output | {"bias": bias}]
                population = population._replace(params=population.params | {"policy": layers})
            people, metrics = engine.programs[0].train(seed, round_, updates, members, active, population, config, data)
            self.metrics.append(jax.tree.map(np.asarray, metrics) | {"count": np.asarray(people.shared.count)})
            return people, metrics

    train = Train()
    train.metrics = []
    noisy = engine._replace(programs=(engine.programs[0]._replace(train=train),))
    monkeypatch.setattr(
        api, "make_engine", lambda options, task, strategy, _, **__: noisy._replace(options=options, strategy=strategy)
    )
    return train.metrics


def test_a_member_whose_simulator_breaks_is_replaced_and_its_environments_are_fresh(engine, tmp_path, monkeypatch):
    out, saved = io.StringIO(), {}
    monkeypatch.setattr(display, "Console", lambda **_: Console(file=out, width=400, force_terminal=False))
    metrics = loud(engine, monkeypatch, {2: [1]})
    save = RunStore.save
    monkeypatch.setattr(
        RunStore,
        "save",
        lambda self, state, rows, layout: (
            save(self, state, rows, layout),
            saved.update({int(state.progress.round): jax.tree.map(np.asarray, state)}),
        ),
    )
    result = play(engine, options(tmp_path, freeze="default"))
    assert list(metrics[1]["world_finite"]) == [True, False, True, True]
    # The normaliser left out what was not finite, and nothing but that.
    counts = [m["count"] for m in metrics]
    assert counts[1][0] - counts[0][0] == ROUND > counts[1][1] - counts[0][1]

    rows = result.records
    failed = rows[rows["fitness"].isna()]
    assert list(zip(failed["round"], failed["member"], strict=True)) == [(2, 1)]
    after = rows[rows["round"] == 3].set_index("member")
    assert after.loc[1, "parent"] != 1
    line = next(line for line in out.getvalue().splitlines() if "round 2 " in line)
    assert "member 1 failed" in line and "environments" in line and "member 1 <- member" in line

    state = saved[2]
    assert isinstance(state.progress, Progress)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.population, state.best)) if x.dtype.kind == "f")
    assert set(state.population[0].world.episode_return[1]) == {0.0}
    np.testing.assert_array_equal(state.population[0].world.clock[1], np.arange(32) * 100 // 32)
    parent = int(state.progress.parents[1, 0])
    assert same_bits(member(state.population[0].shared, 1), member(state.population[0].shared, parent))
    assert all(m["world_finite"].all() for m in metrics[2:]) and np.isfinite(result.report["mean"])


def test_when_all_simulators_break_the_last_checkpoint_goes_on(engine, unbroken, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(PopulationLost, match=r"all members failed in round 3.*environments"):
        loud(engine, patch, {3: [0, 1, 2, 3]})
        play(engine, options(tmp_path))
    result = play(engine, options(tmp_path))
    assert same_bits(jax.tree.map(np.asarray, result.load()), unbroken[2][5])


# The Python interface on a run of the project's own task


def test_open_run_gives_records_best_lineage_and_a_policy(engine, unbroken):
    found = bgpbt.open_run(unbroken[0].path, engine.task)
    pd.testing.assert_frame_equal(found.records, unbroken[0].records, check_exact=True)
    assert found.report == unbroken[0].report and found.options.seed == (0,)
    assert (found.best["round"], found.best["member"]) == (found.report["round"], found.report["member"])
    lineage = found.lineage
    assert list(lineage["round"]) == list(range(int(found.best["round"]) + 1))
    assert lineage.iloc[-1]["member"] == found.best["member"]
    for before, row in zip(lineage.iloc[:-1].itertuples(), lineage.iloc[1:].itertuples(), strict=True):
        assert row.parent == before.member
    act = found.policy()
    obs = np.zeros((3, engine.task.context[0].observation_size), np.float32)
    assert act(obs[0]).shape == (1,) and act(obs).shape == (3, 1) and (np.abs(act(obs)) <= 1).all()
    np.testing.assert_allclose(act(obs), unbroken[0].policy()(obs))


# Fitness where rounds are shorter than episodes, which never terminate


def endless(length: int) -> Env:
    """Pays the position that the first observation shows, for ever."""

    def reset(key):
        obs = jax.random.uniform(key, (1,), minval=1.0, maxval=2.0)
        return EnvState((), obs, jnp.zeros(()), jnp.zeros((), bool))

    return Env("endless", 1, 1, length, 1, 1.0, reset, lambda state, action: state._replace(reward=state.obs[0]))


@pytest.mark.parametrize("fitness", ["evaluation", "training", "concurrent"])
def test_fitness_exists_in_every_round_however_short(monkeypatch, fitness):
    """Rounds of 90 decisions, episodes of 1,000: the first clocks reach the end, those of `concurrent` never do."""
    monkeypatch.setattr(minibatches, "LADDER", (2,))  # not what is tested here, and most of the compile time
    fixed = {name: dim.default for name, dim in hyperparameter_space(32).items()}
    mlps = {b: MLP(1, out, 1, 8, 8, False) for b, out in (("policy", 2), ("value", 1))}
    fixed |= {f"{b}_{k}": v for b in mlps for k, v in (("depth", 1), ("width", 8), ("spectral_norm", 0))}
    task = ppo(endless(1000), num_envs=32, space={}, fixed=fixed, fitness=fitness, eval_episodes=4, **mlps)
    train = jax.jit(lambda key, state: task.train(key, state, {}, 6, ()))
    state = jax.jit(lambda key: task.init(key, {}))(jax.random.PRNGKey(0))
    for number in range(3):
        state, metrics = train(jax.random.PRNGKey(number + 1), state)
        beside = 4 if fitness == "concurrent" else 0
        assert int(metrics["env_steps"]) == 6 * 15 * (32 + beside)
        assert task.fitness_from_training == (fitness != "evaluation")
        if fitness == "evaluation":
            returns, steps = jax.jit(lambda key, state: task.evaluate(key, state, {}))(jax.random.PRNGKey(9), state)
            assert int(steps) == 4000 and returns.shape == (4,)
        else:
            returns = metrics["episode_returns"]
            assert returns.shape == (4 if beside else 32,)
        # The mean reward is 1 to 2 a step; a return that is not of a whole episode is stretched to one.
        known = np.asarray(returns)[~np.isnan(returns)]
        assert len(known) and (known >= 999).all() and (known <= 2001).all()
        if fitness == "concurrent":
            np.testing.assert_allclose(known, 1000 * np.asarray(state.world.env.obs)[32:, 0], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("fitness", ["evaluation", "training", "concurrent"])
def test_fitness_exists_in_every_round_of_halfcheetah(tmp_path, monkeypatch, fitness):
    """About 100 steps a round of episodes of 1,000."""
    monkeypatch.setattr(api, "make_engine", engine_module.make_engine)
    changes = {"env_name": "halfcheetah", "episode_length": 1000, "pop_size": 2, "quantile_fraction": 0.5}
    result = bgpbt.run(options(tmp_path, fitness=fitness, t_ready=32 * 105, max_timesteps=3 * 32 * 105, **changes))
    rows = result.records
    assert rows["round"].max() == 3 and np.isfinite(rows["fitness"]).all()
    assert result.report["episodes"] >= 8 and np.isfinite(result.report["mean"])
