"""What a rollout gives, and what is learnt of it.

Shapes: `T` decisions of a rollout, `G` environments; `O` and `A` are the sizes of an
observation and of an action. `K` is what minibatches are made of: transitions `[T G]`,
or with memory environments `[G, T]`.
"""

from typing import NamedTuple

from bgpbt.types import Array, PyTree


class Experience(NamedTuple):
    """A rollout in the order of time."""

    obs: Array  # [T, G, O] not normalised: a teacher normalises differently
    # [T, G, A] before tanh, or [T, G] where actions are choices
    raw_action: Array
    log_prob: Array  # [T, G] under the policy that acted
    reward: Array  # [T, G]
    terminated: Array  # [T, G] 0 or 1
    truncated: Array  # [T, G] 0 or 1
    last_obs: Array  # [G, O] after the last decision
    carry: PyTree = ()  # [G, ...] before the first decision; () without memory


class Batch(NamedTuple):
    """The same, ready to learn from."""

    seen: PyTree  # [K, ...] what the networks read
    raw_action: Array  # [K, A], or [K] where actions are choices
    log_prob: Array  # [K]
    advantage: Array  # [K]
    target: Array  # [K] of the value
    # [K, ...] outputs of a teacher's policy network; () without one.
    teacher: Array | tuple[()] = ()
