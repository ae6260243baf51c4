"""All that knows the population axis `P`: how members are spread over devices and chunks, and how they inherit.

A task is written for one member. On an accelerator the whole population is vmapped; on a CPU every core is a device of
its own and walks its members one after another, which keeps a member's data in the cache (`docs/design.md` has the
measurements). Members never depend on their neighbours: every key is folded from seed, purpose, round and member.
"""

import enum
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bgpbt import space as spaces
from bgpbt.compilation import quick_to_compile
from bgpbt.mutation import mutate
from bgpbt.shapes import given, member_shapes
from bgpbt.types import Array, Decision, Key, Lesson, PyTree, Task, TrainState

AXIS = "pop"


class Purpose(enum.IntEnum):
    """What a random key is for; folded into it, so that no two purposes share a stream."""

    configure = 0
    initialise = 1
    train = 2
    evaluate = 3
    decide = 4
    inherit = 5
    report = 6
    generate = 7
    mutate = 8


class Arrangement(NamedTuple):
    """How the members are spread."""

    devices: int  # the population is split evenly over these
    chunk: int  # members vmapped at once on each; divides the members of a device


def usable_cores() -> int:
    """Cores this process may use: its affinity and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def largest_divisor(number: int, ceiling: int) -> int:
    """The largest divisor of `number` that is at most `ceiling`."""
    return next(d for d in range(min(number, ceiling), 0, -1) if number % d == 0)


def cpu_devices(pop_size: int) -> int:
    """How many CPU devices serve a population best: one for every core that gets the same number of members."""
    return largest_divisor(pop_size, usable_cores())


def arrange(pop_size: int, max_parallel: int | str = "auto", devices: int | None = None) -> Arrangement:
    """Chooses devices and chunk for the present backend.

    Args:
      pop_size: members.
      max_parallel: most members vmapped at once per device, or "auto": one on a CPU, all on an accelerator. A CPU takes
        one whatever the ceiling, because larger chunks are slower there.
      devices: exact number of devices; None: as many as divide the population (on a CPU, not above the usable cores).
    """
    on_cpu = jax.default_backend() == "cpu"
    if devices is None:
        available = jax.device_count()
        devices = largest_divisor(pop_size, min(available, usable_cores()) if on_cpu else available)
    local = pop_size // devices
    ceiling = 1 if on_cpu else local if max_parallel == "auto" else max_parallel
    return Arrangement(devices, largest_divisor(local, ceiling))


def make_mesh(arrangement: Arrangement) -> Mesh:
    """A one-axis mesh over the first `arrangement.devices` devices."""
    return Mesh(jax.devices()[: arrangement.devices], (AXIS,))


def replicate(tree: PyTree, arrangement: Arrangement) -> PyTree:
    """The same arrays on every device."""
    return jax.device_put(tree, NamedSharding(make_mesh(arrangement), PartitionSpec()))


def map_members(f: Callable, arrangement: Arrangement, mesh: Mesh) -> Callable:
    """Turns `f(shared, member) -> out` into `g(shared, members) -> outs` over leading axes `P`. Not jitted.

    `shared` goes in unbatched, so that what all members agree on (a trip count) stays a scalar.
    """

    def on_device(shared, members):
        local = jax.tree.leaves(members)[0].shape[0]
        one = partial(f, shared)
        # A chunk of one is a plain map: under `vmap`, even of size 1, a traced branch becomes a select of all branches.
        if arrangement.chunk == 1:
            return jax.lax.map(one, members) if local > 1 else _map_one(one, members)
        if arrangement.chunk == local:
            return jax.vmap(one)(members)
        chunks = jax.tree.map(lambda x: x.reshape(-1, arrangement.chunk, *x.shape[1:]), members)
        outs = jax.lax.map(jax.vmap(one), chunks)
        return jax.tree.map(lambda x: x.reshape(local, *x.shape[2:]), outs)

    specs = (PartitionSpec(), PartitionSpec(AXIS))
    return jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False)


def _map_one(f: Callable, members):
    return jax.tree.map(lambda x: x[None], f(jax.tree.map(lambda x: x[0], members)))


def member_key(seed: Array, purpose: Purpose, round_: Array, member: Array) -> Key:
    """The key of one member for one purpose in one round."""
    key = jax.random.PRNGKey(seed)
    for part in (int(purpose), round_, member):
        key = jax.random.fold_in(key, part)
    return key


def shrink_perturb(weights: PyTree, fresh: PyTree, shrink: Array, perturb: Array) -> PyTree:
    """shrink * weights + perturb * fresh (Ash and Adams, 2020); a factor of 0 removes its part even where it is NaN."""

    def blend(old, new):
        blended = jnp.where(shrink == 0, 0, shrink * old) + jnp.where(perturb == 0, 0, perturb * new)
        return jnp.where((shrink == 1) & (perturb == 0), old, blended)

    return jax.tree.map(blend, weights, fresh)


def only_if(active: Array, f: Callable[[PyTree], PyTree], otherwise: PyTree) -> PyTree:
    """`f(otherwise)` where `active`, else `otherwise`; same shapes.

    A loop of at most one turn, not `lax.cond`: XLA puts a program's constants into the loops that use them, but not
    through a branch, and behind one the physics of an environment take a quarter longer on a CPU.
    """
    return jax.lax.fori_loop(0, active.astype(jnp.int32), lambda _, carry: f(carry), otherwise)


def all_finite(tree: PyTree) -> Array:
    """Whether every float of one member is finite. Shape `[]`, bool."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.all(jnp.isfinite(x)) for x in floats]).all() if floats else jnp.array(True)


