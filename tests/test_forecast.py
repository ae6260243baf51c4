"""What a dry run says, and that it writes nothing."""

import pytest
from toy_runs import ROUND, P, run_options

import bgpbt
from bgpbt.assembly.parts import make_plan, make_task
from bgpbt.config.loading import load_options
from bgpbt.forecast import forecast_rounds
from bgpbt.storage.places import run_folder
from bgpbt.storage.schema import SCHEMA
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take


def test_a_dry_run_says_what_becomes_of_every_folder_and_writes_nothing(tmp_path):
    settings = run_options(tmp_path, seed=(0, 1))
    begun, nothing = (RunStore(run_folder(settings, seed)) for seed in settings.seed)
    take(begun, settings, {"schema": SCHEMA})
    (begun.checkpoints / "round_000003").mkdir()
    before = sorted(tmp_path.rglob("*"))
    text = bgpbt.dry_run(settings)
    assert f"resume: the run in {begun.path} (round 3)" in text
    assert f"nothing to resume, new run in {nothing.path}" in text
    text = bgpbt.dry_run(settings.model_copy(update={"existing_policy": "overwrite"}))
    assert f"overwrite: the run in {begun.path} (round 3) is removed" in text
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (54, "1 after the first, with"),
        (53, "0 after the first: no distillation would end"),
    ],
)
def test_a_dry_run_says_why_no_generation_follows(tmp_path, steps, line):
    values = {
        "task": "classification",
        "search_mode": "nas",
        "pop_size": 4,
        "t_ready": 18,
        "save_dir": str(tmp_path),
    }
    distillation = {"t_distillation": 35, "distill_every": 1, "max_distillation": 1}
    assert f"generations                {line}" in bgpbt.dry_run(
        load_options(values | distillation | {"max_timesteps": steps})
    )


@pytest.mark.parametrize("candidates", [4, 5])
@pytest.mark.parametrize("steps", [2_879, 2_880, 2_881, 3_359, 3_360, 3_361])
def test_too_short_is_what_the_rounds_say(tmp_path, candidates, steps):
    """Rounds and distillations are whole updates, of 480 steps here.

    700 are 480, 2,500 are 2,400.
    """
    values = {
        "env_name": "inverted_pendulum",
        "num_envs": 32,
        "pop_size": P,
        "quantile_fraction": 0.25,
        "search_mode": "both",
        "arch_space": "small",
        "n_init": candidates,
        "t_ready": 700,
        "max_timesteps": steps,
        "t_distillation": 2_500,
        "distill_every": 1,
        "max_distillation": 1,
        "save_dir": str(tmp_path),
    }
    options = load_options(values)
    task = make_task(options)
    *_, last = forecast_rounds(make_plan(options, task), task)
    assert options.too_short == (last.generation == 0)


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (960, "1 after the first, with a distillation each"),
        (10**9, "0 after the first: no distillation would end within max_timesteps"),
    ],
)
def test_a_distillation_that_can_never_fit_is_said(tmp_path, steps, line):
    """`-td` beyond `max_timesteps` is valid, but has no effect."""
    changes = {
        "strategy": "bgpbt",
        "search_mode": "both",
        "arch_space": "small",
        "n_init": 4,
        "t_distillation": steps,
        "distill_every": ROUND,
        "max_distillation": 1,
        "max_timesteps": 4_800,
    }
    text = bgpbt.dry_run(run_options(tmp_path, **changes))
    assert f"generations                {line}" in text
    assert ("distil)" in text) == (steps == 960)


def test_a_dry_run_says_what_is_fixed_and_at_what(tmp_path):
    toy = {"task": "toy", "t_ready": 40, "max_timesteps": 80}
    settings = run_options(tmp_path, **toy)
    assert "fixed" not in bgpbt.dry_run(settings)
    first = next(iter(make_task(settings).space))
    fixed = settings.model_copy(update={"fix": {first: "0.25"}})
    lines = bgpbt.dry_run(fixed).splitlines()
    (place,) = [i for i, line in enumerate(lines) if line.startswith("fixed ")]
    assert lines[place + 1].split() == [first, "0.25"]
    assert sum(line.startswith(f"{first} ") for line in lines) == 1


@pytest.mark.parametrize("fitness", ["evaluation", "training"])
def test_the_final_report_is_made_of_whole_evaluations(tmp_path, fitness):
    """33 episodes of 10 steps in calls of 4 members with 2 each: 40, for two members.

    Episodes that end in training are no part of it.
    """
    changes = {"env_name": "goal", "objective": "success", "episode_length": 10}
    options = run_options(
        tmp_path, fitness=fitness, eval_episodes=2, report_episodes=33, **changes
    )
    line = f"{'report':27}at most 800 environment steps, not counted"
    assert line in bgpbt.dry_run(options)
    # Rounds 2 and 4 of five have a call each.
    watched = options.model_copy(update={"report_every": 2})
    assert line.replace("800", "960") in bgpbt.dry_run(watched)
