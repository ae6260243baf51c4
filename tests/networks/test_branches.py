"""The program of all branched designs computes what the exact network computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisy_weights import noisy

from bgpbt.networks import branches, on_canvas
from bgpbt.networks.canvas import Sizes, Weights, folded
from bgpbt.networks.designed import DesignedNetwork
from bgpbt.networks.structure import Kind, rows_of

SIZES = Sizes(side=12, channels=3, filters=4, dense=6, classes=5, depth=5, joins=True)
ADD, CONCATENATE, END = Kind.add, Kind.concatenate, Kind.terminal
# Type, kernel and the two layers that are read.
DESIGNS = {
    "nothing": (),
    "the end alone": ((END, 0, 0, 0),),
    "a chain": ((1, 3, 0, 0), (2, 2, 1, 0), (1, 5, 2, 0)),
    "two ends": ((1, 3, 0, 0), (1, 5, 1, 0), (2, 3, 1, 0)),
    "four ends": ((1, 3, 0, 0), (2, 2, 1, 0), (3, 2, 1, 0), (1, 5, 1, 0), (1, 3, 1, 0)),
    "added": ((1, 3, 0, 0), (1, 5, 0, 0), (ADD, 0, 1, 2), (1, 3, 3, 0)),
    "unequal channels": ((2, 2, 0, 0), (1, 1, 0, 0), (ADD, 0, 1, 2), (1, 3, 3, 0)),
    "concatenated": ((1, 5, 0, 0), (2, 3, 0, 0), (CONCATENATE, 0, 2, 1), (1, 1, 3, 0)),
    "pooled together": (
        (1, 3, 0, 0),
        (CONCATENATE, 0, 1, 1),
        (CONCATENATE, 0, 2, 1),
        (3, 3, 3, 0),
        (END, 0, 0, 0),
    ),
    "identity": ((1, 3, 0, 0), (Kind.identity, 0, 1, 0), (ADD, 0, 1, 2)),
}


def rows_in_order(design) -> np.ndarray:
    rows = np.zeros((SIZES.depth, 5), np.int32)
    for i, (kind, kernel, first, second) in enumerate(design):
        rows[i] = i + 1, kind, kernel, first, second
    return rows


def exact_network(design, **changes) -> DesignedNetwork:
    widths = (SIZES.filters,), SIZES.dense, SIZES.classes
    return DesignedNetwork(rows_of(rows_in_order(design)), *widths, **changes)


def exact_logits(design, weights: Weights, images) -> jax.Array:
    """By layers of Flax, with the weights that the canvas would read."""
    exact = exact_network(design)
    params = exact_params(design, weights, images)
    return exact.apply({"params": params}, images, training=False)


def exact_params(design, weights: Weights, images) -> dict:
    """Weights of the exact network, those that the canvas would read."""
    exact = exact_network(design)
    shapes = jax.eval_shape(
        lambda: exact.init(jax.random.PRNGKey(0), images, training=False)
    )["params"]
    convolved = [i for i, (kind, *_) in enumerate(design) if kind == Kind.convolution]
    params = {}
    for number, i in enumerate(convolved):
        size, _, channels, _ = shapes[f"Conv_{number}"]["kernel"].shape
        kernel = weights.kernels[i, :size, :size, :channels]
        params[f"Conv_{number}"] = {"kernel": kernel, "bias": weights.biases[i]}
        affine = {"scale": weights.scales[i], "offset": weights.offsets[i]}
        params[f"Affine_{number}"] = affine
    dense = _exact_dense(design, weights.dense, shapes["Dense_0"]["kernel"].shape)
    params["Dense_0"] = {"kernel": dense, "bias": weights.dense_bias}
    params["Dense_1"] = {"kernel": weights.logits, "bias": weights.logits_bias}
    return params


def _exact_dense(design, dense, shape) -> jax.Array:
    """The weights of the canvas where the exact network has them, else zeros."""
    layers = branches.plan(SIZES, rows_in_order(design))
    ends = [int(i) for i in np.flatnonzero(layers.ends)]
    # Place of each end in what is concatenated: pixels, first channel.
    places, side, width = [], 0, 0
    for end in ends:
        own_side, own = int(layers.sides[end]), int(layers.channels[end])
        if not places:
            places, side, width = [(0, 0)], own_side, own
            continue
        both_sides, both = max(side, own_side), max(width, own)
        moves = (both_sides - side) // 2, (both - width) // 2
        places = [(p + moves[0], c + moves[1]) for p, c in places]
        places += [((both_sides - own_side) // 2, both + (both - own) // 2)]
        side, width = both_sides, 2 * both
    assert side**2 * width == shape[0]
    exact = jnp.zeros((side, side, width, SIZES.dense))
    first = 0
    for end, (pixel, channel) in zip(ends, places, strict=True):
        own_side, own = int(layers.sides[end]), int(layers.channels[end])
        inside = slice(pixel, pixel + own_side)
        part = dense[:own_side, :own_side, first : first + own]
        exact = exact.at[inside, inside, channel : channel + own].set(part)
        first += own
    return exact.reshape(-1, SIZES.dense)


@jax.jit
def logits(rows, weights, images):
    return on_canvas.logits(SIZES, rows, weights, images)[0]


def drawn(design):
    return noisy(SIZES, rows_in_order(design))


@jax.jit
def loss_and_gradient(rows, weights, images):
    return jax.value_and_grad(lambda w: loss(logits(rows, w, images)))(weights)


def loss(logits):
    labels = jnp.arange(7) % SIZES.classes
    return -jax.nn.log_softmax(logits)[jnp.arange(7), labels].mean()


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_a_design_gives_the_logits_and_gradients_of_its_exact_network(design):
    rows, weights, images = drawn(design)
    assert bool(branches.fits(SIZES, rows))
    exact = jax.value_and_grad(lambda w: loss(exact_logits(design, w, images)))
    for a, b in zip(
        jax.tree.leaves(loss_and_gradient(rows, weights, images)),
        jax.tree.leaves(exact(weights)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_one_program_serves_all_designs():
    before = logits._cache_size()
    for design in DESIGNS.values():
        logits(*drawn(design))
    assert logits._cache_size() - before <= 1


def test_weights_spread_as_those_of_the_exact_network():
    """Glorot's uniform limit, from the numbers of inputs and outputs there."""
    rows = rows_in_order(DESIGNS["pooled together"])
    weights = branches.init(jax.random.PRNGKey(1), SIZES, rows)
    # 10 pixels and 16 channels, of which four were zeros, after pooling by three.
    limit = np.sqrt(6 / (3**2 * 16 + SIZES.dense))
    assert 0.95 * limit < float(jnp.abs(weights.dense).max()) <= limit
    rows = rows_in_order(DESIGNS["concatenated"])
    weights = branches.init(jax.random.PRNGKey(1), SIZES, rows)
    limit = np.sqrt(6 / (8 + SIZES.filters))
    assert 0.9 * limit < float(jnp.abs(weights.kernels[3]).max()) <= limit


