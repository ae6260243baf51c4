"""A designed network as a graph: what each of its parts reads and gives."""

from typing import NamedTuple

from bgpbt.networks.structure import (
    Kind,
    Rows,
    layer_name,
    loose_ends,
    reads,
    side_after,
)


class Part(NamedTuple):
    """The image, a layer, or the classifier."""

    name: str  # such as conv3
    reads: tuple[int, ...]  # places of other parts, all before its own
    side: int  # of what it gives, pixels; 0 of the classifier
    channels: int | None  # of what it gives; None: not known
    depth: int  # parts on the longest path from the image, which has 0


def parts_of(
    rows: Rows, *, side: int, channels: int | None, filters: int
) -> list[Part]:
    """The parts of a network in their order, as `designed.DesignedNetwork` has them.

    Where several layers are read by no other, their concatenation is a part, too: it is
    what the classifier reads.

    Args:
      rows: of the design, in order.
      side: of the image, pixels.
      channels: of the image; None: not known.
      filters: of every convolution.
    """
    parts = [Part("image", (), side, channels, 0)]

    def add(name: str, kind: Kind, kernel: int, places: tuple[int, ...]) -> None:
        read = [parts[place] for place in places]
        widest = max(part.side for part in read)
        parts.append(
            Part(
                name,
                places,
                int(side_after(kind, kernel, widest)),
                _channels(kind, [part.channels for part in read], filters),
                1 + max(part.depth for part in read),
            )
        )

    for row in rows:
        _, kind, kernel, *_ = row
        add(layer_name(kind, kernel), Kind(kind), kernel, reads(row))
    ends = tuple(loose_ends(rows))
    if len(ends) > 1:
        add(layer_name(Kind.concatenate, 0), Kind.concatenate, 0, ends)
        ends = (len(parts) - 1,)
    deepest = max(part.depth for part in parts)
    return [*parts, Part("classifier", ends, 0, None, deepest + 1)]


def _channels(kind: Kind, read: list[int | None], filters: int) -> int | None:
    """Layers that are joined are padded to the one with most channels, two by two."""
    if kind == Kind.convolution:
        return filters
    first, *others = read
    for other in others:
        if first is None or other is None:
            return None
        first = max(first, other) * (2 if kind == Kind.concatenate else 1)
    return first
