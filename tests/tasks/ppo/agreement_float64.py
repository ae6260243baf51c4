"""Run by `test_agreement.py`: prints how far device layouts lie apart in float64.

Float64 needs a process of its own; the output is JSON. Three rounds of a mixed
population on a probe, with inheritance after each: four singles, one vmapped chunk,
chunks of two, and one member for each of four devices, against one device that walks
its members.
"""

import json

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 4)

import numpy as np  # noqa: E402

from bgpbt.execution.devices import DeviceLayout  # noqa: E402
from bgpbt.execution.programs import make_programs  # noqa: E402
from bgpbt.execution.streams import Stream, member_key  # noqa: E402
from bgpbt.networks.mlp import MLP  # noqa: E402
from bgpbt.space import Integer  # noqa: E402
from bgpbt.tasks.ppo import minibatches  # noqa: E402
from bgpbt.tasks.ppo.environments import load_environment_file  # noqa: E402
from bgpbt.tasks.ppo.spaces import hyperparameter_space  # noqa: E402
from bgpbt.tasks.ppo.task import ppo  # noqa: E402
from bgpbt.types import Decision  # noqa: E402

PROBES = load_environment_file("probes").PROBES
P = 4
SEED = np.uint32(3)
ROUNDS = 3
UPDATES = np.int32(2)
# What the members below ask for: no other number is ever taken.
minibatches.NUM_MINIBATCHES = (4, 32, 96)
# Of every round.
PARENTS = np.array([[0, 1, 0, 3], [0, 0, 2, 3], [0, 1, 2, 1]], np.int32)
MLPS = {"policy": MLP(2, 2, 2, 8, 8, True), "value": MLP(2, 1, 2, 8, 8, True)}


def task():
    space = hyperparameter_space(32)
    for block in MLPS:
        space[f"{block}_depth"] = Integer(1, 2, 1, group=block)
        space[f"{block}_width"] = Integer(4, 8, 4, doubling=True, group=block)
        space[f"{block}_spectral_norm"] = Integer(0, 1, 0, group=block)
    return ppo(PROBES["delayed"](), num_envs=32, space=space, fixed={}, **MLPS)


TASK = task()


def mixed() -> np.ndarray:
    """Configurations that differ in everything.

    They have three numbers of minibatches and all architectures.
    """
    config = np.random.default_rng(0).uniform(size=(P, len(TASK.space)))
    config[:, list(TASK.space).index("num_update_epochs")] = [0.0, 0.3, 0.15, 0.4]
    for name, at in (
        ("batch_size", [0.1, 0.3, 0.1, 0.9]),
        ("unroll_length", [0.02, 0.5, 0.98, 0.3]),
    ):
        config[:, list(TASK.space).index(name)] = at
    for block in MLPS:
        for name, at in (
            ("depth", [0, 1, 0, 1]),
            ("width", [0, 0, 1, 1]),
            ("spectral_norm", [0, 1, 1, 0]),
        ):
            config[:, list(TASK.space).index(f"{block}_{name}")] = at
    return config


def next_config(config: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """A copied member takes the architecture of its parent, and nothing else."""
    arch_mask = np.array([dim.group != "hyperparameter" for dim in TASK.space.values()])
    return np.where(arch_mask, config[parents], config)


def host(tree):
    return jax.tree.map(np.asarray, tree)


def run(device_layout: DeviceLayout) -> list:
    """The populations after every round of training."""
    programs = make_programs(TASK, P, device_layout)
    members = np.arange(P, dtype=np.int32)
    config = mixed()
    results = []
    population = programs.init(SEED, np.int32(0), members, config)
    ones = np.ones((P, 2))
    zeros = np.zeros((P, 2))
    for number in range(1, ROUNDS + 1):
        round_ = np.int32(number)
        active = np.ones(P, bool)
        population, metrics = programs.train(
            SEED, round_, UPDATES, members, active, population, config
        )
        results.append(host((population, metrics)))
        parents = PARENTS[number - 1]
        config = next_config(config, parents)
        decision = Decision(
            config, np.repeat(parents[:, None], 2, axis=1), ones, zeros, active, members
        )
        population = programs.inherit(
            SEED, round_, population, programs.pick(population, np.int32(0)), decision
        )
    return [*results, host(population)]


def run_singles() -> list:
    """The same, member by member.

    Inheritance is a plain copy and fresh environments.
    """
    programs = make_programs(TASK, 1, DeviceLayout(1, 1))
    config = mixed()
    results = []
    number_of = [np.array([i], np.int32) for i in range(P)]
    population = [
        programs.init(SEED, np.int32(0), number_of[i], config[i : i + 1])
        for i in range(P)
    ]
    refresh = jax.jit(TASK.refresh)
    for number in range(1, ROUNDS + 1):
        outs = [
            programs.train(
                SEED,
                np.int32(number),
                UPDATES,
                number_of[i],
                np.ones(1, bool),
                population[i],
                config[i : i + 1],
            )
            for i in range(P)
        ]
        outs = [host((state, metrics)) for state, metrics in outs]
        results.append(jax.tree.map(lambda *xs: np.concatenate(xs), *outs))
        parents = PARENTS[number - 1]
        config = next_config(config, parents)
        population = []
        for i, parent in enumerate(parents):
            state = jax.tree.map(lambda x: x[0], outs[parent][0])
            if parent != i:
                state = host(
                    refresh(member_key(SEED, Stream.inherit, number, i), state, {})
                )
            population.append(jax.tree.map(lambda x: x[None], state))
    return [*results, jax.tree.map(lambda *xs: np.concatenate(xs), *population)]


def apart(a, b) -> float:
    """The largest difference relative to 1 or to the value.

    It is infinite where NaN or integers differ.
    """
    worst = 0.0
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if x.dtype.kind != "f":
            worst = max(worst, 0.0 if np.array_equal(x, y) else np.inf)
        elif not np.array_equal(np.isnan(x), np.isnan(y)):
            worst = np.inf
        else:
            worst = max(
                worst,
                float(np.nanmax(np.abs(x - y) / np.maximum(1, np.abs(y)), initial=0)),
            )
    return worst


if __name__ == "__main__":
    others = {
        "one chunk": DeviceLayout(1, 4),
        "chunks of two": DeviceLayout(1, 2),
        "four devices": DeviceLayout(4, 1),
    }
    results = {name: run(device_layout) for name, device_layout in others.items()} | {
        "singles": run_singles()
    }
    reference = run(DeviceLayout(1, 1))
    population = reference[-1]
    assert all(
        x.dtype == np.float64
        for x in jax.tree.leaves(population)
        if x.dtype.kind == "f"
    )
    distances = {
        name: [apart(a, b) for a, b in zip(result, reference, strict=True)]
        for name, result in results.items()
    }
    moved = [
        float(np.abs(a - b).max())
        for a, b in zip(
            *(jax.tree.leaves(r[0].params) for r in (reference[2], reference[0])),
            strict=True,
        )
    ]
    print(json.dumps({"apart": distances, "moved": max(moved)}))
