"""Made-up images of tissue with masks: what is there shows in its colour, so a small network can
learn it.

``python -m pathfuse.testing.tissue FOLDER`` writes such a data set, and the grid of three small
encoders that runs it.
"""

import sys
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pathfuse.dense.data.records import IGNORE, Item, Split
from pathfuse.dense.data.split_files import write_split

NAMES = ("glass", "stroma", "nucleus")
COLOURS = np.array([[240, 225, 240], [200, 90, 160], [70, 40, 120]])
"""Of the three classes, RGB."""
NUCLEUS_PX = 9
"""Radius."""
GRID = """\
models:
  patch8: tiny:patch=8
  patch14: tiny:patch=14,registers=4
  patch16: tiny:patch=16,registers=8
datasets:
  tissue: split.json
strategies: [frozen, lora, cnn]
recipe: {epochs: 20, batch: 4, size_px: 64, augment: false, decoder_width: 32, loss: dice_ce, device: cpu}
out: result
"""
"""Small enough for a minute or two on two cores."""


def draw(
    seed: int, height: int = 48, width: int = 64, classes: int = 3
) -> tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
    """Glass on the left, stroma on the right, one nucleus.

    The first two rows of the mask do not count.

    Args:
        seed: The same seed gives the same image.
        height: In pixels, at least 21.
        width: In pixels, at least 46.
        classes: 3, or 2 without nuclei.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    mask = (columns > rng.integers(15, 45)).astype(np.uint8)
    if classes > 2:
        y, x = rng.integers(10, height - 10), rng.integers(10, width - 10)
        mask[(rows - y) ** 2 + (columns - x) ** 2 < NUCLEUS_PX**2] = 2
    mask[:2] = IGNORE
    image = COLOURS[np.minimum(mask, 2)] + rng.normal(0, 8, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def make_split(
    folder: Path,
    train: int = 6,
    val: int = 2,
    test: int = 2,
    classes: int = 3,
    height: int = 48,
    width: int = 64,
) -> Split:
    """Writes images, masks and instances of nuclei; two images belong to one patient.

    Args:
        folder: Where to; it must exist.
        train: Images to train on.
        val: Images to choose by.
        test: Images to judge on.
        classes: As in ``draw``, as are the others; with 2 classes there are no instances.
        height: In pixels.
        width: In pixels.
    """
    parts: dict[str, tuple[Item, ...]] = {}
    seed = 0
    for part, n in (("train", train), ("val", val), ("test", test)):
        items = []
        for _ in range(n):
            name = f"image{seed}"
            image, mask = draw(seed, height, width, classes)
            files = {"": image, "_mask": mask}
            if classes > 2:
                files["_instances"] = (mask == 2).astype(np.uint8)
            for ending, pixels in files.items():
                Image.fromarray(pixels).save(folder / f"{name}{ending}.png")
            places = {ending: folder / f"{name}{ending}.png" for ending in files}
            items.append(
                Item(
                    name,
                    places[""],
                    places["_mask"],
                    f"{part}{seed // 2}",
                    places.get("_instances"),
                )
            )
            seed += 1
        parts[part] = tuple(items)
    return Split(
        "drawn",
        classes,
        NAMES[:classes],
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
    )


def write_demo(folder: Path) -> Path:
    """Writes the data set and ``grid.yaml``.

    Returns:
        ``grid.yaml``.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    write_split(make_split(images, train=16, val=6, test=24), folder / "split.json")
    file = folder / "grid.yaml"
    file.write_text(GRID, encoding="utf-8")
    return file


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pathfuse.testing.tissue FOLDER")
    sys.stdout.write(f"{write_demo(Path(sys.argv[1]))}\n")
