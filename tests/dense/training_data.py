"""Small images of two tissues and a nucleus, and a split of them; not a test itself."""

import numpy as np
from PIL import Image

from pathfuse.dense.data.records import Item, Split

COLOURS = np.array([[240, 225, 240], [200, 90, 160], [70, 40, 120]])


def draw(seed, height=48, width=64, classes=3):
    """An image whose colour says what is there, and its classes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    mask = (columns > rng.integers(15, 45)).astype(np.uint8)
    if classes > 2:
        y, x = rng.integers(10, height - 10), rng.integers(10, width - 10)
        mask[(rows - y) ** 2 + (columns - x) ** 2 < 81] = 2
    mask[:2] = 255
    image = COLOURS[np.minimum(mask, 2)] + rng.normal(0, 8, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def make_split(folder, train=6, val=2, test=2, classes=3, **size):
    """Files of a split, two images per patient."""
    parts, seed = {}, 0
    for part, n in (("train", train), ("val", val), ("test", test)):
        items = []
        for _ in range(n):
            name = f"image{seed}"
            image, mask = draw(seed, classes=classes, **size)
            Image.fromarray(image).save(folder / f"{name}.png")
            Image.fromarray(mask).save(folder / f"{name}_mask.png")
            items.append(Item(name, folder / f"{name}.png", folder / f"{name}_mask.png", f"{part}{seed // 2}"))
            seed += 1
        parts[part] = tuple(items)
    names = ("glass", "stroma", "nucleus")[:classes]
    return Split("drawn", classes, names, **parts)
