"""Numbers as people read them."""

import math
from collections.abc import Sequence
from datetime import timedelta

MISSING = "-"
MAX_WORDS = 3
UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def format_duration(seconds: float | None) -> str:
    """Writes seconds as h:mm:ss, `-` if unknown."""
    return MISSING if seconds is None else str(timedelta(seconds=round(seconds)))


def format_number(value: float | None) -> str:
    """Writes a fitness, `-` if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.1f}" if 100 <= abs(value) < 1e9 else f"{value:.3g}"


def format_value(value: object) -> str:
    """Writes a hyperparameter with three digits; what is no number as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_count(value: float | None) -> str:
    """Writes timesteps with three digits and a unit, such as 1.5M.

    It is `-` if they are missing or not finite.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    # 999,999 is 1M, not 1000k.
    unit, size = next((pair for pair in UNITS if value >= 0.9995 * pair[1]), ("", 1))
    return f"{value / size:.3g}{unit}"


def shorten(words: list[str]) -> list[str]:
    """Keeps the first few of many words, and says how many more there are."""
    if len(words) <= MAX_WORDS + 1:
        return words
    return [*words[:MAX_WORDS], f"and {len(words) - MAX_WORDS} more"]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words as lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(w) for word, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def counted(number: int, noun: str) -> str:
    """Such as `1 member` and `8 members`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
