"""``pathfuse dense predict`` on a PNG of 20,000 x 20,000 pixels with a mask: time and largest
resident memory.

The image is made up. Pillow holds its pixels (1.6 GB) until they are unpacked into a temporary
file, tiles go through the network, logits go to disk band by band (1.6 GB in float16) and are
counted against the mask (0.4 GB). Memory is that of the command's process, Python and torch
included; it must stay under 3 GB. That memory does not grow with the height where an image is read
by windows has a test (``tests/dense/network/test_tiles.py``, marked long).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.dense_data import Endless
from benchmarks.feature_fusion import Row, one_core
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.data.split_files import write_split
from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.train import train_dense
from pathfuse.testing.tissue import make_split

LIMIT_MB = 3000
SIDE, TILE, OVERLAP = 20_000, 512, 1 / 16
MEASURED = """
import re, sys
from pathlib import Path
from pathfuse.cli import main
status = main(sys.argv[1:])
memory = Path("/proc/self/status").read_text()
sys.stderr.write(" " + re.search(r"VmHWM:\\s+(\\d+)", memory)[1])
sys.exit(status)
"""
"""Of this program alone: what ``getrusage`` reports starts with the memory of the process that called
it."""


def dense_memory() -> list[Row]:
    """One row."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _train(place)
        _write(place)
        start = time.perf_counter()
        command = [
            "dense",
            "predict",
            "--model",
            place / "net",
            "--data",
            place / "split.json",
            "--part",
            "test",
        ]
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *command, "--out", place / "logits"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        logits = np.load(place / "logits" / "large.npy", mmap_mode="r")
        assert logits.shape == (2, SIDE, SIDE)
    peak_mb = float(done.stderr.split()[-1]) * 1024 / 1e6
    return [
        {
            "image": f"{SIDE} x {SIDE}, PNG",
            "network": "small ViT, patch 16, frozen",
            "tile_px": TILE,
            "peak_memory_mb": peak_mb,
            "below_3_gb": peak_mb < LIMIT_MB,
            "seconds": round(seconds, 1),
        }
    ]


def _train(place: Path) -> None:
    """A network of two classes, trained for an epoch on made-up tissue; only its size matters here."""
    (place / "images").mkdir()
    split = make_split(place / "images", train=2, val=0, test=0, classes=2)
    recipe = DenseRecipe.of(
        epochs=1,
        fit="crop",
        size_px=TILE,
        tile_overlap=OVERLAP,
        batch=4,
        decoder_width=32,
        device="cpu",
    )
    with one_core():
        train_dense(tiny_encoder(patch=16, dim=48, depth=1), split, recipe, place / "net")


def _write(place: Path) -> None:
    """The image, and a mask of what is dark."""
    endless, step = Endless(SIDE, SIDE), 1000
    image, mask = np.empty((SIDE, SIDE, 3), dtype=np.uint8), np.empty((SIDE, SIDE), dtype=np.uint8)
    for top in range(0, SIDE, step):
        rows = endless.window(top, 0, step, SIDE)
        image[top : top + step], mask[top : top + step] = rows, rows[..., 0] < 190
    Image.fromarray(image).save(place / "large.png", compress_level=1)
    Image.fromarray(mask).save(place / "mask.png", compress_level=1)
    test = (Item("large", place / "large.png", place / "mask.png", "p"),)
    write_split(Split("large", 2, ("glass", "stroma"), test=test), place / "split.json")
