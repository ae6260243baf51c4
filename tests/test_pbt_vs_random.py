"""The protocol of the comparison on MNIST, check by check, on digits.

What starts alike, what changes, what is tested.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import final_state, same_bits

import bgpbt
from bgpbt.execution.streams import Stream, member_key
from bgpbt.storage.records import with_parent
from bgpbt.tasks.vision import images
from bgpbt.tasks.vision.classification import split
from bgpbt.tasks.vision.learner import BATCH_SIZE
from scripts import pbt_vs_random_mnist as script
from scripts.studies.mnist_figures import draw, schedule_of, summarise

pytestmark = pytest.mark.long
SEED = 1000
LIMITS = {"learning_rate": (1e-5, 1.0), "momentum": (0.1, 0.9999)}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("runs"))
    args = script.parser().parse_args(["--quick", "--save_dir", folder])
    args.seeds = (SEED,)
    training, validation = split(images.load("digits", "train", None))
    return args, training, script.population_task("digits", training, validation)


@pytest.fixture(scope="module")
def runs(setting):
    args, training, task = setting
    return {
        arm: bgpbt.run(script.options_of(arm, args, training), task)
        for arm in script.ARMS
    }


def rows(result, number: int):
    """The records of a round, by member."""
    records = result.records
    own = records[records["round"] == number]
    return own.sort_values("member").reset_index(drop=True)


def test_all_arms_start_alike_and_members_differ(runs):
    """Untrained networks score the same with the same hyperparameters.

    One round trains them alike: batches are the same.
    """
    columns = ["member", "learning_rate", "momentum", "fitness"]
    for number in (0, 1):  # before the first decision
        first = rows(runs["random"], number)[columns]
        for result in runs.values():
            assert rows(result, number)[columns].equals(first)
        assert first["learning_rate"].nunique() == first["momentum"].nunique() == 5


def test_random_search_changes_nothing(runs):
    members = runs["random"].records.groupby("member")
    assert (members[["learning_rate", "momentum"]].nunique() == 1).all(axis=None)


def test_without_a_decision_the_arms_are_the_same_to_the_bit(setting, tmp_path):
    args, training, task = setting
    states = []
    for arm in ("random", "best"):
        options = script.options_of(arm, args, training)
        changes = {"t_ready": 8, "max_timesteps": 8, "save_dir": str(tmp_path)}
        state = final_state(bgpbt.run(options.model_copy(update=changes), task))
        states.append((state.population, state.progress.config))
    assert same_bits(*states)


def changes_of(result):
    """Every round's hyperparameters over those of its parent in the round before."""
    steps = with_parent(result.records)
    steps = steps[steps["round"] > 1]
    ratios = {
        f"{h}_ratio": np.round(steps[h] / steps[f"{h}_before"], 3) for h in LIMITS
    }
    return steps.assign(**ratios)


def test_best_is_copied_by_all_and_each_hyperparameter_moves(runs):
    result = runs["best"]
    for number, group in changes_of(result).groupby("round"):
        before = rows(result, number - 1)
        assert set(group["parent"]) == {before["fitness"].idxmax()}
        moved = group[group["member"] != group["parent"]]
        assert len(moved) == 4
        for h, ends in LIMITS.items():
            values = moved[h].to_numpy()[:, None]
            clipped = np.isclose(values, ends, rtol=1e-3).any(axis=1)
            assert (moved[f"{h}_ratio"].isin([0.8, 1.2]) | clipped).all()


def test_of_truncation_only_the_worst_fifth_changes(runs):
    result = runs["truncation"]
    for number, group in changes_of(result).groupby("round"):
        before = rows(result, number - 1)["fitness"].fillna(-1)
        moved = group[group["member"] != group["parent"]]
        assert len(moved) == 1 and before[moved["member"].iloc[0]] == before.min()
        assert before[moved["parent"].iloc[0]] == before.max()
        stayed = group[group["member"] == group["parent"]]
        assert (stayed[["learning_rate_ratio", "momentum_ratio"]] == 1).all(axis=None)


