"""The declarations: complete, with the original's defaults."""

import pytest

from bgpbt.config.options import Options, choices
from bgpbt.tasks.ppo.environments import load_environment_file


def test_engines_are_those_of_brax_and_of_playground():
    brax = load_environment_file("brax")
    assert set(choices("backend")) == {*brax.BACKENDS, "warp"}


def test_every_setting_is_declared_in_full():
    flags = []
    for field in Options.model_fields.values():
        assert field.description and field.json_schema_extra["group"]
        flags += field.json_schema_extra["flags"]
    assert len(set(flags)) == len(flags) and "-c" not in flags


def test_defaults_are_the_originals():
    options = Options()
    assert (
        options.env_name,
        options.pop_size,
        options.quantile_fraction,
        options.seed,
    ) == ("ant", 8, 0.125, (0,))
    assert (options.t_ready, options.t_ready_end, options.max_timesteps) == (
        1_000_000,
        None,
        150_000_000,
    )
    assert (options.t_distillation, options.distill_every, options.patience) == (
        30_000_000,
        40_000_000,
        20,
    )
    assert (options.max_distillation, options.arch_policy, options.existing_policy) == (
        2,
        "search",
        "resume",
    )
    assert (options.policy_layers, options.value_layers) == ((32,) * 4, (256,) * 5)
    # The defaults pass their own checks.
    assert Options(**options.model_dump()) == options


def test_options_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Options().pop_size = 4


def test_choices():
    assert choices("arch_policy") == ("random", "search")
    assert "toy" in choices("task")
    assert choices("freeze") == ("sampled", "default")
    assert choices("pop_size") == choices("seed") == choices("exp_name") == ()
