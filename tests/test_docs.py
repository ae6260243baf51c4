"""The examples in the documentation: complete, short, and they run."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
from toys import SPACE, outcome

import bgpbt
from bgpbt.assembly.lookup import resolve
from bgpbt.config.loading import load_options
from bgpbt.registry import STRATEGIES, TASKS

DOCS = Path(bgpbt.__file__).resolve().parents[1] / "docs"


def example(page: str) -> str:
    """The one Python block of a page."""
    (code,) = re.findall(
        r"^```python\n(.*?)^```",
        (DOCS / page).read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert len(code.splitlines()) <= 40
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
