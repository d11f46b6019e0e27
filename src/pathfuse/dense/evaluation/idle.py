"""Images of which no pixel counts: they define no figure, and are no patients of one."""

import numpy as np

from pathfuse.dense.evaluation.confusion import ConfusionTable
from pathfuse.errors import InputError

NAMED = 3
"""Images that the sentence names."""


def without_idle(table: ConfusionTable) -> tuple[ConfusionTable, list[str]]:
    """The images with a pixel that counts, and a sentence on the others if there are any.

    A mask whose pixels are all ignored gives a matrix of zeros. It would change no ratio, but be
    counted among the images and patients, and drawn as one.

    Raises:
        InputError: No image is left.
    """
    counts = [own.any(axis=(1, 2)) for own in table.cms.values()]
    kept = np.any(counts, axis=0) if counts else np.ones(len(table.image_ids), dtype=bool)
    if kept.all():
        return table, []
    idle = [image for image, there in zip(table.image_ids, kept, strict=True) if not there]
    if not kept.any():
        raise InputError(
            f"nothing can be evaluated: the masks of all {len(idle)} images hold only pixels that do not count"
        )
    names = ", ".join(f"'{image}'" for image in idle[:NAMED])
    more = " and others" if len(idle) > NAMED else ""
    return ConfusionTable(
        tuple(image for image, there in zip(table.image_ids, kept, strict=True) if there),
        {name: own[kept] for name, own in table.cms.items()},
        {name: own[kept] for name, own in table.scored.items()},
    ), [
        f"{len(idle)} of {len(kept)} images are in no figure, since no pixel of their masks counts: {names}{more}"
    ]
