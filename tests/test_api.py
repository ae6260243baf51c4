"""The Python interface: what it builds from options, and what it refuses."""

import jax
import numpy as np
import pytest
from toys import quadratic

import bgpbt
from bgpbt import api
from bgpbt.options import BadInput, Options, load_options
from bgpbt.plan import rounds_of
from bgpbt.space import Integer
from bgpbt.store import RunStore, folder
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.mutation import mutation
from bgpbt.strategies.pbtnas import too_few
from bgpbt.tasks.ppo import hyperparameter_space
from envs import ENVS

TINY = {"env_name": "inverted_pendulum", "num_envs": 32, "pop_size": 4, "quantile_fraction": 0.25, "t_ready": 480}


def options(folder, **changes) -> Options:
    settings = TINY | {"max_timesteps": 960, "render": False, "report_episodes": 8, "devices": 2, "save_dir": str(folder)}
    return Options(**(settings | changes))


def test_the_package_offers_what_it_names():
    assert set(bgpbt.__all__) >= {"run", "run_seeds", "open_run", "dry_run", "Result", "Options", "BadInput", "PopulationLost"}
    for name in bgpbt.__all__:
        assert getattr(bgpbt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bgpbt.nonsense  # noqa: B018


def test_a_dry_run_says_what_becomes_of_every_folder_and_writes_nothing(tmp_path):
    settings = options(tmp_path, seed=(0, 1))
    there, nothing = (RunStore(folder(settings, seed)) for seed in settings.seed)
    there.open(settings)
    (there.checkpoints / "round_000003").mkdir()
    before = sorted(tmp_path.rglob("*"))
    text = bgpbt.dry_run(settings)
    assert f"resume: the run in {there.path} (round 3)" in text
    assert f"nothing to resume, new run in {nothing.path}" in text
    text = bgpbt.dry_run(settings.model_copy(update={"existing_policy": "overwrite"}))
    assert f"overwrite: the run in {there.path} (round 3) is removed" in text
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("steps", "said"), [(54, "1 after the first, with"), (53, "0 after the first: no distillation would end")]
)
def test_a_dry_run_says_why_no_generation_follows(tmp_path, steps, said):
    values = {"task": "classification", "search_mode": "nas", "pop_size": 4, "t_ready": 18, "save_dir": str(tmp_path)}
    distillation = {"t_distillation": 35, "distill_every": 1, "max_distillation": 1}
    assert f"generations                {said}" in bgpbt.dry_run(load_options(values | distillation | {"max_timesteps": steps}))


@pytest.mark.parametrize("candidates", [4, 5])
@pytest.mark.parametrize("steps", [2_879, 2_880, 2_881, 3_359, 3_360, 3_361])
def test_too_short_is_what_the_rounds_say(tmp_path, candidates, steps):
    """Rounds and distillations are whole updates, of 480 steps here: 700 are 480, 2,500 are 2,400."""
    values = {**TINY, "search_mode": "both", "arch_space": "small", "n_init": candidates, "t_ready": 700, "max_timesteps": steps}
    found = load_options(values | {"t_distillation": 2_500, "distill_every": 1, "max_distillation": 1, "save_dir": str(tmp_path)})
    assert found.too_short == (rounds_of(found, api.make_task(found))[-1].generation == 0)


def test_run_takes_one_seed(tmp_path):
    with pytest.raises(BadInput, match="2 seeds"):
        bgpbt.run(options(tmp_path / "runs", seed=(0, 1)), quadratic())
    assert not (tmp_path / "runs").exists()


def test_open_run_refuses_what_holds_no_run(tmp_path):
    with pytest.raises(BadInput, match="holds no run"):
        bgpbt.open_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(ENVS))
def test_every_environment_has_a_task(tmp_path, name):
    """Shapes only: nothing is compiled."""
    settings = options(tmp_path, env_name=name, policy_layers=(16, 16), value_layers=(8,))
    task = api.make_task(settings)
    env = task.context[0]
    assert list(task.space) == list(hyperparameter_space(32)) and task.blocks == ("policy", "value")
    assert task.timesteps_per_update == 480 == settings.update_steps
    h = {name: np.float32(dim.default) for name, dim in task.space.items()}
    state = jax.eval_shape(task.init, jax.random.PRNGKey(0), h)
    kernels = {block: [layer["kernel"].shape for layer in layers] for block, layers in state.params.items()}
    assert kernels["policy"] == [(env.observation_size, 16), (16, 16), (16, 2 * env.action_size)]
    assert kernels["value"] == [(env.observation_size, 8), (8, 1)]
    assert state.world.env.obs.shape == (32, env.observation_size)


@pytest.mark.parametrize(("repeat", "length", "decisions"), [(1, 100, 100), (4, 100, 25), (3, 100, 34)])
def test_action_repeat_counts_environment_steps(tmp_path, repeat, length, decisions):
    changes = {"action_repeat": repeat, "episode_length": length, "t_ready": 480 * repeat, "max_timesteps": 9600}
    task = api.make_task(options(tmp_path, **changes))
    assert task.timesteps_per_update == 480 * repeat and task.context[0].decisions_per_episode == decisions


