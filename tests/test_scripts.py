"""The scripts: bars are judged rightly, results have their structure, and each script runs in its quick form."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bgpbt
from bgpbt import space as spaces
from bgpbt.api import make_task
from bgpbt.options import BadInput, PopulationLost
from bgpbt.plan import rounds_of
from bgpbt.store import folder
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.random_search import random_search
from scripts import (
    arch_search,
    bandit_regret,
    benchmark,
    compare_small,
    compare_strategies,
    distillation,
    fitness_ways,
    learning_small,
    pbt_vs_random_mnist,
    schedule_replay,
    toy_trajectories,
)
from scripts.benchmarks import cases, commands, control, end_to_end, flags, hlo, padding, size
from scripts.benchmarks.bandit_functions import FUNCTIONS, ROUNDS
from scripts.benchmarks.figures import Bar, Figure, Result, interleave, median, met, number, ratio, show, to_json, write

ROOT = Path(benchmark.__file__).parents[1]
SCRIPTS = [
    arch_search,
    bandit_regret,
    benchmark,
    compare_small,
    compare_strategies,
    distillation,
    fitness_ways,
    learning_small,
    pbt_vs_random_mnist,
    schedule_replay,
    toy_trajectories,
]
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
  %w = (s32[], f32[2]{0}) while(%arg), condition=%cond, body=%step, metadata={op_name="jit(f)/cond/branch_1_fun/while"}
}
"""


