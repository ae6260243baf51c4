"""The axis `P`: all device layouts agree, and members do not see each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_programs import MEMBERS, SEED, TASK, P, host, table_decision, train
from toys import same_bits

from bgpbt.execution.devices import DeviceLayout, make_mesh
from bgpbt.execution.members import all_finite, map_members
from bgpbt.execution.programs import make_programs
from bgpbt.execution.streams import Stream, member_key

# Beside one device that walks its members.
LAYOUTS = [(1, 4), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2)]

needs_four_devices = pytest.mark.skipif(
    jax.device_count() < 4, reason="JAX was started with fewer than 4 devices"
)


def test_map_members_hands_every_member_in_order():
    """The shared value is not batched: what depends on it alone stays a scalar."""

    def f(shared, x):
        return shared * x["a"] + x["b"], jnp.sum(x["b"])

    x = {"a": jnp.arange(8.0), "b": jnp.arange(24.0).reshape(8, 3)}
    for devices, chunk in [*LAYOUTS, (1, 1), (1, 8)]:
        if devices > jax.device_count():
            continue
        layout = DeviceLayout(devices, chunk)
        g = map_members(f, layout, make_mesh(layout))
        y, total = jax.jit(g)((jnp.float32(10),), (x,))
        np.testing.assert_array_equal(y, 10 * x["a"][:, None] + x["b"])
        np.testing.assert_array_equal(total, x["b"].sum(axis=1))


def round_trip(programs, config):
    """Two rounds with an inheritance between them, and an evaluation."""
    population, _ = train(programs, config)
    decision = table_decision(config)
    best = programs.pick(population, np.int32(3))
    population = programs.inherit(SEED, np.int32(1), population, best, decision)
    active = np.arange(P) != 5
    population, metrics = programs.train(
        SEED, np.int32(2), np.int32(3), MEMBERS, active, population, decision.config
    )
    evaluated = programs.evaluate(
        SEED,
        np.int32(2),
        np.int32(Stream.evaluate),
        np.zeros(P, np.int32),
        np.ones(P, bool),
        population,
        decision.config,
    )
    return host((population, metrics, evaluated))


@needs_four_devices
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_device_layouts_agree(programs, config, layout):
    """Three of them through all programs, the others in training.

    Every program maps its members in the same way.
    """
    other = make_programs(TASK, P, DeviceLayout(*layout))
    run = round_trip if layout in [(1, 4), (2, 2), (4, 2)] else train
    expected, actual = (host(run(p, config)) for p in (programs, other))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        expected,
        actual,
    )


def test_the_same_device_layout_repeats_to_the_bit(programs, config):
    assert same_bits(round_trip(programs, config), round_trip(programs, config))


def test_members_do_not_depend_on_the_size_of_the_population(programs, config):
    small = make_programs(TASK, 4, DeviceLayout(1, 1))
    few = small.configure(SEED, MEMBERS[:4])
    np.testing.assert_array_equal(few, config[:4])
    actual = host(train(small, few, members=MEMBERS[:4]))
    expected = host(train(programs, config))
    assert same_bits(actual, jax.tree.map(lambda x: x[:4], expected))


def test_keys_differ_by_seed_stream_round_and_member():
    keys = {
        tuple(np.asarray(member_key(seed, stream, round_, m)).tolist())
        for seed in (0, 1)
        for stream in Stream
        for round_ in range(3)
        for m in range(3)
    }
    assert len(keys) == 2 * len(Stream) * 9


def test_all_finite_looks_at_floats_only():
    tree = {"a": jnp.ones(3), "b": [jnp.array(2**31 - 1, jnp.int32)]}
    assert bool(all_finite(tree))
    assert bool(all_finite({"n": jnp.array(1)}))
    assert bool(all_finite(()))
    for bad in (np.nan, np.inf, -np.inf):
        assert not bool(all_finite(tree | {"a": jnp.array([1.0, bad])}))