@pytest.mark.parametrize("fitness", ["evaluation", "training", "concurrent"])
def test_the_fitness_is_an_option(tmp_path, fitness):
    task = api.make_task(options(tmp_path, fitness=fitness, eval_episodes=4))
    assert task.fitness_from_training == (fitness != "evaluation")
    h = {name: np.float32(dim.default) for name, dim in task.space.items()}
    state = jax.eval_shape(task.init, jax.random.PRNGKey(0), h)
    assert len(state.world.clock.shape) == 1 and state.world.clock.shape[0] == 32 + 4 * (fitness == "concurrent")


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_is_built_from_options(tmp_path, name):
    strategy = api.make_strategy(options(tmp_path, strategy=name, pop_size=8, frequencies="1,2"), quadratic())
    assert callable(strategy.init) and callable(strategy.step)


def test_smallest_quantile_fraction_is_named_and_works():
    task = quadratic()
    for size in (2, 3, 7, 8, 100, 399):
        with pytest.raises(BadInput, match="replaces nobody") as caught:
            api.make_strategy(Options(pop_size=size, quantile_fraction=0.9 / size), task)
        least = float(str(caught.value).split("at least ")[1])
        assert api.make_strategy(Options(pop_size=size, quantile_fraction=least), task)
        assert int(size * least) == 1


@pytest.mark.parametrize("size", [4, 6, 7, 18, 24, 26, 100])
def test_smallest_share_with_two_parents_is_named_and_works(size):
    least = float(too_few(size, 0.5 / size).split("at least ")[1])
    assert too_few(size, least) == "" and least < 2 / size + 1e-4


def test_mutation_needs_something_to_change():
    space = {"depth": Integer(1, 1, 1, group="first")}
    assert mutation(space, ("first",)).complaint(8).startswith("strategy: mutation needs an architecture dimension with two")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"strategy": "pbtnas"}, "quantile_fraction: 0.125 of 8 members leaves no two parents, give at least 0.25"),
        ({"strategy": "mutation", "pop_size": 2, "quantile_fraction": 0.5}, "give at least 4 members"),
        ({"strategy": "mfpbt"}, "8 members are not 4 sub-populations (frequencies) of a multiple of 4, give 16"),
        ({"strategy": "mfpbt", "frequencies": "1,2", "pop_size": 12}, "of a multiple of 4, give 16"),
        ({"strategy": "sha", "eta": 1}, "eta: 1 of 1"),
        ({"task": "toy", "strategy": "pbtnas"}, "pbtnas needs architectures to search, task toy with search_mode hpo has none"),
        ({"task": "toy", "search_mode": "nas"}, "search_mode: nas searches architectures, task toy has none, give -sm hpo"),
        ({"task": "toy", "exploit": "t_test"}, "pbt needs several returns of an evaluation, task toy"),
        ({"task": "toy", "problem": "quadratik"}, "problem: unknown 'quadratik', nearest: quadratic"),
        ({"task": "missing.py:f"}, "task: no file missing.py"),
        ({"strategy": "missing.py:f"}, "strategy: no file missing.py"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, problem):
    settings = Options(**({"pop_size": 8} | changes))
    with pytest.raises(BadInput) as caught:
        task = quadratic() if settings.task == "ppo" else api.make_task(settings)
        api.make_strategy(settings, task)
    assert problem in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_function_in_a_persons_own_file(tmp_path, monkeypatch):
    """Found, or refused in one line where it cannot be used."""
    monkeypatch.chdir(tmp_path)
    text = "from bgpbt.tasks.toy import toy as task\n\n\ndef wrong(options):\n    return options.pop_size\n\n\nnumber = 3\n"
    (tmp_path / "mine.py").write_text(text)
    assert api.make_task(Options(task="mine.py:task")).name == "toy quadratic"
    with pytest.raises(BadInput, match=r"mine\.py:wrong gives int, not a Task"):
        api.make_task(Options(task="mine.py:wrong"))
    with pytest.raises(BadInput, match=r"strategy: mine\.py:wrong cannot be called as one: too many positional arguments"):
        api.make_strategy(Options(strategy="mine.py:wrong"), quadratic())
    for word, problem in {"mine.py:wrogn": "has no function 'wrogn', nearest: wrong", "mine.py:number": "known: wrong"}.items():
        with pytest.raises(BadInput, match=problem):
            api.make_task(Options(task=word))
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(BadInput, match=r"mine\.py cannot be imported: ModuleNotFoundError"):
        api.make_task(Options(task="mine.py:task"))


def test_a_whole_run_of_another_task(tmp_path):
    """Settings, records, checkpoints, report and figures; and the same again through `open_run`."""
    result = bgpbt.run(options(tmp_path), quadratic())
    assert {p.name for p in result.path.iterdir()} >= {
        "options.yaml", "records.csv", "checkpoints", "report.json", "learning_curve.png", "hyperparameter_schedule.png",
    }  # fmt: skip
    opened = bgpbt.open_run(result.path, quadratic())
    assert opened.report == result.report and opened.options == result.options
    assert opened.best.equals(result.best) and len(opened.lineage) == int(opened.best["round"]) + 1
    assert int(opened.load().progress.round) == 2
    before = sorted(p.stat().st_mtime_ns for p in result.path.rglob("*"))
    bgpbt.open_run(result.path, quadratic()).load()
    assert before == sorted(p.stat().st_mtime_ns for p in result.path.rglob("*"))
