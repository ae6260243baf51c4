"""What pages show is what the records say."""

import numpy as np
import pandas as pd
import pytest
from made_records import row
from page_runs import data_in, fitted, toy_options

import bgpbt
from bgpbt.cli.command import main
from bgpbt.pages.content import _gains, _other_parents, _places, importance
from bgpbt.pages.html import page, table
from bgpbt.pages.run_page import command
from bgpbt.storage.records import tidy, with_parent


@pytest.fixture
def made(tmp_path, compile_once):
    """A run of the toy with a bandit, and the numbers of its page."""
    run = bgpbt.run(toy_options(tmp_path, strategy="bgpbt"))
    path = tmp_path / "page.html"
    assert main(["report", str(run.path), "-O", str(path)]) == 0
    return run, data_in(path), path.read_text()


def test_lineage_and_schedules_are_those_of_the_records(made):
    """Followed here by the rows as they are written, without the functions above."""
    run, data, _ = made
    written = pd.read_csv(run.path / "records.csv")
    written = written.sort_values(["round", "member"]).reset_index(drop=True)
    rows = data["rows"]
    assert rows["member"] == written["member"].tolist()
    np.testing.assert_allclose(rows["fitness"], written["fitness"], rtol=1e-4)
    for name in ("h0", "h1"):
        np.testing.assert_allclose(rows["values"][name], written[name], rtol=1e-4)
    where = {(r.round, r.member): i for i, r in enumerate(written.itertuples())}
    for i, own in enumerate(written.itertuples()):
        assert rows["parent"][i] == where.get((own.round - 1, own.parent), -1)
    place = where[run.report["round"], run.report["member"]]
    passed = []
    while place >= 0:
        passed.append(place)
        place = rows["parent"][place]
    assert data["won"] == passed[::-1]


def test_rounds_are_those_of_the_records(made):
    run, data, _ = made
    by_round = run.records.groupby("round")["fitness"]
    np.testing.assert_allclose(data["rounds"]["best"], by_round.max(), rtol=1e-4)
    np.testing.assert_allclose(data["rounds"]["median"], by_round.median(), rtol=1e-4)
    assert data["dimensions"][0]["name"] == "h0" and data["bandit"]["fits"] >= 2


def test_a_page_needs_no_network_and_says_what_the_run_is(made):
    run, _, text = made
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text and "src=" not in text and "@import" not in text
    report = run.report
    assert f"member {report['member']} of round {report['round']}" in text
    assert "no selection has seen" in text.replace("\n", " ")
    assert "--strategy bgpbt" in text and "jaxlib" in text


def test_an_unfinished_run_says_so(tmp_path, compile_once, capsys):
    run = bgpbt.run(toy_options(tmp_path))
    (run.path / "report.json").unlink()
    assert main(["report", str(run.path)]) == 0
    text = (run.path / "report.html").read_text()
    assert "There is no report yet" in text and "stopped;" in text


def test_gains_are_compared_within_a_round():
    records = pd.DataFrame(
        [row(0, i, fitness=0.0) for i in range(3)]
        + [row(1, i, fitness=float(i)) for i in range(3)]
        + [row(2, 0, fitness=5.0, age=10), row(2, 1, fitness=np.nan), row(2, 2)]
    )
    found = _gains(tidy(records), with_parent(records))
    assert found[:3] == [None] * 3 and found[3:6] == [-1.0, 0.0, 1.0]
    assert found[6] is None and found[7] is None  # fresh weights, and who failed


def test_a_block_with_a_parent_of_its_own_is_told():
    records = pd.DataFrame(
        [row(0, 0), row(0, 1), row(1, 0, parent_value=1), row(1, 1, parent=0)]
    )
    rows = tidy(records)
    found = _other_parents(rows, ("policy", "value"), _places(rows))
    assert found == [[2, 1, 1], [3, 1, 1]]


def test_importance_says_when_nothing_was_learnt():
    assert importance(pd.DataFrame([row(0, 0)])) is None
    alike = importance(fitted(4, [1, 2, 1, 2], [2, 1, 2, 1], [1.5] * 4))
    assert alike is not None and not alike["told_apart"] and alike["fits"] == 2
    apart = importance(fitted(4, [None, 0.1, 0.1, 0.1], [1] * 4, [1] * 4))
    assert apart is not None and apart["told_apart"]
    assert apart["names"][0] == "a" and apart["share"][0] == pytest.approx(
        10 / 12, 1e-4
    )


def test_what_is_written_stays_words():
    text = page("<b>", table([["</script><b>", 1.5]]), {"x": "</script>"}, [])
    assert "</script><b>" not in text and '"</script>' not in text
    assert '<td class="number">1.5</td>' in text and "&lt;b&gt;" in text


def test_the_command_of_a_run():
    changed = {"env_name": "ant", "recurrent": True, "render": False, "seed": (1, 2)}
    words = command(changed | {"fix": {"a b": 1}, "init_from": None, "space": {}})
    assert words == (
        "python main.py --env_name ant --recurrent --no_render --seed 1 2 --fix 'a b=1'"
    )