@pytest.mark.parametrize("module", SCRIPTS, ids=lambda module: module.__name__)
def test_what_cannot_be_used_ends_in_one_line(module, capsys):
    assert module.main(["--nonsense"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"{Path(module.__file__).name}: ") and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(("error", "code"), [(BadInput("two\nlines"), 2), (PopulationLost("all"), 3)])
def test_what_is_found_later_ends_in_one_line_too(error, code, capsys):
    @flags.answered
    def main(argv):
        raise error

    assert main([]) == code and capsys.readouterr().err == f"test_scripts.py: {error}\n"


def refusal(module, *given: object) -> str:
    """What a script's parser says to flags; nothing runs."""
    with pytest.raises(BadInput) as refused:
        module.parser().parse_args([str(word) for word in given])
    return str(refused.value)


def test_files_to_write_must_have_a_folder(tmp_path):
    for there in (tmp_path, tmp_path / "missing" / "x.json"):
        assert f"--json: {there} is" in refusal(learning_small, "--json", there)


@pytest.mark.parametrize(
    ("module", "given", "words"),
    [
        (learning_small, "--seeds x", "argument --seeds: 'x' is not a number"),
        (learning_small, "--seeds 0,0", "argument --seeds: 0 is given twice"),
        (compare_small, "--seeds x --quick", "argument --seeds: 'x' is not a number"),
        (compare_small, "--env_name nope", "argument --env_name: unknown 'nope', "),
        (compare_small, "--env_name fetch", "not available yet"),
        (fitness_ways, "--seeds 0,-1", "argument --seeds: -1 lies outside 0 .. 4294967295"),
        (fitness_ways, "--episodes 0", "argument --episodes: '0' is not positive"),
        (fitness_ways, "--every 0", "argument --every: '0' is not positive"),
        (pbt_vs_random_mnist, "--seeds a", "argument --seeds: 'a' is not a number"),
        (distillation, "--seed -3", "argument --seed: -3 lies outside 0 .. 4294967295"),
        (distillation, "--seed 1,2", "argument --seed: 1,2 are 2 seeds, give one"),
        (distillation, "--most 0", "argument --most: '0' is not positive"),
        (schedule_replay, "RUN --seed -1", "argument --seed: -1 lies outside 0 .. 4294967295"),
        (toy_trajectories, "a.png --seed 4294967296", "argument --seed: 4294967296 lies outside 0 .. 4294967295"),
        (arch_search, "--seeds 5 5", "argument --seeds: none from 5 to before 5, give a larger END"),
        (bandit_regret, "--seeds 5 5", "argument --seeds: none from 5 to before 5, give a larger END"),
        (bandit_regret, "--seeds -1 5", "argument --seeds: -1 lies outside"),
        (bandit_regret, "--rounds 0", "argument --rounds: '0' is not positive"),
        (compare_strategies, "--seeds 3 2", "argument --seeds: none from 3 to before 2, give a larger END"),
        (benchmark, "population --repeats 0", "argument --repeats: '0' is not positive"),
        (benchmark, "size --members 0", "argument --members: '0' is not positive"),
    ],
)
def test_numbers_and_names_are_checked_at_the_parse(module, given, words):
    assert words in refusal(module, *given.split())


def test_seeds_are_distinct_numbers_or_a_range():
    assert learning_small.parser().parse_args([]).seeds == (0, 1, 2, 3, 4)
    assert learning_small.parser().parse_args(["--seeds", "7,0,4294967295"]).seeds == (7, 0, 2**32 - 1)
    assert arch_search.parser().parse_args([]).seeds == range(20)
    assert arch_search.parser().parse_args(["--seeds", "3", "5"]).seeds == range(3, 5)


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.pgf"])
def test_pictures_have_a_suffix_that_can_be_drawn(name, tmp_path):
    for module, *given in (
        [bandit_regret, "--figure"],
        [compare_small, "--figure"],
        [compare_strategies, "--figure"],
        [distillation, "--figure"],
        [pbt_vs_random_mnist, "--figure"],
        [schedule_replay, "RUN", "--figure"],
        [toy_trajectories],
    ):
        assert f"{tmp_path / name} is no picture, give a name that ends in .png" in refusal(module, *given, tmp_path / name)
        for good in ("a.png", "a.PDF", "a.svg"):
            assert module.parser().parse_args([*given, str(tmp_path / good)]).figure == tmp_path / good


KEPT = {bandit_regret: None, compare_small: "comparison_ant.csv", compare_strategies: "strategies.csv"}  # tables that go on


@pytest.mark.parametrize("module", KEPT, ids=lambda module: module.__name__)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has other columns (a, b) than "),
        ((ROOT / "docs" / "mnist.csv").read_text(), "has other columns (seed, arm, validation, test) than "),
        ("Notes\n\nsome, and\nmore, and, others\n", "cannot be read as a table"),
        ("", "cannot be read as a table"),
        ("\x89PNG\x00\x1a\n", "give a file that this script wrote, or a new one"),
    ],
)
def test_a_table_of_another_kind_is_refused_and_stays(module, text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text, encoding="latin-1")
    said = refusal(module, "--csv", tmp_path / "t.csv")
    assert f"{tmp_path / 't.csv'} " in said and words in said and "give a file that this script wrote, or a new one" in said
    assert (tmp_path / "t.csv").read_text(encoding="latin-1") == text


@pytest.mark.parametrize("module", KEPT, ids=lambda module: module.__name__)
def test_a_table_of_the_same_kind_is_taken(module, tmp_path):
    pd.DataFrame(columns=module.COLUMNS).to_csv(tmp_path / "empty.csv", index=False)
    known = [ROOT / "docs" / KEPT[module]] if KEPT[module] else []
    for path in (tmp_path / "new.csv", tmp_path / "empty.csv", *known):
        assert module.parser().parse_args(["--csv", str(path)]).csv == path


@pytest.mark.parametrize(
    ("module", "given"),
    [
        (compare_strategies, "--seeds 5 6"),
        (compare_strategies, "--seeds 60 70"),  # the default, but given
        (pbt_vs_random_mnist, "--seeds 0"),
        (pbt_vs_random_mnist, "--images 1000000"),
        (pbt_vs_random_mnist, "--problem mnist"),
        (distillation, "--most 1000"),
        (fitness_ways, "--episodes 8"),
        (benchmark, "--members 4"),
    ],
)
def test_what_quick_has_of_its_own_cannot_be_given_beside_it(module, given):
    name, first = given.split()[0], ["size"] if module is benchmark else []
    assert refusal(module, *first, "--quick", *given.split()).startswith(f"--quick has its own {name[2:]}, leave {name} out")
    assert refusal(module, *first, *given.split(), "--quick").startswith(f"--quick has its own {name[2:]}, leave {name} out")
    module.parser().parse_args([*first, *given.split()])  # without --quick it is taken


