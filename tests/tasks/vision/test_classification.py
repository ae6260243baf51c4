"""Classification: what members see, what they are ranked on, that they learn.

Also how networks of searched operations inherit.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import final_state, play, same_bits

from bgpbt import space as spaces
from bgpbt.api import make_strategy, make_task
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout
from bgpbt.execution.programs import make_programs
from bgpbt.networks.convolutional import OPERATIONS, Conv, Searched, max_pool_2x2
from bgpbt.tasks.vision import classification, images, learner
from bgpbt.tasks.vision.classifier import classifier
from bgpbt.types import Distillation
from scripts.benchmarks.cases import random_trainer
from scripts.benchmarks.one_network import Alone

KEY = jax.random.PRNGKey(0)


@pytest.fixture(scope="module")
def task():
    return classification.classification(Options(task="classification", alg_name="sgd"))


@pytest.fixture(scope="module")
def searched():
    return classification.classification(
        Options(task="classification", alg_name="sgd", search_mode="both")
    )


@pytest.fixture(scope="module")
def searched_alone():
    return classification.classification(
        Options(task="classification", alg_name="sgd", search_mode="nas")
    )


def values(task, **changes):
    return {
        name: jnp.asarray(x)
        for name, x in (spaces.defaults(task.space) | changes).items()
    }


def data_of(task):
    return jax.tree.map(jnp.asarray, task.data)


@pytest.mark.long
def test_the_benchmark_trains_the_same_networks(task):
    """Alone, a member has the weights that it has in a population, up to rounding."""
    population = random_trainer(make_programs(task, 2, choose_layout(2)), task, 2, 0)
    alone = Alone(task, population.config)
    population.train(3)
    alone.train(3)
    for member, theirs in enumerate(alone.params):
        ours = jax.tree.map(
            lambda x, member=member: x[member], population.population.params
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            ours,
            theirs,
        )


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_convolution_as_a_product_is_a_convolution(size, padding):
    """The same weights, outputs and slopes as Flax's own."""
    x = jax.random.normal(KEY, (3, 9, 8, 2))
    ours, theirs = (
        layer(7, (size, size), padding=padding) for layer in (Conv, nn.Conv)
    )
    params = ours.init(KEY, x)
    assert same_bits(params, theirs.init(KEY, x))
    np.testing.assert_allclose(
        ours.apply(params, x), theirs.apply(params, x), atol=1e-5
    )
    slopes = [
        jax.grad(lambda p, x, net=net: (net.apply(p, x) ** 2).sum(), argnums=(0, 1))(
            params, x
        )
        for net in (ours, theirs)
    ]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), *slopes
    )


