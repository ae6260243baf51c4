"""How the networks of designs are built and trained, as one whole that can be named."""

from typing import NamedTuple

import jax

from bgpbt.networks.canvas import Sizes
from bgpbt.tasks.nas.children import ChildData, Training
from bgpbt.tasks.nas.data import DataSet, child_data, load, some, split
from bgpbt.tasks.nas.database import Form
from bgpbt.tasks.nas.design import ACTIONS, Rules


class Profile(NamedTuple):
    """All that a design's worth depends on beside the data set.

    The defaults are those of nas-dmrl's paper.
    """

    side: int = 84  # of the images, pixels
    depth: int = 10  # layers of a design, at most
    filters: int = 32  # of every convolution
    dense: int = 1024  # units of the layer before the classifier
    max_images: int | None = None  # of a data set; None: all
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 1e-3
    decay: float = 0.2  # of the learning rate, every five epochs
    designs: str = "chain"  # of `design.ACTIONS`
    norm: str = "affine"  # of convolutions, or batch
    # Half of the held-out images is kept for a final training; no reward sees them.
    third_split: bool = True

    def rules(self, max_steps: int = 100) -> Rules:
        """What designs are legal."""
        return Rules(ACTIONS[self.designs], self.side, self.depth, max_steps)

    @property
    def form(self) -> Form:
        """What the designs of a database must be."""
        return Form(self.depth, self.side, self.designs == "branches")

    @property
    def training(self) -> Training:
        """How a network is trained."""
        return Training(self.epochs, self.batch_size, self.learning_rate, self.decay)

    def load(self, name: str, data_dir: str | None) -> DataSet:
        """The images of a data set, as `data.load` says."""
        return some(load(name, data_dir, self.side), self.max_images)

    def sizes(self, data: DataSet) -> Sizes:
        """Sizes of all networks on a data set."""
        return Sizes(
            side=self.side,
            channels=data.images.shape[3],
            filters=self.filters,
            dense=self.dense,
            classes=data.classes,
            depth=self.depth,
            joins=self.designs == "branches",
            batch_norm=self.norm == "batch",
            side_by_side=jax.default_backend() != "cpu",
        )

    def child_data(self, data: DataSet) -> ChildData:
        """What the networks train on and are judged by."""
        parts = split(len(data.labels), third=self.third_split)
        return child_data(data, parts, seed=0)