@pytest.mark.parametrize("module", SCRIPTS, ids=lambda module: module.__name__)
def test_quick_promises_no_seconds(module):
    said = module.parser().format_help().partition("--quick ")[2]
    assert not said or ("small" in said and "shows that it works, judges nothing" in " ".join(said.split()))
    assert "in seconds" not in said


def test_no_flag_is_guessed():
    assert "unrecognized arguments: --seed 3" in refusal(learning_small, "--seed", "3")


def test_quick_takes_its_own_values_and_other_flags():
    args = pbt_vs_random_mnist.parser().parse_args(["--quick", "--save_dir", "here"])
    assert (args.problem, args.images, args.seeds, args.save_dir) == ("digits", 1437, (1000, 1001), "here")
    for module in (learning_small, fitness_ways, compare_small):
        assert module.parser().parse_args(["--quick", "--seeds", "1000"]).seeds == (1000,)


@pytest.mark.parametrize(
    ("value", "bar", "answer"),
    [
        (1.5, Bar(">=", 1.5), True),
        (1.49, Bar(">=", 1.5), False),
        (2.0, Bar("<=", 2), True),
        (2.1, Bar("<=", 2), False),
        (0.5, Bar("x", 2), True),
        (2.0, Bar("x", 2), True),
        (0.49, Bar("x", 2), False),
        (2.1, Bar("x", 2), False),
        (math.nan, Bar(">=", 1.5), False),
        (math.inf, Bar(">=", 1.5), False),
    ],
)
def test_a_figure_meets_its_bar(value, bar, answer):
    assert met(value, bar) is answer


def test_ratios_are_taken_within_a_repeat():
    assert ratio("a / b", [10, 30, 50], [10, 10, 10]).value == 3
    assert ratio("a / b", [1, 100, 2], [1, 50, 2]).value == 1  # not 2 / 2 of the medians


def test_repeats_are_interleaved():
    order = []
    found = interleave({n: lambda n=n: order.append(n) or len(order) for n in "ab"}, 2, lambda text: None)
    assert "".join(order) == "abba" and found == {"a": [1, 4], "b": [2, 3]}


def test_a_result_names_what_it_misses_and_is_json(tmp_path, capsys):
    figures = [Figure("free", 1.0, "s"), Figure("good", 2.0, "x", Bar(">=", 1)), median("bad", "x", [0.5, 0.4, 9], Bar(">=", 1))]
    result = Result("population", {"members": 8}, figures, machine={"cores": 2})
    write(result, tmp_path / "deep" / "result.json")
    written = json.loads((tmp_path / "deep" / "result.json").read_text())
    assert written == json.loads(json.dumps(to_json(result))) and written["missed"] == ["bad"]
    assert [f["met"] for f in written["figures"]] == [None, True, False]
    assert written["figures"][2] | {"note": ""} == {
        "name": "bad", "value": 0.5, "unit": "x", "bar": ">= 1", "note": "", "repeats": [0.5, 0.4, 9], "met": False
    }  # fmt: skip
    show(result)
    assert "missed" in capsys.readouterr().out


def test_numbers_have_about_four_digits():
    assert [number(x) for x in (36_123.4, 17.26, 0.01234, math.nan)] == ["36,123", "17.3", "0.0123", "nan"]


def test_operations_count_what_is_executed():
    assert hlo.per_optimizer_step(HLO) == {4: 4}  # fusion, dot, and the two of the call


def test_a_longer_run_is_computed_from_two_shorter_ones():
    assert end_to_end.far(20, 40, (100, 300, 1000)) == 110


def test_a_command_is_timed_with_its_first_round_and_memory(tmp_path):
    ran = commands.run([sys.executable, "-c", "import os; print('[0:00:01] round 1  x', os.environ['XDG_CACHE_HOME'])"], tmp_path)
    assert 0 < ran.first_round <= ran.seconds and ran.peak_bytes > 1e6
    with pytest.raises(RuntimeError, match="code 3: said why"):
        commands.run([sys.executable, "-c", "print('said why'); raise SystemExit(3)"], tmp_path)


