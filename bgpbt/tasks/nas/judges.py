"""Which program a design's network is trained by."""

import jax.numpy as jnp
from jax import lax

from bgpbt.networks import branches
from bgpbt.networks.canvas import Sizes
from bgpbt.tasks.nas import children
from bgpbt.tasks.nas.apart import Apart
from bgpbt.tasks.nas.children import ChildData, Training
from bgpbt.tasks.nas.design import is_branched
from bgpbt.tasks.nas.rewards import Judge
from bgpbt.types import Array


def of_chains(sizes: Sizes, training: Training) -> Judge:
    """Judges chains of layers."""

    def judge(data: ChildData, rows: Array) -> Array:
        return children.accuracy(sizes, training, data, rows)

    return judge


def of_all(sizes: Sizes, training: Training, apart: Apart) -> Judge:
    """Judges designs with branches, too.

    A chain is trained by the program of chains, which is several times as fast. What no
    canvas holds is trained `apart`.
    """
    held_by_canvas = [
        of_chains(sizes._replace(joins=joins), training) for joins in (False, True)
    ]

    def judge(data: ChildData, rows: Array) -> Array:
        held = branches.fits(sizes, rows)
        which = jnp.where(held, is_branched(rows).astype(int), len(held_by_canvas))

        def exact(data: ChildData, rows: Array) -> Array:
            del data  # the process has its own copy
            return apart.judge(rows, ~held)

        return lax.switch(which, [*held_by_canvas, exact], data, rows)

    return judge
