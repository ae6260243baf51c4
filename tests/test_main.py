import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import bgpbt
import main
from bgpbt import options as module
from bgpbt.options import BadInput, Options, PopulationLost, available

ROOT = Path(main.__file__).parent
SAMPLES = {  # what is typed after the flag, and what it means
    "task": ("own.py:task", "own.py:task"),
    "env_name": ("hopper", "hopper"),
    "backend": ("generalized", "generalized"),
    "alg_name": ("adam", "adam"),
    "num_envs": ("4_096", 4096),
    "episode_length": ("5e2", 500),
    "action_repeat": ("2", 2),
    "pop_size": ("16", 16),
    "strategy": ("random", "random"),
    "search_mode": ("both", "both"),
    "quantile_fraction": ("0.25", 0.25),
    "exploit": ("best", "best"),
    "inherit": ("weights", "weights"),
    "explore": ("resample", "resample"),
    "frequencies": ("1,2 4", (1, 2, 4)),
    "eta": ("3", 3),
    "mixing": ("whole", "whole"),
    "mix_probability": ("1", 1.0),
    "shrink": ("0", 0.0),
    "perturb": ("1", 1.0),
    "problem": ("deceptive", "deceptive"),
    "data_dir": ("elsewhere", "elsewhere"),
    "perturb_scale": ("1e-1", 0.1),
    "freeze": ("default", "default"),
    "discounting_scale": ("log_complement", "log_complement"),
    "n_init": ("24", 24),
    "gp": ("gpytorch", "gpytorch"),
    "trust_region": ("", False),
    "gp_time": ("", False),
    "gp_context": ("", False),
    "patience": ("3", 3),
    "t_ready": ("2_000_000", 2_000_000),
    "t_ready_end": ("500_000", 500_000),
    "max_timesteps": ("1e7", 10_000_000),
    "policy_layers": ("64,64", (64, 64)),
    "value_layers": ("128 128", (128, 128)),
    "normalize_advantage": ("", False),
    "fitness": ("training", "training"),
    "eval_episodes": ("3", 3),
    "report_episodes": ("200", 200),
    "render": ("", False),
    "t_distillation": ("20_000_000", 20_000_000),
    "distill_every": ("1e6", 1_000_000),
    "max_distillation": ("1", 1),
    "arch_policy": ("random", "random"),
    "arch_space": ("small", "small"),
    "seed": ("3 4", (3, 4)),
    "save_dir": ("elsewhere", "elsewhere"),
    "exp_name": ("try_1", "try_1"),
    "existing_policy": ("overwrite", "overwrite"),
    "devices": ("2", 2),
    "max_parallel": ("4", 4),
    "no_cache": ("", True),
    "verbose": ("", True),
}
FLAGS = [(name, flag) for name in Options.model_fields for flag in main.flags(name)]


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """The package in an empty folder, asked for nothing in earnest; `calls` are what it was asked for, in order."""
    calls = []
    stand_ins = {
        "run_seeds": lambda options: calls.append(("run", options)),
        "dry_run": lambda options: calls.append(("dry_run", options)) or "six rounds",
        "open_run": lambda path: SimpleNamespace(render=lambda: calls.append(("render", path)) or path / "best.gif"),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(bgpbt, name, stand_in, raising=False)
    monkeypatch.setattr(main, "prepare_jax", lambda options: calls.append(("devices", options)))
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(calls=calls)


def options_of(engine, line: str) -> Options:
    assert main.main(line.split()) == 0
    return engine.calls[-1][1]


def refusal(engine, capsys, words: list[str], code: int = 2) -> str:
    """The line on stderr, after checking that it is one, and that nothing was done."""
    before = sorted(Path.cwd().rglob("*"))
    assert main.main(words) == code
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"main\.py: [^\n]+\n", err)
    assert engine.calls == [] and sorted(Path.cwd().rglob("*")) == before
    return err


# Every flag reaches Options


def test_samples_are_complete():
    assert set(SAMPLES) == set(Options.model_fields)
    for name, (_, value) in SAMPLES.items():
        assert value != Options().model_dump()[name] or len(available(name)) == 1


@pytest.mark.parametrize(("name", "flag"), FLAGS, ids=[flag for _, flag in FLAGS])
def test_every_flag_reaches_options(engine, name, flag):
    text, value = SAMPLES[name]
    options = options_of(engine, f"{flag} {text}")
    assert getattr(options, name) == value
    changed = {n for n, v in options.model_dump().items() if v != Options(task=options.task).model_dump()[n]}
    assert changed <= {name}


