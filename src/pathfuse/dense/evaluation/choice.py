"""Which way to tell instances apart suits a data set, by true masks that no figure is of.

Nuclei touch and are round, so cutting at necks finds them; glands branch and seldom touch, so it
cuts what is one. The true foreground of the validation images is separated in each way and compared
with their true instances: no prediction has a say, so that every model, fusion and command gets the
same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.counting import ImageCount, classes_with_instances, open_count
from pathfuse.dense.evaluation.instances import AJI
from pathfuse.dense.evaluation.separation import (
    COMPONENTS,
    SEPARATIONS,
    WATERSHED,
    Separation,
    find_separation,
)

CHOOSE = "choose"
LOOKED_AT_PX = 2 * 10**7
"""Images are looked at, in every way, until they had so many pixels; a few seconds."""


@dataclass(frozen=True)
class ChosenSeparation:
    """How instances are told apart, and why so."""

    separation: Separation
    aji: dict[str, float]
    """Of the true foreground, by way; empty where nothing was compared."""
    n_images: int

    def sentence(self) -> str:
        """What the terminal says of it."""
        if not self.aji:
            return self.separation.words
        figures = ", ".join(f"{name} {value:.3f}" for name, value in self.aji.items())
        return (
            f"{self.separation.words}; chosen by AJI of the true masks of {self.n_images} validation images: "
            f"{figures}"
        )

    def note(self, whose: str) -> str:
        """The same, beside other notes on how files were read."""
        return f"instances of {whose}: {self.sentence()}"

    def about(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {
            "separation": self.separation.name,
            "words": self.separation.words,
            "validation_images": self.n_images,
            "aji_of_true_masks": self.aji,
        }


def choose_separation(
    items: Sequence[Item], n_classes: int, ignore: int = IGNORE, how: str = CHOOSE
) -> ChosenSeparation:
    """The way with the larger mean AJI on the true foreground of some images.

    Args:
        items: The validation images; those without instances do not count.
        n_classes: K.
        ignore: Value of the masks where pixels do not count.
        how: ``choose``, or the name of a way that is then taken as it is.

    Returns:
        Connected pixels where that is as good as any; the watershed where no image has instances.

    Raises:
        InputError: As ``open_count``, or there is no way of that name.
    """
    if how != CHOOSE:
        return ChosenSeparation(find_separation(how), {}, 0)
    known = [item for item in items if item.mask is not None and item.instances is not None]
    things = classes_with_instances(known, n_classes, ignore)
    found: dict[str, list[float]] = {way.name: [] for way in SEPARATIONS}
    n_px = n_images = 0
    for item in known:
        for way in SEPARATIONS:
            count = open_count(item, n_classes, ignore, things, way)
            assert count is not None  # noqa: S101 - it has a mask
            found[way.name].append(_aji_of_truth(count))
            n_px += count.truth.size
        n_images += 1
        if n_px >= LOOKED_AT_PX:
            break
    if not n_images or np.isnan(found[WATERSHED.name]).all():
        return ChosenSeparation(WATERSHED, {}, 0)
    aji = {name: float(np.nanmean(values)) for name, values in found.items()}
    best = max(SEPARATIONS, key=lambda way: (aji[way.name], way is COMPONENTS))
    return ChosenSeparation(best, aji, n_images)


def _aji_of_truth(count: ImageCount) -> float:
    count.add("truth", slice(0, len(count.truth)), np.where(count.truth == IGNORE, 0, count.truth))
    return count.instance_metrics()["truth"][AJI.name]
