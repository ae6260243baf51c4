"""Run folders of schema 1, written before the restructuring, are read and continued."""

import dataclasses
import hashlib
import json
import platform
import tarfile
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.execution.cache import cpu_features
from bgpbt.storage.run_folder import OPTIONS

ARCHIVES = Path(__file__).resolve().parents[1] / "old_runs"
FINISHED = "inverted_pendulum_spring_pbt_hpo/seed_0"
HALF = "inverted_pendulum_spring_bgpbt_both/seed_0"


def unpack(name: str, folder: Path) -> Path:
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


@pytest.fixture
def finished(tmp_path) -> Path:
    return unpack("finished", tmp_path) / FINISHED


@pytest.fixture
def half(tmp_path) -> Path:
    return unpack("half", tmp_path) / HALF


def test_a_finished_run_opens_and_draws(finished):
    result = bgpbt.open_run(finished)
    assert len(result.records) == 4 * 4
    assert (
        result.report["mean"]
        == json.loads((finished / "report.json").read_text())["mean"]
    )
    assert list(result.lineage["round"])[-1] == result.report["round"]
    assert [path for path in result.draw() if path.stat().st_size < 10_000] == []


@pytest.mark.long
def test_every_leaf_of_a_finished_run_is_read(finished):
    result = bgpbt.open_run(finished)
    state = result.load()
    last = result.records[result.records["round"] == 3]
    np.testing.assert_array_equal(state.progress.fitness, last["fitness"])
    np.testing.assert_array_equal(state.progress.timesteps, last["timesteps"])
    assert int(state.progress.round) == 3
    assert int(state.best.round) == result.report["round"]
    assert int(state.best.member) == result.report["member"]
    assert float(state.best.fitness) == result.report["fitness"]
    for member in (*state.population, state.best.state):
        for block in ("policy", "value"):
            count = np.asarray(member.opt_state[block]["adam"].count)
            assert (count > 0).all()  # zeros would be a leaf that was not found
        assert (np.asarray(member.statistics.count) > 0).all()
    assert np.asarray(state.population[0].env_state.clock).any()
    policy = result.policy()
    _, distribution = policy(policy.carry, np.zeros((5, 4), np.float32))
    actions = distribution.mode()
    assert actions.shape == (5, 1) and np.isfinite(actions).all()


def test_a_run_without_records_has_no_best(finished):
    result = bgpbt.open_run(finished)
    for rows in (pd.DataFrame(), result.records[:1], result.records[:0]):
        with pytest.raises(BadInput, match="hold no round with a fitness"):
            _ = dataclasses.replace(result, records=rows).best


@pytest.mark.parametrize(
    ("place", "words"), [("a/b.gif", "a is no folder"), (".", "is a folder")]
)
def test_where_no_picture_can_be_written_none_is_drawn(finished, place, words):
    result = dataclasses.replace(bgpbt.open_run(finished), load=None)
    with pytest.raises(BadInput, match=words):
        result.render(finished / place)


@pytest.mark.long
def test_a_finished_run_is_rendered(finished):
    gif = bgpbt.open_run(finished).render()
    assert gif.read_bytes()[:6] == b"GIF89a"


@pytest.mark.long
def test_a_half_finished_run_goes_on_to_the_same_bits(half):
    folder = half.parents[2]
    values = {"save_dir": str(folder), "exp_name": "half"}
    result = bgpbt.run(load_options(values, half / OPTIONS))
    assert result.path == half
    # A column that came later: empty in the rows that an older version wrote.
    later = result.records.pop("parent_value")
    assert (later.isna() == (result.records["round"] <= 3)).all()
    records = result.records.drop(columns="seconds")
    expected = pd.read_csv(folder / "half" / "expected_records.csv")
    expected = expected.drop(columns="seconds")
    before = records["round"] <= 3
    pd.testing.assert_frame_equal(records[before], expected[before], check_exact=True)
    assert len(records) == len(expected) and list(records) == list(expected)
    assert records["round"].max() == 6 and set(records["generation"]) == {0, 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as of records that were changed
        assert len(bgpbt.open_run(half).records) == len(records)
    report = json.loads((folder / "half" / "expected_report.json").read_text())
    if same_machine(half):
        pd.testing.assert_frame_equal(records, expected, check_exact=True)
        assert result.report == report
    else:  # other processors round otherwise
        assert result.report["episodes"] == report["episodes"]


def same_machine(run: Path) -> bool:
    """Whether this machine computes the bits of the one that wrote the folders."""
    there = json.loads((run / "environment.json").read_text())
    here = {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }
    same_versions = all(there[name] == version for name, version in here.items())
    features = hashlib.sha256(cpu_features().encode()).hexdigest()
    return same_versions and features.startswith(PROCESSOR)


# Features of the processor that wrote the folders.
PROCESSOR = "507508c5df6e"
