"""The commands of the original project mean what they meant there."""

import pytest
from command_lines import options_of

SEEDS = (0, 1, 2, 3, 100, 200, 300)
EARLY = "-tr 1_000_000 -mt 150_000_000 -o bgpbt --seed {seeds} -sm {mode}"
COMMON = "-v -e {env} --pop_size 8 -mp 4 -qf 0.125 -ni 24 -exist overwrite "
ANNEALED = (
    "-tr 5_000_000 -te 1_000_000 -mt 150_000_000 -o bgpbt --seed {seeds} -sm {mode}"
)
ORIGINALS = []
for env in ("ant", "halfcheetah", "fetch", "reacher", "ur5e", "humanoid", "hopper"):
    annealed = env in ("humanoid", "hopper")
    generations = (
        " -td 40_000_000 -de 60_000_000 -md 1" if annealed else " -td 30_000_000"
    )
    for mode in ("both", "hpo"):
        command = (
            COMMON
            + (ANNEALED if annealed else EARLY)
            + (generations if mode == "both" else "")
        )
        for seeds in ("{0,1,2,3,100,200,300}", "0 1 2 3 100 200 300"):
            words = command.format(env=env, mode=mode, seeds=seeds)
            ORIGINALS.append((env, mode, words))


@pytest.mark.parametrize(("mode", "command"), [words[1:] for words in ORIGINALS])
def test_original_commands_run(calls, mode, command):
    options = options_of(calls, command)
    assert calls[-1] == ("run", options) and options.search_mode == mode


@pytest.mark.parametrize(("env", "mode", "command"), ORIGINALS)
def test_original_commands_mean_what_they_meant(calls, env, mode, command):
    options = options_of(calls, command)
    assert (options.env_name, options.search_mode, options.strategy) == (
        env,
        mode,
        "bgpbt",
    )
    assert (options.seed, options.pop_size, options.max_parallel, options.n_init) == (
        SEEDS,
        8,
        4,
        24,
    )
    assert (options.quantile_fraction, options.existing_policy, options.verbose) == (
        0.125,
        "overwrite",
        True,
    )
    annealed = env in ("humanoid", "hopper")
    assert (options.t_ready, options.t_ready_end) == (
        (5_000_000, 1_000_000) if annealed else (1_000_000, None)
    )
    assert options.max_timesteps == 150_000_000
    if mode == "both":
        assert options.t_distillation == (40_000_000 if annealed else 30_000_000)
        assert (options.distill_every, options.max_distillation) == (
            (60_000_000, 1) if annealed else (40_000_000, 2)
        )


def test_commands_are_built_word_for_word():
    command = (
        "-v -e ant --pop_size 8 -mp 4 -qf 0.125 -ni 24 -exist overwrite "
        "-tr 1_000_000 -mt 150_000_000 -o bgpbt --seed {0,1,2,3,100,200,300} "
        "-sm both -td 30_000_000"
    )
    assert ("ant", "both", command) in ORIGINALS and len(ORIGINALS) == 2 * 14