class Programs(NamedTuple):
    """The compiled programs of a run; none of them knows the strategy. `seed`, `round`: [] int32; `config`: [P, D]."""

    configure: Callable  # (seed, members [P]) -> config
    hyperparams: Callable  # (config) -> natural values by name, each [P]
    init: Callable  # (seed, round, members [P], config) -> population
    train: Callable  # (seed, round, updates, members, active [P], population, config, data) -> population, metrics; donates
    distil: Callable  # as `train`, with a `Lesson` for all at the end
    evaluate: Callable  # (seed, round, purpose, draws [P], active [P], population, config, data)
    # -> returns [P, E], steps [P], finite [P]
    unseen: Callable  # as `evaluate`, for data of other shapes
    pick: Callable  # (population, member) -> that member without its world
    repeat: Callable  # (member state, population) -> a population of its copies, in the worlds of `population`
    inherit: Callable  # (seed, round, population, best, decision) -> population; donates the population
    mutate: Callable  # (seed, round, population, who [P] bool) -> population


def make_programs(task: Task, pop_size: int, arrangement: Arrangement) -> Programs:
    """Builds the programs for a task and an arrangement. Nothing is compiled before its first call."""
    mesh = make_mesh(arrangement)
    sharded = NamedSharding(mesh, PartitionSpec(AXIS))
    replicated = NamedSharding(mesh, PartitionSpec())
    over = partial(map_members, arrangement=arrangement, mesh=mesh)
    jit = partial(jax.jit, out_shardings=sharded)

    def configure_one(seed, member):
        return spaces.sample(member_key(seed, Purpose.configure, 0, member), task.space)

    def init_one(seed_round, inputs):
        seed, round_ = seed_round
        member, config = inputs
        return task.init(member_key(seed, Purpose.initialise, round_, member), spaces.decode(task.space, config))

    def train_one(shared, inputs):
        seed, round_, updates, lesson, given = shared
        member, active, state, config = inputs
        key = member_key(seed, Purpose.train, round_, member)
        hyperparams = spaces.decode(task.space, config)

        def train(state):
            return task.train(key, state, hyperparams, updates, lesson, **given)

        # The trip count stays unbatched: an idle member of a vmapped chunk is held afterwards, not step by step.
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(train, state)[1])
        state, metrics = only_if(active, lambda carry: train(carry[0]), (state, nothing))
        weights, world = all_finite(state._replace(world=())), all_finite(state.world)
        return state, metrics | {"weights_finite": weights, "world_finite": world}

    def evaluate_one(seed_round, inputs):
        seed, round_, purpose, given = seed_round
        draw, active, state, config = inputs
        key = jax.random.PRNGKey(seed)
        for part in (purpose, round_, draw):
            key = jax.random.fold_in(key, part)

        def evaluate(state):
            return task.evaluate(key, state, spaces.decode(task.space, config), **given)

        returns, steps = jax.eval_shape(evaluate, state)
        nothing = jnp.full(returns.shape, jnp.nan, returns.dtype), jnp.zeros(steps.shape, steps.dtype)
        return *only_if(active, lambda _: evaluate(state), nothing), all_finite(state._replace(world=()))

    def refresh_one(seed_round, inputs):
        seed, round_ = seed_round
        member, replaced, state = inputs
        key = member_key(seed, Purpose.inherit, round_, member)
        return jax.lax.cond(replaced, lambda s: task.refresh(key, s), lambda s: s, state)

    def fresh_one(seed_round, inputs):
        seed, round_ = seed_round
        member, config, wanted = inputs

        def draw():
            key = member_key(seed, Purpose.initialise, round_, member)
            return task.init(key, spaces.decode(task.space, config))._replace(world=())

        return jax.lax.cond(wanted, draw, lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(draw)))

    def inherit(seed, round_, population: TrainState, best: TrainState, decision: Decision):
        members = jnp.arange(pop_size)
        blended = jnp.any((decision.shrink != 1) | (decision.perturb != 0), axis=1)
        fresh = over(fresh_one)((seed, round_), (members, decision.config, blended))
        state = gather(task, population, best, fresh, decision)
        replaced = blended | jnp.any(decision.parents != members[:, None], axis=1)
        return over(refresh_one)((seed, round_), (members, replaced, state))

    def mutate_one(seed_round, inputs):
        seed, round_ = seed_round
        member, who, state = inputs
        key = member_key(seed, Purpose.mutate, round_, member)
        return jax.lax.cond(who, lambda s: s._replace(params=mutate(key, s.params)), lambda s: s, state)

    def train(seed, round_, updates, members, active, population, config, data=(), lesson=()):
        shared = seed, round_, updates, lesson, given(data)
        return over(train_one)(shared, (members, active, population, config))

    def evaluate(seed, round_, purpose, draws, active, population, config, data=()):
        return over(evaluate_one)((seed, round_, purpose, given(data)), (draws, active, population, config))

    evaluation = jit(evaluate)

    return Programs(
        configure=jit(lambda seed, members: over(configure_one)(seed, members)),
        hyperparams=jax.jit(partial(spaces.decode, task.space)),
        init=jit(lambda seed, round_, members, config: over(init_one)((seed, round_), (members, config))),
        train=jit(train, donate_argnames="population"),
        distil=jit(train, donate_argnames="population"),
        evaluate=evaluation,
        unseen=evaluation,
        pick=jax.jit(
            lambda population, member: jax.tree.map(lambda x: x[member], population._replace(world=())),
            out_shardings=replicated,
        ),
        repeat=jit(
            lambda state, population: jax.tree.map(
                lambda x: jnp.broadcast_to(x, (pop_size, *x.shape)), state._replace(world=())
            )._replace(world=population.world)
        ),
        inherit=jit(inherit, donate_argnames="population"),
        mutate=jit(
            lambda seed, round_, population, who: over(mutate_one)((seed, round_), (jnp.arange(pop_size), who, population))
        ),
    )


