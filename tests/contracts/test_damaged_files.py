"""Bytes of small files are changed at random, by a seed: each ends read or in a sentence, of every kind that
is read with torch, scipy, Pillow or numpy.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

torch = pytest.importorskip("torch")

from pathfuse.dense.data.converters.mat import read_mat  # noqa: E402
from pathfuse.dense.data.images import read_image, read_mask  # noqa: E402
from pathfuse.dense.data.score_file import ScoreFile  # noqa: E402
from pathfuse.dense.evaluation.instance_maps import read_instance_map  # noqa: E402
from pathfuse.errors import faults_in  # noqa: E402
from pathfuse.features.folder import open_folder  # noqa: E402

CHANGES = 60
VALUES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
PIXELS = np.random.default_rng(0).integers(0, 3, (20, 20, 3), dtype=np.uint8)


def features(path: Path) -> None:
    found = open_folder(path.parent)
    for name in found.slides:
        found.read(name), found.stored(name), found.coords(name)


def scores(path: Path) -> None:
    file = ScoreFile(path, 2)
    with file.unpacked():
        file.logits(0, file.shape[1])


def index(path: Path) -> None:
    torch.save(torch.from_numpy(VALUES), path.parent / "a.pt")
    np.savez(path, arr_0=np.zeros((6, 2), dtype=int))


KINDS: dict[str, tuple[str, Callable[[Path], Any], Callable[[Path], Any]]] = {
    "tensors": (
        "a.pt",
        lambda p: torch.save(
            {"features": torch.from_numpy(VALUES), "coords": torch.zeros(6, 2)}, p
        ),
        features,
    ),
    "old tensors": (
        "a.pt",
        lambda p: torch.save(
            [torch.from_numpy(row) for row in VALUES], p, _use_new_zipfile_serialization=False
        ),
        features,
    ),
    "array": ("a.npy", lambda p: np.save(p, VALUES), features),
    "index of slideflow": ("a.index.npz", index, features),
    "logits": ("a.npy", lambda p: np.save(p, np.full((2, 4, 4), 3.5)), scores),
    "logits of nnU-Net": (
        "a.npz",
        lambda p: np.savez_compressed(p, probabilities=np.full((2, 4, 4), 0.5)),
        scores,
    ),
    "instances": (
        "a.npz",
        lambda p: np.savez(p, inst_map=np.eye(5, dtype=int)),
        lambda p: read_instance_map(p, 2),
    ),
    "matrix": (
        "a.mat",
        lambda p: savemat(p, {"inst_map": np.eye(9)}, do_compression=True),
        read_mat,
    ),
    "PNG": ("a.png", lambda p: Image.fromarray(PIXELS).save(p), read_image),
    "TIFF": ("a.tif", lambda p: Image.fromarray(PIXELS).save(p), read_image),
    "packed TIFF": (
        "a.tif",
        lambda p: Image.fromarray(PIXELS[..., 0]).save(p, compression="tiff_lzw"),
        read_mask,
    ),
    "BMP": ("a.bmp", lambda p: Image.fromarray(PIXELS[..., 0]).save(p), read_mask),
    "JPEG": ("a.jpg", lambda p: Image.fromarray(PIXELS).save(p), read_image),
}


def changed(raw: bytes, rng: random.Random) -> bytes:
    """With some bytes changed, cut off, filled, doubled or taken out."""
    found, at, how = bytearray(raw), rng.randrange(len(raw)), rng.random()
    if how < 0.6:
        for _ in range(rng.choice((1, 1, 2, 4))):
            found[rng.randrange(len(raw))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    elif how < 0.75:
        del found[at:]
    elif how < 0.85:
        found[at : at + 8] = b"\xff" * len(found[at : at + 8])
    elif how < 0.95:
        other = rng.randrange(len(raw))
        found[at:at] = found[other : other + rng.randrange(40)]
    else:
        del found[at : at + rng.randrange(1, 30)]
    return bytes(found)


@pytest.mark.filterwarnings(
    "ignore"
)  # of Pillow, scipy and torch, over what they read all the same
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_damaged_file_is_read_or_ends_in_a_sentence(tmp_path, kind, seed):
    name, write, read = KINDS[kind]
    path, rng = tmp_path / name, random.Random(seed)
    write(path)
    raw, sentences = path.read_bytes(), list[str]()
    read(path)
    for _ in range(CHANGES):
        path.write_bytes(changed(raw, rng))
        sentences += faults_in(lambda: read(path))
    assert sentences
    assert not any("\n" in one for one in sentences)
