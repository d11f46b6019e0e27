"""Made-up segmentations: three models, each good in its own part of the image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pathfuse.dense.data.records import Item

CLASSES = ("background", "gland", "vessel")
SIZE = (40, 57)  # neither square nor round


def made_truth(rng: np.random.Generator) -> np.ndarray:
    fields = np.stack([gaussian_filter(rng.normal(size=SIZE), 5) for _ in CLASSES])
    fields[0] += 0.02
    return fields.argmax(axis=0).astype(np.uint8)


def made_logits(truth: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sure and right inside the region; outside unsure, and often wrong."""
    there = np.eye(len(CLASSES))[truth].transpose(2, 0, 1)
    noise = rng.normal(size=there.shape)
    return np.where(region, 4 * there + 1.2 * noise, 0.6 * there + 1.2 * noise).astype(np.float16)


@dataclass(frozen=True)
class MadeStudy:
    logits: dict[str, Path]
    fit: list[Item]
    test: list[Item]


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    columns = np.arange(SIZE[1])
    regions = {
        "left": columns < 25,
        "middle": (columns > 18) & (columns < 42),
        "right": columns > 35,
    }
    logits = {name: tmp_path / "logits" / name for name in regions}
    (tmp_path / "truth").mkdir()
    for folder in logits.values():
        folder.mkdir(parents=True)
    items = []
    for i in range(18):
        truth = made_truth(rng)
        truth[:2, :3] = 255
        mask = tmp_path / "truth" / f"im{i:02d}.png"
        item = Item(
            f"im{i:02d}", mask, mask, f"p{i // 2 if i < 6 else i:02d}"
        )  # no image is read here
        for name, region in regions.items():
            seen = np.where(truth == 255, 0, truth)
            said = made_logits(seen, np.broadcast_to(region, SIZE), rng)
            np.save(logits[name] / f"{item.image_id}.npy", said)
        Image.fromarray(truth).save(item.mask)
        items.append(item)
    return MadeStudy(logits, items[:6], items[6:])
