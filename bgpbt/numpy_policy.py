"""An exported policy in NumPy alone: this file may be copied and used by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


def load_policy(path: str | Path) -> tuple[Callable, Any]:
    """Reads what `main.py export` has written.

    Args:
      path: of the `.npz`.

    Returns:
      `act` and the memory with which an episode begins. `act(memory, observations)`
      gives the next memory and the actions without noise: numbers in [-1, 1] of shape
      `[..., A]`, or choices of shape `[...]`. Observations are `[..., O]`, as the
      environment gives them. A policy without memory carries `()`.
    """
    with np.load(path) as arrays:
        p = dict(arrays)
    activation = ACTIVATIONS[str(p["activation"])]
    limit, last = p["observation_limit"], int(p["layers"]) - 1

    def remember(memory: Any, x: np.ndarray) -> Any:
        cell, output = memory
        z = x @ p["lstm_seen"] + p["lstm_bias"] + output @ p["lstm_before"]
        enters, stays, leaves, new = np.split(z, 4, axis=-1)
        cell = _sigmoid(stays) * cell + _sigmoid(enters) * np.tanh(new)
        return cell, _sigmoid(leaves) * np.tanh(cell)

    def act(memory: Any, observations: np.ndarray) -> tuple[Any, np.ndarray]:
        x = (observations - p["observation_mean"]) / p["observation_scale"]
        x = np.clip(x, -limit, limit)
        if "lstm_seen" in p:
            memory = remember(memory, x)
            x = memory[1]
        for i in range(last):
            x = activation(x @ p[f"kernel_{i}"] + p[f"bias_{i}"])
        x = x @ p[f"kernel_{last}"] + p[f"bias_{last}"]
        return memory, np.tanh(x) if p["actions"] == "numbers" else x.argmax(axis=-1)

    if "lstm_seen" not in p:
        return act, ()
    nothing = np.zeros(len(p["lstm_before"]), np.float32)
    return act, (nothing, nothing)
