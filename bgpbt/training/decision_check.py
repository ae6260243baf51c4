"""Whether members can be made from what a strategy decided."""

from typing import NoReturn

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.types import Decision, Searched, Source


def check_decision(
    word: str, decision: Decision, searched: Searched, pop_size: int, mutates: bool
) -> None:
    """Whether members can be made from a decision.

    Args:
      word: where it comes from, for the message.
      decision: shapes, types and values are checked.
      searched: names dimensions and blocks.
      pop_size: P.
      mutates: the strategy says whose weights are mutated.

    Raises:
      BadInput: they cannot.
    """
    blocks = (pop_size, len(searched.blocks))
    shapes = {
        "config": (pop_size, len(searched.space)),
        "parents": blocks,
        "shrink": blocks,
        "perturb": blocks,
        "active": (pop_size,),
        "source": (pop_size,),
    }
    if mutates:
        shapes["mutate"] = (pop_size,)
    for field, shape in shapes.items():
        problem = _problem_of(field, np.asarray(getattr(decision, field)), shape)
        if problem:
            _refuse(word, field, problem)
    parents = f"members 0 to {pop_size - 1} or {pop_size}, the saved best"
    ranges = {"parents": (pop_size, parents), "source": (max(Source), "a Source")}
    for field, (most, right) in ranges.items():
        values = np.asarray(getattr(decision, field))
        if wrong := values[(values < 0) | (values > most)].tolist():
            _refuse(word, field, f"has {wrong[0]}, give {right}")


def _problem_of(field: str, values: np.ndarray, shape: tuple[int, ...]) -> str:
    """What is wrong with a field of a decision, "" where nothing is."""
    if values.shape != shape:
        return f"has shape {values.shape}, give {shape}"
    whole_numbers = field in ("parents", "source")
    if values.dtype.kind not in ("iu" if whole_numbers else "fiub"):
        right = "whole numbers" if whole_numbers else "numbers"
        return f"has type {values.dtype}, give {right}"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return "is not finite everywhere"
    return ""


def _refuse(word: str, field: str, problem: str) -> NoReturn:
    raise BadInput(f"strategy: {word}: decision: {field} {problem}", "strategy")
