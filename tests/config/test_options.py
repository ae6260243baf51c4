"""The declarations: complete, with the original's defaults; what is not built yet."""

import pytest
from refusals import refusal_of

from bgpbt.config import options as module
from bgpbt.config.errors import NotAvailable
from bgpbt.config.options import Options, available, choices
from bgpbt.registry import ENVIRONMENTS, STRATEGIES
from bgpbt.tasks.ppo.environments import load_environment_file

LATER = [(name, word) for name, words in module.LATER.items() for word in words]


@pytest.mark.parametrize(("name", "word"), LATER)
def test_not_available_yet(name, word):
    with pytest.raises(NotAvailable, match="not available yet") as caught:
        Options(**{name: word})
    assert f"{name} {word}" in str(caught.value) and ", ".join(available(name)) in str(
        caught.value
    )
    assert len(str(caught.value).splitlines()) == 1


def test_all_that_is_missing_is_named_once_the_rest_is_right():
    wanted = {"env_name": "fetch"}
    text = str(refusal_of(**wanted))
    assert all(f"{name} {word}" in text for name, word in wanted.items())
    assert not isinstance(refusal_of(**wanted, pop_size=0), NotAvailable)
    assert not isinstance(refusal_of(**wanted, t_ready=1), NotAvailable)


def test_environments_are_those_of_envs():
    assert sorted(available("env_name")) == sorted(ENVIRONMENTS)
    brax = load_environment_file("brax")
    assert set(available("backend")) == set(brax.BACKENDS)


def test_strategies_are_those_of_the_package():
    assert sorted(available("strategy")) == sorted(STRATEGIES)


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
    assert set(available("env_name")) < set(choices("env_name")) and "toy" in choices(
        "task"
    )
    assert choices("freeze") == ("sampled", "default")
    assert choices("pop_size") == choices("seed") == choices("exp_name") == ()
