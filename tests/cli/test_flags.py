"""Every flag reaches Options."""

import pytest
from command_lines import options_of

from bgpbt.cli.parser import flags
from bgpbt.config.options import Options, choices

SAMPLES = {  # what is typed after the flag, and what it means
    "task": ("/own.py:task", "/own.py:task"),
    "env_name": ("hopper", "hopper"),
    "backend": ("generalized", "generalized"),
    "alg_name": ("adam", "adam"),
    "design_layers": ("6", 6),
    "designs": ("branches", "branches"),
    "move_factor": ("0.1", 0.1),
    "density_weight": ("8", 8.0),
    "flops_weight": ("0.5", 0.5),
    "design_steps": ("20", 20),
    "exploration_steps": ("500", 500),
    "quirks": ("reference", "reference"),
    "evaluate_only": ("greedy", "greedy"),
    "init_from": ("runs/a/seed_0", "runs/a/seed_0"),
    "init_members": ("all", "all"),
    "init_moments": ("", True),
    "reward_table": ("rewards.npz", "rewards.npz"),
    "database": ("all.csv", "all.csv"),
    "image_side": ("28", 28),
    "max_images": ("1_000", 1000),
    "filters": ("8", 8),
    "norm": ("batch", "batch"),
    "dense_units": ("64", 64),
    "epochs": ("5", 5),
    "child_batch_size": ("64", 64),
    "child_learning_rate": ("0.01", 0.01),
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
    "categories": ("mult", "mult"),
    "interval": ("4", 4),
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
    "space": ("rate=1:2 kind=a,b", {"rate": "1:2", "kind": "a,b"}),
    "fix": ("rate=1", {"rate": "1"}),
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
    "recurrent": ("", True),
    "recurrent_units": ("64", 64),
    "normalize_advantage": ("", False),
    "fitness": ("training", "training"),
    "objective": ("success", "success"),
    "eval_episodes": ("3", 3),
    "report_episodes": ("200", 200),
    "report_every": ("5", 5),
    "save_every": ("5", 5),
    "keep": ("3", 3),
    "minimise": ("", True),
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
    "tensorboard": ("", True),
    "verbose": ("", True),
}
FLAGS = [(name, flag) for name in Options.model_fields for flag in flags(name)]


def test_samples_are_complete():
    assert set(SAMPLES) == set(Options.model_fields)
    for name, (_, value) in SAMPLES.items():
        assert value != Options().model_dump()[name] or len(choices(name)) == 1


@pytest.mark.parametrize(("name", "flag"), FLAGS, ids=[flag for _, flag in FLAGS])
def test_every_flag_reaches_options(calls, name, flag):
    text, value = SAMPLES[name]
    options = options_of(calls, f"{flag} {text}")
    assert getattr(options, name) == value
    changed = {
        n
        for n, v in options.model_dump().items()
        if v != Options(task=options.task).model_dump()[n]
    }
    assert changed <= {name}


def test_flags_are_those_of_the_original():
    flags = {flag for _, flag in FLAGS}
    short = "-e -sm -a -ps -mp -n -ni -tr -te -td -de -mt -md -qf -v -exist -o -b"
    long = (
        "--env_name --search_mode --alg_name --pop_size --max_parallel --exp_name "
        "--n_init --t_ready --t_ready_end --t_distillation --distill_every --patience "
        "--max_timesteps --max_distillation --seed --quantile_fraction --verbose "
        "--existing_policy --arch_policy --strategy --optimizer --freeze --backend "
        "--num_envs --policy_layers --value_layers --save_dir --no_cache --no_render "
        "--no_normalize_advantage"
    )
    assert set(short.split()) | set(long.split()) <= flags
    assert len(FLAGS) == len(flags)


def test_freeze_alone_and_with_a_word(calls):
    assert options_of(calls, "--freeze").freeze == "sampled"
    assert options_of(calls, "--freeze -ps 4 -qf 0.25").freeze == "sampled"
    assert options_of(calls, "--freeze default").freeze == "default"


@pytest.mark.parametrize("seeds", ["0 1 2", "0,1,2", "{0,1,2}"])
def test_seeds_in_any_place(calls, seeds):
    assert options_of(calls, f"-v --seed {seeds}").seed == (0, 1, 2)
    assert options_of(calls, f"--seed {seeds} -e hopper").env_name == "hopper"


def test_long_flags_take_an_equals_sign(calls):
    assert options_of(calls, "--pop_size=16 --seed=3").pop_size == 16


def test_config_file_and_flags_in_any_order(calls, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "env_name: hopper\npop_size: 16\n", encoding="utf-8"
    )
    for line in ("-c mine.yaml -ps 32", "-ps 32 --config mine.yaml"):
        options = options_of(calls, line)
        assert (options.env_name, options.pop_size) == ("hopper", 32)
    assert options_of(calls, "-c mine.yaml -e reacher").action_repeat == 4


def test_saved_settings_repeat_the_run(calls, tmp_path):
    options = options_of(
        calls,
        "-e reacher -ps 4 -qf 0.25 --seed 5 6 --no_render --value_layers 64,64 -tr 2e6",
    )
    (tmp_path / "options.yaml").write_text(options.to_yaml())
    assert options_of(calls, "-c options.yaml") == options
