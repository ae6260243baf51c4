"""Networks that no canvas holds are trained exactly, in a process of their own.

The program that asks waits for the answer. On a CPU it holds the threads that JAX would
need to compute it, so another process has to.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bgpbt.config.errors import OutOfMemory
from bgpbt.networks import branches
from bgpbt.networks.canvas import Sizes
from bgpbt.networks.designed import DesignedNetwork
from bgpbt.networks.structure import Rows, rows_of
from bgpbt.tasks.nas import children
from bgpbt.tasks.nas.children import ChildData, Training
from bgpbt.tasks.nas.exact import accuracies
from bgpbt.types import Array

MOST_WEIGHTS = 2**29  # more fit no memory: with Adam's moments 8 GiB


class Setting(NamedTuple):
    """All that a worth depends on beside the design; arrays are NumPy's."""

    sizes: Sizes
    training: Training
    data: ChildData


def setting_of(sizes: Sizes, training: Training, data: ChildData) -> Setting:
    """With its arrays on the host."""
    return Setting(sizes, training, jax.tree.map(np.asarray, data))


def accuracy(setting: Setting, design: Rows) -> float:
    """As `children.accuracy`, with the exact network of a design."""
    sizes, training, data = setting
    norm = "batch" if sizes.batch_norm else "affine"
    widths = (sizes.filters,), sizes.dense, sizes.classes
    network = DesignedNetwork(design, *widths, training.dropout, norm)
    per_epoch = -(-len(data.training.labels) // training.batch_size)
    data = jax.tree.map(jnp.asarray, data)
    return accuracies(
        network,
        data.training,
        data.validation,
        data.key,
        training.epochs,
        training.batch_size,
        children.schedule(training, training.epochs * per_epoch),
    )[-1]


class Apart:
    """The other process, which begins when it is first asked."""

    def __init__(self, setting: Setting):
        """Begins nothing.

        Args:
          setting: of the networks.
        """
        self._setting = setting
        self._process: Process | None = None
        self._known: dict[Rows, float] = {}
        self._lock = threading.Lock()  # devices ask at the same time

    def judge(self, rows: Array, wanted: Array) -> Array:
        """What a design that no canvas holds is worth, `[]`, within a program.

        Args:
          rows: `[d, 5]`.
          wanted: where it is False the answer is 0, and nothing is trained.
        """
        small = branches.number_of_weights(self._setting.sizes, rows) <= MOST_WEIGHTS
        return jax.pure_callback(
            self._answer,
            jax.ShapeDtypeStruct((), jnp.float32),
            rows,
            wanted & small,
            vmap_method="sequential",
        )

    def _answer(self, rows: Any, wanted: Any) -> np.ndarray:
        if not np.asarray(wanted):
            return np.zeros((), np.float32)
        design = rows_of(np.asarray(rows))
        with self._lock:
            if design not in self._known:
                self._process = self._process or Process(self._setting)
                self._known[design] = self._process.ask(design)
            return np.array(self._known[design], np.float32)


class Process:
    """A process that runs `main`, and ends with this one."""

    def __init__(self, setting: Setting):
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": paths},
            start_new_session=True,  # Ctrl-C is for the run, which then ends it
        )
        self._questions: Any = process.stdin
        self._answers: Any = process.stdout
        self._send(setting)

    def ask(self, design: Rows) -> float:
        """What a design is worth.

        Raises:
          OutOfMemory: it was killed; JAX hands on nothing but the words.
          RuntimeError: it failed.
        """
        try:
            self._send(design)
            answer = pickle.load(self._answers)
        except (EOFError, BrokenPipeError):
            raise OutOfMemory(
                "RESOURCE_EXHAUSTED: a network that no canvas holds ended the process "
                "that trained it"
            ) from None
        if isinstance(answer, str):
            raise RuntimeError(f"the network of {design} cannot be trained: {answer}")
        return answer

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def end(self) -> None:
        """Ends it, once it has answered."""
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._answers.close()
        self._process.wait()

    def _send(self, content: Any) -> None:
        pickle.dump(content, self._questions)
        self._questions.flush()


def main() -> None:
    """Answers designs until nobody asks any more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # packages may print
    setting = pickle.load(sys.stdin.buffer)
    while True:
        try:
            design = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = accuracy(setting, design)
        except Exception as error:  # whatever it is, the other process says it
            answer = f"{type(error).__name__}: {error}"
        pickle.dump(answer, answers)
        answers.flush()
        jax.clear_caches()  # no design is asked for twice


if __name__ == "__main__":
    main()
