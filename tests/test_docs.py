"""The examples in the documentation: complete, short, and they run."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
from toys import SPACE, outcome

import bgpbt
from bgpbt.config.loading import load_options
from bgpbt.config.lookup import resolve
from bgpbt.registry import STRATEGIES, TASKS
from bgpbt.tasks.ppo.environments import make_environment

DOCS = Path(bgpbt.__file__).resolve().parents[1] / "docs"


def examples(page: str) -> list[str]:
    """The Python blocks of a page."""
    blocks = re.findall(
        r"^```python\n(.*?)^```",
        (DOCS / page).read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert all(len(code.splitlines()) <= 40 for code in blocks)
    return blocks


def example(page: str) -> str:
    """The one Python block of a page."""
    (code,) = examples(page)
    return code


def test_a_strategy_of_ones_own(tmp_path):
    (tmp_path / "my_strategy.py").write_text(example("strategies.md"))
    options = load_options(
        {
            "task": "toy",
            "strategy": f"{tmp_path}/my_strategy.py:copy_the_best",
            "pop_size": 4,
            "save_dir": str(tmp_path),
        }
    )
    result = bgpbt.run(options)
    assert result.path == tmp_path / "toy_quadratic_copy_the_best_hpo" / "seed_0"
    assert result.report["mean"] > 1.0 > result.report["untrained_mean"]
    assert set(result.records["source"]) >= {"perturbed", "previous"}
    assert bgpbt.open_run(result.path).best.equals(result.best)


def test_the_strategy_of_ones_own_keeps_nobody_who_failed(tmp_path):
    (tmp_path / "my_strategy.py").write_text(example("strategies.md"))
    build = resolve("strategy", f"{tmp_path}/my_strategy.py:copy_the_best", {})
    seen = outcome([float("nan"), 1.0, float("nan"), float("nan")])
    strategy = build(SPACE, ("first", "second"), perturb_scale=0.1)
    _, decision = strategy.step(jax.random.PRNGKey(0), 0, seen)
    assert (np.asarray(decision.parents) == 1).all()


def test_a_task_of_ones_own(tmp_path):
    (tmp_path / "my_task.py").write_text(example("tasks.md"))
    values = {
        "task": f"{tmp_path}/my_task.py:line",
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 10,
        "max_timesteps": 50,
    }
    result = bgpbt.run(load_options(values | {"save_dir": str(tmp_path)}))
    assert result.path == tmp_path / "line_pbt_hpo" / "seed_0"
    assert result.report["mean"] < 0.5 < result.report["untrained_mean"]
    assert result.records["rate"].nunique() > 4


def test_a_logger_of_ones_own(tmp_path, monkeypatch):
    """Weights & Biases are a stand-in."""
    logged = []

    class Wandb(ModuleType):
        config = None

        @contextmanager
        def init(self, project, config):
            self.config = config
            yield

        def log(self, values, step):
            logged.append((step, values))

    wandb = Wandb("wandb")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    names: dict = {}
    code = example("watching.md").replace("learning_rate", "h0")  # as the toy has it
    exec(code, names)
    result = names["main"](load_options({"task": "toy", "save_dir": str(tmp_path)}))
    assert wandb.config == result.options.model_dump()
    rows = result.records
    assert [step for step, _ in logged] == sorted(set(rows["timesteps"]))[1:]
    last = rows[rows["round"] == rows["round"].max()].set_index("member")
    _, values = logged[-1]
    assert values["fitness/highest"] == last["fitness"].max()
    assert values["h0/1"] == pytest.approx(last["h0"][1])


def test_the_pages_name_what_there_is():
    for page, words in {"strategies.md": STRATEGIES, "tasks.md": TASKS}.items():
        listed = re.findall(
            r"^\| `(\w+)` \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE
        )
        assert sorted(listed) == sorted(words)


def test_training_code_of_ones_own(tmp_path, no_figures):
    (tmp_path / "my_agent.py").write_text(example("own_code.md"))
    values = {
        "task": f"{tmp_path}/my_agent.py:agent",
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 6_400,
        "max_timesteps": 32_000,
        "save_dir": str(tmp_path),
    }
    result = bgpbt.run(load_options(values))
    # Points at rest lose 7.1 in the mean; after ten rounds, the best loses 1.4.
    assert result.report["untrained_mean"] == pytest.approx(-7.1, abs=0.01)
    assert result.report["mean"] > -2.0
    assert result.records["env_steps_total"].max() == 4 * 32_000
    (population,) = result.load().population
    assert population.params["all"].shape == (4, 2)


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param("bgpbt", marks=pytest.mark.long),
        "pbt",  # whose decisions need no compiling
    ],
)
def test_classifiers_in_a_loop_of_ones_own(strategy):
    code = examples("tuner.md")[0].replace('"bgpbt"', f'"{strategy}"')
    tuner = played(code)
    assert tuner.best.fitness > 0.93
    assert tuner.records["fitness"].head(8).max() < 0.2  # they guess one of ten


def test_losses_in_a_loop_of_ones_own():
    tuner = played(examples("tuner.md")[1])
    assert tuner.best.fitness < 1e-3
    assert tuner.records["fitness"].head(8).min() > 0.1


def played(code: str) -> bgpbt.Tuner:
    """The tuner of an example after its eight rounds."""
    names = {}
    exec(code, names)
    assert names["tuner"].round == 8
    return names["tuner"]


SMALL = {
    "pop_size": 2,
    "quantile_fraction": 0.5,
    "num_envs": 32,
    "policy_layers": (16,),
    "value_layers": (16,),
    "t_ready": 24_000,
    "max_timesteps": 72_000,
    "report_episodes": 32,
}


def in_environment(tmp_path, number: int, **others) -> bgpbt.Result:
    """A small run in an environment of the page."""
    (tmp_path / "mine.py").write_text(examples("environments.md")[number])
    values = {"env_name": f"{tmp_path}/mine.py:make", "save_dir": str(tmp_path)}
    return bgpbt.run(load_options(SMALL | values | others))


def test_an_environment_of_ones_own(tmp_path, no_figures):
    """The point costs its squared distance: about 17 in 50 steps where it stays."""
    result = in_environment(tmp_path, 0)
    assert result.path == tmp_path / "mine.py_make_pbt_hpo" / "seed_0"
    assert result.report["mean"] > result.report["untrained_mean"] + 1.5
    policy = bgpbt.open_run(result.path, run_files=True).policy()
    assert policy((), np.zeros(2))[1].mode().shape == (1,)


@pytest.mark.long
def test_an_environment_of_brax_that_a_file_changed(tmp_path, no_figures):
    """It is checked before a run; it falls sooner than Brax's own, and learns.

    It pays a step that the pole stands: untrained about 35 of 200.
    """
    (tmp_path / "mine.py").write_text(examples("environments.md")[2])
    values = {"env_name": f"{tmp_path}/mine.py:heavy", "save_dir": str(tmp_path)}
    values |= {"episode_length": 200, "render": False}
    result = bgpbt.run(load_options(SMALL | values))
    assert result.report["mean"] > result.report["untrained_mean"] + 30
    falls = []
    for env in (result.task.playback.env, make_environment("inverted_pendulum")):
        state = env.reset(jax.random.PRNGKey(0))
        step = jax.jit(env.step)
        for _ in range(10):
            state = step(state, np.zeros(1, np.float32))
        falls.append(abs(float(state.obs[1])))
    assert result.has_renderer and falls[0] > falls[1]


@pytest.mark.long
def test_choices_in_an_environment_of_ones_own(tmp_path, no_figures):
    """The right door pays 1, the first four steps there cost 0.04."""
    result = in_environment(tmp_path, 1, pop_size=4, quantile_fraction=0.25)
    assert result.report["mean"] > 0.9 > 0.4 + result.report["untrained_mean"]
    assert result.policy()((), np.zeros((3, 12)))[1].mode().shape == (3,)
