"""Where a run lives, and which places are refused; looking changes nothing."""

import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from stored_runs import refusal

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.storage.places import run_folder
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "runs/ant_spring_pbt_hpo/seed_3"),
        ({"exp_name": "try"}, "runs/try/ant_spring_pbt_hpo/seed_3"),
        ({"freeze": "sampled"}, "runs/ant_spring_pbt_hpo_frozen_sampled/seed_3"),
        ({"freeze": "default"}, "runs/ant_spring_pbt_hpo_frozen_default/seed_3"),
        (
            {
                "strategy": "random",
                "env_name": "reacher",
                "backend": "mjx",
                "save_dir": "a/b",
            },
            "a/b/reacher_mjx_random_hpo/seed_3",
        ),
        ({"env_name": "playground:WalkerRun"}, "runs/WalkerRun_pbt_hpo/seed_3"),
        (
            {"env_name": "playground:WalkerRun", "backend": "warp"},
            "runs/WalkerRun_warp_pbt_hpo/seed_3",
        ),
    ],
)
def test_folder(settings, expected):
    assert run_folder(Options(**settings), 3) == Path(expected)


def test_folder_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run_folder(Options(save_dir="~/runs"), 0).parent.parent == tmp_path / "runs"


def test_a_new_folder_is_fine_and_is_not_created(tmp_path):
    check(RunStore(tmp_path / "a" / "b"), Options())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"no permission to write in {tmp_path}" in refusal(
        RunStore(tmp_path / "a" / "b"), Options()
    )
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_that_cannot_be_looked_into_are_refused(stored_run, monkeypatch):
    def allowed(path, mode):
        return Path(path) != stored_run.checkpoints

    monkeypatch.setattr(os, "access", allowed)
    line = f"no permission to look into {stored_run.checkpoints}"
    assert line in refusal(stored_run, Options(num_envs=64))


def test_a_clock_that_was_never_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr(
        time, "gmtime", lambda: time.struct_time((1970, 1, 1) + (0,) * 6)
    )
    assert "says 1970-01-01, set it" in refusal(RunStore(tmp_path / "a"), Options())


def test_a_folder_that_may_not_even_be_looked_into_is_refused(tmp_path, monkeypatch):
    """A folder in another user's home: even asking whether it exists is forbidden."""
    closed = tmp_path / "closed"
    stat = os.stat
    closed.mkdir()

    def forbidden(path, *args, **kwargs):
        if str(path).startswith(f"{closed}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", forbidden)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"no permission to write in {closed}" in refusal(
        RunStore(closed / "a" / "b"), Options()
    )


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "seed_0"):
        assert "is a file" in refusal(RunStore(path), Options())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6)
    )
    assert "less than 50 MB are free" in refusal(RunStore(tmp_path / "a"), Options())


def test_a_limit_of_open_files_that_ends_a_save_is_refused(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    for limit, words in ((20, "only 20 files can be open"), (64, None), (-1, None)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, n=limit: (n, -1))
        if words:
            assert words in refusal(RunStore(tmp_path / "a"), Options())
        else:
            check(RunStore(tmp_path / "a"), Options())


@pytest.mark.parametrize(
    ("name", "words"),
    [("a" * 300, "File name too long"), ("a\0b", "null byte")],
    ids=["too long", "null byte"],
)
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name, words):
    assert words in refusal(RunStore(tmp_path / name / "seed_0"), Options())


def test_an_unknown_home_is_refused():
    with pytest.raises(
        BadInput, match=r"save_dir: ~nobody_of_that_name/runs: .*give another folder"
    ):
        run_folder(Options(save_dir="~nobody_of_that_name/runs"), 0)


@pytest.mark.parametrize("policy", ["resume", "overwrite"])
def test_links_to_nothing_are_refused_and_none_is_overwritten(tmp_path, policy):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "lost", tmp_path / "lost" / "seed_0"):
        assert "is a link to nothing" in refusal(
            RunStore(path), Options(existing_policy=policy)
        )
    check(RunStore(tmp_path / "link" / "seed_0"), Options(existing_policy=policy))
    if policy == "overwrite":
        assert "is a link" in refusal(
            RunStore(tmp_path / "link"), Options(existing_policy=policy)
        )
    else:
        check(RunStore(tmp_path / "link"), Options(existing_policy=policy))
