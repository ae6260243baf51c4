"""The parts of `scripts/benchmark.py` that can be checked without measuring."""

import sys

import jax
import numpy as np
import pytest

from scripts import benchmark
from scripts.benchmarks import (
    cases,
    commands,
    control,
    end_to_end,
    hlo,
    padding,
    size,
)

HLO = """HloModule jit_train

%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %n = f32[2]{0} negate(%p)
}

%step (arg: (s32[], f32[2])) -> (s32[], f32[2]) {
  %arg = (s32[], f32[2]{0}) parameter(0)
  %x = f32[2]{0} get-tuple-element(%arg), index=1
  %one = s32[] constant(1)
  %f = f32[2]{0} fusion(%x), kind=kLoop, calls=%fused
  %d = f32[2]{0} dot(%f, %x), lhs_contracting_dims={0}
  %c = f32[2]{0} call(%d), to_apply=%inner
  ROOT %t = (s32[], f32[2]{0}) tuple(%one, %c)
}

%inner (q: f32[2]) -> f32[2] {
  %q = f32[2]{0} parameter(0)
  %a = f32[2]{0} copy(%q)
  ROOT %b = f32[2]{0} add(%a, %a)
}

ENTRY %main (arg: f32[2]) -> f32[2] {
  %w = (s32[], f32[2]{0}) while(%arg), condition=%cond, body=%step, \
metadata={op_name="jit(f)/cond/branch_1_fun/while"}
}
"""


def test_operations_count_what_is_executed():
    assert hlo.per_optimizer_step(HLO) == {4: 4}  # fusion, dot, and the two of the call


def test_a_longer_run_is_computed_from_two_shorter_ones():
    assert end_to_end.far(20, 40, (100, 300, 1000)) == 110


def test_a_command_is_timed_with_its_first_round_and_memory(tmp_path):
    code = "import os; print('[0:00:01] round 1  x', os.environ['XDG_CACHE_HOME'])"
    ran = commands.run([sys.executable, "-c", code], tmp_path)
    assert 0 < ran.first_round <= ran.seconds and ran.peak_bytes > 1e6
    code = "print('said why'); raise SystemExit(3)"
    with pytest.raises(RuntimeError, match="code 3: said why"):
        commands.run([sys.executable, "-c", code], tmp_path)


def test_drawn_architectures_have_mean_and_largest_sizes():
    drawn = padding.draw(8, 1000)
    assert all(len(values) == 8 for values in drawn.values())
    largest = padding.summarise_sizes(drawn, np.max)
    mean = padding.summarise_sizes(drawn, np.mean)
    depth, width = drawn["policy_depth"].max(), drawn["policy_width"].max()
    assert largest["policy"] == (depth, width)
    assert all(mean[block][i] <= largest[block][i] for block in mean for i in (0, 1))


def test_sequential_steps_are_those_of_the_slowest_and_the_common_number():
    options = cases.small_options(False, num_envs=2048, t_ready=30_720)
    # 30,720 transitions: 32 beside 48 minibatches make 96; the most epochs count
    hyperparams = {
        "batch_size": np.array([64, 64]),
        "unroll_length": np.array([15, 10]),
        "num_update_epochs": np.array([4, 16]),
    }
    assert size.sequential_steps(options, hyperparams) == 96 * 16
    first = {name: v[:1] for name, v in hyperparams.items()}
    assert size.sequential_steps(options, first) == 32 * 4


def test_sizes_are_compared_with_one_member():
    ours = {"train 1": [1.0], "train 8": [1.5]}
    raw = {"raw 1": [2000.0], "raw 8": [8000.0]}
    figures = {f.name: f for f in size.size_figures(ours | raw, (1, 8), 1000)}
    assert figures["8 members"].value == pytest.approx(8000 / 1.5)
    assert figures["8 members: wall-clock against 1"].met
    assert figures["8 members: share of raw stepping"].value < 100


def test_the_stopwatch_keeps_full_rounds_only():
    watch = control.Stopwatch()
    train = watch.wrap("train", lambda: 1)
    save = watch.wrap("save", lambda: 2)
    save()  # before the first round: belongs to none
    for _ in range(4):
        assert (train(), save()) == (1, 2)
    rounds = watch.full_rounds()
    assert len(rounds) == 2
    assert all({"train", "save", "round"} == set(r) for r in rounds)
    assert all(r["train"] + r["save"] <= r["round"] for r in rounds)


def test_size_refuses_a_machine_without_accelerator(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "prepare_jax", lambda options: None)
    if jax.default_backend() != "cpu":
        pytest.skip("an accelerator is present")
    assert benchmark.main(["size"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("benchmark.py: size needs an accelerator")
    assert said.count("\n") == 1