@pytest.mark.parametrize("shape", [(3, 8, 6, 2), (3, 7, 7, 2)])
def test_max_pool_2x2_is_max_pooling(shape):
    x = jax.random.normal(KEY, shape)
    weight = jax.random.normal(KEY, (3, shape[1] // 2, shape[2] // 2, 2))
    pools = (max_pool_2x2, lambda x: nn.max_pool(x, (2, 2), (2, 2)))
    assert same_bits(*(pool(x) for pool in pools))
    np.testing.assert_array_equal(
        *(jax.grad(lambda x, pool=pool: (pool(x) * weight).sum())(x) for pool in pools)
    )


def test_a_fifth_is_kept_and_the_split_never_changes():
    labelled = images.load("digits", "train", None)
    training, validation = classification.split(labelled)
    again = classification.split(labelled)
    assert (len(training.labels), len(validation.labels)) == (1157, 280)
    assert all(
        np.array_equal(a, b)
        for pair in zip((training, validation), again, strict=True)
        for a, b in zip(*pair, strict=True)
    )
    rows = sorted(x.tobytes() for part in (training, validation) for x in part.images)
    assert rows == sorted(x.tobytes() for x in labelled.images)


def test_images_that_cannot_be_used_are_refused_before_anything_is_trained(tmp_path):
    pixels = np.zeros((74, 28, 28), np.uint8)
    labels = np.zeros(74, np.uint8)
    tested = {"x_test": pixels[:10], "y_test": labels[:10]}
    options = Options(
        task="classification", alg_name="sgd", problem="mnist", data_dir=str(tmp_path)
    )
    for number in (40, 73):
        np.savez(
            tmp_path / "mnist.npz",
            x_train=pixels[:number],
            y_train=labels[:number],
            **tested,
        )
        with pytest.raises(
            BadInput,
            match=f"{number} training images give no minibatch, give at least 74",
        ):
            classification.classification(options)
    for tested, problem in {
        (9, 9): "9 images cannot be tested on, give at least 10",
        (20, 10): r"uint8 images of shape \(20, 28, 28\), 10 labels",
    }.items():
        images_, labels_ = (
            x[:number] for x, number in zip((pixels, labels), tested, strict=True)
        )
        np.savez(
            tmp_path / "mnist.npz",
            x_train=pixels,
            y_train=labels,
            x_test=images_,
            y_test=labels_,
        )
        with pytest.raises(BadInput, match=problem):
            classification.classification(options)


def test_every_image_once_an_epoch_and_the_same_for_all(task):
    """Where a member is in the data is its own clock, whatever its key.

    After 18 minibatches the next order begins.
    """
    orders = task.data["orders"]
    assert (
        all(sorted(order) == list(range(1157)) for order in orders[:3].tolist())
        and (orders[0] != orders[1]).any()
    )
    data = data_of(task)
    h = values(task)
    blind = data | {"images": data["images"] * 0}  # only the labels say what was seen
    state = jax.jit(task.init)(KEY, h)
    train = jax.jit(task.train)
    first = train(KEY, state, h, 18, (), data=blind)[0]
    assert int(first.env_state["step"]) == 18
    later = blind | {"labels": blind["labels"].at[orders[1][:64]].set(0)}
    assert not same_bits(
        train(KEY, first, h, 1, (), data=later)[0].params,
        train(KEY, first, h, 1, (), data=blind)[0].params,
    )
    later = blind | {"labels": blind["labels"].at[orders[1][64:]].set(0)}
    assert same_bits(
        train(KEY, first, h, 1, (), data=later)[0].params,
        train(KEY, first, h, 1, (), data=blind)[0].params,
    )


def test_the_test_images_are_loaded_for_the_report_alone(tmp_path, monkeypatch):
    parts = []
    load = images.load
    monkeypatch.setattr(
        images,
        "load",
        lambda name, part, folder: parts.append(part) or load(name, part, folder),
    )
    values = {
        "task": "classification",
        "pop_size": 2,
        "strategy": "random",
        "max_timesteps": 54,
        "save_dir": str(tmp_path),
    }
    options = load_options(values | {"freeze": "default"})
    task = make_task(options)
    asked = []
    guarded = task._replace(
        test_data=lambda: (
            asked.append(len(list(tmp_path.rglob("round_*")))) or task.test_data()
        )
    )
    result = play(options, guarded, make_strategy(options, task))
    assert (
        parts == ["train", "test"] and len(asked) == 1 and asked[0] >= 2
    )  # all rounds were over
    assert (
        result.report["unseen"]
        and result.report["episodes"] == learner.EVALUATION_PARTS
    )
    task.test_data()  # as for every report during a run
    assert parts == ["train", "test"]
    state = final_state(result)
    test = images.load("digits", "test", None)
    h = spaces.decode(task.space, jnp.asarray(state.best.config))
    right, _ = task.evaluate(
        KEY,
        state.best.state,
        h,
        data={
            "validation_images": jnp.asarray(test.images),
            "validation_labels": jnp.asarray(test.labels),
        },
    )
    assert (
        result.report["mean"] == pytest.approx(float(right.mean()), abs=1e-6)
        and result.report["mean"] > 0.3
    )
    assert (
        play(options, guarded, make_strategy(options, task)).report == result.report
        and len(asked) == 1
    )  # finished: only drawn


@pytest.mark.parametrize("algorithm", ["sgd", "adam"])
def test_it_learns(algorithm):
    task = classification.classification(
        Options(task="classification", alg_name=algorithm)
    )
    h = values(task, learning_rate=0.05 if algorithm == "sgd" else 3e-3)
    state = jax.jit(task.init)(KEY, h)
    data = data_of(task)
    before, steps = task.evaluate(KEY, state, h, data=data)
    after, _ = task.evaluate(
        KEY, jax.jit(task.train)(KEY, state, h, 180, (), data=data)[0], h, data=data
    )
    assert (
        before.shape == (learner.EVALUATION_PARTS,)
        and float(before.mean()) < 0.3
        and float(after.mean()) > 0.9
    )
    assert int(steps) == task.evaluation_steps == 5


def test_momentum_and_rate_act(task):
    state = jax.jit(task.init)(KEY, values(task))
    data = data_of(task)
    train = jax.jit(task.train)

    def run(**changes):
        h = values(task, **changes)
        return train(KEY, state, h, 5, (), data=data)[0].params

    assert not same_bits(run(momentum=0.5), run(momentum=0.6)) and not same_bits(
        run(learning_rate=0.1), run(learning_rate=0.2)
    )
    assert same_bits(run(learning_rate=0.0), state.params)


def test_the_network_of_the_old_example_has_its_size(tmp_path):
    pixels = np.zeros((200, 28, 28, 1), np.uint8)
    blank = images.Images(pixels, np.zeros(200, np.int32))
    task = classifier("blank", blank, blank, test_data=lambda: blank)
    state = jax.eval_shape(task.init, KEY, values(task))
    assert sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params)) == 21_840
    assert task.blocks == ("conv1", "conv2", "dense1", "dense2")