def test_drawn_architectures_have_mean_and_largest_sizes():
    drawn = padding.draw(8, 1000)
    assert all(len(values) == 8 for values in drawn.values())
    largest, mean = padding.sizes_of(drawn, np.max), padding.sizes_of(drawn, np.mean)
    assert largest["policy"] == (drawn["policy_depth"].max(), drawn["policy_width"].max())
    assert all(mean[block][i] <= largest[block][i] for block in mean for i in (0, 1))


def test_sequential_steps_are_those_of_the_slowest_and_the_common_rung():
    options = cases.small_options(False, num_envs=2048, t_ready=30_720)
    # 30,720 transitions: 32 beside 48 minibatches make 96; the most epochs count
    hyperparams = {"batch_size": np.array([64, 64]), "unroll_length": np.array([15, 10]), "num_update_epochs": np.array([4, 16])}
    assert size.sequential_steps(options, hyperparams) == 96 * 16
    assert size.sequential_steps(options, {name: v[:1] for name, v in hyperparams.items()}) == 32 * 4


def test_sizes_are_compared_with_one_member():
    found = {"train 1": [1.0], "raw 1": [2000.0], "train 8": [1.5], "raw 8": [8000.0]}
    figures = {f.name: f for f in size.size_figures(found, (1, 8), 1000)}
    assert figures["8 members"].value == pytest.approx(8000 / 1.5)
    assert figures["8 members: wall-clock against 1"].met and figures["8 members: share of raw stepping"].value < 100


def test_the_stopwatch_keeps_full_rounds_only():
    watch = control.Stopwatch()
    train, save = watch.wrap("train", lambda: 1), watch.wrap("save", lambda: 2)
    save()  # before the first round: belongs to none
    for _ in range(4):
        assert (train(), save()) == (1, 2)
    rounds = watch.full_rounds()
    assert len(rounds) == 2 and all({"train", "save", "round"} == set(r) for r in rounds)
    assert all(r["train"] + r["save"] <= r["round"] for r in rounds)


def test_learning_judges_every_seed():
    run = {"difference": 1200.0, "rounds": 25, "replacements": 40}
    bars = [f for f in learning_small.judge({0: run, 1: run | {"difference": 200.0}, 2: run}) if f.bar]
    assert [f.met for f in bars] == [True, False, True, True]


def test_fitness_is_ranked_with_failures_last():
    truth = np.array([1.0, 2.0, 3.0, 0.0])
    assert fitness_ways.tau(np.array([1.0, 2.0, 3.0, np.nan]), truth) == 1
    assert fitness_ways.tau(np.array([3.0, 2.0, 1.0, 4.0]), truth) == -1
    assert fitness_ways.tau(np.zeros(4), truth) == 0


