"""Bad input ends in one line that says what would be right, and does nothing."""

import pytest
from command_lines import refusal


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--pop 8", "unknown flag --pop, nearest: --pop_size"),
        ("--no_norm", "nearest: --no_normalize_advantage"),
        ("--no_rendr", "unknown flag --no_rendr, nearest: --no_render"),
        ("--render", "unknown flag --render, nearest: --no_render"),
        ("--no_verbose", "unknown flag --no_verbose, --verbose is off unless it is"),
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
        ("-ps -1", "pop_size: '-1' is no population, give at least 1"),
        ("-ps -1e6", "pop_size: '-1e6' is no population, give at least 1"),
        ("-ps 0", "pop_size: '0' is no population, give at least 1"),
        ("-ps 1", "pop_size: 1 is no population, give at least 2, or -o random"),
        ("-td -1", "t_distillation: '-1' is not positive, give at least 1"),
        ("-tr -inf", "t_ready: '-inf' is not a finite number"),
        ("-qf nan", "quantile_fraction: 'nan' is not a finite number"),
        ("--seed 0 -1", "seed: -1 lies outside"),
        ("-e anr", "env_name: unknown 'anr', nearest: ant"),
        ("-b sprung", "backend: unknown 'sprung', nearest: spring"),
        ("-b warp", "backend: warp is for playground:NAME, ant is of Brax"),
        ("-o randon", "strategy: unknown 'randon', nearest: random"),
        ("-ni 4", "n_init: 4 is below pop_size 8"),
        ("-te 2_000_000", "t_ready_end: 2000000 is above t_ready"),
        ("-tr 100", "at least 30720"),
        ("--num_envs 100", "give 96 or 128"),
        ("-o random -ni 24", "successive halving"),
        ("-sm both --freeze", "search_mode both changes them"),
        ("-c missing.yaml", "missing.yaml: not readable"),
        ("ant", "unknown command 'ant', known: envs, eval, export"),
        ("renders x", "unknown command 'renders'"),
        ("render", "required: RUN_FOLDER"),
        ("render missing", "missing is no folder"),
        ("render . -v", "unrecognized arguments: -v"),
    ],
)
def test_bad_input(calls, capsys, line, problem):
    assert problem in refusal(calls, capsys, line.split())


@pytest.mark.parametrize(
    "words",
    [["-n", "two\nlines/"], ["-e", "a\nb"], ["--a\nb"], [""], ["-ps", ""], ["-n", ""]],
)
def test_odd_words_still_give_one_line(calls, capsys, words):
    refusal(calls, capsys, words)


def test_bad_file_names_file_and_key(calls, capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("pop_siz: 4\n", encoding="utf-8")
    line = refusal(calls, capsys, ["-c", "mine.yaml"])
    assert line == "main.py: mine.yaml: unknown setting 'pop_siz', nearest: pop_size\n"