def test_what_is_wider_than_a_canvas_does_not_fit():
    wide = ((1, 3, 0, 0), *((CONCATENATE, 0, i, i) for i in (1, 2)))
    assert bool(branches.fits(SIZES, rows_in_order(wide)))
    wider = (*wide, (CONCATENATE, 0, 3, 3))
    assert not bool(branches.fits(SIZES, rows_in_order(wider)))
    ends = ((1, 1, 0, 0), *((2, 2, 1, 0) for _ in range(4)))
    assert bool(branches.fits(SIZES, rows_in_order(ends)))
    many = SIZES._replace(depth=6)
    rows = np.zeros((6, 5), np.int32)
    rows[:5] = rows_in_order(ends)
    rows[5] = 6, 2, 2, 1, 0
    assert not bool(branches.fits(many, rows))


def test_a_chain_is_one_of_them():
    """The same weights give the same numbers in the program of chains."""
    design = DESIGNS["a chain"]
    rows, weights, images = drawn(design)
    single = SIZES._replace(joins=False)
    channels = single.width
    narrow = weights._replace(
        kernels=weights.kernels[..., :channels, :],
        dense=weights.dense[:, :, :channels],
    )
    ours, _ = on_canvas.logits(single, rows, narrow, images)
    np.testing.assert_allclose(ours, logits(rows, weights, images), rtol=1e-5)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_side_by_side_a_design_gives_the_same(design):
    drawings = drawn(design)
    np.testing.assert_allclose(at_once(*drawings), logits(*drawings), rtol=1e-4)


@jax.jit
def at_once(rows, weights, images):
    return on_canvas.logits(SIZES._replace(side_by_side=True), rows, weights, images)[0]


@pytest.mark.parametrize("name", ["four ends", "unequal channels", "concatenated"])
def test_minibatches_normalise_as_in_the_exact_network(name):
    """The last image is not counted, as one that an epoch's last minibatch lacks."""
    design = DESIGNS[name]
    rows, weights, images = drawn(design)
    rows = jnp.asarray(rows)
    counted = jnp.arange(7) < 6
    exact = exact_network(design, norm="batch", dropout=0)
    shapes = jax.eval_shape(
        lambda: exact.init(jax.random.PRNGKey(0), images, training=False)
    )
    untrained = {
        layer: {"mean": jnp.zeros(x["mean"].shape), "var": jnp.ones(x["var"].shape)}
        for layer, x in shapes["batch_stats"].items()
    }

    def exact_loss(weights):
        variables = {"params": normalised(weights), "batch_stats": untrained}
        found, changed = exact.apply(
            variables, images, training=True, counted=counted, mutable=["batch_stats"]
        )
        return loss(found), changed["batch_stats"]

    def normalised(weights):
        params = exact_params(design, weights, images)
        return {
            layer.replace("Affine", "BatchNorm"): (
                {"scale": x["scale"], "bias": x["offset"]} if "Affine" in layer else x
            )
            for layer, x in params.items()
        }

    def our_loss(weights):
        found, moments = on_canvas.logits(SIZES, rows, weights, images, None, counted)
        return loss(found), moments

    (exact_value, stats), exact_gradient = jax.value_and_grad(exact_loss, has_aux=True)(
        weights
    )
    (value, moments), gradient = jax.jit(jax.value_and_grad(our_loss, has_aux=True))(
        weights
    )
    np.testing.assert_allclose(value, exact_value, rtol=1e-5)
    for a, b in zip(
        jax.tree.leaves(gradient), jax.tree.leaves(exact_gradient), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-6)
    convolved = [i for i, (kind, *_) in enumerate(design) if kind == Kind.convolution]
    for number, i in enumerate(convolved):
        mean = 0.01 * moments.mean[i]
        # Means of numbers around 1, to a float32's seven digits.
        np.testing.assert_allclose(
            stats[f"BatchNorm_{number}"]["mean"], mean, rtol=1e-4, atol=1e-8
        )
    # What was learnt of the moments is folded into scales and offsets afterwards.
    after = jax.tree.map(lambda x: 0.5 + 0.1 * x, moments)
    running = {
        f"BatchNorm_{n}": {"mean": after.mean[i], "var": after.variance[i]}
        for n, i in enumerate(convolved)
    }
    variables = {"params": normalised(weights), "batch_stats": running}
    expected = exact.apply(variables, images, training=False)
    ours = logits(rows, folded(weights, after), images)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)
