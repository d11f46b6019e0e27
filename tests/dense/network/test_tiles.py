"""Tiles: blending changes nothing that is the same everywhere, any size works, and memory stays
bounded."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import pathfuse  # noqa: E402
from pathfuse.dense.network.tiles import _Plan, stream_tiled  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402

SIZES = [(48, 64), (16, 16), (37, 53), (5, 100), (100, 3), (1, 1), (16, 17)]


def predict_tiled(net, image, **how):
    """The bands of a whole image, together."""
    return np.concatenate([band.logits for band in stream_tiled(net, image, **how)], axis=1)


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Pointwise(nn.Module):
    """Three classes from the colour of the pixel alone; notes the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.weight = torch.tensor([[3.0, -1.0, 2.0], [0.5, 4.0, -2.0], [-6.0, 1.0, 1.0]])
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return torch.einsum("kc,bchw->bkhw", self.weight, x)


class Constant(nn.Module):
    def forward(self, x):
        return torch.tensor([1e3, -7.0]).view(1, 2, 1, 1).expand(len(x), 2, *x.shape[2:])


class Place(nn.Module):
    """The number of the pixel's row and column in its tile."""

    def forward(self, x):
        rows, columns = torch.meshgrid(
            *(torch.arange(float(n)) for n in x.shape[2:]), indexing="ij"
        )
        return torch.stack([rows, columns]).expand(len(x), 2, *x.shape[2:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("overlap", [0, 0.25, 0.75])
def test_a_pointwise_net_sees_no_tiles(size, overlap):
    image, net = image_of(*size), Pointwise()
    whole = net(torch.from_numpy(image).movedim(-1, 0)[None].float() / 255)[0].numpy()
    tiled = predict_tiled(net, image, tile_px=16, overlap=overlap, batch=3)
    assert tiled.shape == (3, *size)
    assert tiled.dtype == np.float32
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)
    assert max(shape[0] for shape in net.seen[1:]) <= 3
    assert {shape[2:] for shape in net.seen[1:]} == {(16, 16)}


@pytest.mark.parametrize("size", SIZES)
def test_blended_constants_stay_constant(size):
    tiled = predict_tiled(Constant(), image_of(*size), tile_px=16, overlap=0.5)
    np.testing.assert_allclose(tiled[0], 1e3, rtol=1e-6)
    np.testing.assert_allclose(tiled[1], -7, rtol=1e-6)


def test_weights_are_gaussian():
    """Two tiles of 8 in a row of 12: where both see a pixel, the nearer centre counts more."""
    tiled = predict_tiled(Place(), image_of(8, 12), tile_px=8, overlap=0.5)
    np.testing.assert_allclose(tiled[0], np.arange(8)[:, None] + np.zeros(12), atol=1e-5)
    gauss = np.exp(
        -((np.arange(8) - 3.5) ** 2) / 2
    )  # the standard deviation is an eighth of the side
    shared = [(gauss[4 + j] * (4 + j) + gauss[j] * j) / (gauss[4 + j] + gauss[j]) for j in range(4)]
    np.testing.assert_allclose(tiled[1][0], [0, 1, 2, 3, *shared, 4, 5, 6, 7], atol=1e-5)


def test_small_images_are_padded_by_reflection():
    seen = []

    class Look(Constant):
        def forward(self, x):
            seen.append((x * 255).round().byte())
            return super().forward(x)

    image = image_of(3, 8)
    predict_tiled(Look(), image, tile_px=8)
    assert (seen[0][0].movedim(0, -1).numpy() == image[[0, 1, 2, 1, 0, 1, 2, 1]]).all()


def test_tiles_cover_the_image_and_stay_inside():
    for size in range(1, 80):
        plan = _Plan.of(size, size, 16, 0.25, 4, "tile_px")
        assert plan.tops[0] == 0
        assert plan.tops[-1] == max(0, size - 16)
        assert (np.diff(plan.tops) > 0).all()
        assert (np.diff(plan.tops) <= 12).all()


class Generated:
    """An image that is nowhere whole."""

    def __init__(self, height, width):
        self.shape, self.largest = (height, width), 0

    def window(self, top, left, height, width):
        self.largest = max(self.largest, height * width)
        assert top + height <= self.shape[0]
        assert left + width <= self.shape[1]
        rows, columns = np.ogrid[top : top + height, left : left + width]
        return np.stack(
            np.broadcast_arrays(rows % 251, columns % 241, (rows + columns) % 7), axis=-1
        ).astype(np.uint8)


def test_bands_follow_each_other():
    reader, net = Generated(70, 45), Pointwise()
    bands = list(stream_tiled(net, reader, tile_px=16, overlap=0.25))
    assert [band.top for band in bands] == np.cumsum(
        [0, *(band.logits.shape[1] for band in bands)]
    ).tolist()[:-1]
    whole = predict_tiled(net, reader.window(0, 0, 70, 45), tile_px=16)
    np.testing.assert_array_equal(np.concatenate([band.logits for band in bands], axis=1), whole)
    assert len(bands) > 3
    assert (
        reader.shape[0] * reader.shape[1] == reader.largest
    )  # of the line above; before it no more than a tile


def test_the_net_is_in_evaluation():
    net = nn.Sequential(nn.Dropout(0.9), Pointwise())
    one, two = (predict_tiled(net, image_of(20, 20), tile_px=16) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_sentences():
    for wrong in ({"tile_px": 0}, {"tile_px": 8, "overlap": 0.9}, {"tile_px": 8, "batch": 0}):
        with pytest.raises(InputError, match="tiles need"):
            predict_tiled(Constant(), image_of(9, 9), **wrong)
    with pytest.raises(InputError, match="not empty"):
        predict_tiled(Constant(), image_of(0, 9), tile_px=8)


class Greedy(nn.Module):
    def forward(self, x):
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("batch", "advice"), [(4, "try a batch of 2"), (1, "try a tile_px of 256")]
)
def test_memory_runs_out(batch, advice):
    with pytest.raises(InputError, match=f"tile_px 512; {advice}$"):
        predict_tiled(Greedy(), image_of(9, 9), tile_px=512, batch=batch)


def test_other_errors_remain():
    with pytest.raises(RuntimeError, match=r"shape|expected|size"):
        predict_tiled(nn.Linear(7, 7), image_of(9, 9), tile_px=8)


MEASURE = """
import json, sys
import numpy as np, torch
sys.path.insert(0, {folder!r})
from test_tiles import Constant, Generated
from pathfuse.costs import measured
from pathfuse.dense.network.tiles import stream_tiled

class Cheap(Constant):
    def forward(self, x):
        return x[:, :2] * 2

torch.set_num_threads(1)
reader, total = Generated({height}, 20_000), 0
with measured() as meter:
    for band in stream_tiled(Cheap(), reader, tile_px=1024, overlap=0.0625, batch=4):
        assert np.isfinite(band.logits[:, ::64, ::64]).all()
        total += band.logits.shape[1]
print(json.dumps([total, meter.cost.peak_memory_mb, reader.largest]))
"""


def measure(height):
    code = MEASURE.format(folder=str(Path(__file__).parent), height=height)
    source = str(Path(pathfuse.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": source}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_memory_of_a_large_image():
    """20,000 x 20,000 as a whole would be 1.2 GB of pixels and 3.2 GB of float32 logits for two
    classes."""
    low, high = measure(2_500), measure(20_000)
    assert (low[0], high[0]) == (2_500, 20_000)
    assert high[2] == 1024**2
    assert high[1] < 3000
    assert high[1] < low[1] + 200  # the height changes nothing
