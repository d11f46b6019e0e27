"""Small copies of two real data sets with splits, and an image of 20,000 x 20,000 that exists only window by window.

glas: 165 images of glands, halved three times in area by averaging (775 x 522 to 194 x 130), masks by their nearest
pixel. Its own train and test parts; 17 train images are drawn as validation. dsb2018_histology: 107 images of nuclei,
320 x 256 as they are, drawn into 60, 17 and 30. Patients are not known in either, so images are the unit; images of one
slide may stand on both sides of dsb2018's draw. No test image has a say in anything but its own score.
"""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path("/work/shared/data")
GLAS, DSB = SHARED / "glas", SHARED / "dsb2018_histology"
SHRINK = 4
N_VAL, DSB_TRAIN, SEED = 17, 60, 0
CLASSES = ("background", "foreground")

Pair = dict[str, str]


def dense_splits(place: Path) -> dict[str, Path]:
    """Writes the images and split files of the data sets that are there.

    Args:
        place: Folder to fill.

    Returns:
        Split file by data set.
    """
    found = {}
    if GLAS.is_dir():
        found["glas"] = _glas(place / "glas")
    if DSB.is_dir():
        found["dsb2018"] = _dsb(place / "dsb2018")
    return found


def _glas(place: Path) -> Path:
    pairs: dict[str, list[Pair]] = {"train": [], "testA": [], "testB": []}
    for part, own in pairs.items():
        for file in sorted((GLAS / part / "images").iterdir()):
            image = Image.open(file).convert("RGB")
            mask = np.asarray(Image.open(GLAS / part / "masks" / f"{file.stem}.png")) > 0
            size = (image.width // SHRINK, image.height // SHRINK)
            small = Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
            own.append(_write(place, file.stem, image.resize(size, Image.Resampling.BOX), np.asarray(small)))
    train, val = _drawn(pairs["train"], len(pairs["train"]) - N_VAL)
    return _split(place, train, val, pairs["testA"] + pairs["testB"])


def _dsb(place: Path) -> Path:
    with (DSB / "manifest.csv").open(encoding="utf-8") as file:
        names = sorted(row["name"] for row in csv.DictReader(file))
    pairs = [
        _write(
            place,
            name,
            Image.open(DSB / "images" / f"{name}.png").convert("RGB"),
            (np.asarray(Image.open(DSB / "instances" / f"{name}.png")) > 0).astype(np.uint8),
        )
        for name in names
    ]
    train, rest = _drawn(pairs, DSB_TRAIN)
    return _split(place, train, rest[:N_VAL], rest[N_VAL:])


def _drawn(pairs: list[Pair], n: int) -> tuple[list[Pair], list[Pair]]:
    order = np.random.default_rng(SEED).permutation(len(pairs))
    return [pairs[k] for k in order[:n]], [pairs[k] for k in order[n:]]


def _write(place: Path, name: str, image: Image.Image, mask: np.ndarray) -> Pair:
    for folder in ("images", "masks"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    image.save(place / "images" / f"{name}.png")
    Image.fromarray(mask).save(place / "masks" / f"{name}.png")
    return {"image_path": f"images/{name}.png", "mask_path": f"masks/{name}.png"}


def _split(place: Path, train: list[Pair], val: list[Pair], test: list[Pair]) -> Path:
    content = {"num_classes": 2, "class_names": CLASSES, "data": {"train": train, "val": val, "test": test}}
    (place / "split.json").write_text(json.dumps(content), encoding="utf-8")
    return place / "split.json"


class Endless:
    """A made-up stained image, computed where it is looked at."""

    def __init__(self, height: int = 20_000, width: int = 20_000) -> None:
        self.shape = (height, width, 3)

    def window(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """uint8, (height, width, 3): the window whose first pixel is (top, left)."""
        y, x = np.arange(top, top + height)[:, None], np.arange(left, left + width)[None]
        nuclei = np.sin(y / 7.0) * np.sin(x / 9.0) + 0.5 * np.sin((x + y) / 31.0)
        stroma = np.sin(y / 211.0) * np.cos(x / 173.0)
        pink, dark = np.clip(0.5 + 0.3 * stroma, 0, 1), np.clip(nuclei, 0, 1)
        rgb = np.stack([230 - 90 * dark - 20 * pink, 190 - 110 * dark - 60 * pink, 220 - 60 * dark - 15 * pink], axis=2)
        return np.clip(rgb, 0, 255).astype(np.uint8)
