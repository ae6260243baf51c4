"""A policy is tried on many fresh episodes."""

from typing import NamedTuple

import jax
import numpy as np

from bgpbt.environment import Env
from bgpbt.execution.streams import Stream, fold
from bgpbt.tasks.ppo.episodes import play
from bgpbt.types import Policy

SIDE_BY_SIDE = 128  # episodes that are simulated together


class Trials(NamedTuple):
    """Episodes that nothing else has seen. `E` episodes."""

    gained: dict[str, np.ndarray]  # by name: the return, and the objective; each [E]
    steps: np.ndarray  # [E] how long each was, in environment steps


def try_policy(env: Env, policy: Policy, seed: int, count: int) -> Trials:
    """Plays complete episodes without noise.

    Args:
      env: the environment.
      policy: what acts.
      seed: of the start states; other keys than those of a run with the same seed.
      count: number of episodes E.
    """
    together = min(count, SIDE_BY_SIDE)
    played_once = jax.jit(lambda key: play(key, env, policy, together))
    gained: dict[str, list[np.ndarray]] = {}
    steps = []
    for call in range(-(-count // together)):
        played = played_once(fold(seed, Stream.trial, call))
        each = played.gained if isinstance(played.gained, dict) else {}
        for name, values in (each or {"return": played.gained}).items():
            gained.setdefault(name, []).append(np.asarray(values, np.float64))
        steps.append(np.asarray(played.decisions) * env.action_repeat)
    return Trials(
        {name: np.concatenate(parts)[:count] for name, parts in gained.items()},
        np.concatenate(steps)[:count],
    )
