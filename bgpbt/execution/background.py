"""Compilation in the background, while other work goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from bgpbt.execution.cache import fast_compile_options
from bgpbt.execution.devices import DeviceLayout, replicated, sharded, usable_cores
from bgpbt.execution.inherit import heritage
from bgpbt.execution.programs import Programs
from bgpbt.execution.shapes import member_shapes
from bgpbt.execution.streams import Stream
from bgpbt.types import Decision, Distillation, PyTree, Task

# They run for milliseconds in a round: what costs time in them is compiling.
COMPILED_FAST = ("init", "inherit")


class BackgroundCompile:
    """A function that is made in the background from `begin` on; a call waits for it.

    As many at once as there are cores, in the order of their beginnings: compiling
    waits for nothing, and takes up to a gigabyte.
    """

    _workers = ThreadPoolExecutor(
        max_workers=max(2, usable_cores()), thread_name_prefix="compile"
    )

    def __init__(self, make: Callable[[], Callable]):
        self._make = make
        self._made: Future | None = None

    @property
    def ready(self) -> bool:
        """Whether a call would not have to wait."""
        return self._made is not None and self._made.done()

    def begin(self) -> Future:
        """Starts to make it, once."""
        if self._made is None:
            self._made = self._workers.submit(self._make)
        return self._made

    def wait(self) -> None:
        """Returns when it is made; raises what making it raised."""
        self.begin().result()

    def __call__(self, *args: Any) -> Any:
        return self.begin().result()(*args)


def compile_in_background(
    programs: Programs,
    task: Task,
    largest: Task,
    pop_size: int,
    device_layout: DeviceLayout,
) -> Programs:
    """The large programs, each compiled in a thread once it is begun.

    A compiled program refuses arguments of other types or places, so that it cannot be
    compiled a second time.

    Args:
      programs: as `make_programs` built them.
      task: what they were built for.
      largest: the task in its largest padding, which a teacher has.
      pop_size: members.
      device_layout: as they were built for.
    """
    arguments = _arguments(programs, task, largest, pop_size, device_layout)

    def background(name: str) -> BackgroundCompile:
        options = fast_compile_options() if name in COMPILED_FAST else None

        def compile_program() -> Callable:
            return getattr(programs, name).lower(*arguments[name]).compile(options)

        return BackgroundCompile(compile_program)

    return programs._replace(**{name: background(name) for name in arguments})


def _arguments(
    programs: Programs,
    task: Task,
    largest: Task,
    pop_size: int,
    device_layout: DeviceLayout,
) -> dict[str, tuple]:
    """Arguments of each large program, or their shapes and places."""
    seed = np.uint32(0)
    round_ = np.int32(0)
    updates = np.int32(0)
    stream = np.int32(Stream.evaluate)
    members = np.arange(pop_size, dtype=np.int32)
    start_draws = np.zeros(pop_size, np.int32)
    active = np.ones(pop_size, bool)
    config = np.zeros((pop_size, len(task.space)), np.float32)
    everywhere = replicated(device_layout)
    data = _placed(task.data, everywhere)
    shapes = jax.eval_shape(programs.init, seed, round_, members, config)
    population = _placed(shapes, sharded(device_layout))
    best = _placed(heritage(task, member_shapes(task)), everywhere)
    teaching = Distillation(
        teacher=_placed(heritage(largest, member_shapes(largest)), everywhere),
        teacher_config=config[0],
        steps_done=np.float32(0),
        steps_total=np.float32(0),
    )
    group = (active, population, config, data)
    train = (seed, round_, updates, members, *group)
    return {
        "init": (seed, round_, members, config),
        "evaluate": (seed, round_, stream, start_draws, *group),
        "train": train,
        "distil": (*train, teaching),
        "inherit": (seed, round_, population, best, _decision(task, pop_size)),
    }


def _decision(task: Task, pop_size: int) -> Decision:
    blocks = (pop_size, len(task.blocks))
    return Decision(
        config=np.zeros((pop_size, len(task.space)), np.float32),
        parents=np.zeros(blocks, np.int32),
        shrink=np.zeros(blocks, np.float32),
        perturb=np.zeros(blocks, np.float32),
        active=np.ones(pop_size, bool),
        source=np.zeros(pop_size, np.int32),
    )


def _placed(tree: PyTree, sharding: NamedSharding) -> PyTree:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
    )
