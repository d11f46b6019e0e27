"""Masks drawn over images: the worst image of a table and the one in the middle, by Dice."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from pathfuse.dense.benchmark.cells import LOGITS, CellTask
from pathfuse.dense.benchmark.entries import Entry, entries_by_seed
from pathfuse.dense.benchmark.fusions import FusionTask
from pathfuse.dense.data.images import read_image, read_mask
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import IGNORE, Item, Split
from pathfuse.dense.evaluation.confusion import Confusions
from pathfuse.dense.evaluation.masks import Mask, read_truth
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.fusion.fused_model import FUSED

SIDE_PX = 420
"""The longer side of an example."""
TRUE, PREDICTED = (255, 212, 0), (0, 90, 255)
"""Colours of the outlines, RGB: told apart by people with colour blindness, and from stains."""
FUSED_MASKS = "masks"


@dataclass(frozen=True)
class Example:
    """One image with the outlines of its true and predicted classes."""

    what: str
    """``worst`` or ``median``."""
    image_id: str
    by: str
    """The model or fusion."""
    dice: float
    png: bytes

    @property
    def source(self) -> str:
        """The picture as the ``src`` of an element, inside the page."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def examples(
    cells: Sequence[CellTask], fusions: Sequence[FusionTask]
) -> dict[tuple[str, str], tuple[Example, ...]]:
    """Two images per data set and strategy, of the fusion, or else of the best model.

    Of the first seed. Nothing is shown where neither masks nor logits were kept.

    Args:
        cells: Finished cells.
        fusions: Finished fusions of them.
    """
    found = {}
    for key in dict.fromkeys((one.cell.dataset, one.cell.strategy) for one in cells):
        own = [one for one in cells if (one.cell.dataset, one.cell.strategy) == key]
        seed = own[0].cell.seed
        own = [one for one in own if one.cell.seed == seed]
        made = [f for f in fusions if (f.dataset, f.strategy, f.seed) == (*key, seed)]
        shown = _of_table(own, made)
        if shown:
            found[key] = shown
    return found


def _of_table(cells: Sequence[CellTask], fusions: Sequence[FusionTask]) -> tuple[Example, ...]:
    by_seed, images = entries_by_seed(cells, fusions)
    (entries,) = by_seed.values()
    name = FUSED if FUSED in entries else _best(entries)
    split, cms = cells[0].split, entries[name].cms
    items = {item.image_id: item for item in split.test}
    shown = []
    for what, row in chosen_images(cms):
        item = items[images.with_mask[row]]
        predicted = _predicted(name, item, cells, fusions, split)
        if predicted is not None:
            dice = float(metrics(cms[row])[MEAN_DICE.name])
            shown.append(Example(what, item.image_id, name, dice, picture(item, split, predicted)))
    return tuple(shown)


def _best(entries: Mapping[str, Entry]) -> str:
    dice = {
        name: float(np.nan_to_num(metrics(one.cms.sum(axis=0))[MEAN_DICE.name]))
        for name, one in entries.items()
    }
    return max(dice, key=lambda name: dice[name])


def chosen_images(cms: Confusions) -> list[tuple[str, int]]:
    """Rows of the image of lowest Dice and of the one in the middle; images without a Dice do not count.

    Examples:
        >>> cms = np.array([[[9, 1], [0, 5]], [[5, 5], [5, 0]], [[9, 0], [3, 3]]])
        >>> chosen_images(cms)
        [('worst', 1), ('median', 2)]
    """
    dice = metrics(cms)[MEAN_DICE.name]
    order = [int(row) for row in np.argsort(dice, kind="stable") if not np.isnan(dice[row])]
    if not order:
        return []
    middle = order[len(order) // 2]
    return [("worst", order[0])] + ([("median", middle)] if middle != order[0] else [])


def _predicted(
    name: str,
    item: Item,
    cells: Sequence[CellTask],
    fusions: Sequence[FusionTask],
    split: Split,
) -> Mask | None:
    """The mask of a fusion or a model; None if it was not kept."""
    if name == FUSED:
        file = fusions[0].out / FUSED_MASKS / f"{item.image_id}.png"
        return read_mask(file) if file.is_file() else None
    folder = next((one.place / LOGITS for one in cells if one.cell.model == name), None)
    if folder is None or not (folder / f"{item.image_id}.npy").is_file():
        return None
    files = LogitFiles({name: folder}, split.n_classes)
    strips = [
        strip.logits[:, :, 0].argmax(axis=2)
        for strip in files.strips(item.image_id, as_they_are=True)
    ]
    return np.concatenate(strips).astype(np.uint8)


def picture(item: Item, split: Split, predicted: Mask) -> bytes:
    """A PNG of the image with the outlines of the predicted and, over them, of the true classes.

    The image has a mask.
    """
    truth = read_truth(item, split.n_classes, split.ignore)
    image = Image.fromarray(read_image(item.image))
    scale = SIDE_PX / max(image.size)
    scale = scale if scale < 1 else float(int(scale))  # whole pixels where it grows
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    pixels = np.array(image.resize(size, how))
    for mask, colour in ((predicted, PREDICTED), (truth, TRUE)):
        small = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        pixels[outline(small)] = colour
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=9)
    return buffer.getvalue()


def outline(
    mask: UInt8[np.ndarray, "row column"] | Int[np.ndarray, "row column"],
) -> Bool[np.ndarray, "row column"]:
    """Pixels whose right or lower neighbour is of another class; those that do not count have none.

    Examples:
        >>> outline(np.array([[0, 0, 1], [0, 0, 1]])).astype(int).tolist()
        [[0, 1, 0], [0, 1, 0]]
    """
    edge = np.zeros(mask.shape, dtype=bool)
    counts = mask != IGNORE
    edge[:, :-1] |= (mask[:, :-1] != mask[:, 1:]) & counts[:, :-1] & counts[:, 1:]
    edge[:-1] |= (mask[:-1] != mask[1:]) & counts[:-1] & counts[1:]
    return edge
