"""What a person sees while a run goes on.

It is a live panel on a terminal, and plain lines anywhere else.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterable
from time import monotonic

import rich.console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bgpbt.viz.formatting import (
    format_count,
    format_duration,
    format_number,
    shorten,
)
from bgpbt.viz.pace import Pace

# Phases of every round. They make its pace, and plain output omits them.
ROUTINE = ("training", "distilling", "evaluating", "saving")
MAX_WIDTH = 96


class Console(rich.console.Console):
    """A console whose reader may go away."""

    def on_broken_pipe(self) -> None:
        """The run goes on, and says nothing more; rich itself would end it."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Display:
    """Shows phase, pace, fitness, replacements and time left of a run.

    Use it as a context manager. The panel refreshes from a thread of its own, so its
    clocks go on while the main thread waits for the device.
    """

    def __init__(
        self,
        title: str,
        max_timesteps: int,
        verbose: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = monotonic,
    ):
        """Prepares the display; entering the context shows it.

        Args:
          title: what the run is.
          max_timesteps: of one member, at which the run ends.
          verbose: print details, too.
          console: where to print; None: standard output.
          clock: returns the time in seconds.
        """
        # FORCE_COLOR, common in CI, must not bring control characters into a log file.
        self._console = console or Console(
            force_terminal=None if sys.stdout.isatty() else False
        )
        self._title = title
        self._max_timesteps = max_timesteps
        self._verbose = verbose
        self._clock = clock
        self._began = clock()
        self._phase_began = self._began
        self._round_ended = self._began
        self._phase = "starting"
        self._note = ""
        self._waits = False
        self._timesteps = 0
        self._round: tuple[str, str, str] | None = None
        self._pace = Pace(clock)
        self._spinner = Spinner("dots", style="cyan")
        self._live = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._panel, refresh_per_second=5
            )

    def __enter__(self) -> "Display":
        if self._live:
            with self._or_silent():
                self._live.start(refresh=True)
        else:
            self.notice(self._title)
        return self

    def __exit__(self, *_) -> None:
        if self._live:
            with self._or_silent():
                self._live.stop()

    @contextlib.contextmanager
    def _or_silent(self) -> Generator[None]:
        """Prints within it; says nothing more where that fails.

        The terminal may have gone, or the log's disk may be full: the run goes on.
        """
        try:
            yield
        except OSError:
            self._console.quiet = True

    def start(self, timesteps: int) -> None:
        """Says where this process begins.

        Args:
          timesteps: of one member, done before. They do not count for the pace.
        """
        self._timesteps = timesteps
        self._pace = Pace(self._clock)

    def notice(self, text: str, style: str = "") -> None:
        """Prints one line, which stays above the live part.

        Args:
          text: the line.
          style: of rich, such as "dim".
        """
        with self._or_silent():
            if self._live:
                # Printing repeats the panel, which would be the one before the last
                # change.
                self._live.refresh()
            # Soft: a line of a log stays one line.
            self._console.print(Text(text, style), soft_wrap=True)

    def detail(self, text: str) -> None:
        """Prints one line if the display is verbose."""
        if self._verbose:
            self.notice(text, "dim")

    def phase(self, name: str, note: str = "") -> None:
        """Enters a phase and starts its clock.

        Args:
          name: such as compiling, training, evaluating, saving, drawing, resuming.
          note: what is done in it.
        """
        now = self._pace.spend(self._waits)
        if self._waits:
            seconds = now - self._phase_began
            self.detail(f"{self._phase} took {format_duration(seconds)}")
        self._phase = name
        self._note = note
        self._phase_began = now
        self._waits = name not in ROUTINE
        if self._waits and not self._live:
            self._print_stamped(f"{name} ({note})" if note else name)

    def untrained(self, best: float, median: float) -> None:
        """Prints the fitness of the best and of the median untrained member."""
        self.notice(
            f"untrained: best {format_number(best)}, median {format_number(median)}"
        )

    def round(
        self,
        round: int,
        timesteps: int,
        steps_per_second: float | None,
        best: float | None,
        median: float | None,
        best_so_far: float | None,
        replacements: Iterable[str] = (),
        failures: Iterable[str] = (),
    ) -> None:
        """Shows the figures of a round that just ended.

        Args:
          round: its number.
          timesteps: of one member so far.
          steps_per_second: of the whole population, while it trained.
          best: fitness of the round's best member.
          median: fitness of the round's median member.
          best_so_far: best fitness of the run.
          replacements: who was replaced by whom, in words.
          failures: who failed, in words.
        """
        self._round_ended = self._pace.spend(self._waits)
        self._pace.add(timesteps - self._timesteps)
        self._timesteps = timesteps
        speed = f"{format_count(steps_per_second)} steps/s"
        fitness = (
            f"best {format_number(best)}  median {format_number(median)}"
            f"  best so far {format_number(best_so_far)}"
        )
        figures = f"{speed}  {fitness}"
        changes = shorten(list(replacements))
        failed = "; ".join(shorten(list(failures)))
        self._round = (f"round {round}", figures, "\n".join(changes) or "-")
        if not self._live:
            left = f"left {format_duration(self._left())}"
            line = f"round {round}  {self._progress()}  {figures}  {left}"
            parts = (line, "; ".join(changes), failed)
            self._print_stamped(" | ".join(part for part in parts if part))
        elif failed:
            self.notice(f"round {round}: {failed}")

    def done(self, lines: list[str]) -> None:
        """Ends the live part and prints the final summary in its place."""
        if not self._live:
            for line in lines:
                self.notice(line)
            return
        self._live.transient = True
        with self._or_silent():
            self._live.stop()
            self._console.print(self._frame(Text("\n".join(lines))))

    def _left(self) -> float | None:
        """Seconds until the end, estimated when the last round ended."""
        seconds = self._pace.seconds_for(self._max_timesteps - self._timesteps)
        if seconds is None:
            return None
        return max(0.0, seconds - (self._clock() - self._round_ended))

    def _counted_timesteps(self) -> int:
        """Timesteps so far, without those that the last round makes past the end."""
        return min(self._timesteps, self._max_timesteps)

    def _progress(self) -> str:
        counted = self._counted_timesteps()
        share = counted / max(self._max_timesteps, 1)
        text = (
            f"{format_count(counted)} of {format_count(self._max_timesteps)}"
            f" timesteps per member ({share:.0%})"
        )
        more = self._timesteps - counted
        return f"{text}, {format_count(more)} more to end the round" if more else text

    def _print_stamped(self, text: str) -> None:
        self.notice(f"[{format_duration(self._clock() - self._began)}] {text}")

    def _frame(self, body: Table | Text) -> Panel:
        return Panel(
            body,
            title=Text(self._title, "bold"),
            title_align="left",
            subtitle=f"elapsed {format_duration(self._clock() - self._began)}",
            width=min(self._console.width, MAX_WIDTH),
        )

    def _panel(self) -> Panel:
        """The live part as it looks now; called by the refresh thread."""
        lasted = f"  {format_duration(self._clock() - self._phase_began)}  "
        self._spinner.update(
            text=Text.assemble((self._phase, "bold cyan"), lasted, (self._note, "dim"))
        )
        bar = ProgressBar(
            max(self._max_timesteps, 1),
            self._counted_timesteps(),
            complete_style="magenta",
        )
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        table.add_row("phase", self._spinner)
        table.add_row("progress", bar)
        table.add_row("", self._progress())
        table.add_row("time left", format_duration(self._left()))
        if self._round:
            name, figures, changes = self._round
            table.add_row(name, figures)
            table.add_row("replaced", Text(changes))
        return self._frame(table)