def test_flags_are_those_of_the_original():
    flags = {flag for _, flag in FLAGS}
    short = "-e -sm -a -ps -mp -n -ni -tr -te -td -de -mt -md -qf -v -exist -o -b"
    long = (
        "--env_name --search_mode --alg_name --pop_size --max_parallel --exp_name --n_init --t_ready --t_ready_end "
        "--t_distillation --distill_every --patience --max_timesteps --max_distillation --seed --quantile_fraction "
        "--verbose --existing_policy --arch_policy --strategy --optimizer --freeze --backend --num_envs "
        "--policy_layers --value_layers --save_dir --no_cache --no_render --no_normalize_advantage"
    )
    assert set(short.split()) | set(long.split()) <= flags
    assert len(FLAGS) == len(flags)


def test_freeze_alone_and_with_a_word(engine):
    assert options_of(engine, "--freeze").freeze == "sampled"
    assert options_of(engine, "--freeze -ps 4 -qf 0.25").freeze == "sampled"
    assert options_of(engine, "--freeze default").freeze == "default"


@pytest.mark.parametrize("seeds", ["0 1 2", "0,1,2", "{0,1,2}"])
def test_seeds_in_any_place(engine, seeds):
    assert options_of(engine, f"-v --seed {seeds}").seed == (0, 1, 2)
    assert options_of(engine, f"--seed {seeds} -e hopper").env_name == "hopper"


def test_long_flags_take_an_equals_sign(engine):
    assert options_of(engine, "--pop_size=16 --seed=3").pop_size == 16


def test_config_file_and_flags_in_any_order(engine, tmp_path):
    (tmp_path / "mine.yaml").write_text("env_name: hopper\npop_size: 16\n", encoding="utf-8")
    for line in ("-c mine.yaml -ps 32", "-ps 32 --config mine.yaml"):
        options = options_of(engine, line)
        assert (options.env_name, options.pop_size) == ("hopper", 32)
    assert options_of(engine, "-c mine.yaml -e reacher").action_repeat == 4


def test_saved_settings_repeat_the_run(engine, tmp_path):
    options = options_of(engine, "-e reacher -ps 4 -qf 0.25 --seed 5 6 --no_render --value_layers 64,64 -tr 2e6")
    options.save(tmp_path / "options.yaml")
    assert options_of(engine, "-c options.yaml") == options


# The original project's commands


SEEDS = (0, 1, 2, 3, 100, 200, 300)
EARLY = "-tr 1_000_000 -mt 150_000_000 -o bgpbt --seed {seeds} -sm {mode}"
COMMON = "-v -e {env} --pop_size 8 -mp 4 -qf 0.125 -ni 24 -exist overwrite "
ANNEALED = "-tr 5_000_000 -te 1_000_000 -mt 150_000_000 -o bgpbt --seed {seeds} -sm {mode}"
ORIGINALS = []
for env in ("ant", "halfcheetah", "fetch", "reacher", "ur5e", "humanoid", "hopper"):
    annealed = env in ("humanoid", "hopper")
    generations = " -td 40_000_000 -de 60_000_000 -md 1" if annealed else " -td 30_000_000"
    for mode in ("both", "hpo"):
        command = COMMON + (ANNEALED if annealed else EARLY) + (generations if mode == "both" else "")
        for seeds in ("{0,1,2,3,100,200,300}", "0 1 2 3 100 200 300"):
            ORIGINALS.append((env, mode, command.format(env=env, mode=mode, seeds=seeds)))


MISSING = [original for original in ORIGINALS if original[0] in ("fetch", "ur5e")]


@pytest.mark.parametrize(("env", "mode", "command"), MISSING)
def test_original_commands_are_understood_and_refused(engine, capsys, env, mode, command):
    line = refusal(engine, capsys, command.split())
    assert "not available yet" in line and "strategy" not in line and mode not in line
    assert f"env_name {env}" in line


@pytest.mark.parametrize(("mode", "command"), [original[1:] for original in ORIGINALS if original not in MISSING])
def test_original_commands_run(engine, mode, command):
    options = options_of(engine, command)
    assert engine.calls[-1] == ("run", options) and options.search_mode == mode


