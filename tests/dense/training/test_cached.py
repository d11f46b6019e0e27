"""Kept tokens are those of the encoder, read through memory mapping."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("peft")

from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.network.make import make_network  # noqa: E402
from pathfuse.dense.recipe import DenseRecipe  # noqa: E402
from pathfuse.dense.training.cached import CachedTokens, FromTokens, as_input  # noqa: E402
from pathfuse.dense.training.samples import Squares  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402
from pathfuse.testing.tissue import make_split  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def squares(tmp_path):
    split = make_split(tmp_path, train=5, val=0, test=0)
    return Squares(split.train, split, DenseRecipe.of(size_px=40, augment=False))


@pytest.mark.parametrize("strategy", ["frozen", "transformer"])
def test_tokens_stand_for_images(squares, tmp_path, strategy):
    net = make_network(tiny_encoder(registers=1), strategy, 3, seed=0).eval()
    kept = CachedTokens.make(tmp_path / "kept.npy", net, squares, 2, CPU, torch.float32)
    assert isinstance(kept.values, np.memmap)
    assert kept.values.dtype == np.float16
    assert kept.values.shape == (5, 1 + 1 + 3 * 3, 48)
    images = as_input(torch.from_numpy(np.stack([squares.plain(row)[0] for row in (4, 1)])), CPU)
    with torch.inference_mode():
        whole, from_tokens = net(images), FromTokens(net, 40)(None, kept.of([4, 1], CPU))
    assert from_tokens.shape == (2, 3, 40, 40)
    torch.testing.assert_close(from_tokens, whole, atol=5e-3, rtol=0)


def test_tokens_beyond_float16(squares, tmp_path):
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.trunk.norm.weight *= 1e6
    with pytest.raises(InputError, match="beyond float16; train with cache off"):
        CachedTokens.make(
            tmp_path / "k.npy", make_network(encoder, "frozen", 2), squares, 2, CPU, torch.float32
        )
