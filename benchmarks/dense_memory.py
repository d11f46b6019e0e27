"""Tiled inference on an image of 20,000 x 20,000 pixels that exists only window by window: time and resident memory.

The classes are written to a file band by band, as a user would; logits of the whole image would be 3.2 GB. Memory is
the largest resident memory of the process, Python and torch included; it must stay under 3 GB.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.dense_data import Endless
from benchmarks.feature_fusion import Row, on_one_core
from pathfuse.costs import measured
from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.dense.network.tiles import stream_tiled
from pathfuse.dense.strategies.registry import make_network

LIMIT_MB = 3000
SIDE, TILE, OVERLAP, BATCH = 20_000, 512, 1 / 16, 4


@on_one_core
def dense_memory() -> list[Row]:
    """One row."""
    net = make_network(tiny_encoder(patch=16, dim=96, depth=2), "frozen", 2, decoder_width=32)
    image = Endless(SIDE, SIDE)
    rows = 0
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "classes").open("wb") as file:
        start = time.perf_counter()
        with measured() as meter:
            for band in stream_tiled(net, image, tile_px=TILE, overlap=OVERLAP, batch=BATCH):
                band.logits.argmax(axis=0).astype(np.uint8).tofile(file)
                rows += band.logits.shape[1]
        seconds = time.perf_counter() - start
    assert rows == SIDE
    peak = meter.cost.peak_memory_mb
    return [
        {
            "image": f"{SIDE} x {SIDE}",
            "network": "small ViT, patch 16, frozen, random weights",
            "tile_px": TILE,
            "peak_memory_mb": peak,
            "added_memory_mb": meter.cost.added_memory_mb,
            "below_3_gb": None if peak is None else peak < LIMIT_MB,
            "seconds": round(seconds, 1),
        }
    ]
