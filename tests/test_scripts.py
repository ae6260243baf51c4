"""Each script runs in its quick form.

Those that train in their own process run in the tests' one, where runs share programs
and numbers of minibatches are few: their branches are most of what is compiled.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import share

from bgpbt.config.options import Options
from bgpbt.networks import structure
from bgpbt.registry import STRATEGIES
from bgpbt.result import Result
from bgpbt.tasks.nas import database, table
from bgpbt.tasks.ppo import minibatches
from scripts import (
    backends,
    bandit_regret,
    benchmark,
    designers,
    learning_robots,
    retrain_designs,
    reward_table,
    witness,
)
from scripts.studies import parity_cells
from scripts.studies.parity_settings import QUICK_SEEDS, options_of

ROOT = Path(benchmark.__file__).parents[1]


def script(name: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a script in a process of its own."""
    command = [sys.executable, "-W", "ignore", f"scripts/{name}.py", *flags]
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=ROOT, timeout=900, **pipes)


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls a script's `main`; returns what it printed."""
    share(monkeypatch, {})
    monkeypatch.setattr(Result, "draw", lambda self: [])

    def call(name: str, *flags: str) -> str:
        module = importlib.import_module(f"scripts.{name}")
        monkeypatch.setattr(module, "prepare_jax", lambda options: None, raising=False)
        monkeypatch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
        assert module.main(list(flags)) == 0
        return capsys.readouterr().out

    return call


@pytest.fixture
def quick(call, tmp_path):
    """Calls a script in its quick form; returns what it wrote."""

    def quick(name: str, *flags: str) -> dict:
        path = tmp_path / "figures.json"
        printed = call(name, *flags, "--quick", "--json", str(path))
        written = json.loads(path.read_text())
        check(written)
        assert written["figures"][0]["name"] in printed
        return written

    return quick


STARTS_FIRST = """
import importlib, json, sys
from jax._src import xla_bridge

class Started(Exception):
    pass

def prepare_jax(options):
    assert not xla_bridge.backends_are_initialized(), "JAX was used before"
    raise Started

for name, flags in json.loads(sys.argv[1]).items():
    script = importlib.import_module(f"scripts.{name}")
    script.prepare_jax = prepare_jax
    try:
        answer = script.main(flags)
    except Started:
        continue
    raise AssertionError(f"{name} gave {answer}, and did not start JAX")
"""