class Ahead:
    """What is made in the background from `begin` on; a call waits for it.

    As many at once as there are cores, in the order of their beginnings: compiling waits for nothing, and takes up to a gigabyte.
    """

    _workers = ThreadPoolExecutor(max_workers=max(2, usable_cores()), thread_name_prefix="ahead")

    def __init__(self, make: Callable[[], Callable]):
        self._make, self._made = make, None

    @property
    def ready(self) -> bool:
        """Whether a call would not have to wait."""
        return self._made is not None and self._made.done()

    def begin(self) -> None:
        """Starts to make it, once."""
        if self._made is None:
            self._made = self._workers.submit(self._make)

    def wait(self) -> None:
        """Returns when it is made; raises what making it raised."""
        self.begin()
        self._made.result()

    def __call__(self, *args):
        self.begin()
        return self._made.result()(*args)


SELDOM = ("init", "inherit")  # milliseconds of a round: what costs time in them is compiling


def compile_ahead(programs: Programs, tasks: tuple[Task, Task], pop_size: int, arrangement: Arrangement) -> Programs:
    """The large programs, each compiled in a thread once it is begun, which XLA allows.

    A compiled program refuses arguments of other types or places, so that it cannot be compiled a second time.

    Args:
      programs: as `make_programs` built them.
      tasks: what they were built for, and its largest padding, which a teacher has.
      pop_size: members.
      arrangement: as they were built for.
    """
    mesh = make_mesh(arrangement)
    task, largest = tasks
    scalar, members = np.int32(0), np.arange(pop_size, dtype=np.int32)
    config, active = np.zeros((pop_size, len(task.space)), np.float32), np.ones(pop_size, bool)
    blocks = (pop_size, len(task.blocks))

    def placed(tree, spec):
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    def one(task):
        return placed(member_shapes(task)._replace(world=()), PartitionSpec())

    data = placed(task.data, PartitionSpec())
    population = placed(jax.eval_shape(programs.init, np.uint32(0), scalar, members, config), PartitionSpec(AXIS))
    zeros = np.zeros(blocks, np.float32)
    decision = Decision(config, np.zeros(blocks, np.int32), zeros, zeros, active, members)
    training = (np.uint32(0), scalar, scalar, members, active, population, config, data)
    arguments = {
        "init": (np.uint32(0), scalar, members, config),
        "evaluate": (np.uint32(0), scalar, scalar, members, active, population, config, data),
        "train": training,
        "distil": (*training, Lesson(one(largest), config[0], np.float32(0), np.float32(0))),
        "inherit": (np.uint32(0), scalar, population, one(task), decision),
    }

    def ahead(name: str) -> Ahead:
        compiler_options = quick_to_compile() if name in SELDOM else None
        return Ahead(lambda: getattr(programs, name).lower(*arguments[name]).compile(compiler_options))

    return programs._replace(**{name: ahead(name) for name in arguments})


