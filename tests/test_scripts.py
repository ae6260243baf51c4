"""Each script runs in its quick form."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bgpbt.registry import STRATEGIES
from scripts import bandit_regret, benchmark, witness

ROOT = Path(benchmark.__file__).parents[1]


def script(name: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a script in a process of its own."""
    command = [sys.executable, "-W", "ignore", f"scripts/{name}.py", *flags]
    pipes = {"capture_output": True, "text": True}
    return subprocess.run(command, cwd=ROOT, timeout=900, **pipes)


def quick(name: str, path: Path, *flags: str) -> dict:
    """Runs a script in its quick form; returns what it wrote."""
    done = script(name, *flags, "--quick", "--json", str(path))
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_text())
    assert written["quick"] and written["machine"]["cores"] >= 1 and written["figures"]
    assert all((f["met"] is None) == (f["target"] is None) for f in written["figures"])
    assert written["figures"][0]["name"] in done.stdout
    return written


@pytest.mark.long
def test_compile_runs(tmp_path):
    written = quick("benchmark", tmp_path / "c.json", "compile")
    figures = {f["name"]: f for f in written["figures"]}
    assert figures["estimate / XLA's analysis"]["target"] == "1/2 to 2"
    assert figures["instructions per optimizer step, 96 minibatches"]["value"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in benchmark.NAMES if n != "compile"])
def test_benchmarks_run(name, tmp_path):
    assert quick("benchmark", tmp_path / "b.json", name)["benchmark"] == name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learning_small", "fitness_ways", "compare_small"])
def test_other_scripts_run(name, tmp_path):
    runs = ["--save_dir", str(tmp_path / "runs")] if name == "compare_small" else []
    written = quick(name, tmp_path / "s.json", "--seeds", "1000", *runs)
    assert written["benchmark"] == name


@pytest.mark.slow
def test_the_comparison_of_strategies_runs(tmp_path):
    table = ["--csv", str(tmp_path / "s.csv")]
    written = quick("compare_strategies", tmp_path / "s.json", *table)
    figures = {f["name"]: f["value"] for f in written["figures"]}
    most = figures["most steps that a strategy took, of random's"]
    assert most == figures["fewest"] == 1
    assert set(pd.read_csv(tmp_path / "s.csv")["strategy"]) == set(STRATEGIES)


@pytest.mark.slow
def test_distillation_runs(tmp_path):
    pictures = ["--csv", str(tmp_path / "d.csv"), "--figure", str(tmp_path / "d.png")]
    written = quick("distillation", tmp_path / "d.json", *pictures)
    assert written["benchmark"] == "distillation"
    rows = pd.read_csv(tmp_path / "d.csv")
    assert len(rows) == 2 * 8 * 5
    assert rows.groupby(["arm", "seed"])["steps"].max().nunique() == 1
    assert (rows["teacher_steps"] > 0).all()
    assert (tmp_path / "d.png").stat().st_size > 5_000


@pytest.mark.slow
def test_regret_is_played_and_what_is_there_is_skipped(tmp_path):
    played = ["--seeds", "1000", "1001", "--functions", "nine, drifting"]
    flags = [*played, "--rounds", "3", "--csv", str(tmp_path / "r.csv")]
    first = script("bandit_regret", *flags)
    assert first.returncode == 0, first.stderr
    assert len(pd.read_csv(tmp_path / "r.csv")) == len(bandit_regret.ARMS)
    assert script("bandit_regret", *flags).stdout == first.stdout


@pytest.mark.long
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
