"""What scripts take from a command line, and what they refuse before anything runs."""

from pathlib import Path

import pandas as pd
import pytest

from bgpbt.config.errors import BadInput, NotSaved, PopulationLost
from scripts import (
    arch_search,
    backends,
    bandit_regret,
    benchmark,
    compare_small,
    compare_strategies,
    designers,
    distillation,
    fitness_ways,
    learning_robots,
    learning_small,
    pbt_vs_random_mnist,
    ppo_parity,
    retrain_designs,
    reward_table,
    schedule_replay,
    toy_trajectories,
    witness,
)
from scripts.benchmarks import flags

ROOT = Path(benchmark.__file__).parents[1]
SCRIPTS = [
    arch_search,
    backends,
    bandit_regret,
    benchmark,
    compare_small,
    compare_strategies,
    designers,
    distillation,
    fitness_ways,
    learning_robots,
    learning_small,
    pbt_vs_random_mnist,
    ppo_parity,
    retrain_designs,
    reward_table,
    schedule_replay,
    toy_trajectories,
    witness,
]


@pytest.mark.parametrize("module", SCRIPTS, ids=lambda module: module.__name__)
def test_what_cannot_be_used_ends_in_one_line(module, capsys):
    assert module.main(["--nonsense"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"{Path(module.__file__).name}: ")
    assert said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadInput("two\nlines"), 2), (PopulationLost("all"), 3), (NotSaved("full"), 4)],
)
def test_what_fails_later_ends_in_one_line_too(error, code, capsys):
    @flags.answered
    def main(argv):
        raise error

    assert main([]) == code
    assert capsys.readouterr().err == f"test_script_flags.py: {error}\n"


def refusal(module, *words: object) -> str:
    """What a script's parser says to flags; nothing runs."""
    with pytest.raises(BadInput) as refused:
        module.parser().parse_args([str(word) for word in words])
    return str(refused.value)


def test_files_to_write_must_have_a_folder(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "x.json"):
        assert f"--json: {path} is" in refusal(learning_small, "--json", path)


def test_folders_may_be_new_but_not_in_a_file_or_nowhere(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing" / "results"):
        said = refusal(ppo_parity, "--results", path)
        assert f"--results: {path} is" in said and "no folder" in said
    for path in (tmp_path, tmp_path / "new"):
        args = ppo_parity.parser().parse_args(["--results", str(path)])
        assert args.results == path


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        (learning_small, "--seeds x", "argument --seeds: 'x' is not a number"),
        (learning_small, "--seeds 0,0", "argument --seeds: 0 is given twice"),
        (compare_small, "--seeds x --quick", "argument --seeds: 'x' is not a number"),
        (compare_small, "--env_name nope", "argument --env_name: unknown 'nope', "),
        (
            fitness_ways,
            "--seeds 0,-1",
            "argument --seeds: -1 lies outside 0 .. 4294967295",
        ),
        (fitness_ways, "--episodes 0", "argument --episodes: '0' is not positive"),
        (fitness_ways, "--every 0", "argument --every: '0' is not positive"),
        (pbt_vs_random_mnist, "--seeds a", "argument --seeds: 'a' is not a number"),
        (distillation, "--seed -3", "argument --seed: -3 lies outside 0 .. 4294967295"),
        (distillation, "--seed 1,2", "argument --seed: 1,2 are 2 seeds, give one"),
        (distillation, "--most 0", "argument --most: '0' is not positive"),
        (
            schedule_replay,
            "RUN --seed -1",
            "argument --seed: -1 lies outside 0 .. 4294967295",
        ),
        (
            toy_trajectories,
            "a.png --seed 4294967296",
            "argument --seed: 4294967296 lies outside 0 .. 4294967295",
        ),
        (
            arch_search,
            "--seeds 5 5",
            "argument --seeds: none from 5 to before 5, give a larger END",
        ),
        (
            bandit_regret,
            "--seeds 5 5",
            "argument --seeds: none from 5 to before 5, give a larger END",
        ),
        (bandit_regret, "--seeds -1 5", "argument --seeds: -1 lies outside"),
        (bandit_regret, "--rounds 0", "argument --rounds: '0' is not positive"),
        (
            compare_strategies,
            "--seeds 3 2",
            "argument --seeds: none from 3 to before 2, give a larger END",
        ),
        (ppo_parity, "--tasks ant", "argument --tasks: invalid choice: 'ant'"),
        (
            benchmark,
            "population --repeats 0",
            "argument --repeats: '0' is not positive",
        ),
        (benchmark, "size --members 0", "argument --members: '0' is not positive"),
    ],
)
def test_numbers_and_names_are_checked_at_the_parse(module, line, words):
    assert words in refusal(module, *line.split())