def repad(tree: PyTree, like: PyTree) -> PyTree:
    """Weights, moments and statistics in another padding, on the host; leading axes beyond those of `like` stay.

    Padding is zero and stands at the end of an axis, so that it is enough to cut or to append zeros.
    """

    def leaf(x, wanted):
        x = np.asarray(x)
        ahead = x.ndim - len(wanted.shape)
        common = (..., *(slice(min(sizes)) for sizes in zip(x.shape[ahead:], wanted.shape, strict=True)))
        out = np.zeros((*x.shape[:ahead], *wanted.shape), x.dtype)
        out[common] = x[common]
        return out

    return jax.tree.map(leaf, tree, like)


def regroup(groups: Sequence[TrainState], take: np.ndarray, task: Task, arrangement: Arrangement) -> TrainState:
    """One group of the members `take`, counted through `groups`, in the padding of `task`. Through the host."""
    size = len(jax.tree.leaves(groups[0].params)[0])
    like = member_shapes(task)._replace(world=())
    padded = [repad(jax.device_get(g._replace(world=())), like)._replace(world=jax.device_get(g.world)) for g in groups]
    chosen = [jax.tree.map(lambda x, i=i: x[i % size], padded[i // size]) for i in take]
    sharding = NamedSharding(make_mesh(arrangement), PartitionSpec(AXIS))
    return jax.tree.map(lambda *rows: jax.device_put(np.stack(rows), sharding), *chosen)


def gather(task: Task, population: TrainState, best: TrainState, fresh: TrainState, decision: Decision) -> TrainState:
    """Inheritance as one gather along `P`, then shrink-perturb. Worlds stay where they are.

    Weights and moments of a block come from the block's parent; where the weights are not whole, the moments are fresh.
    What the blocks share comes from the parent of the first one, and is fresh where all of them start afresh.

    Args:
      task: names the blocks.
      population: shape `[P, ...]`.
      best: the saved best, parent number P.
      fresh: a fresh initialisation of every member for its next configuration. Shape `[P, ...]`.
      decision: parents, shrink and perturb.
    """

    def take(part: PyTree, saved: PyTree, parents: Array) -> PyTree:
        own = jnp.minimum(parents, decision.parents.shape[0] - 1)

        def leaf(x, y):
            from_best = (parents == decision.parents.shape[0]).reshape(-1, *(1,) * (x.ndim - 1))
            return jnp.where(from_best, y, x[own])

        return jax.tree.map(leaf, part, saved)

    params, moments = {}, {}
    for b, block in enumerate(task.blocks):
        parents, shrink, perturb = decision.parents[:, b], decision.shrink[:, b], decision.perturb[:, b]
        whole = (shrink == 1) & (perturb == 0)
        inherited = take(population.params[block], best.params[block], parents)
        params[block] = jax.vmap(shrink_perturb)(inherited, fresh.params[block], shrink, perturb)
        kept = take(population.moments[block], best.moments[block], parents)
        moments[block] = jax.vmap(_choose)(whole, kept, fresh.moments[block])
    restart = jnp.all((decision.shrink == 0) & (decision.perturb > 0), axis=1)
    shared = jax.vmap(_choose)(~restart, take(population.shared, best.shared, decision.parents[:, 0]), fresh.shared)
    return TrainState(params, moments, shared, population.world)


def _choose(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
