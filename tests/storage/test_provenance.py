"""What `run.json` says of a run, so that later versions can tell it from another."""

import hashlib
import json

import jax
from toys import quadratic

from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout
from bgpbt.storage.provenance import (
    describe_space,
    environment,
    file_hashes,
    identity,
    recorded_task,
)
from bgpbt.storage.schema import SCHEMA


def test_every_run_has_its_own_identity():
    one, other = (identity(Options(), quadratic()) for _ in range(2))
    assert one["schema"] == SCHEMA and one["id"] != other["id"]
    assert one | {"id": ""} == other | {"id": ""}


def test_what_changes_numbers_is_said(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    here = environment(Options(), DeviceLayout(1, 1))
    with jax.default_matmul_precision("highest"), jax.enable_x64(True):
        there = environment(Options(), DeviceLayout(1, 1))
    differ = {
        name: (here[name], there[name]) for name in here if here[name] != there[name]
    }
    assert differ == {
        "jax_default_matmul_precision": (None, "highest"),
        "jax_enable_x64": (False, True),
    }
    assert here["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"
    assert json.loads(json.dumps(here)) == here


def test_the_packages_of_a_task_and_of_an_environment_are_named():
    layout = DeviceLayout(1, 1)
    agents = environment(Options(), layout)
    digits = environment(Options(task="classification"), layout)
    assert "brax" in agents and "sklearn" not in agents
    assert "sklearn" in digits and "brax" not in digits
    assert "flax" in environment(Options(recurrent=True), layout)
    assert "flax" not in agents
    own = environment(Options(env_name="designs:mnist"), layout)
    assert "designs" not in own and "brax" not in own


def test_a_space_is_described_in_its_order():
    rate, *_, first_width = describe_space(quadratic().space)
    assert (rate["name"], rate["kind"]) == ("rate", "Float")
    assert (rate["low"], rate["high"], rate["log"]) == (1e-3, 0.5, True)
    assert (first_width["name"], first_width["kind"]) == ("first_width", "Integer")
    assert first_width["group"] == "first"


def test_a_task_whose_file_is_gone_keeps_its_direction():
    for minimise in (False, True):
        content = identity(Options(), quadratic()._replace(minimise=minimise))
        read = json.loads(json.dumps(content))
        assert recorded_task(read, "gone").minimise is minimise
        del read["task"]["minimise"]  # as older runs have it
        assert recorded_task(read, "gone").minimise is False


def test_a_persons_own_files_are_told_by_their_content(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("strategy = 1\n")
    options = Options(strategy=f"{path}:strategy")
    before = file_hashes(options)
    assert before == {"strategy": hashlib.sha256(b"strategy = 1\n").hexdigest()}
    path.write_text("strategy = 2\n")
    assert file_hashes(options) != before
    assert file_hashes(Options()) == {}