@pytest.mark.scripts
def test_no_script_uses_jax_before_it_is_set_up(tmp_path):
    """What has been used keeps one device and no cache of programs."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "options.yaml").write_text(Options(task="nas").to_yaml())
    own = {n: [str(folder)] for n in ("retrain_designs", "schedule_replay")}
    own |= {"benchmark": ["size"], "backends": [str(tmp_path / "cells.json")]}
    own |= {"witness": [str(tmp_path / "witness"), "--quick"]}
    sources = {path.stem: path.read_text() for path in (ROOT / "scripts").glob("*.py")}
    names = [name for name, text in sources.items() if "    prepare_jax(" in text]
    calls = {name: own.get(name, ["--quick"]) for name in names}
    assert len(calls) > 10
    command = [sys.executable, "-W", "ignore", "-c", STARTS_FIRST, json.dumps(calls)]
    pipes = {"capture_output": True, "text": True}
    done = subprocess.run(command, cwd=ROOT, timeout=300, **pipes)
    assert done.returncode == 0, done.stderr


def check(written: dict) -> None:
    """What every quick form writes."""
    assert written["quick"] and written["machine"]["cores"] >= 1 and written["figures"]
    assert all((f["met"] is None) == (f["target"] is None) for f in written["figures"])


@pytest.mark.scripts
def test_compile_runs(tmp_path):
    path = tmp_path / "c.json"
    done = script("benchmark", "compile", "--quick", "--json", str(path))
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_text())
    check(written)
    figures = {f["name"]: f for f in written["figures"]}
    assert figures["estimate / XLA's analysis"]["target"] == "1/2 to 2"
    assert figures["instructions per optimizer step, 96 minibatches"]["value"] > 10


@pytest.mark.scripts
@pytest.mark.parametrize("name", [n for n in benchmark.NAMES if n != "compile"])
def test_benchmarks_run(quick, name):
    assert quick("benchmark", name)["benchmark"] == name


@pytest.mark.scripts
@pytest.mark.parametrize("name", ["learning_small", "fitness_ways", "compare_small"])
def test_other_scripts_run(quick, name, tmp_path):
    runs = ["--save_dir", str(tmp_path / "runs")] if name == "compare_small" else []
    assert quick(name, "--seeds", "1000", *runs)["benchmark"] == name


@pytest.mark.scripts
def test_the_comparison_of_strategies_runs(quick, tmp_path):
    # One of each kind: the other toy and functions are run alike.
    problems = "--problems", "quadratic", "nine, drifting", "digits", "digits, cells"
    written = quick("compare_strategies", *problems, "--csv", str(tmp_path / "s.csv"))
    figures = {f["name"]: f["value"] for f in written["figures"]}
    most = figures["most steps that a strategy took, of random's"]
    assert most == figures["fewest"] == 1
    assert set(pd.read_csv(tmp_path / "s.csv")["strategy"]) == set(STRATEGIES)


# A teacher that has learnt so little may be no better than an untrained member.
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.scripts
def test_distillation_runs(quick, tmp_path):
    pictures = ["--csv", str(tmp_path / "d.csv"), "--figure", str(tmp_path / "d.png")]
    assert quick("distillation", *pictures)["benchmark"] == "distillation"
    rows = pd.read_csv(tmp_path / "d.csv")
    assert len(rows) == 2 * 8 * 5
    assert rows.groupby(["arm", "seed"])["steps"].max().nunique() == 1
    assert (rows["teacher_steps"] > 0).all()
    assert (tmp_path / "d.png").stat().st_size > 5_000


@pytest.mark.scripts
def test_the_two_ppos_are_compared_and_what_is_there_is_not_run(
    quick, tmp_path, monkeypatch
):
    places = ["--results", str(tmp_path), "--save_dir", str(tmp_path / "runs")]
    results = tmp_path / "quick"
    written = quick("ppo_parity", *places, "--figure", str(tmp_path / "p.png"))
    assert (tmp_path / "p.png").stat().st_size > 5_000
    cells = {path.name: json.loads(path.read_text()) for path in results.iterdir()}
    name = "inverted_pendulum_{}.json".format
    arms = ("bgpbt_9000_to_9001", "brax_9000", "brax_9001")
    assert set(cells) == set(map(name, arms))
    assert all(cell["steps"] == [0, 960, 1920] for cell in cells.values())
    brax = [cells[name(arm)]["returns"][0] for arm in arms[1:]]
    for returns in (brax, cells[name(arms[0])]["returns"]):
        assert np.shape(returns) == (2, 3) and returns[0] != returns[1]
    times = {path: path.stat().st_mtime_ns for path in results.iterdir()}
    again = quick("ppo_parity", *places)
    assert again["figures"] == written["figures"]
    assert times == {path: path.stat().st_mtime_ns for path in results.iterdir()}
    # Brax's agents meet the start states of the population's own evaluations.
    options = options_of(
        "inverted_pendulum", QUICK_SEEDS, str(tmp_path / "runs" / "quick"), quick=True
    )
    last = parity_cells.curve_key(QUICK_SEEDS[0], 2)
    monkeypatch.setattr(parity_cells, "exam_key", lambda seed: last)
    cell = parity_cells.Cell("inverted_pendulum", "bgpbt", QUICK_SEEDS)
    played = parity_cells.population(cell, options, options.eval_episodes)
    recorded = np.array(cells[name(arms[0])]["returns"])[:, -1]
    np.testing.assert_allclose(played.finals.mean(axis=1), recorded, rtol=1e-5)


POINT = """
import jax
import jax.numpy as jnp
from bgpbt.environment import Env, EnvState


def make():
    def state(place):
        hits = (jnp.abs(place) < 1).astype(float)
        far = jnp.abs(place)
        return EnvState(place, place[None], -far, far > 9, metrics={"hits": hits})

    def step(before, action):
        return state(before.physics + action[0])

    def reset(key):
        return state(jax.random.uniform(key))

    return Env("point", 1, 1, 40, 2, 1.0, reset, step)
