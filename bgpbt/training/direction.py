"""The sign of a minimising task's numbers.

Inside a run larger is always better: strategies, the saved best and checkpoints never
ask. The sign changes where returns come in, and where numbers go out to people.
"""

from typing import Any

from bgpbt.types import Searched


def flip_if_minimised(searched: Searched, x: Any) -> Any:
    """Turns a task's own numbers into those inside, and back.

    Args:
      searched: the task, or a person's own loop, whose numbers they are.
      x: a number or an array; NaN stays NaN.

    Returns:
      They with the other sign where that minimises, else as they are.
    """
    # A difference, because minus zero would show as -0.0.
    return 0.0 - x if searched.minimise else x
