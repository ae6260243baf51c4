"""What episodes of a policy came to, in lines."""

import numpy as np

from bgpbt.intervals import interval
from bgpbt.viz.formatting import columns, format_number


def trial_table(gained: dict[str, np.ndarray], steps: np.ndarray) -> list[str]:
    """A line for what the episodes gained, and one for their lengths.

    Args:
      gained: by name. Shape `[E]` each.
      steps: how long each episode was, in environment steps. Shape `[E]`.
    """
    rows = [_row(name, values) for name, values in gained.items()]
    return columns([*rows, _row("length, environment steps", steps)])


def _row(name: str, values: np.ndarray) -> list[str]:
    words = [name, format_number(values.mean())]
    if len(values) == 1:
        return [*words, "one episode has no interval", ""]
    low, high = map(format_number, interval(values))
    spread = format_number(values.std(ddof=1))
    return [*words, f"95 %: {low} to {high}", f"sd {spread}"]
