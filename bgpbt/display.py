"""What a person sees while a run goes on: a live panel on a terminal, plain lines anywhere else."""

import math
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

ROUTINE = ("training", "distilling", "evaluating", "saving")  # phases of every round: they make its pace, plain output omits them
SHOWN = 3
UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


class Display:
    """Shows phase, pace, fitness, replacements and time left of a run; use it as a context manager.

    The panel refreshes from a thread of its own, so its clocks go on while the main thread waits for the device.
    """

    def __init__(self, title: str, max_timesteps: int, verbose: bool = False, console: Console | None = None, clock=monotonic):
        # A variable such as FORCE_COLOR, common in CI, must not bring control characters into a log file.
        self._console = console or Console(force_terminal=None if sys.stdout.isatty() else False)
        self._title, self._max_timesteps, self._verbose, self._clock = title, max_timesteps, verbose, clock
        self._began = self._phase_began = self._round_ended = clock()
        self._phase, self._note, self._waits = "starting", "", False
        self._timesteps, self._round, self._pace = 0, None, Pace(clock)
        self._spinner = Spinner("dots", style="cyan")
        self._live = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, get_renderable=self._panel, refresh_per_second=5)

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start(refresh=True)
        else:
            self.notice(self._title)
        return self

    def __exit__(self, *_) -> None:
        if self._live:
            self._live.stop()

    def start(self, timesteps: int) -> None:
        """Say where this process begins: timesteps of a resumed run do not count for the pace."""
        self._timesteps, self._pace = timesteps, Pace(self._clock)

    def notice(self, text: str, style: str = "") -> None:
        """Print one line, kept above the live part."""
        if self._live:
            self._live.refresh()  # else printing repeats the panel as it was before the last change
        self._console.print(Text(text, style), soft_wrap=True)  # a line of a log stays one line

    def detail(self, text: str) -> None:
        """Print one line if the display is verbose."""
        if self._verbose:
            self.notice(text, "dim")

    def phase(self, name: str, note: str = "") -> None:
        """Enter a phase (compiling, training, evaluating, saving, drawing, resuming) and start its clock."""
        now = self._pace.spend(self._waits)
        if self._waits:
            self.detail(f"{self._phase} took {duration(now - self._phase_began)}")
        self._phase, self._note, self._phase_began, self._waits = name, note, now, name not in ROUTINE
        if self._waits and not self._live:
            self._stamped(f"{name} ({note})" if note else name)

    def round(
        self,
        round: int,
        timesteps: int,
        steps_per_second: float | None,
        best: float | None,
        median: float | None,
        best_so_far: float | None,
        replacements: Iterable[str] = (),
        bad: Iterable[str] = (),
    ) -> None:
        """Show the figures of a round that just ended; `timesteps` are those of one member so far."""
        self._round_ended = self._pace.spend(self._waits)
        self._pace.add(timesteps - self._timesteps)
        self._timesteps = timesteps
        fitness = f"best {number(best)}  median {number(median)}  best so far {number(best_so_far)}"
        figures = f"{count(steps_per_second)} steps/s  {fitness}"
        changes, failures = shorten(list(replacements)), "; ".join(shorten(list(bad)))
        self._round = (f"round {round}", figures, "\n".join(changes) or "-")
        if not self._live:
            line = f"round {round}  {self._progress()}  {figures}  left {duration(self._left())}"
            self._stamped(" | ".join(part for part in (line, "; ".join(changes), failures) if part))
        elif failures:
            self.notice(f"round {round}: {failures}")

    def done(self, lines: list[str]) -> None:
        """End the live part and print the final summary in its place."""
        if not self._live:
            for line in lines:
                self.notice(line)
            return
        self._live.transient = True
        self._live.stop()
        self._console.print(self._frame(Text("\n".join(lines))))

    def _left(self) -> float | None:
        """Seconds until the end: an estimate when the last round ended, from which the time since is taken off."""
        left = self._pace.seconds_for(self._max_timesteps - self._timesteps)
        return None if left is None else max(0.0, left - (self._clock() - self._round_ended))

    def _progress(self) -> str:
        share = min(self._timesteps / max(self._max_timesteps, 1), 1)  # the last round may run past the end
        return f"{count(self._timesteps)} of {count(self._max_timesteps)} timesteps per member ({share:.0%})"

    def _stamped(self, text: str) -> None:
        self.notice(f"[{duration(self._clock() - self._began)}] {text}")

    def _frame(self, body: Table | Text) -> Panel:
        look = {"title": Text(self._title, "bold"), "title_align": "left", "width": min(self._console.width, 96)}
        return Panel(body, subtitle=f"elapsed {duration(self._clock() - self._began)}", **look)

    def _panel(self) -> Panel:
        """The live part as it looks now; called by the refresh thread."""
        lasted = f"  {duration(self._clock() - self._phase_began)}  "
        self._spinner.update(text=Text.assemble((self._phase, "bold cyan"), lasted, (self._note, "dim")))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        table.add_row("phase", self._spinner)
        table.add_row("progress", ProgressBar(max(self._max_timesteps, 1), self._timesteps, complete_style="magenta"))
        table.add_row("", self._progress())
        table.add_row("time left", duration(self._left()))
        if self._round:
            name, figures, changes = self._round
            table.add_row(name, figures)
            table.add_row("replaced", Text(changes))
        return self._frame(table)


class Pace:
    """Seconds per timestep of the rounds done so far.

    A round that had to wait, say for a compile, counts only until there is a round that did not.
    """

    def __init__(self, clock: Callable[[], float]):
        self._clock, self._mark = clock, clock()
        self._seconds, self._waited = 0.0, False
        self._known = {True: (0.0, 0), False: (0.0, 0)}

    def spend(self, waiting: bool) -> float:
        """Count the time since the last call, of waiting only that there was some; return the time."""
        now = self._clock()
        self._seconds += 0.0 if waiting else now - self._mark
        self._mark, self._waited = now, self._waited or waiting
        return now

    def add(self, timesteps: int) -> None:
        """End a round which made so many timesteps; one that made none says nothing."""
        if timesteps > 0:
            seconds, steps = self._known[self._waited]
            self._known[self._waited] = (seconds + self._seconds, steps + timesteps)
        self._seconds, self._waited = 0.0, False

    def seconds_for(self, timesteps: int) -> float | None:
        """Estimated seconds for so many timesteps; None before anything is known."""
        seconds, steps = self._known[False] if self._known[False][1] else self._known[True]
        return max(timesteps, 0) * seconds / steps if seconds else None


def duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss, `-` if unknown."""
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))


def number(value: float | None) -> str:
    """A fitness as people write it, `-` if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.1f}" if 100 <= abs(value) < 1e9 else f"{value:.3g}"


def count(value: float | None) -> str:
    """Timesteps with three digits and a unit, such as 1.5M; `-` if missing or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    # 999,999 is 1M, not 1000k.
    unit, size = next((pair for pair in UNITS if value >= 0.9995 * pair[1]), ("", 1))
    return f"{value / size:.3g}{unit}"


def shorten(words: list[str]) -> list[str]:
    """The first few of many words, and how many more there are."""
    return words if len(words) <= SHOWN + 1 else [*words[:SHOWN], f"and {len(words) - SHOWN} more"]