def test_operations_are_chosen_not_mixed(searched):
    """Each operation gives another network.

    The weights of operations that are not chosen do not matter.
    """
    h = values(searched)
    state = jax.jit(searched.init)(KEY, h)
    x = jax.random.normal(KEY, (3, 8, 8, 1))
    logits = jax.jit(
        lambda params, op: Searched().apply(
            {"params": params}, x, h | {"cell1_op1": op}, train=False
        )
    )
    outs = [np.asarray(logits(state.params, index)) for index in range(len(OPERATIONS))]
    assert all(not np.array_equal(outs[i], outs[j]) for i in range(6) for j in range(i))
    kernel = state.params["cell1"]["edge1_conv5"]["kernel"]
    cell = state.params["cell1"] | {
        "edge1_conv5": state.params["cell1"]["edge1_conv5"] | {"kernel": kernel + 1}
    }
    changed = state.params | {"cell1": cell}
    same = [
        np.array_equal(np.asarray(logits(changed, index)), outs[index])
        for index in range(len(OPERATIONS))
    ]
    assert same == [operation != "conv5" for operation in OPERATIONS]
    assert [dim.group for dim in list(searched.space.values())[2:]] == [
        "cell1",
        "cell1",
        "cell2",
        "cell2",
    ]


@pytest.mark.long
def test_a_student_comes_nearer_to_its_teacher(searched):
    data = data_of(searched)
    h = values(searched, learning_rate=0.05)
    teacher = jax.jit(searched.init)(KEY, h)
    # So that it has opinions.
    head = {name: 5 * x for name, x in teacher.params["head"].items()}
    teacher = teacher._replace(params=teacher.params | {"head": head})
    other = h | {"cell1_op1": jnp.asarray(4), "cell2_op2": jnp.asarray(1)}
    state = jax.jit(searched.init)(jax.random.PRNGKey(1), other)
    config = jnp.asarray(
        spaces.encode(searched.space, {name: float(x) for name, x in h.items()}),
        jnp.float32,
    )
    teaching = Distillation(
        teacher._replace(env_state=()), config, jnp.float32(0), jnp.float32(1000), h
    )
    pixels = searched.data["images"]
    x = jnp.asarray(
        (searched.data["validation_images"][:100] - pixels.mean()) / pixels.std(),
        jnp.float32,
    )

    apply = jax.jit(
        lambda params, h: Searched().apply({"params": params}, x, h, train=False)
    )

    def divergence(student):
        p = jax.nn.log_softmax(apply(teacher.params, h))
        q = jax.nn.log_softmax(apply(student.params, other))
        return float((jnp.exp(p) * (p - q)).sum(axis=1).mean())

    taught = jax.jit(searched.train)(KEY, state, other, 60, teaching, data=data)[0]
    assert divergence(taught) < 0.5 * divergence(state)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["pbtnas", "mutation", "bgpbt"])
def test_architectures_are_searched(tmp_path, compile_once, searched_alone, strategy):
    values = {
        "task": "classification",
        "strategy": strategy,
        "search_mode": "nas",
        "pop_size": 8,
        "n_init": 8,
    }
    values |= {
        "quantile_fraction": 0.25,
        "t_ready": 4,
        "max_timesteps": 12,
        "max_distillation": 0,
        "devices": 2,
    }
    options = load_options(values | {"save_dir": str(tmp_path)})
    result = play(options, searched_alone, make_strategy(options, searched_alone))
    assert (
        result.records["round"].max() == 3 and result.records["fitness"].notna().all()
    )
    if strategy != "bgpbt":
        first = result.records[result.records["round"] == 0]
        assert set(first["cell1_op1"]) == set(
            range(len(OPERATIONS))
        )  # every operation is there at the start


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"alg_name": "ppo"}, "alg_name: ppo trains agents, give sgd or adam"),
        ({"problem": "mnist"}, "data_dir: mnist is not given"),
        ({"problem": "letters"}, "problem: unknown 'letters'"),
    ],
)
def test_what_cannot_be_classified(changes, problem):
    with pytest.raises(BadInput, match=problem):
        make_task(Options(**{"task": "classification", "alg_name": "sgd"} | changes))


def test_agents_learn_by_ppo_alone():
    with pytest.raises(BadInput, match="alg_name: adam trains classifiers"):
        make_task(Options(alg_name="adam"))
