"""What a person tells a `bgpbt.Tuner` of a round, checked. `P` members."""

import warnings
from typing import Any, NamedTuple, NoReturn

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.run_state import Progress
from bgpbt.types import Searched

# Strategies count steps in int32.
_MOST_STEPS = 2**31 - 1


class Told(NamedTuple):
    """A round as a strategy will see it."""

    fitness: np.ndarray  # [P] float64, larger is better, NaN = failed or idle
    steps: np.ndarray  # [P] int64, since the round before
    returns: np.ndarray  # [P, E] float64, NaN-padded


def read_told(
    progress: Progress,
    fitness: Any,
    steps: Any,
    returns: Any,
    *,
    searched: Searched,
    is_first: bool,
    needs_returns: bool,
) -> Told:
    """Reads and checks a round.

    Args:
      progress: before it.
      fitness: numbers `[P]`.
      steps: whole numbers, `[]` or `[P]`.
      returns: numbers `[P, E]`, or None.
      searched: says whether fitness and returns are to be minimised.
      is_first: it is of the untrained members.
      needs_returns: the strategy compares several returns of a member.

    Raises:
      BadInput: a shape or a value is wrong.
    """
    active = progress.active
    told = _numbers("fitness", fitness)
    if told.shape != active.shape:
        _refuse("fitness", f"has shape {told.shape}, give {active.shape}")
    told = flip_if_minimised(searched, _of_active("fitness", told, active))
    trained = _read_steps(progress, steps, is_first)
    if returns is None:
        if needs_returns:
            _refuse("returns", "the strategy needs several of a member, give [P, E]")
        return Told(told, trained, told[:, None])
    several = _numbers("returns", returns)
    least = 2 if needs_returns else 1
    if several.ndim != 2 or len(several) != len(active) or several.shape[1] < least:
        _refuse(
            "returns",
            f"has shape {several.shape}, give ({len(active)}, E) with E at least "
            f"{least}",
        )
    several = _of_active("returns", several, active)
    _check_means(several, _of_active("fitness", _numbers("fitness", fitness), active))
    several = flip_if_minimised(searched, several)
    return Told(told, trained, several)


def _check_means(returns: np.ndarray, fitness: np.ndarray) -> None:
    """The fitness is the mean of the returns, up to what float32 rounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing
        means = np.nanmean(returns, axis=1)
    same = np.isclose(means, fitness, rtol=1e-3, atol=1e-6, equal_nan=True)
    if not same.all():
        member = int(np.argmin(same))
        _refuse(
            "returns",
            f"those of member {member} have the mean {means[member]:.6g}, its fitness "
            f"is {fitness[member]:.6g}, give what the fitness is the mean of",
        )


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        numbers = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged, or on a device
        why = next(iter(str(error).splitlines()), "")
        _refuse(name, f"cannot be read as numbers: {why}")
    if numbers.dtype.name == "bfloat16":
        numbers = numbers.astype(np.float32)
    if numbers.dtype == object:
        _refuse(name, "holds what is no number, give numbers, NaN where one failed")
    if numbers.dtype.kind not in "iuf":
        _refuse(name, f"has type {numbers.dtype}, give numbers")
    return numbers.astype(np.float64)


def _of_active(name: str, numbers: np.ndarray, active: np.ndarray) -> np.ndarray:
    """The numbers of active members, which are finite or NaN; NaN for idle ones."""
    numbers = numbers.copy()
    numbers[~active] = np.nan
    with np.errstate(over="ignore"):  # what float32 cannot hold
        infinite = np.isinf(numbers.astype(np.float32))
    if infinite.any():
        member, *_ = np.argwhere(infinite)[0]
        _refuse(
            name,
            f"member {member} has {numbers[infinite][0]}, which float32 cannot hold, "
            "give NaN where a member failed",
        )
    return numbers


def _read_steps(progress: Progress, steps: Any, is_first: bool) -> np.ndarray:
    shape = progress.active.shape
    numbers = _numbers("steps", steps)
    if numbers.shape not in ((), shape):
        _refuse("steps", f"has shape {numbers.shape}, give one number or {shape}")
    good = np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))
    if not good.all():
        _refuse("steps", f"has {numbers[~good][0]}, give whole numbers of at least 0")
    if is_first and numbers.any():
        _refuse("steps", "the first round is of the untrained members, give 0")
    most = float((progress.timesteps + numbers)[progress.active].max(initial=0))
    if most > _MOST_STEPS:
        _refuse(
            "steps",
            f"a member would have {most:.0f} in all, more than {_MOST_STEPS:,}, "
            "count in a larger unit",
        )
    trained = np.where(progress.active, numbers, 0)
    return trained.astype(np.int64)


def _refuse(name: str, problem: str) -> NoReturn:
    raise BadInput(f"{name}: {problem}", name)
