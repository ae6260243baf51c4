"""What records say of decisions, from made-up ones."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scripts import diagnose as command
from scripts.studies.diagnosis import against_donor, diagnose, gains


def records() -> pd.DataFrame:
    """Member 2 copies member 0 after each round; new configurations gain 1 more."""
    rows = []
    fitness = np.array([2.0, 1.0, 0.0])
    for number in range(4):
        replaced = number > 0
        parents = [0, 1, 0 if replaced else 2]
        gain = np.array([1.0, 1.0, 2.0]) * (number > 0)
        before, fitness = fitness, fitness[parents] + gain
        rows += [
            {
                "round": number,
                "phase": "training",
                "member": i,
                "parent": parents[i],
                "source": "gp" if replaced and i == 2 else "previous",
                "fitness": fitness[i],
                "timesteps": 10 * number,
                "age": 10 * number,
                "gp_fitness": before[parents[i]] + 2 * gain[i] if replaced else np.nan,
                "trust_region": 0.4 + 0.1 * number,
                "report": fitness.max() - 0.5,
            }
            for i in range(3)
        ]
    return pd.DataFrame(rows)


def test_a_replacement_is_held_against_its_donor():
    pairs = against_donor(gains(records()))
    assert pairs["round"].tolist() == [1, 2, 3] and set(pairs["source"]) == {"gp"}
    spread = np.std([1, 1, 2], ddof=1)
    assert pairs["difference"].to_numpy() == pytest.approx(1 / spread)


def test_a_donor_that_was_replaced_itself_is_no_control():
    rows = records()
    rows.loc[(rows["round"] == 2) & (rows["member"] == 0), "parent"] = 1
    pairs = against_donor(gains(rows))
    assert pairs.loc[pairs["source"] == "gp", "round"].tolist() == [1, 3]


def test_the_figures_of_a_run():
    figures = diagnose(records())
    assert figures["gp: replacements"] == 3
    assert figures["gp: better than keeping"] == 1
    assert figures["predicted against realised gain"] == pytest.approx(1)
    edges = [figures[f"edge of the region, {x}"] for x in ("first", "median", "last")]
    assert edges == pytest.approx([0.4, 0.55, 0.7])
    assert figures["optimism"] > 0
    without = records().drop(columns=["gp_fitness", "trust_region", "report"])
    assert set(diagnose(without)) == {x for x in figures if x.startswith("gp: ")}


def test_smaller_is_better_where_the_task_says_so():
    names = ["fitness", "gp_fitness", "report"]
    mirrored = records()
    mirrored[names] = -mirrored[names]
    assert diagnose(mirrored, minimise=True) == diagnose(records())


def test_members_that_move_between_slots_are_refused(tmp_path, capsys):
    run = SimpleNamespace(options=SimpleNamespace(strategy="ipbt"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(command.bgpbt, "open_run", lambda path: run)
        assert command.main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("give runs of another strategy")


def test_a_folder_without_a_run_is_one_line(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no run" in line