"""


@pytest.mark.scripts
def test_a_robot_learns_beside_its_baselines_once(quick, tmp_path, monkeypatch, capsys):
    """Not a robot: their physics compile for half a minute."""
    point, options = tmp_path / "point.py", learning_robots.options_of
    point.write_text(POINT)
    monkeypatch.setattr(
        learning_robots,
        "options_of",
        lambda *words: options(*words).model_copy(
            update={"env_name": f"{point}:make", "policy_layers": (8, 8)}
        ),
    )
    places = ["--results", str(tmp_path / "r"), "--save_dir", str(tmp_path / "runs")]
    flags = ["--robots", "fetch", *places]
    written = quick("learning_robots", *flags)
    (file,) = (tmp_path / "r" / "quick").iterdir()
    figures = {f["name"]: f["value"] for f in written["figures"]}
    result = json.loads(file.read_text())
    assert figures["fetch: trained"] == result["trained"]["mean"]
    assert result["doing nothing"]["targets"] == 20  # decisions, all within reach
    assert 0 < result["random actions"]["targets"] < 20
    before = file.stat().st_mtime_ns
    assert quick("learning_robots", *flags)["figures"] == written["figures"]
    assert file.stat().st_mtime_ns == before
    for damaged, words in [
        ({}, "holds no such result"),
        (result | {"settings": {"num_envs": 64}}, "was made with other settings"),
    ]:
        file.write_text(text := json.dumps(damaged))
        assert learning_robots.main([*flags, "--quick"]) == 2
        assert words in capsys.readouterr().err
        assert file.read_text() == text


@pytest.mark.scripts
def test_regret_is_played_and_what_is_there_is_skipped(call, tmp_path):
    played = ["--seeds", "1000", "1001", "--functions", "nine, drifting"]
    flags = [*played, "--rounds", "3", "--csv", str(tmp_path / "r.csv")]
    first = call("bandit_regret", *flags)
    assert len(pd.read_csv(tmp_path / "r.csv")) == len(bandit_regret.ARMS)
    assert call("bandit_regret", *flags) == first


@pytest.mark.scripts
def test_the_table_of_engines_is_filled_cell_by_cell(call, tmp_path):
    flags = [str(tmp_path / "cells.json"), "--backends", "spring"]
    call("backends", *flags, "--envs", "fast")
    lines = call("backends", *flags, "--envs", "fast", "swimmer").splitlines()
    assert "| fast | not tried | not tried | runs | not tried |" in lines
    assert "| swimmer | not tried | not tried | no (1) | not tried |" in lines
    assert lines[-1].startswith("1. swimmer on spring: backend: swimmer does not run")
    cells = json.loads((tmp_path / "cells.json").read_text())
    assert list(cells) == ["fast spring", "swimmer spring"]


@pytest.mark.scripts
@pytest.mark.parametrize("text", ["{", "[]", '{"ant spring": 1}', '{"ant": {}}'])
def test_a_table_of_engines_that_is_none_is_refused(text, tmp_path, capsys):
    path = tmp_path / "cells.json"
    path.write_text(text)
    assert backends.main([str(path)]) == 2
    assert f"{path} holds no such table" in capsys.readouterr().err
    assert path.read_text() == text


@pytest.mark.scripts
def test_a_table_of_rewards_is_trained_once(call, tmp_path):
    folder, path = tmp_path / "cells", tmp_path / "rewards.npz"
    flags = ["--quick", "--results", str(folder), "--table", str(path)]
    assert f"{path} written" in call("reward_table", *flags)
    (cell,) = folder.glob("*.csv")
    first, when = table.read(path, "digits"), cell.stat().st_mtime_ns
    assert np.isfinite(first.worths).sum() == 46  # of 57 chains of two layers
    call("reward_table", *flags)
    assert cell.stat().st_mtime_ns == when
    assert np.array_equal(first.worths, table.read(path, "digits").worths, True)
    (folder / "profile.json").write_text("{}")
    assert reward_table.main(flags) == 2


@pytest.mark.scripts
def test_the_shipped_table_is_that_of_the_cells(call, tmp_path):
    call("reward_table", "--table", str(tmp_path / "rewards.npz"))
    shipped = ROOT / "configs" / "nas" / "rewards.npz"
    assert (tmp_path / "rewards.npz").read_bytes() == shipped.read_bytes()
    worths = table.read(shipped, "omniglot").worths
    assert np.isfinite(worths).sum() == 1426


@pytest.mark.scripts
def test_designers_are_compared_on_a_table(quick, tmp_path, capsys):
    worths = np.linspace(0.1, 0.9, table.chains(2)).astype(np.float32)
    path = tmp_path / "rewards.npz"
    sets = {"first": worths, "second": worths[::-1].copy()}
    table.write_all(path, sets, {"side": 20, "depth": 2})
    arms = ["meta", "uniform"]
    flags = [
        "--table",
        str(path),
        "--results",
        str(tmp_path / "cells"),
        "--arms",
        *arms,
    ]
    places = "--save_dir", str(tmp_path / "runs"), "--figure", str(tmp_path / "a.png")
    written = quick("designers", *flags, *places)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    values = {figure["name"]: figure["value"] for figure in written["figures"]}
    assert 0 < values["second, report: meta"] <= 1
    assert "first, found: meta - uniform" in values
    cells = sorted(file.name for file in (tmp_path / "cells" / "quick").iterdir())
    problems = ("first", "second", "second_frozen")
    assert cells == [f"{arm}_{name}.json" for arm in arms for name in problems]
    elsewhere = [*flags, "--save_dir", str(tmp_path / "none"), "--quick"]
    again = quick("designers", *elsewhere[:-1])
    assert again["figures"] == written["figures"]
    (tmp_path / "cells" / "quick" / "meta_second.json").unlink()
    assert designers.main(elsewhere) == 2
    assert "meta_first holds no runs" in capsys.readouterr().err
    sets["second"] = worths
    table.write_all(path, sets, {"side": 20, "depth": 2})
    assert designers.main(elsewhere) == 2
    assert "is of another cell or table" in capsys.readouterr().err


@pytest.mark.scripts
def test_the_best_designs_are_trained_in_full(call, tmp_path, capsys):
    settings = {"task": "nas", "image_side": 8, "max_images": 300, "design_layers": 2}
    (tmp_path / "options.yaml").write_text(Options(**settings).to_yaml())
    digest = structure.digest
    names = ",".join(database.COLUMNS)
    lines = []
    for layer, worth in (("1-1-3-0-0", 0.5), ("1-2-2-0-0", 0.25), ("1-7-0-0-0", 0.1)):
        rows = np.array([[0] * 5, [int(x) for x in layer.split("-")]])
        cells = [f"digits-{digest(rows)}", structure.text(rows), worth, worth, 0, 0]
        lines.append(",".join(map(str, [*cells, "2026-01-02 03:04:05", 1, True])))
    (tmp_path / "experiments.csv").write_text("\n".join([names, *lines, ""]))
    flags = ["--epochs", "2", "--divide", "512", "--seeds", "0"]
    out = tmp_path / "figures.json"
    call("retrain_designs", str(tmp_path), *flags, "--json", str(out))
    figures = json.loads(out.read_text())["figures"]
    names = [figure["name"] for figure in figures]
    assert names == ["design 1", "design 2", "shortened VGG19"]
    assert all(0 <= figure["value"] <= 100 for figure in figures)
    assert "on 50 images" in figures[0]["note"]
    (tmp_path / "experiments.csv").unlink()
    assert retrain_designs.main([str(tmp_path)]) == 2
    capsys.readouterr()
    assert retrain_designs.main([str(tmp_path / "none")]) == 2
    assert "none holds no run, give one such as" in capsys.readouterr().err


@pytest.mark.scripts
def test_the_suite_runs_and_goes_on(call, tmp_path):
    flags = ["--quick", "--arms", "bgpbt", "random", "--results", str(tmp_path / "r")]
    flags += ["--save_dir", str(tmp_path / "runs")]
    figure = tmp_path / "suite.png"
    first = call("suite", *flags, "--figure", str(figure))
    assert "cartpole, area: bgpbt - random" in first and figure.exists()
    again = call("suite", *flags[:-1], str(tmp_path / "none"), "--table")
    table = [line for line in first.splitlines() if "cartpole, " in line]
    assert table == [line for line in again.splitlines() if "cartpole, " in line]
    screen = call("suite", *flags, "--screen")
    assert "cartpole: the best, on fresh episodes" in screen


@pytest.mark.scripts
def test_the_witness_compares_runs(tmp_path):
    flags = ["--quick", "--strategies", "pbt", "random"]
    before, after = tmp_path / "before", tmp_path / "after"
    first = script("witness", str(before), *flags)
    assert first.returncode == 0, first.stderr
    second = script("witness", str(after), *flags, "--against", str(before))
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines()[-1] == "no difference"
    (records, *_) = after.rglob("toy_quadratic_pbt_hpo/**/records.csv")
    rows = pd.read_csv(records)
    rows.assign(seconds=9.0, fitness=rows["fitness"] + 1).to_csv(records, index=False)
    (report, *_) = after.rglob("toy_quadratic_random_hpo/**/report.json")
    report.unlink()
    assert witness.differences(after, before) == [
        "quadratic/toy_quadratic_pbt_hpo/seed_0: fitness",
        "quadratic/toy_quadratic_random_hpo/seed_0: report.json",
    ]
    assert len(witness.differences(after, tmp_path / "empty")) == 2
