"""Members in other paddings: the same networks in arrays of another size."""

from collections.abc import Sequence

import jax
import numpy as np

from bgpbt.execution.devices import DeviceLayout, sharded
from bgpbt.execution.inherit import heritage, with_slot
from bgpbt.execution.shapes import member_shapes
from bgpbt.types import PyTree, Task, TrainState


def resize_padding(tree: PyTree, like: PyTree) -> PyTree:
    """Weights, optimizer state and statistics in another padding, on the host.

    Padding is zero and stands at the end of an axis, so that it is enough to cut or to
    append zeros.

    Args:
      tree: arrays; leading axes beyond those of `like` stay.
      like: arrays or shapes of one member in the other padding.
    """

    def leaf(x, wanted):
        x = np.asarray(x)
        lead = x.ndim - len(wanted.shape)
        pairs = zip(x.shape[lead:], wanted.shape, strict=True)
        common = (..., *(slice(min(pair)) for pair in pairs))
        out = np.zeros((*x.shape[:lead], *wanted.shape), x.dtype)
        out[common] = x[common]
        return out

    return jax.tree.map(leaf, tree, like)


def regroup(
    groups: Sequence[TrainState],
    members: np.ndarray,
    task: Task,
    device_layout: DeviceLayout,
) -> TrainState:
    """One group of chosen members in the padding of a task. Through the host.

    Args:
      groups: of P members each, perhaps in different paddings.
      members: who is chosen, counted through `groups`. Shape `[P]`.
      task: whose padding the group gets.
      device_layout: how the group is spread.
    """
    size = len(jax.tree.leaves(groups[0].params)[0])
    like = heritage(task, member_shapes(task))
    padded = []
    for group in map(jax.device_get, groups):
        resized = resize_padding(heritage(task, group), like)
        padded.append(with_slot(task, resized, group))
    chosen = [
        jax.tree.map(lambda x, slot=i % size: x[slot], padded[i // size])
        for i in members
    ]
    sharding = sharded(device_layout)
    return jax.tree.map(lambda *rows: jax.device_put(np.stack(rows), sharding), *chosen)
