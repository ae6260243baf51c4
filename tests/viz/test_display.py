import errno
import io
import sys
import threading
import time

import pytest
from rich.console import Console

from bgpbt.viz.display import Display
from bgpbt.viz.formatting import (
    format_count,
    format_duration,
    format_number,
    shorten,
)

FIGURES = {
    "steps_per_second": 1_234_000.0,
    "best": 1234.56,
    "median": 321.0,
    "best_so_far": 1300.0,
}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def plain(clock, **options):
    # Narrow on purpose: lines must not be wrapped.
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    return Display(
        "ant [pbt]", 1000, console=console, clock=clock, **options
    ), console.file


def live(clock, **options):
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        width=100,
        _environ={"TERM": "xterm-256color"},
    )
    return Display(
        "ant [pbt]", 1000, console=console, clock=clock, **options
    ), console.file


def train(display, clock, rounds, compiling=60.0, start=0, **words):
    """Rounds of 100 timesteps and 10 seconds; the first is preceded by a compile."""
    display.start(start)
    display.phase("compiling", "minutes")
    clock.now += compiling
    for round in range(1, rounds + 1):
        for phase, seconds in (("training", 7.0), ("evaluating", 2.0), ("saving", 1.0)):
            display.phase(phase)
            clock.now += seconds
        display.round(round=round, timesteps=start + 100 * round, **FIGURES, **words)


def test_plain_output_has_one_line_per_round_and_slow_phase(clock):
    display, file = plain(clock)
    with display:
        display.notice("run folder [red]runs/ant")
        train(
            display,
            clock,
            2,
            replacements=["member 3 <- member 5, perturbed"],
            failures=["member 2 turned NaN: replaced"],
        )
        display.done(["best 1,300.0"])
    text = file.getvalue()
    assert text.replace("\n", "").isprintable()  # no control character but newlines
    figures = "1.23M steps/s  best 1,234.6  median 321.0  best so far 1,300.0"
    words = "member 3 <- member 5, perturbed | member 2 turned NaN: replaced"
    assert text.splitlines() == [
        "ant [pbt]",
        "run folder [red]runs/ant",
        "[0:00:00] compiling (minutes)",
        "[0:01:10] round 1  100 of 1k timesteps per member (10%)"
        f"  {figures}  left 0:01:30 | {words}",
        "[0:01:20] round 2  200 of 1k timesteps per member (20%)"
        f"  {figures}  left 0:01:20 | {words}",
        "best 1,300.0",
    ]


def test_plain_lines_are_flushed_at_once(clock):
    class File(io.StringIO):
        flushed = ""

        def flush(self):
            self.flushed = self.getvalue()

    file = File()
    display = Display(
        "ant", 1000, console=Console(file=file, force_terminal=False), clock=clock
    )
    with display:
        train(display, clock, 1)
        assert "round 1" in file.flushed


def test_a_pipe_gets_no_colours_whatever_the_environment_says(
    clock, monkeypatch, capsys
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert not sys.stdout.isatty()
    with Display("ant", 1000, clock=clock) as display:
        train(display, clock, 1)
    out = capsys.readouterr().out
    assert "round 1" in out and "\x1b" not in out


def test_missing_and_nan_figures_are_dashes(clock):
    display, file = plain(clock)
    display.round(1, 100, None, float("nan"), None, float("-inf"), [], [])
    assert "- steps/s  best -  median -  best so far -  left -" in file.getvalue()


def test_time_left_counts_only_this_process_and_no_compile(clock):
    display, _ = plain(clock)
    assert display._left() is None
    train(display, clock, 3, compiling=500.0, start=400)
    # 300 of 1000 timesteps to go, 10 seconds for 100
    assert display._left() == pytest.approx(30.0)
    clock.now += 12.0
    assert display._left() == pytest.approx(18.0)
    clock.now += 100.0
    assert display._left() == 0.0


def test_time_left_forgets_a_round_that_waited_once_there_is_another(clock):
    display, _ = plain(clock)
    display.phase("compiling")
    clock.now += 100.0
    display.phase("training")
    # Most of the first round ran while the phase was still called compiling.
    clock.now += 1.0
    display.round(1, 100, **FIGURES)
    assert display._left() == pytest.approx(9.0)
    clock.now += 20.0
    display.round(2, 200, **FIGURES)
    assert display._left() == pytest.approx(160.0)


def test_an_untrained_round_does_not_count_for_the_pace(clock):
    display, _ = plain(clock)
    clock.now += 50.0
    display.round(0, 0, **FIGURES)
    clock.now += 10.0
    display.round(1, 100, **FIGURES)
    assert display._left() == pytest.approx(90.0)


def test_details_need_verbose(clock):
    quiet, quiet_file = plain(clock)
    chatty, chatty_file = plain(clock, verbose=True)
    for display in (quiet, chatty):
        display.detail("64 networks")
        train(display, clock, 1)
    assert "64 networks" not in quiet_file.getvalue()
    assert "took" not in quiet_file.getvalue()
    assert "64 networks" in chatty_file.getvalue()
    assert "compiling took 0:01:00" in chatty_file.getvalue()


def panel_text(display):
    console = Console(file=io.StringIO(), width=100)
    console.print(display._panel())
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("timesteps", "progress"),
    [
        (950, "950 of 1k timesteps per member (95%)"),
        (1000, "1k of 1k timesteps per member (100%)"),
        (1200, "1k of 1k timesteps per member (100%), 200 more to end the round"),
    ],
)
def test_a_last_round_that_overruns_does_not_read_as_more_than_the_whole(
    clock, timesteps, progress
):
    display, file = plain(clock)
    display.round(12, timesteps, **FIGURES)
    assert f"round 12  {progress}  1.23M steps/s" in file.getvalue()
    display, _ = live(clock)
    display.round(12, timesteps, **FIGURES)
    text = panel_text(display)
    assert any(progress in line for line in text.splitlines())
    assert "1.2k" not in text + file.getvalue()


