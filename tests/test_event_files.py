"""A run as TensorBoard reads it, without TensorBoard."""

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from toy_runs import kill_run, run_options

import bgpbt
from bgpbt.config import versions

TOY = {"task": "toy", "t_ready": 4, "max_timesteps": 24, "n_init": 4}


def points(folder: Path) -> dict[str, dict[int, float]]:
    """Values by tag and step, without those that a restart hides."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        for event in events(path.read_bytes()):
            if event.session_log.status == event.session_log.START:
                for steps in found.values():
                    for step in [s for s in steps if s >= event.step]:
                        del steps[step]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def events(data: bytes) -> list[Event]:
    """Records are a length, its checksum, the event, and its checksum."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


@pytest.mark.usefixtures("compile_once")
def test_records_are_what_the_files_show(tmp_path):
    options = run_options(tmp_path, strategy="bgpbt", tensorboard=True, **TOY)
    result = bgpbt.run(options)
    folder = result.path / "tensorboard"
    members = [f"member_0{i}" for i in range(4)]
    assert sorted(p.name for p in folder.iterdir()) == [*members, "population"]
    rows = result.records[result.records["round"] > 0]
    for member, own in rows.groupby("member"):
        shown = points(folder / f"member_0{member}")
        for tag, column in (("fitness", "fitness"), ("hyperparameters/h0", "h0")):
            recorded = dict(zip(own["timesteps"], own[column], strict=True))
            assert shown[tag] == pytest.approx(recorded)
    shown = points(folder / "population")
    assert shown["fitness/highest"] == pytest.approx(
        dict(rows.groupby("timesteps")["fitness"].max())
    )
    edges = rows.groupby("timesteps")["trust_region"].first()
    assert shown["bandit/trust_region"] == pytest.approx(dict(edges))


@pytest.mark.usefixtures("compile_once")
def test_rounds_that_are_played_again_are_shown_once(tmp_path, after_save):
    options = run_options(tmp_path, tensorboard=True, save_every=2, **TOY)
    kill_run(after_save, 4, lambda: bgpbt.run(options))
    result = bgpbt.run(options)
    shown = points(result.path / "tensorboard" / "member_00")["fitness"]
    assert sorted(shown) == [4, 8, 12, 16, 20, 24]
    again = options.model_copy(update={"existing_policy": "overwrite"})
    before = set((result.path / "tensorboard").rglob("*events*"))
    bgpbt.run(again.model_copy(update={"tensorboard": False}))
    assert before and not (result.path / "tensorboard").exists()


def test_what_is_not_installed_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "find_spec", lambda name: None)
    with pytest.raises(bgpbt.BadInput, match="tensorboardX is not installed"):
        bgpbt.run(run_options(tmp_path, tensorboard=True, **TOY))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("compile_once")
def test_a_callback_gets_every_round(tmp_path):
    told = []

    def keep(round_: bgpbt.Round) -> None:
        told.append(round_)
        if len(told) == 3:
            raise ValueError("enough")

    options = run_options(tmp_path, **TOY)
    with pytest.raises(ValueError, match="enough"):
        bgpbt.run(options, on_round=keep)
    result = bgpbt.run(options, on_round=keep)
    assert [(r.seed, r.number) for r in told] == [(0, n) for n in (1, 2, 3, 3, 4, 5, 6)]
    for round_ in told:
        recorded = result.records[result.records["round"] == round_.number]
        assert round_.records["fitness"].tolist() == recorded["fitness"].tolist()
