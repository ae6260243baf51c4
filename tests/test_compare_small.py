"""The comparison on ant: what the arms have in common, and what is run again."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.storage.places import run_folder
from scripts import compare_small
from scripts.studies.small_figures import draw, summarise


def test_arms_of_the_comparison_spend_alike():
    arms = [
        compare_small.options_of(arm, "0", "runs", False) for arm in compare_small.ARMS
    ]
    fields = ("pop_size", "candidates", "t_ready", "max_timesteps", "eval_episodes")
    assert len({tuple(getattr(o, field) for field in fields) for o in arms}) == 1
    first = arms[0]
    assert first.candidates == first.pop_size
    assert first.max_timesteps // first.t_ready >= 20


def test_the_comparison_pairs_seeds(tmp_path):
    rows = [
        {
            "arm": arm,
            "seed": s,
            "return": 100.0 * s + bonus,
            "population": 1.0,
            "env_steps": 10,
            "rounds": 20,
            "seconds": 1.0,
        }
        for arm, bonus in (("bgpbt", 50), ("pbt", 0))
        for s in range(8)
    ]
    runs = pd.DataFrame(rows)
    figures = {f.name: f for f in summarise(runs, compare_small.ARMS)}
    paired = figures["bgpbt less pbt, mean of pairs"]
    assert paired.value == 50 and paired.note == "50 to 50"
    assert figures["pbt: return, interquartile mean"].value == 350
    draw(runs, compare_small.ARMS, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").stat().st_size > 5_000


def test_finished_runs_of_the_comparison_are_only_read(monkeypatch, tmp_path):
    options = compare_small.options_of("pbt", "0,1", str(tmp_path), False)
    finished = run_folder(options, 0)
    (finished / "checkpoints" / "round_000020").mkdir(parents=True)
    (finished / "options.yaml").write_text(options.to_yaml())
    (finished / "report.json").write_text("{}")
    monkeypatch.setattr(bgpbt, "open_run", lambda path: path.name)
    monkeypatch.setattr(
        bgpbt, "run_seeds", lambda o: [f"trained {seed}" for seed in o.seed]
    )
    assert compare_small.results_of(options) == {0: "seed_0", 1: "trained 1"}
    with pytest.raises(BadInput, match="other settings"):
        compare_small.results_of(options.model_copy(update={"num_envs": 32}))


def test_a_row_of_the_table_has_its_columns():
    records = pd.DataFrame(
        {"round": [0, 1], "fitness": [1.0, 2.0], "seconds": [3.0, 4.0]}
    )
    options = compare_small.options_of("pbt", "0", "runs", False)
    result = SimpleNamespace(
        records=records, options=options, report={"mean": 5.0, "env_steps_total": 6}
    )
    assert tuple(compare_small.row_of("pbt", 0, result)) == compare_small.COLUMNS


class Fake:
    """Stands for the runs of `compare_small.py`."""

    def __init__(self):
        self.ran = []

    def results_of(self, options):
        self.ran.append((options.exp_name, options.seed))
        return {seed: options.exp_name for seed in options.seed}

    def row_of(self, arm, seed, result):
        options = compare_small.options_of(arm, "0", "runs", False)
        return {
            "arm": arm,
            "seed": seed,
            "return": 100.0 * seed + (50 if result == "bgpbt" else 0),
            "population": 1.0,
            "env_steps": 10,
            "rounds": 20,
            "what": compare_small.what(options),
            "seconds": 1.0,
        }


def test_what_stands_in_the_table_is_not_run_again(monkeypatch, tmp_path):
    """Two arms on different days.

    The second call runs what is missing and compares with what stands in the table.
    """
    fake = Fake()
    monkeypatch.setattr(compare_small, "results_of", fake.results_of)
    monkeypatch.setattr(compare_small, "row_of", fake.row_of)
    monkeypatch.setattr(compare_small, "prepare_jax", lambda options: None)
    files = ["--csv", str(tmp_path / "c.csv"), "--json", str(tmp_path / "c.json")]
    flags = ["--seeds", "0,1,2", *files, "--arms"]
    assert compare_small.main([*flags, "pbt"]) == 0
    assert compare_small.main([*flags, "bgpbt", "pbt"]) == 0
    assert fake.ran == [("pbt", (0, 1, 2)), ("bgpbt", (0, 1, 2))]
    written = json.loads((tmp_path / "c.json").read_text())
    figures = {f["name"]: f["value"] for f in written["figures"]}
    assert figures["bgpbt less pbt, mean of pairs"] == 50
    # Another task's results are others.
    assert compare_small.main([*flags, "pbt", "--env_name", "hopper"]) == 0
    assert len(fake.ran) == 3
