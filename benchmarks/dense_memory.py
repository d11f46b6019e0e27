"""Tiled inference on an image of 20,000 x 20,000 pixels: time and largest resident memory, each in a fresh process.

``window by window``: the image exists only where it is looked at, and the classes are written band by band. ``PNG``:
``pathfuse dense predict`` on a file with a mask; Pillow holds its pixels once (1.6 GB), logits go to disk band by band
and are counted against the mask. ``tiled TIFF``: the same, but OpenSlide reads windows. Logits of the whole image would
be 3.2 GB. Memory is that of the process, Python and torch included; it must stay under 3 GB.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dense_data import Endless
from benchmarks.feature_fusion import Row, one_core
from pathfuse.costs import measured
from pathfuse.dense.data.records import Item, Split, write_split
from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.dense.network.tiles import stream_tiled
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.strategies.registry import make_network
from pathfuse.dense.training.train import train_dense
from pathfuse.testing.tissue import make_split

LIMIT_MB = 3000
SIDE, TILE, OVERLAP, BATCH = 20_000, 512, 1 / 16, 4
ENCODER = {"patch": 16, "dim": 96, "depth": 2}


def dense_memory() -> list[Row]:
    """One row per source of pixels."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _train(place)
        rows = [_alone("windows", place)]
        for suffix in (".png", ".tif"):
            _alone(suffix, place)  # writes the file
            rows.append(_predict(place, suffix))
    return rows


def _alone(what: str, place: Path) -> Row:
    """A step in a process of its own, so that its memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dense_memory", what, str(place)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def _train(place: Path) -> None:
    """A network of two classes, trained for an epoch on made-up tissue; only its size matters here."""
    (place / "images").mkdir()
    split = make_split(place / "images", train=2, val=0, test=0, classes=2)
    recipe = DenseRecipe.of(
        epochs=1, fit="crop", size_px=TILE, tile_overlap=OVERLAP, batch=BATCH, decoder_width=32, device="cpu"
    )
    with one_core():
        train_dense(tiny_encoder(**ENCODER), split, recipe, place / "net")


def _predict(place: Path, suffix: str) -> Row:
    image, mask = place / f"large{suffix}", place / "mask.png"
    split = Split("large", 2, ("glass", "stroma"), test=(Item("large", image, mask, "p"),))
    write_split(split, place / "split.json")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "dense", "predict", "--model", place / "net", "--data", place / "split.json",
         "--part", "test", "--out", place / f"logits{suffix}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return _row({".png": "PNG", ".tif": "tiled TIFF"}[suffix], float(done.stderr.split()[-1]), seconds)


_MEASURED = """
import resource, sys
import torch
torch.set_num_threads(1)
from pathfuse.cli import main
try:
    sys.exit(main(sys.argv[1:]))
finally:
    sys.stderr.write(f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}")
"""


def _row(source: str, peak_mb: float | None, seconds: float) -> Row:
    return {
        "image": f"{SIDE} x {SIDE}",
        "source": source,
        "network": "small ViT, patch 16, frozen",
        "tile_px": TILE,
        "peak_memory_mb": peak_mb,
        "below_3_gb": None if peak_mb is None else peak_mb < LIMIT_MB,
        "seconds": round(seconds, 1),
    }


def _windows(place: Path) -> Row:
    net = make_network(tiny_encoder(**ENCODER), "frozen", 2, decoder_width=32)
    rows, start = 0, time.perf_counter()
    with one_core(), (place / "classes").open("wb") as file, measured() as meter:
        for band in stream_tiled(net, Endless(SIDE, SIDE), tile_px=TILE, overlap=OVERLAP, batch=BATCH):
            band.logits.argmax(axis=0).astype(np.uint8).tofile(file)
            rows += band.logits.shape[1]
    assert rows == SIDE
    return _row("window by window", meter.cost.peak_memory_mb, time.perf_counter() - start)


def _write(place: Path, suffix: str) -> Row:
    import tifffile
    from PIL import Image

    endless = Endless(SIDE, SIDE)
    if suffix == ".tif":
        tiles = (
            endless.window(top, left, min(TILE, SIDE - top), min(TILE, SIDE - left))
            for top in range(0, SIDE, TILE)
            for left in range(0, SIDE, TILE)
        )
        padded = (np.pad(t, ((0, TILE - t.shape[0]), (0, TILE - t.shape[1]), (0, 0))) for t in tiles)
        shape: dict[str, Any] = {"shape": (SIDE, SIDE, 3), "dtype": "uint8", "tile": (TILE, TILE)}
        tifffile.imwrite(place / "large.tif", padded, photometric="rgb", **shape)
        return {}
    image = np.concatenate([endless.window(top, 0, 1000, SIDE) for top in range(0, SIDE, 1000)])
    Image.fromarray(image).save(place / "large.png", compress_level=1)
    mask = (image[..., 0] < 190).astype(np.uint8)
    Image.fromarray(mask).save(place / "mask.png", compress_level=1)
    return {}


if __name__ == "__main__":
    step, target = sys.argv[1], Path(sys.argv[2])
    sys.stdout.write(json.dumps(_windows(target) if step == "windows" else _write(target, step)))
