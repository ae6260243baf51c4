"""Values that must fit each other."""

import pytest
from refusals import refusal_of

from bgpbt.config.options import Options


def test_population_of_one():
    assert "at least 2, or -o random" in str(refusal_of(pop_size=1))
    assert Options(pop_size=1, strategy="random").candidates == 1


def test_weights_of_another_run():
    assert "give reported" in str(
        refusal_of(init_from="x", init_members="all", strategy="bgpbt")
    )
    assert Options(init_from="x", init_members="all").init_members == "all"


def test_memory_and_searched_architectures():
    for mode in ("nas", "both"):
        text = str(refusal_of(recurrent=True, search_mode=mode))
        assert text == (
            f"recurrent: with search_mode {mode} networks have no memory, give -sm hpo"
        )
    assert Options(recurrent=True, search_mode="both", task="toy").recurrent


def test_sizes_of_designs():
    for name, value in (("image_side", 4), ("design_steps", 1e10), ("filters", 1e6)):
        assert name in str(refusal_of(**{name: value}))


def test_candidates():
    assert Options().candidates == 8
    assert Options(pop_size=8, n_init=8).candidates == 8
    assert Options(n_init=24).candidates == 24
    assert "n_init: 7 is below pop_size 8" in str(refusal_of(n_init=7))
    assert "successive halving" in str(refusal_of(strategy="random", n_init=9))
    assert Options(strategy="random", n_init=8).candidates == 8


def test_what_is_frozen_cannot_travel():
    assert "inherit: with freeze only weights travel" in str(
        refusal_of(freeze="sampled", inherit="hyperparameters")
    )
    assert Options(freeze="sampled", inherit="weights").freeze == "sampled"


def test_candidates_of_bgpbt():
    assert Options(strategy="bgpbt").candidates == 24
    assert Options(strategy="bgpbt", pop_size=32).candidates == 32
    assert Options(strategy="bgpbt", n_init=9).candidates == 9


@pytest.mark.parametrize(
    ("given", "right"), [(33, "32 or 64"), (31, "give 32"), (2047, "2016 or 2048")]
)
def test_num_envs_is_a_multiple_of_32(given, right):
    assert right in str(refusal_of(num_envs=given))


@pytest.mark.parametrize("name", ["t_ready", "t_ready_end"])
def test_smallest_round(name):
    least = 15 * 64 * 4
    assert f"{name}: " in (
        text := str(refusal_of(num_envs=64, action_repeat=4, **{name: least - 1}))
    )
    assert text.endswith(f"at least {least}")
    assert (
        getattr(Options(num_envs=64, action_repeat=4, **{name: least}), name) == least
    )


def test_budget():
    assert "t_ready_end: 1000001 is above" in str(refusal_of(t_ready_end=1_000_001))
    assert Options(t_ready_end=1_000_000).t_ready_end == 1_000_000
    assert "max_timesteps: 999999 is less than one round" in str(
        refusal_of(max_timesteps=999_999)
    )
    assert Options(max_timesteps=1_000_000).max_timesteps == 1_000_000


def test_devices_share_the_population():
    assert Options(devices=4).devices == 4
    assert "divisor of 8" in str(refusal_of(devices=3))


def test_t_ready_anneals_linearly():
    options = Options(
        t_ready=5_000_000, t_ready_end=1_000_000, max_timesteps=150_000_000
    )
    schedule = options.schedule(1)
    starts = (0, 75_000_000, 150_000_000, 160_000_000)
    steps = [schedule.round_steps(start) for start in starts]
    assert steps == [5_000_000, 3_000_000, 1_000_000, 1_000_000]
    assert schedule.round_steps(1_000_000) == int(5_000_000 - 4_000_000 / 150)
    assert Options().schedule(1).round_steps(149_000_000) == 1_000_000
