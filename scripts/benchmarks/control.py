"""What a round costs beside training and evaluation.

That is: decide, inherit, keep the best, records, checkpoint, display. The product's own
loop runs rounds of 100,000 steps of each member. Its programs are wrapped in timers
that wait for the device; a round lasts from one call of the training program to the
next, and whatever is neither training nor evaluation counts. The first round, which
waits for compilations, is left out.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import jax

from bgpbt.assembly.parts import assemble, start_engine
from bgpbt.config.options import Options
from bgpbt.storage.provenance import identity
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take
from bgpbt.training.engine import Engine
from bgpbt.training.loop import train_population
from bgpbt.training.stop import Stop
from bgpbt.viz.display import Display
from scripts.benchmarks.cases import small_options
from scripts.benchmarks.figures import Figure, Result, Target, median

REPEATS = 3
PARTS = ("decide", "inherit", "best", "records", "save", "display")
# Fields of `Programs`, and the part that each belongs to.
PROGRAMS = {
    "train": "train",
    "evaluate": "evaluate",
    "inherit": "inherit",
    "pick": "best",
    "hyperparams": "records",
}
Round = dict[str, float]  # seconds by part, and of all of it as `round`


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Runs `repeats + 2` rounds; all but the first and the last are repeats."""
    steps = 2000 if quick else 100_000
    rounds = repeats + 2
    options = small_options(
        quick,
        strategy="pbt",
        t_ready=steps,
        max_timesteps=steps * rounds - steps // 2,
    )
    say(f"{rounds} rounds of {steps:,} steps of each of {options.pop_size} members")
    with tempfile.TemporaryDirectory() as folder:
        full_rounds = timed_run(options, Path(folder) / "run")
    settings = {
        "members": options.pop_size,
        "steps": steps,
        "rounds": len(full_rounds),
    }
    return Result("control", settings, _figures(full_rounds), quick)


def waits_like(call: Callable, program: Callable) -> Callable:
    """Gives `call` what a program has that is compiled in the background.

    So that it can be waited for.
    """
    for attribute in ("begin", "wait", "ready"):
        setattr(call, attribute, getattr(program, attribute, None))
    return call


class Stopwatch:
    """Seconds by round and name."""

    def __init__(self):
        self.starts: list[float] = []
        self.rounds: list[defaultdict[str, float]] = []

    def wrap(self, name: str, f: Callable) -> Callable:
        """Times a function until its arrays are computed.

        Calls of "train" begin a new round.
        """

        def timed(*args, **kwargs):
            began = time.monotonic()
            if name == "train":
                self.starts.append(began)
                self.rounds.append(defaultdict(float))
            out = jax.block_until_ready(f(*args, **kwargs))
            if self.rounds:
                self.rounds[-1][name] += time.monotonic() - began
            return out

        return waits_like(timed, f)

    def full_rounds(self) -> list[Round]:
        """Rounds between two calls of the training program, without the first."""
        lasted = [b - a for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return [
            dict(parts) | {"round": seconds}
            for parts, seconds in zip(self.rounds, lasted, strict=False)
        ][1:]


def timed_run(options: Options, folder: Path) -> list[Round]:
    """Runs bgpbt's loop. Returns what its full rounds were spent on."""
    watch = Stopwatch()
    engine = _timed_engine(start_engine(assemble(options)), watch)
    store = RunStore(folder)
    take(store, options, identity(options, engine.task))
    store.save = watch.wrap("save", store.save)
    with Display("control", options.max_timesteps) as display:
        display.round = watch.wrap("display", display.round)
        train_population(engine, 0, store, display, Stop())
    return watch.full_rounds()


def _timed_engine(engine: Engine, watch: Stopwatch) -> Engine:
    """The engine of a task with one padding, its programs and strategy timed."""
    (programs,) = engine.programs
    wrapped = {
        field: watch.wrap(name, getattr(programs, field))
        for field, name in PROGRAMS.items()
    }
    strategy = engine.strategy._replace(step=watch.wrap("decide", engine.strategy.step))
    return engine._replace(programs=(programs._replace(**wrapped),), strategy=strategy)


def outside(full_round: Round) -> float:
    """Seconds of a round that were neither training nor evaluation."""
    return full_round["round"] - full_round["train"] - full_round["evaluate"]


def _figures(rounds: list[Round]) -> list[Figure]:
    seconds = [outside(r) for r in rounds]
    share = [100 * s / r["round"] for s, r in zip(seconds, rounds, strict=True)]
    rest = [
        s - sum(r.get(name, 0.0) for name in PARTS)
        for s, r in zip(seconds, rounds, strict=True)
    ]
    what = "everything outside training and evaluation"
    note = "the controller's Python, copies to the host, tables"
    return [
        median(what, "% of a round", share, Target("<=", 2)),
        median("the same", "s", seconds),
        median("training", "s", [r["train"] for r in rounds]),
        median("evaluation", "s", [r["evaluate"] for r in rounds]),
        *(
            median(f"  {name}", "s", [r.get(name, 0.0) for r in rounds])
            for name in PARTS
        ),
        median("  the rest", "s", rest, note=note),
    ]