@pytest.mark.parametrize(("env", "mode", "command"), ORIGINALS)
def test_original_commands_mean_what_they_meant(engine, monkeypatch, env, mode, command):
    monkeypatch.setattr(module, "LATER", {})
    options = options_of(engine, command)
    assert (options.env_name, options.search_mode, options.strategy) == (env, mode, "bgpbt")
    assert (options.seed, options.pop_size, options.max_parallel, options.n_init) == (SEEDS, 8, 4, 24)
    assert (options.quantile_fraction, options.existing_policy, options.verbose) == (0.125, "overwrite", True)
    annealed = env in ("humanoid", "hopper")
    assert (options.t_ready, options.t_ready_end) == ((5_000_000, 1_000_000) if annealed else (1_000_000, None))
    assert options.max_timesteps == 150_000_000
    if mode == "both":
        assert options.t_distillation == (40_000_000 if annealed else 30_000_000)
        assert (options.distill_every, options.max_distillation) == ((60_000_000, 1) if annealed else (40_000_000, 2))


def test_commands_are_built_word_for_word():
    command = (
        "-v -e ant --pop_size 8 -mp 4 -qf 0.125 -ni 24 -exist overwrite -tr 1_000_000 -mt 150_000_000 "
        "-o bgpbt --seed {0,1,2,3,100,200,300} -sm both -td 30_000_000"
    )
    assert ("ant", "both", command) in ORIGINALS and len(ORIGINALS) == 2 * 14


# Bad input


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--pop 8", "unknown flag --pop, nearest: --pop_size"),
        ("--no_norm", "nearest: --no_normalize_advantage"),
        ("--optimiser pbt", "nearest: --optimizer"),
        ("-pop_size 8", "nearest: --pop_size"),
        ("-exis resume", "nearest: -exist"),
        ("-N x", "unknown flag -N, nearest: -n"),
        ("-t 3", "task: unknown '3'"),
        ("--zzz", "unknown flag --zzz, -h shows all"),
        ("-nfoo", "a space belongs after -n"),
        ("-qf0.5", "a space belongs after -qf"),
        ("-ps=8", "a space belongs after -ps"),
        ("-vv", "a space belongs after -v"),
        ("--pop=8", "unknown flag --pop=8, nearest: --pop_size"),
        ("-v --", "unknown flag --"),
        ("-v -", "unknown flag -"),
        ("-n -foo", "unknown flag -foo"),
        ("-v -v", "-v is given twice"),
        ("-ps 8 --pop_size=8", "-ps and --pop_size are the same setting"),
        ("-o pbt --optimizer pbt", "-o and --optimizer are the same setting"),
        ("-c a.yaml -c b.yaml", "-c is given twice"),
        ("-ps", "expected one argument"),
        ("--seed", "expected at least one argument"),
        ("-v yes", "unrecognized arguments: yes"),
        ("--no_render=1", "--no_render"),
        ("-ps 8 9", "unrecognized arguments: 9"),
        ("-ps -1", "pop_size: '-1' is not positive"),
        ("-ps -1e6", "pop_size: '-1e6' is not positive"),
        ("-tr -inf", "t_ready: '-inf' is not a finite number"),
        ("-qf nan", "quantile_fraction: 'nan' is not a finite number"),
        ("--seed 0 -1", "seed: -1 lies outside"),
        ("-e anr", "env_name: unknown 'anr', nearest: ant"),
        ("-b sprung", "backend: unknown 'sprung', nearest: spring"),
        ("-o randon", "strategy: unknown 'randon', nearest: random"),
        ("-ni 4", "n_init: 4 is below pop_size 8"),
        ("-te 2_000_000", "t_ready_end: 2000000 is above t_ready"),
        ("-tr 100", "at least 30720"),
        ("--num_envs 100", "give 96 or 128"),
        ("-o random -ni 24", "successive halving"),
        ("-e grasp", "not available yet: env_name grasp"),
        ("-sm both --freeze", "search_mode both changes them"),
        ("-c missing.yaml", "missing.yaml: not readable"),
        ("ant", "unknown command 'ant', known: render"),
        ("renders x", "unknown command 'renders'"),
        ("render", "required: RUN_FOLDER"),
        ("render missing", "missing is no folder"),
        ("render . -v", "unrecognized arguments: -v"),
    ],
)
def test_bad_input(engine, capsys, line, problem):
    assert problem in refusal(engine, capsys, line.split())


