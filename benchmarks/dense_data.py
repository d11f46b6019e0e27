"""Small copies of two real data sets with splits, and an image of 20,000 x 20,000 that exists only
window by window.

glas: 165 images of glands, a quarter of their width and height by averaging (775 x 522 to 193 x
130), masks by their nearest pixel. Its own train and test parts; 17 train images are drawn as
validation. dsb2018_histology: 107 images of nuclei with their instances, at half their width and
height (320 x 256 to 160 x 128), drawn into 60, 17 and 30. Patients are not known in either, so
images are the unit; images of one slide may stand on both sides of dsb2018's draw. No test image
has a say in anything but its own score.
"""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path("/work/shared/data")
GLAS, DSB = SHARED / "glas", SHARED / "dsb2018_histology"
GLAS_SHRINK, DSB_SHRINK = 4, 2
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
            own.append(
                _write(
                    place,
                    file,
                    GLAS / part / "masks" / f"{file.stem}.png",
                    GLAS_SHRINK,
                    numbered=False,
                )
            )
    train, val = _drawn(pairs["train"], len(pairs["train"]) - N_VAL)
    return _split(place, train, val, pairs["testA"] + pairs["testB"])


def _dsb(place: Path) -> Path:
    with (DSB / "manifest.csv").open(encoding="utf-8") as file:
        names = sorted(row["name"] for row in csv.DictReader(file))
    pairs = [
        _write(
            place,
            DSB / "images" / f"{name}.png",
            DSB / "instances" / f"{name}.png",
            DSB_SHRINK,
            numbered=True,
        )
        for name in names
    ]
    train, rest = _drawn(pairs, DSB_TRAIN)
    return _split(place, train, rest[:N_VAL], rest[N_VAL:])


def _drawn(pairs: list[Pair], n: int) -> tuple[list[Pair], list[Pair]]:
    order = np.random.default_rng(SEED).permutation(len(pairs))
    return [pairs[k] for k in order[:n]], [pairs[k] for k in order[n:]]


def _write(place: Path, image_file: Path, mask_file: Path, shrink: int, *, numbered: bool) -> Pair:
    """A smaller image, its mask of two classes, and the instances if the mask numbers them."""
    image = Image.open(image_file).convert("RGB")
    size = (image.width // shrink, image.height // shrink)
    mask = Image.open(mask_file).resize(size, Image.Resampling.NEAREST)
    files = {
        "image": image.resize(size, Image.Resampling.BOX),
        "mask": Image.fromarray((np.asarray(mask) > 0).astype(np.uint8)),
        **({"instances": mask} if numbered else {}),
    }
    pair = {}
    for kind, pixels in files.items():
        file = place / kind / f"{image_file.stem}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels.save(file)
        pair[f"{kind}_path"] = str(file.relative_to(place))
    return pair


def _split(place: Path, train: list[Pair], val: list[Pair], test: list[Pair]) -> Path:
    content = {
        "num_classes": 2,
        "class_names": CLASSES,
        "data": {"train": train, "val": val, "test": test},
    }
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
        rgb = np.stack(
            [
                230 - 90 * dark - 20 * pink,
                190 - 110 * dark - 60 * pink,
                220 - 60 * dark - 15 * pink,
            ],
            axis=2,
        )
        return np.clip(rgb, 0, 255).astype(np.uint8)
