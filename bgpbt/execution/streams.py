"""Random streams: every key is folded from seed, stream, round and member.

So no two uses share a key, and members never depend on their neighbours.
"""

import enum

import jax
import numpy as np

from bgpbt.types import Array, Key


class Stream(enum.IntEnum):
    """What a key is for. The integers decide what a seed gives: they never change."""

    configure = 0
    initialise = 1
    train = 2
    evaluate = 3
    decide = 4
    inherit = 5
    report = 6
    generate = 7
    mutate = 8
    repeat = 9
    interim = 10
    trial = 11


def fold(seed: Array | np.integer | int, *parts: Array | np.integer | int) -> Key:
    """The key of a seed, folded with one part after the other."""
    key = jax.random.PRNGKey(seed)
    for part in parts:
        key = jax.random.fold_in(key, part)
    return key


def member_key(seed: Array, stream: Stream, round_: Array, member: Array) -> Key:
    """The key of one member for one use in one round."""
    return fold(seed, int(stream), round_, member)
