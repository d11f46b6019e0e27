"""Telling encoders apart."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from pathfuse.dense.encoders.digest import encoder_digest  # noqa: E402
from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402


def test_digests_tell_encoders_apart():
    one = encoder_digest(tiny_encoder())
    assert one == encoder_digest(tiny_encoder())
    changed = tiny_encoder()
    with torch.no_grad():
        changed.trunk.blocks[1].mlp.fc2.bias[3] += 1e-3
    normalised = tiny_encoder()
    normalised._mean += 0.01
    others = [
        encoder_digest(each)
        for each in (tiny_encoder(seed=1), tiny_encoder(registers=1), changed, normalised)
    ]
    assert len({one, *others}) == 5
