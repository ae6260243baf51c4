"""The functions that `bandit_regret.py` plays.

Values lie in [0, 1], and the optimum is known in every round. Rounds count from 0.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bgpbt.space import Categorical, Float, Integer, SearchSpace

ROUNDS = 40


class Function(NamedTuple):
    """What is played."""

    space: SearchSpace
    value: Callable[[dict[str, float], int], float]  # of natural values and a round
    best: Callable[[int], float]  # the largest value of a round


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
HARTMANN_OPTIMUM = np.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573])
HARTMANN_BEST = 3.32237


def hartmann6(x: np.ndarray) -> float:
    """Hartmann's function of six variables, to be maximised.

    As in the Library of Simulation Experiments (Surjanovic and Bingham).
    """
    return float(_ALPHA @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def _unit(number: int) -> SearchSpace:
    return {f"x{i}": Float(0.0, 1.0, 0.5) for i in range(number)}


def _hartmann(drift: float) -> Function:
    """Hartmann6 times a factor for each of two categories.

    The optimum moves to and fro by `drift` along the diagonal.
    """
    space = _unit(6) | {
        "kind": Categorical(("a", "b", "c"), 0),
        "gate": Categorical(("on", "off"), 0),
    }
    kinds = (0.5, 1.0, 0.7)
    gates = (0.8, 1.0)

    def value(config, number):
        shift = drift * math.sin(2 * math.pi * number / ROUNDS)
        x = np.array([config[f"x{i}"] for i in range(6)]) - shift
        scaled = hartmann6(x) / HARTMANN_BEST
        return scaled * kinds[int(config["kind"])] * gates[int(config["gate"])]

    return Function(space, value, lambda number: 1.0)


def _ackley() -> Function:
    """Ackley's function of two floats and three whole numbers.

    Half-way its centre jumps to another place.
    """
    space = _unit(2) | {f"n{i}": Integer(0, 10, 5) for i in range(3)}
    centres = np.array([[0.3, 0.7, 0.2, 0.8, 0.5], [0.8, 0.2, 0.7, 0.3, 0.9]])

    def value(config, number):
        x = np.array(
            [config["x0"], config["x1"], *(config[f"n{i}"] / 10 for i in range(3))]
        )
        z = 5 * (x - centres[int(number >= ROUNDS // 2)])
        bowl = 20 * (1 - math.exp(-0.2 * math.sqrt((z**2).mean())))
        cost = bowl + math.e - math.exp(np.cos(2 * math.pi * z).mean())
        return 1 - cost / (20 + math.e - 1 / math.e)

    return Function(space, value, lambda number: 1.0)


def _nine() -> Function:
    """A sum of six bumps whose places drift at different speeds.

    Three further dimensions do nothing.
    """
    # Of the range, in a round.
    speeds = np.array([0.0, 0.003, 0.006, 0.009, 0.012, 0.015])
    begin = np.array([0.5, 0.3, 0.7, 0.25, 0.75, 0.2])
    sign = np.array([1, 1, -1, 1, -1, 1])

    def value(config, number):
        x = np.array([config[f"x{i}"] for i in range(6)])
        away = (x - begin - sign * speeds * number) / 0.2
        return float(np.exp(-0.5 * away**2).mean())

    return Function(_unit(9), value, lambda number: 1.0)


FUNCTIONS = {
    "hartmann6, drifting": _hartmann(0.12),
    "ackley, abrupt": _ackley(),
    "nine, drifting": _nine(),
    "hartmann6, static": _hartmann(0.0),
}