def test_seeds_are_distinct_numbers_or_a_range():
    parse = learning_small.parser().parse_args
    assert parse([]).seeds == (0, 1, 2, 3, 4)
    assert parse(["--seeds", "7,0,4294967295"]).seeds == (7, 0, 2**32 - 1)
    parse = arch_search.parser().parse_args
    assert parse([]).seeds == range(20)
    assert parse(["--seeds", "3", "5"]).seeds == range(3, 5)


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.pgf"])
def test_pictures_have_a_suffix_that_can_be_drawn(name, tmp_path):
    for module, *words in (
        [bandit_regret, "--figure"],
        [compare_small, "--figure"],
        [compare_strategies, "--figure"],
        [distillation, "--figure"],
        [pbt_vs_random_mnist, "--figure"],
        [ppo_parity, "--figure"],
        [schedule_replay, "RUN", "--figure"],
        [toy_trajectories],
    ):
        said = refusal(module, *words, tmp_path / name)
        assert f"{tmp_path / name} is no picture" in said
        assert "give a name that ends in .png" in said
        for good in ("a.png", "a.PDF", "a.svg"):
            path = tmp_path / good
            assert module.parser().parse_args([*words, str(path)]).figure == path


# Scripts with tables that go on.
TABLES = {
    bandit_regret: None,
    compare_small: "comparison_ant.csv",
    compare_strategies: "strategies.csv",
}


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has other columns (a, b) than "),
        (
            (ROOT / "docs" / "mnist.csv").read_text(),
            "has other columns (seed, arm, validation, test) than ",
        ),
        ("Notes\n\nsome, and\nmore, and, others\n", "cannot be read as a table"),
        ("", "cannot be read as a table"),
        ("\x89PNG\x00\x1a\n", "give a file that this script wrote, or a new one"),
    ],
)
def test_a_table_of_another_kind_is_refused_and_stays(module, text, words, tmp_path):
    (tmp_path / "t.csv").write_text(text, encoding="latin-1")
    said = refusal(module, "--csv", tmp_path / "t.csv")
    assert f"{tmp_path / 't.csv'} " in said and words in said
    assert "give a file that this script wrote, or a new one" in said
    assert (tmp_path / "t.csv").read_text(encoding="latin-1") == text


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__)
def test_a_table_of_the_same_kind_is_taken(module, tmp_path):
    pd.DataFrame(columns=module.COLUMNS).to_csv(tmp_path / "empty.csv", index=False)
    known = [ROOT / "docs" / TABLES[module]] if TABLES[module] else []
    for path in (tmp_path / "new.csv", tmp_path / "empty.csv", *known):
        assert module.parser().parse_args(["--csv", str(path)]).csv == path


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (compare_strategies, "--seeds 5 6"),
        (compare_strategies, "--seeds 60 70"),  # the default, but given
        (pbt_vs_random_mnist, "--seeds 0"),
        (pbt_vs_random_mnist, "--images 1000000"),
        (pbt_vs_random_mnist, "--problem mnist"),
        (distillation, "--most 1000"),
        (fitness_ways, "--episodes 8"),
        (ppo_parity, "--tasks hopper"),
        (benchmark, "--members 4"),
    ],
)
def test_what_quick_has_of_its_own_cannot_be_given_beside_it(module, line):
    words = line.split()
    name = words[0]
    first = ["size"] if module is benchmark else []
    refused = f"--quick has its own {name[2:]}, leave {name} out"
    assert refusal(module, *first, "--quick", *words).startswith(refused)
    assert refusal(module, *first, *words, "--quick").startswith(refused)
    module.parser().parse_args([*first, *words])  # without --quick it is taken


@pytest.mark.parametrize("module", SCRIPTS, ids=lambda module: module.__name__)
def test_quick_promises_no_seconds(module):
    said = module.parser().format_help().partition("--quick ")[2]
    if said:
        assert "small" in said
        assert "shows that it works, judges nothing" in " ".join(said.split())
    assert "in seconds" not in said


def test_no_flag_is_guessed():
    assert "unrecognized arguments: --seed 3" in refusal(learning_small, "--seed", "3")


def test_quick_takes_its_own_values_and_other_flags():
    args = pbt_vs_random_mnist.parser().parse_args(["--quick", "--save_dir", "runs"])
    assert (args.problem, args.images) == ("digits", 1437)
    assert (args.seeds, args.save_dir) == ((1000, 1001), "runs")
    for module in (learning_small, fitness_ways, compare_small):
        args = module.parser().parse_args(["--quick", "--seeds", "1000"])
        assert args.seeds == (1000,)