def test_fitness_ways_are_summarised_by_stage():
    rows = [
        {"seed": 1000, "round": number, "rounds": 6, "member": m, "truth": m, "length": 1000 if m else 500}
        | {"evaluation": m, "training": -m, "concurrent": m}
        | {f"{what}_{unit}": 2.0 for what in ("train", "evaluation", "concurrent") for unit in ("steps", "seconds")}
        for number in (2, 4, 6)
        for m in range(4)
    ]
    table = pd.DataFrame(rows)
    assert list(fitness_ways.taus(table)["stage"]) == ["early", "middle", "late"]
    figures = {f.name: f for f in fitness_ways.summarise(table, 1000)}
    assert figures["training: tau, late"].value == -1 and figures["concurrent: tau, early"].value == 1
    assert figures["evaluation: bias, episodes cut short"].note == "3 members"
    assert figures["concurrent: tau less the evaluation's, worst stage"].note == "may be the default"
    assert figures["training: tau less the evaluation's, worst stage"].note != "may be the default"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_value_exceeds_the_best_of_its_round(name):
    """The stated optimum is one: nothing is better, and a climb from good draws comes close to it."""
    function, rng = FUNCTIONS[name], np.random.default_rng(0)
    for now in (0, ROUNDS // 4, ROUNDS // 2, ROUNDS - 1):

        def value(unit, now=now):
            natural = {k: np.asarray(v) for k, v in spaces.decode(function.space, np.asarray(unit, np.float32)).items()}
            each = [{k: v[i] for k, v in natural.items()} for i in range(len(unit))]
            return np.array([function.value(config, now) for config in each])

        tried = rng.uniform(size=(2000, len(function.space)))
        values = value(tried)
        for width in np.geomspace(0.3, 0.01, 8):
            best = tried[np.argsort(values)[-20:]]
            tried = np.clip(np.repeat(best, 20, axis=0) + width * rng.normal(size=(400, best.shape[1])), 0, 1)
            tried[:20] = best
            values = value(tried)
        assert function.best(now) - 0.05 < values.max() <= function.best(now) + 1e-6


def test_whoever_is_copied_hands_on_its_score():
    """With nothing to gain from configurations, regret is what the first draws cost, round after round."""
    function = FUNCTIONS["hartmann6, static"]
    first = bandit_regret.play(function, random_search(function.space, ("all",)), 1000, 3)
    np.testing.assert_allclose(first, first[0])


def test_paired_differences_are_of_the_same_seed(tmp_path):
    names, arms = list(FUNCTIONS)[:2], ("bgpbt", "pbt")
    rows = [(f, arm, seed, seed + (2 if arm == "pbt" else 0)) for f in names for arm in arms for seed in range(5)]
    found = pd.DataFrame(rows, columns=["function", "arm", "seed", "regret"])
    table = bandit_regret.table(found)
    pbt = table[table["arm"] == "pbt"]
    assert (pbt[["bgpbt less", "low", "high"]] == -2).all(axis=None) and len(table) == 4
    bandit_regret.draw(found, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").stat().st_size > 5_000


def test_arms_of_the_comparison_spend_alike():
    arms = [compare_small.options_of(arm, "0", "runs", False) for arm in compare_small.ARMS]
    assert len({(o.pop_size, o.candidates, o.t_ready, o.max_timesteps, o.eval_episodes) for o in arms}) == 1
    assert arms[0].candidates == arms[0].pop_size and arms[0].max_timesteps // arms[0].t_ready >= 20


@pytest.mark.parametrize("quick", [False, True])
def test_make_run_has_a_new_generation(quick):
    options = learning_small.options_of("0", "runs", quick)
    rounds = rounds_of(options, make_task(options))
    assert {r.generation for r in rounds} == {0, 1} and (quick or len(rounds) >= 20)


def test_the_comparison_pairs_seeds(tmp_path):
    rows = [
        {"arm": arm, "seed": s, "return": 100.0 * s + bonus, "population": 1.0, "env_steps": 10, "rounds": 20, "seconds": 1.0}
        for arm, bonus in (("bgpbt", 50), ("pbt", 0))
        for s in range(8)
    ]
    figures = {f.name: f for f in compare_small.summarise(pd.DataFrame(rows))}
    assert figures["bgpbt less pbt, mean of pairs"].value == 50 and figures["bgpbt less pbt, mean of pairs"].note == "50 to 50"
    assert figures["pbt: return, interquartile mean"].value == 350
    compare_small.draw(pd.DataFrame(rows), tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").stat().st_size > 5_000


def test_finished_runs_of_the_comparison_are_only_read(monkeypatch, tmp_path):
    options = compare_small.options_of("pbt", "0,1", str(tmp_path), False)
    finished = folder(options, 0)
    finished.mkdir(parents=True)
    options.save(finished / "options.yaml")
    (finished / "report.json").write_text("{}")
    monkeypatch.setattr(bgpbt, "open_run", lambda path: path.name)
    monkeypatch.setattr(bgpbt, "run_seeds", lambda o: [f"trained {seed}" for seed in o.seed])
    assert compare_small.results_of(options) == {0: "seed_0", 1: "trained 1"}
    with pytest.raises(BadInput, match="other settings"):
        compare_small.results_of(options.model_copy(update={"max_timesteps": 1}))


def test_what_a_figure_of_mnist_shows_is_named_below_its_panels(monkeypatch, tmp_path):
    rows = [(n, m, m, n + m / 10, 10.0**-m, 0.5 + n / 10) for n in range(4) for m in range(3)]
    records = pd.DataFrame(rows, columns=["round", "member", "parent", "fitness", "learning_rate", "momentum"])
    drawn = []
    monkeypatch.setattr(pbt_vs_random_mnist.Drawing, "savefig", lambda figure, path, dpi: drawn.append(figure))
    first = dict.fromkeys(pbt_vs_random_mnist.ARMS, SimpleNamespace(records=records))
    pbt_vs_random_mnist.draw(first, tmp_path / "unused.png")
    drawn[0].draw_without_rendering()
    (legend,) = drawn[0].legends
    assert [text.get_text().split()[-1] for text in legend.get_texts()] == ["member", "round", "lineage", "round"]
    assert legend.get_window_extent().y1 <= min(axes.get_tightbbox().y0 for axes in drawn[0].axes)


def script(name: str, *flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", f"scripts/{name}.py", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


def test_students_have_architectures_of_their_own():
    task = distillation.task_of(distillation.options_of(quick=True))
    taught, learning = (spaces.decode(task.space, config) for config in distillation.configurations_of(task, 0))
    sizes = [tuple(int(learning[name][i]) for name in distillation.TAUGHT) for i in range(distillation.SEEDS)]
    assert {name: set(np.asarray(taught[name]).tolist()) for name in distillation.TAUGHT} == {
        name: {value} for name, value in distillation.TAUGHT.items()
    }
    assert len({*sizes, tuple(distillation.TAUGHT.values())}) == distillation.SEEDS + 1
    assert set(np.asarray(learning["policy_depth"]).tolist()) <= {2, 3}


@pytest.mark.parametrize(("bad", "answers"), [(1, [True, True, True]), (2, [True, False, True]), (8, [True, False, False])])
def test_distillation_judges_teachers_students_and_the_difference(bad, answers):
    """Some students no better than alpha = 0, the others at the teacher's return; only the last part counts."""
    share = np.where(np.arange(8) < bad, 0.2, 1.0)
    arms = {"with the teacher": share, "alpha = 0": np.full(8, 0.3)}
    parts = [
        pd.DataFrame({"seed": range(8), "teacher": 3100.0, "arm": arm, "steps": steps, "share": last * (steps == 2)})
        for arm, last in arms.items()
        for steps in (1, 2)
    ]
    judged = [f.met for f in distillation.summarise(pd.concat(parts)) if f.met is not None]
    assert judged == answers


def test_size_refuses_a_machine_without_accelerator(monkeypatch, capsys):
    monkeypatch.setattr(benchmark.command_line, "prepare_jax", lambda options: None)
    if cases.jax.default_backend() != "cpu":
        pytest.skip("an accelerator is here")
    assert benchmark.main(["size"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("benchmark.py: size needs an accelerator") and said.count("\n") == 1


def quick(name: str, path: Path, *flags: str) -> dict:
    """Runs a script in its quick form; returns what it wrote."""
    done = script(name, *flags, "--quick", "--json", str(path))
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_text())
    assert written["quick"] and written["machine"]["cores"] >= 1 and written["figures"]
    assert all((f["met"] is None) == (f["bar"] is None) for f in written["figures"])
    assert written["figures"][0]["name"] in done.stdout
    return written


@pytest.mark.long
def test_compile_runs(tmp_path):
    written = quick("benchmark", tmp_path / "c.json", "compile")
    figures = {f["name"]: f for f in written["figures"]}
    assert figures["estimate / XLA's analysis"]["bar"] == "1/2 to 2"
    assert figures["instructions per optimizer step, 96 minibatches"]["value"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in benchmark.NAMES if n != "compile"])
def test_benchmarks_run(name, tmp_path):
    assert quick("benchmark", tmp_path / "b.json", name)["benchmark"] == name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learning_small", "fitness_ways", "compare_small"])
def test_other_scripts_run(name, tmp_path):
    runs = ["--save_dir", str(tmp_path / "runs")] if name == "compare_small" else []
    assert quick(name, tmp_path / "s.json", "--seeds", "1000", *runs)["benchmark"] == name


@pytest.mark.slow
def test_the_comparison_of_strategies_runs(tmp_path):
    written = quick("compare_strategies", tmp_path / "s.json", "--csv", str(tmp_path / "s.csv"))
    figures = {f["name"]: f["value"] for f in written["figures"]}
    assert figures["most steps that a strategy took, of random's"] == figures["fewest"] == 1
    assert set(pd.read_csv(tmp_path / "s.csv")["strategy"]) == set(STRATEGIES)


@pytest.mark.slow
def test_distillation_runs(tmp_path):
    pictures = ["--csv", str(tmp_path / "d.csv"), "--figure", str(tmp_path / "d.png")]
    assert quick("distillation", tmp_path / "d.json", *pictures)["benchmark"] == "distillation"
    rows = pd.read_csv(tmp_path / "d.csv")
    assert len(rows) == 2 * 8 * 5 and rows.groupby(["arm", "seed"])["steps"].max().nunique() == 1
    assert (rows["teacher_steps"] > 0).all()
    assert (tmp_path / "d.png").stat().st_size > 5_000


@pytest.mark.slow
def test_regret_is_played_and_what_is_there_is_skipped(tmp_path):
    flags = ["--seeds", "1000", "1001", "--functions", "nine, drifting", "--rounds", "3", "--csv", str(tmp_path / "r.csv")]
    first = script("bandit_regret", *flags)
    assert first.returncode == 0, first.stderr
    assert len(pd.read_csv(tmp_path / "r.csv")) == len(bandit_regret.ARMS)
    assert script("bandit_regret", *flags).stdout == first.stdout


def test_a_row_of_the_table_has_its_columns():
    records = pd.DataFrame({"round": [0, 1], "fitness": [1.0, 2.0], "seconds": [3.0, 4.0]})
    options = compare_small.options_of("pbt", "0", "runs", False)
    result = SimpleNamespace(records=records, options=options, report={"mean": 5.0, "env_steps_total": 6})
    assert tuple(compare_small.row_of("pbt", 0, result)) == compare_small.COLUMNS


def test_what_stands_in_the_table_is_not_run_again(monkeypatch, tmp_path):
    """Two arms on different days: the second call runs what is missing and compares with what is there."""
    ran = []

    def results_of(options):
        ran.append((options.exp_name, options.seed))
        return {seed: options.exp_name for seed in options.seed}

    def row_of(arm, seed, result):
        row = {"return": 100.0 * seed + (50 if result == "bgpbt" else 0), "population": 1.0, "env_steps": 10, "rounds": 20}
        row["what"] = compare_small.what(compare_small.options_of(arm, "0", "runs", False))
        return {"arm": arm, "seed": seed, **row, "seconds": 1.0}

    monkeypatch.setattr(compare_small, "results_of", results_of)
    monkeypatch.setattr(compare_small, "row_of", row_of)
    monkeypatch.setattr(compare_small.command_line, "prepare_jax", lambda options: None)
    flags = ["--seeds", "0,1,2", "--csv", str(tmp_path / "c.csv"), "--json", str(tmp_path / "c.json"), "--arms"]
    assert compare_small.main([*flags, "pbt"]) == 0 and compare_small.main([*flags, "bgpbt", "pbt"]) == 0
    assert ran == [("pbt", (0, 1, 2)), ("bgpbt", (0, 1, 2))]
    figures = {f["name"]: f["value"] for f in json.loads((tmp_path / "c.json").read_text())["figures"]}
    assert figures["bgpbt less pbt, mean of pairs"] == 50
    assert compare_small.main([*flags, "pbt", "--env_name", "hopper"]) == 0 and len(ran) == 3  # another task's results are others