def test_the_schedule_is_that_of_the_ancestors(runs):
    for result in runs.values():
        lineage, last = schedule_of(result), result.records["round"].max()
        assert lineage["fitness"].iloc[-1] == rows(result, last)["fitness"].max()
        assert len(lineage) == last + 1
        members, parents = lineage["member"].tolist(), lineage["parent"].tolist()
        assert members[:-1] == parents[1:]


def test_retraining_begins_with_the_roots_weights_and_stretches_the_schedule(
    setting, runs
):
    _, training, task = setting
    lineage, seen = schedule_of(runs["truncation"]), []

    def train(key, state, hyperparams, updates, teaching, *, data):
        jax.debug.callback(
            lambda *x: seen.append(tuple(map(float, x))),
            hyperparams["learning_rate"],
            updates,
            ordered=True,
        )
        return state, {}

    state = script.retrain(task._replace(train=train), SEED, lineage, 3)
    jax.effects_barrier()
    minibatches = 3 * (len(training.labels) // BATCH_SIZE)
    number = len(lineage) - 1
    rates, updates = map(np.array, zip(*seen, strict=True))
    ends = [round((n + 1) / number * minibatches) for n in range(number)]
    np.testing.assert_array_equal(updates.cumsum(), ends)
    np.testing.assert_allclose(rates, lineage["learning_rate"].iloc[1:], rtol=1e-6)
    names = ("validation_images", "validation_labels")
    data = {name: jnp.asarray(task.data[name]) for name in names}
    right, _ = task.evaluate(jax.random.PRNGKey(0), state, {}, data=data)
    # The fitness of the untrained root.
    fitness = lineage["fitness"].iloc[0]
    assert float(right.mean()) == pytest.approx(fitness, abs=1e-6)


def test_a_lineage_that_began_afresh_is_retrained_from_the_weights_of_its_beginning(
    setting, runs
):
    """Who started afresh after round n has weights that were drawn with n.

    They are not the untrained ones of its slot.
    """
    task, lineage = setting[2], schedule_of(runs["random"])

    def train(key, state, hyperparams, updates, teaching, *, data):
        return state, {}

    idle = task._replace(train=train)
    late = script.retrain(idle, SEED, lineage[lineage["round"] >= 2], 1)
    member = jnp.int32(lineage["member"].iloc[-1])
    key = member_key(jnp.uint32(SEED), Stream.initialise, jnp.int32(1), member)
    assert same_bits(late.params, jax.jit(task.init)(key, {}).params)
    assert not same_bits(late.params, script.retrain(idle, SEED, lineage, 1).params)


@pytest.mark.parametrize("number", ["-1000", "159"])
def test_too_few_images_are_refused(number, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "prepare_jax", lambda options: None)
    folder = tmp_path / "runs"
    flags = ["--problem", "digits", "--images", number, "--save_dir", str(folder)]
    assert script.main(flags) == 2
    said = capsys.readouterr().err
    assert f"images: {number} give no minibatch to every half epoch" in said
    assert "give at least 160" in said
    assert not folder.exists()


def test_the_test_images_come_last(setting, runs, monkeypatch, tmp_path):
    """They are read once, when every network has been retrained."""
    order, sizes = [], []
    load, retrain = images.load, script.retrain

    def load_and_note(name, part, folder):
        order.append(part)
        return load(name, part, folder)

    def retrain_and_note(task, *rest):
        order.append("retrain")
        sizes.append(len(task.data["labels"]))
        return retrain(task, *rest)

    monkeypatch.setattr(images, "load", load_and_note)
    monkeypatch.setattr(script, "retrain", retrain_and_note)
    monkeypatch.setattr(script, "prepare_jax", lambda options: None)
    table, first = script.study(setting[0])  # the runs are finished and only read
    assert order == ["train", *["retrain"] * 3, "test"]
    assert sizes == [1437] * 3  # the validation images included
    assert set(table["arm"]) == set(script.ARMS) and table["test"].between(0, 1).all()
    assert (table["failures"] == 0).all() and table["finite"].all()
    draw(first, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    figures = {f.name: f.value for f in summarise(table, script.ARMS)}
    test = table.set_index("arm")["test"]
    difference = test["best"] - test["random"]
    assert figures["best less random, test"] == pytest.approx(difference)
