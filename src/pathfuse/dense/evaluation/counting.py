"""Predictions of images against the truth, counted strip by strip: matrices, and instances
where there are any.

Instances of a semantic model are those of its foreground: all classes that have instances (nuclei,
not stroma), whatever class it gave them, told apart in one way for all models (``separation.py``).
A model that tells instances apart itself brings its own.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from pathfuse.dense.data.images import check_same_size, read_instances, value_counts
from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.confusion import Confusion, Confusions, ConfusionTable, confusion
from pathfuse.dense.evaluation.instance_maps import PredictedInstances
from pathfuse.dense.evaluation.instance_table import InstanceTable
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS, LabelMap, instance_metrics
from pathfuse.dense.evaluation.masks import Mask, read_truth
from pathfuse.dense.evaluation.separation import WATERSHED, Separation, instances_of

MOSTLY = 0.5
"""Share of a class's true pixels inside instances from which on it is a class of instances."""


class ImageCount:
    """One image.

    Args:
        truth: Classes, 255 where a pixel does not count.
        n_classes: K.
        instances: True instances of the image, if they are known.
        things: Classes that have instances.
        separation: How the instances of semantic models are told apart.
    """

    def __init__(
        self,
        truth: Mask,
        n_classes: int,
        instances: LabelMap | None = None,
        things: Collection[int] = (),
        separation: Separation = WATERSHED,
    ) -> None:
        self.truth, self.n_classes, self._instances = truth, n_classes, instances
        self._separation = separation
        self._is_thing = np.isin(np.arange(n_classes), list(things))
        self.cms: dict[str, Confusion] = {}
        self._foreground: dict[str, Bool[np.ndarray, "height width"]] = {}
        self._told_apart: dict[str, LabelMap] = {}

    def add(self, name: str, rows: slice, predicted: UInt8[np.ndarray, "row width"]) -> None:
        """Counts some rows of a model's mask."""
        counts = confusion(self.truth[rows], predicted, self.n_classes)
        self.cms[name] = self.cms[name] + counts if name in self.cms else counts
        if self._instances is not None:
            if name not in self._foreground:
                self._foreground[name] = np.zeros(self.truth.shape, dtype=bool)
            self._foreground[name][rows] = self._is_thing[predicted]

    def add_instances(self, name: str, predicted: PredictedInstances) -> None:
        """Counts the whole image of a model that tells instances apart itself."""
        self.cms[name] = confusion(self.truth, predicted.classes, self.n_classes)
        if self._instances is not None:
            things = self._is_thing[predicted.classes]
            self._told_apart[name] = np.where(things, predicted.labels, 0)

    def instance_metrics(self) -> dict[str, dict[str, float]]:
        """Per model, its metrics of instances; empty where the true instances are not known."""
        if self._instances is None:
            return {}
        counted = self.truth != IGNORE
        truth = np.where(counted, self._instances, 0)
        found = {
            name: instance_metrics(truth, np.where(counted, labels, 0))
            for name, labels in self._told_apart.items()
        }
        alike: dict[bytes, dict[str, float]] = {}  # such as the fusion, and the method behind it
        for name, whole in self._foreground.items():
            foreground = whole & counted
            key = np.packbits(foreground).tobytes()
            if key not in alike:
                labels = instances_of(foreground, how=self._separation)
                alike[key] = instance_metrics(truth, labels)
            found[name] = dict(alike[key])
        return found


def classes_with_instances(
    items: Iterable[Item], n_classes: int, ignore: int = IGNORE
) -> frozenset[int]:
    """Classes whose true pixels lie mostly inside instances; none where no image has instances.

    Raises:
        InputError: As ``open_count``.
    """
    inside, whole = np.zeros(n_classes, dtype=np.int64), np.zeros(n_classes, dtype=np.int64)
    for item in items:
        if item.mask is None or item.instances is None:
            continue
        truth, instances = _truths(item, item.instances, n_classes, ignore)
        whole += value_counts(truth)[:n_classes]
        inside += value_counts(np.where(instances > 0, truth, np.uint8(IGNORE)))[:n_classes]
    return frozenset(np.flatnonzero((inside > 0) & (inside >= MOSTLY * whole)).tolist())


def open_count(
    item: Item,
    n_classes: int,
    ignore: int = IGNORE,
    things: Collection[int] = (),
    separation: Separation = WATERSHED,
) -> ImageCount | None:
    """The truth of an image, ready to count against; None if it has no mask.

    Args:
        item: The image.
        n_classes: K.
        ignore: Value of the mask where pixels do not count.
        things: From ``classes_with_instances``.
        separation: From ``choose_separation``.

    Raises:
        InputError: A file cannot be read, sizes differ, or the mask has values outside the classes.
    """
    if item.mask is None:
        return None
    if item.instances is None:
        return ImageCount(read_truth(item, n_classes, ignore), n_classes)
    truth, instances = _truths(item, item.instances, n_classes, ignore)
    return ImageCount(truth, n_classes, instances, things, separation)


def _truths(item: Item, instance_file: Path, n_classes: int, ignore: int) -> tuple[Mask, LabelMap]:
    truth, instances = read_truth(item, n_classes, ignore), read_instances(instance_file)
    check_same_size(instance_file, instances.shape, item.mask or item.image, truth.shape)
    return truth, instances


class Counted(NamedTuple):
    """What counting gives."""

    confusions: ConfusionTable
    instances: InstanceTable | None
    """None where no judged image has instances."""


class CountedImages:
    """Images that were counted, gathered into tables.

    Args:
        items: The judged images, all with masks, in the order of the tables.
        names: Models and methods.
        n_classes: K.
    """

    def __init__(self, items: Sequence[Item], names: Iterable[str], n_classes: int) -> None:
        self._row = {item.image_id: row for row, item in enumerate(items)}
        with_instances = [item.image_id for item in items if item.instances is not None]
        self._instance_row = {image_id: row for row, image_id in enumerate(with_instances)}
        n, m, k = len(items), len(with_instances), n_classes
        self.cms: dict[str, Confusions] = {
            name: np.zeros((n, k, k), dtype=np.int64) for name in names
        }
        self.scored = {name: np.zeros(n, dtype=bool) for name in self.cms}
        self.values = {
            name: {metric.name: np.full(m, np.nan) for metric in INSTANCE_METRICS}
            for name in self.cms
        }

    def put(self, item: Item, count: ImageCount) -> None:
        """Takes one image's counts."""
        row = self._row[item.image_id]
        for name, counts in count.cms.items():
            self.cms[name][row] = counts
            self.scored[name][row] = True
        for name, found in count.instance_metrics().items():
            for metric, value in found.items():
                self.values[name][metric][self._instance_row[item.image_id]] = value

    def tables(self) -> Counted:
        """All that was gathered."""
        confusions = ConfusionTable(tuple(self._row), self.cms, self.scored)
        if not self._instance_row:
            return Counted(confusions, None)
        rows = [self._row[image_id] for image_id in self._instance_row]
        scored = {name: own[rows] for name, own in self.scored.items()}
        return Counted(confusions, InstanceTable(tuple(self._instance_row), self.values, scored))
