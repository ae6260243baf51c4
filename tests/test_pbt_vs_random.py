"""The protocol of the comparison on MNIST, check by check, on digits: what starts alike, what changes, what is tested."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import final_state, same_bits

import bgpbt
from bgpbt.population import Purpose, member_key
from bgpbt.records import with_parent
from bgpbt.tasks import images
from bgpbt.tasks.classification import BATCH, split
from scripts import pbt_vs_random_mnist as script

pytestmark = pytest.mark.long
SEED = 1000
LIMITS = {"learning_rate": (1e-5, 1.0), "momentum": (0.1, 0.9999)}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    args = script.parser().parse_args(["--quick", "--save_dir", str(tmp_path_factory.mktemp("runs"))])
    args.seeds = (SEED,)
    training, judged = split(images.load("digits", "train", None))
    return args, training, script.population_task("digits", training, judged)


@pytest.fixture(scope="module")
def runs(setting):
    args, training, task = setting
    return {arm: bgpbt.run(script.options_of(arm, args, training), task) for arm in script.ARMS}


def rows(result, number: int):
    found = result.records
    return found[found["round"] == number].sort_values("member").reset_index(drop=True)


def test_all_arms_start_alike_and_members_differ(runs):
    """Untrained networks score the same with the same hyperparameters, and one round trains them alike: batches are the same."""
    columns = ["member", "learning_rate", "momentum", "fitness"]
    for number in (0, 1):  # before the first decision
        first = rows(runs["random"], number)[columns]
        assert all(rows(result, number)[columns].equals(first) for result in runs.values())
        assert first["learning_rate"].nunique() == first["momentum"].nunique() == 5


def test_random_search_changes_nothing(runs):
    assert runs["random"].records.groupby("member")[["learning_rate", "momentum"]].nunique().max().max() == 1


def test_without_a_decision_the_arms_are_the_same_to_the_bit(setting, tmp_path):
    args, training, task = setting
    whole = []
    for arm in ("random", "best"):
        options = script.options_of(arm, args, training)
        changes = {"t_ready": 8, "max_timesteps": 8, "save_dir": str(tmp_path)}
        state = final_state(bgpbt.run(options.model_copy(update=changes), task))
        whole.append((state.population, state.progress.config))
    assert same_bits(*whole)


def changes_of(result):
    """Every round's hyperparameters over those of its parent in the round before."""
    steps = with_parent(result.records)
    steps = steps[steps["round"] > 1]
    return steps.assign(**{f"{h}_ratio": np.round(steps[h] / steps[f"{h}_before"], 3) for h in LIMITS})


def test_best_is_copied_by_all_and_each_hyperparameter_moves(runs):
    result = runs["best"]
    for number, group in changes_of(result).groupby("round"):
        before = rows(result, number - 1)
        assert set(group["parent"]) == {before["fitness"].idxmax()}
        moved = group[group["member"] != group["parent"]]
        assert len(moved) == 4
        for h, ends in LIMITS.items():
            clipped = np.isclose(moved[h], ends[0], rtol=1e-3) | np.isclose(moved[h], ends[1], rtol=1e-3)
            assert (moved[f"{h}_ratio"].isin([0.8, 1.2]) | clipped).all()


def test_of_truncation_only_the_worst_fifth_changes(runs):
    result = runs["truncation"]
    for number, group in changes_of(result).groupby("round"):
        before = rows(result, number - 1)["fitness"].fillna(-1)
        moved = group[group["member"] != group["parent"]]
        assert len(moved) == 1 and before[moved["member"].iloc[0]] == before.min()
        assert before[moved["parent"].iloc[0]] == before.max()
        kept = group[group["member"] == group["parent"]]
        assert (kept[["learning_rate_ratio", "momentum_ratio"]] == 1).all(axis=None)


def test_the_schedule_is_that_of_the_ancestors(runs):
    for result in runs.values():
        lineage, last = script.schedule_of(result), result.records["round"].max()
        assert lineage["fitness"].iloc[-1] == rows(result, last)["fitness"].max() and len(lineage) == last + 1
        assert lineage["member"].iloc[:-1].tolist() == lineage["parent"].iloc[1:].tolist()


def test_retraining_begins_with_the_roots_weights_and_stretches_the_schedule(setting, runs):
    _, training, task = setting
    lineage, seen = script.schedule_of(runs["truncation"]), []

    def train(key, state, h, updates, extra, *, data):
        jax.debug.callback(lambda *x: seen.append(tuple(map(float, x))), h["learning_rate"], updates, ordered=True)
        return state, {}

    state = script.retrain(task._replace(train=train), SEED, lineage, 3)
    jax.effects_barrier()
    batches, number = 3 * (len(training.labels) // BATCH), len(lineage) - 1
    rates, updates = map(np.array, zip(*seen, strict=True))
    np.testing.assert_array_equal(updates.cumsum(), [round((n + 1) / number * batches) for n in range(number)])
    np.testing.assert_allclose(rates, lineage["learning_rate"].iloc[1:], rtol=1e-6)
    data = {name: jnp.asarray(task.data[name]) for name in ("judged", "answers")}
    right, _ = task.evaluate(jax.random.PRNGKey(0), state, {}, data=data)
    assert float(right.mean()) == pytest.approx(lineage["fitness"].iloc[0], abs=1e-6)  # that of the untrained root


def test_a_lineage_that_began_afresh_is_retrained_from_the_weights_of_its_beginning(setting, runs):
    """Who started afresh after round n has weights that were drawn with n, not the untrained ones of its slot."""
    task, lineage = setting[2], script.schedule_of(runs["random"])
    idle = task._replace(train=lambda key, state, h, updates, extra, *, data: (state, {}))
    late = script.retrain(idle, SEED, lineage[lineage["round"] >= 2], 1)
    key = member_key(jnp.uint32(SEED), Purpose.initialise, jnp.int32(1), jnp.int32(lineage["member"].iloc[-1]))
    assert same_bits(late.params, jax.jit(task.init)(key, {}).params)
    assert not same_bits(late.params, script.retrain(idle, SEED, lineage, 1).params)


@pytest.mark.parametrize("number", ["-1000", "159"])
def test_too_few_images_are_refused(number, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script.command_line, "prepare_jax", lambda options: None)
    assert script.main(["--problem", "digits", "--images", number, "--save_dir", str(tmp_path / "runs")]) == 2
    assert f"images: {number} give no minibatch to every half epoch, give at least 160" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_test_images_come_last(setting, runs, monkeypatch, tmp_path):
    """They are read once, when every network has been retrained."""
    args, order, load, retrain = setting[0], [], images.load, script.retrain
    monkeypatch.setattr(images, "load", lambda name, part, folder: order.append(part) or load(name, part, folder))
    sizes = []
    monkeypatch.setattr(
        script, "retrain", lambda *given: order.append("retrain") or sizes.append(len(given[0].data["labels"])) or retrain(*given)
    )
    monkeypatch.setattr(script.command_line, "prepare_jax", lambda options: None)
    found, first = script.study(args)  # the runs are finished and only read
    assert order == ["train", *["retrain"] * 3, "test"] and sizes == [1437] * 3  # the validation images included
    assert set(found["arm"]) == set(script.ARMS) and found["test"].between(0, 1).all()
    assert (found["failures"] == 0).all() and found["finite"].all()
    script.draw(first, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    figures = {f.name: f.value for f in script.summarise(found)}
    wide = found.set_index("arm")["test"]
    assert figures["best less random, test"] == pytest.approx(wide["best"] - wide["random"])