@pytest.mark.parametrize("words", [["-n", "two\nlines/"], ["-e", "a\nb"], ["--a\nb"], [""], ["-ps", ""], ["-n", ""]])
def test_odd_words_still_give_one_line(engine, capsys, words):
    refusal(engine, capsys, words)


def test_bad_file_names_file_and_key(engine, capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("pop_siz: 4\n", encoding="utf-8")
    line = refusal(engine, capsys, ["-c", "mine.yaml"])
    assert line == "main.py: mine.yaml: unknown setting 'pop_siz', nearest: pop_size\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInput("the folder holds\nanother run"), 2, "the folder holds another run"),
        (PopulationLost("all members\nare lost"), 3, "all members are lost"),
        (KeyboardInterrupt(), 130, "the same command with -exist resume"),
    ],
)
def test_exit_codes_of_a_run(engine, capsys, monkeypatch, error, code, said):
    def fails(options):
        raise error

    monkeypatch.setattr(bgpbt, "run_seeds", fails)
    assert main.main([]) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_other_errors_are_not_hidden(engine, monkeypatch):
    monkeypatch.setattr(bgpbt, "run_seeds", lambda options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main.main([])


# What it does with good input


def test_devices_are_chosen_before_the_run(engine):
    options_of(engine, "-ps 4 -qf 0.25")
    assert [what for what, _ in engine.calls] == ["devices", "run"]
    assert engine.calls[0][1].pop_size == 4


def test_dry_run_prints_and_does_not_run(engine, capsys):
    assert main.main(["--dry_run", "-ps", "16"]) == 0
    assert capsys.readouterr().out == "six rounds\n"
    assert [what for what, _ in engine.calls] == ["devices", "dry_run"]


def test_notices_only_for_what_was_typed(engine, capsys, tmp_path):
    assert main.main("-td 1_000_000 --patience 3".split()) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 2 and "notice: t_distillation has no effect with search_mode hpo" in err
    Options().save(tmp_path / "options.yaml")
    assert main.main(["-c", "options.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_render(engine, capsys, tmp_path):
    assert main.main(["render", str(tmp_path)]) == 0
    assert engine.calls == [("render", tmp_path)] and str(tmp_path / "best.gif") in capsys.readouterr().out


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["-ps", "8", "-h"]])
def test_help(engine, capsys, words):
    with pytest.raises(SystemExit) as caught:
        main.main(words)
    out = capsys.readouterr().out
    assert caught.value.code == 0 and engine.calls == []
    for flag in main.flag_names():
        assert re.search(rf"(^|\s){flag}\b", out), flag
    for field in Options.model_fields.values():
        assert field.description.split()[0] in out


def test_help_of_a_command(engine, capsys):
    with pytest.raises(SystemExit):
        main.main(["render", "-h"])
    assert "RUN_FOLDER" in capsys.readouterr().out


@pytest.fixture
def updates(monkeypatch):
    """What `prepare_jax` sets, JAX and the population module being stand-ins."""
    made = {}
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=SimpleNamespace(update=made.__setitem__)))
    monkeypatch.setitem(sys.modules, "bgpbt.population", SimpleNamespace(cpu_devices=lambda pop_size: pop_size // 2))
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    return made


def test_cpu_devices_follow_the_population(updates, monkeypatch):
    main.prepare_jax(Options(pop_size=8, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 4}
    main.prepare_jax(Options(pop_size=8, devices=2, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 2}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    main.prepare_jax(Options(pop_size=12, no_cache=True))
    assert updates == {"jax_num_cpu_devices": 6}


@pytest.mark.parametrize(
    ("name", "value"), [("JAX_NUM_CPU_DEVICES", "3"), ("XLA_FLAGS", "--xla_force_host_platform_device_count=3")]
)
def test_the_users_own_devices_stay(updates, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    main.prepare_jax(Options(no_cache=True))
    assert updates == {}


def test_jax_really_has_the_chosen_devices():
    code = "import main; main.prepare_jax(main.Options(devices=4)); import jax; print(jax.device_count())"
    kept = {name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    environment = kept | {"JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "4\n", done.stderr


def test_a_real_command_answers_bad_input(tmp_path):
    words = [sys.executable, str(ROOT / "main.py"), "-e", "anr"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "") and "nearest: ant" in done.stderr
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_bad_input_is_answered_without_jax():
    code = "import sys, main; code = main.main(['-e', 'grasp']); sys.exit(9 if 'jax' in sys.modules else code)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
