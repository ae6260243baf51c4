"""Run by `test_agreement.py` in a process of its own: prints, as JSON, how far arrangements lie apart in float64.

Three rounds of a mixed population on a probe, with inheritance after each: four singles, one vmapped chunk, chunks of
two, and one member for each of four devices, against one device that walks its members.
"""

import json

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 4)

import numpy as np  # noqa: E402

from bgpbt.networks.mlp import MLP  # noqa: E402
from bgpbt.population import Arrangement, Purpose, make_programs, member_key  # noqa: E402
from bgpbt.space import Integer  # noqa: E402
from bgpbt.tasks import minibatches  # noqa: E402
from bgpbt.tasks.ppo import hyperparameter_space, ppo  # noqa: E402
from bgpbt.types import Decision  # noqa: E402
from envs.probes import PROBES  # noqa: E402

P, SEED, ROUNDS, UPDATES = 4, np.uint32(3), 3, np.int32(2)
minibatches.LADDER = (4, 32, 96)  # the rungs that the members below ask for: no other is ever taken
PARENTS = np.array([[0, 1, 0, 3], [0, 0, 2, 3], [0, 1, 2, 1]], np.int32)  # of every round
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
    """Configurations that differ in everything: numbers of minibatches of three rungs, all architectures."""
    config = np.random.default_rng(0).uniform(size=(P, len(TASK.space)))
    config[:, list(TASK.space).index("num_update_epochs")] = [0.0, 0.3, 0.15, 0.4]
    for name, at in (("batch_size", [0.1, 0.3, 0.1, 0.9]), ("unroll_length", [0.02, 0.5, 0.98, 0.3])):
        config[:, list(TASK.space).index(name)] = at
    for block in MLPS:
        for name, at in (("depth", [0, 1, 0, 1]), ("width", [0, 0, 1, 1]), ("spectral_norm", [0, 1, 1, 0])):
            config[:, list(TASK.space).index(f"{block}_{name}")] = at
    return config


def next_config(config: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """A copied member takes its parent's architecture and keeps its own hyperparameters."""
    genes = np.array([dim.group != "hyperparameter" for dim in TASK.space.values()])
    return np.where(genes, config[parents], config)


def host(tree):
    return jax.tree.map(np.asarray, tree)


def run(arrangement: Arrangement) -> list:
    """The populations after every round of training."""
    programs, members, config, found = make_programs(TASK, P, arrangement), np.arange(P, dtype=np.int32), mixed(), []
    people = programs.init(SEED, np.int32(0), members, config)
    ones, zeros = np.ones((P, 2)), np.zeros((P, 2))
    for number in range(1, ROUNDS + 1):
        round_, active = np.int32(number), np.ones(P, bool)
        people, metrics = programs.train(SEED, round_, UPDATES, members, active, people, config)
        found.append(host((people, metrics)))
        parents = PARENTS[number - 1]
        config = next_config(config, parents)
        decision = Decision(config, np.repeat(parents[:, None], 2, axis=1), ones, zeros, active, members)
        people = programs.inherit(SEED, round_, people, programs.pick(people, np.int32(0)), decision)
    return [*found, host(people)]


def run_singles() -> list:
    """The same, member by member: inheritance is a plain copy and a fresh world."""
    programs, config, found = make_programs(TASK, 1, Arrangement(1, 1)), mixed(), []
    number_of = [np.array([i], np.int32) for i in range(P)]
    people = [programs.init(SEED, np.int32(0), number_of[i], config[i : i + 1]) for i in range(P)]
    refresh = jax.jit(TASK.refresh)
    for number in range(1, ROUNDS + 1):
        outs = [
            programs.train(SEED, np.int32(number), UPDATES, number_of[i], np.ones(1, bool), people[i], config[i : i + 1])
            for i in range(P)
        ]
        outs = [host((state, metrics)) for state, metrics in outs]
        found.append(jax.tree.map(lambda *xs: np.concatenate(xs), *outs))
        parents = PARENTS[number - 1]
        config = next_config(config, parents)
        people = []
        for i, parent in enumerate(parents):
            state = jax.tree.map(lambda x: x[0], outs[parent][0])
            if parent != i:
                state = host(refresh(member_key(SEED, Purpose.inherit, number, i), state))
            people.append(jax.tree.map(lambda x: x[None], state))
    return [*found, jax.tree.map(lambda *xs: np.concatenate(xs), *people)]


def apart(a, b) -> float:
    """The largest difference relative to 1 or to the value; infinite where NaN or integers differ."""
    worst = 0.0
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if x.dtype.kind != "f":
            worst = max(worst, 0.0 if np.array_equal(x, y) else np.inf)
        elif not np.array_equal(np.isnan(x), np.isnan(y)):
            worst = np.inf
        else:
            worst = max(worst, float(np.nanmax(np.abs(x - y) / np.maximum(1, np.abs(y)), initial=0)))
    return worst


if __name__ == "__main__":
    others = {"whole": Arrangement(1, 4), "chunks of two": Arrangement(1, 2), "four devices": Arrangement(4, 1)}
    results = {name: run(arrangement) for name, arrangement in others.items()} | {"singles": run_singles()}
    reference = run(Arrangement(1, 1))
    people = reference[-1]
    assert all(x.dtype == np.float64 for x in jax.tree.leaves(people) if x.dtype.kind == "f")
    found = {name: [apart(a, b) for a, b in zip(result, reference, strict=True)] for name, result in results.items()}
    moved = [
        float(np.abs(a - b).max())
        for a, b in zip(*(jax.tree.leaves(r[0].params) for r in (reference[2], reference[0])), strict=True)
    ]
    print(json.dumps({"apart": found, "moved": max(moved)}))