def test_the_bar_is_full_when_the_last_round_overruns(clock, monkeypatch):
    drawn = []

    def bar(total, completed, **style):
        drawn.append((total, completed))
        return ""

    monkeypatch.setattr("bgpbt.viz.display.ProgressBar", bar)
    display, _ = live(clock)
    for timesteps, completed in ((300, 300), (1200, 1000)):
        display.round(12, timesteps, **FIGURES)
        display._panel()
        assert drawn[-1] == (1000, completed)


def test_live_panel_shows_everything(clock):
    display, _ = live(clock)
    train(
        display,
        clock,
        4,
        replacements=[f"member {m} <- member 9, perturbed" for m in range(6)],
    )
    display.phase("training", "generation 2")
    clock.now += 5.0
    text = panel_text(display)
    for expected in (
        "ant [pbt]",
        "training  0:00:05  generation 2",
        "400 of 1k timesteps per member (40%)",
        "time left  0:00:55",
        "round 4    1.23M steps/s  best 1,234.6  median 321.0  best so far 1,300.0",
        "replaced   member 0 <- member 9, perturbed",
        "and 3 more",
        "elapsed 0:01:45",
    ):
        assert expected in text
    assert "member 3 <-" not in text


def test_live_panel_refreshes_while_the_main_thread_is_blocked(clock):
    before = set(threading.enumerate())
    display, file = live(clock)
    with display:
        assert set(threading.enumerate()) - before
        display.phase("compiling")
        clock.now += 77.0
        for _ in range(100):
            time.sleep(0.0 if "0:01:17" in file.getvalue() else 0.05)
        assert "0:01:17" in file.getvalue()
        display.notice("kept above")
        display.round(1, 100, **FIGURES, failures=["member 2 turned NaN"])
        display.done(["all is well"])
    text = file.getvalue()
    assert "kept above" in text and "round 1: member 2 turned NaN" in text
    hidden, shown, summary = (
        text.index(part) for part in ("\x1b[?25l", "\x1b[?25h", "all is well")
    )
    assert hidden < shown < summary  # the cursor is back
    assert "\x1b[2K" in text[shown:summary]  # and the panel erased
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5.0)
        assert not thread.is_alive()


def test_live_panel_ends_with_an_exception(clock):
    display, file = live(clock)
    with pytest.raises(KeyboardInterrupt), display:
        raise KeyboardInterrupt
    assert file.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_terminal_that_has_gone_ends_nothing(clock, monkeypatch):
    display, terminal = live(clock)
    with display:
        train(display, clock, rounds=1)

        def gone(text):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(terminal, "write", gone)
        train(display, clock, rounds=1, start=100, failures=["member 1 failed"])
        display.done(["the end"])


def test_numbers_as_people_write_them():
    counts = (0, 999, 999.9, 1500, 999_999, 12_345_678, 2e9)
    expected = "0 999 1k 1.5k 1M 12.3M 2G".split()
    assert [format_count(n) for n in counts] == expected
    numbers = (0.0, -3.14159, 99.94, 12345.67)
    expected = ["0", "-3.14", "99.9", "12,345.7"]
    assert [format_number(x) for x in numbers] == expected
    durations = (None, 59.6, 3661, 90000)
    expected = ["-", "0:01:00", "1:01:01", "1 day, 1:00:00"]
    assert [format_duration(x) for x in durations] == expected


def test_many_words_are_shortened():
    assert shorten(["a"] * 4) == ["a"] * 4
    assert shorten(["a"] * 6) == ["a", "a", "a", "and 3 more"]
