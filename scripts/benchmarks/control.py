"""What a round costs beside training and evaluation: decide, inherit, keep the best, records, checkpoint, display.

The product's own loop runs rounds of 100,000 steps of each member. Its programs are wrapped in timers that wait for the
device; a round lasts from one call of the training program to the next, and whatever is neither training nor evaluation
counts. The first round, which waits for compilations, is left out.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import jax

from bgpbt.api import make_strategy, make_task
from bgpbt.controller import train_population
from bgpbt.display import Display
from bgpbt.engine import make_engine
from bgpbt.population import arrange
from bgpbt.store import RunStore
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Bar, Result, median

REPEATS = 3
PARTS = ("decide", "inherit", "best", "records", "save", "display")


class Stopwatch:
    """Seconds by round and name."""

    def __init__(self):
        self.starts, self.rounds = [], []

    def wrap(self, name: str, f: Callable) -> Callable:
        """`f`, timed until its arrays are there; calls of "train" begin a new round."""

        def timed(*args, **kwargs):
            began = time.monotonic()
            if name == "train":
                self.starts.append(began)
                self.rounds.append(defaultdict(float))
            out = jax.block_until_ready(f(*args, **kwargs))
            if self.rounds:
                self.rounds[-1][name] += time.monotonic() - began
            return out

        for attribute in ("begin", "wait", "ready"):  # programs that are compiled in the background can be waited for
            setattr(timed, attribute, getattr(f, attribute, None))
        return timed

    def full_rounds(self) -> list[dict[str, float]]:
        """Rounds between two calls of the training program, without the first: seconds of each part and of `round`."""
        lasted = [b - a for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return [dict(parts) | {"round": s} for parts, s in zip(self.rounds, lasted, strict=False)][1:]


def timed_run(options, folder: Path) -> list[dict[str, float]]:
    """Runs the product's loop and returns what its full rounds were spent on."""
    watch, task = Stopwatch(), make_task(options)
    engine = make_engine(options, task, make_strategy(options, task), arrange(options.pop_size))
    programs = {"train": "train", "evaluate": "evaluate", "inherit": "inherit", "pick": "best", "hyperparams": "records"}
    wrapped = {field: watch.wrap(name, getattr(engine.programs[0], field)) for field, name in programs.items()}
    strategy = engine.strategy._replace(step=watch.wrap("decide", engine.strategy.step))
    engine = engine._replace(programs=(engine.programs[0]._replace(**wrapped),), strategy=strategy)
    store = RunStore(folder)
    store.open(options)
    store.save = watch.wrap("save", store.save)
    with Display("control", options.max_timesteps) as display:
        display.round = watch.wrap("display", display.round)
        train_population(engine, 0, store, display)
    return watch.full_rounds()


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs `repeats + 2` rounds; all but the first and the last are repeats."""
    steps = 2000 if quick else 100_000
    options = small_options(quick, strategy="pbt", t_ready=steps, max_timesteps=steps * (repeats + 2) - steps // 2)
    say(f"{repeats + 2} rounds of {steps:,} steps of each of {options.pop_size} members")
    with tempfile.TemporaryDirectory() as folder:
        rounds = timed_run(options, Path(folder) / "run")
    outside = [r["round"] - r["train"] - r["evaluate"] for r in rounds]
    share = [100 * o / r["round"] for o, r in zip(outside, rounds, strict=True)]
    figures = [
        median("everything outside training and evaluation", "% of a round", share, Bar("<=", 2)),
        median("the same", "s", outside),
        median("training", "s", [r["train"] for r in rounds]),
        median("evaluation", "s", [r["evaluate"] for r in rounds]),
        *(median(f"  {name}", "s", [r.get(name, 0.0) for r in rounds]) for name in PARTS),
    ]
    rest = [o - sum(r.get(name, 0.0) for name in PARTS) for o, r in zip(outside, rounds, strict=True)]
    figures.append(median("  the rest", "s", rest, note="the controller's Python, copies to the host, tables"))
    return Result("control", {"members": options.pop_size, "steps": steps, "rounds": len(rounds)}, figures, quick)
