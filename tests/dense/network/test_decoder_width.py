"""A decoder of another width keeps the published proportions."""

import pytest

pytest.importorskip("timm")

import torch

from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.dense.network.decoder import CHANNELS, WIDTH, CupDecoder
from pathfuse.dense.network.make import make_network


def test_the_published_width_is_the_default():
    assert sum(p.numel() for p in CupDecoder(48, 2).parameters()) == sum(
        p.numel() for p in CupDecoder(48, 2, width=WIDTH).parameters()
    )
    assert [step[0][0].out_channels for step in CupDecoder(48, 2).steps] == list(CHANNELS)


def test_a_narrow_decoder_is_narrow_everywhere():
    decoder = CupDecoder(48, 3, width=128)
    assert decoder.entry[0].out_channels == 128
    assert [step[0][0].out_channels for step in decoder.steps] == [64, 32, 16, 8]


@pytest.mark.parametrize("strategy", ["frozen", "cnn"])
def test_a_network_with_a_narrow_decoder_segments(strategy):
    net = make_network(tiny_encoder(patch=16), strategy, 3, decoder_width=64).eval()
    with torch.inference_mode():
        assert net(torch.rand(1, 3, 40, 35)).shape == (1, 3, 40, 35)
