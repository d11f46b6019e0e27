"""What each model heard, side by side."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402


def encoder_of(dims):
    torch.manual_seed(0)
    return MetaEncoder(dims, "cross_attention", dim=8, heads=2).eval()


def test_every_model_hears_every_other():
    """The published pairs hear GigaPath alone. A block hears its own model and the others, not only
    itself."""
    encoder, x = encoder_of({"a": 4, "b": 4, "c": 4}), torch.randn(6, 12)
    before = encoder(x).vector.reshape(6, 3, 8)
    for m in range(3):
        changed = x.clone()
        changed[:, 4 * m : 4 * m + 4] = torch.randn(6, 4)
        moved = (encoder(changed).vector.reshape(6, 3, 8) - before).abs().amax(dim=2)
        assert (moved > 1e-3).all()


def test_absent_models_have_empty_columns_and_lonely_ones_their_own_token():
    encoder, x = encoder_of({"a": 4, "b": 4}), torch.randn(6, 8)
    x[:, 4:] = torch.nan
    encoded = encoder(x)
    layers = encoder.strategy.layers
    torch.testing.assert_close(
        encoded.vector[:, :8], layers.norm(encoded.tokens[:, 0] + layers.embedding[0])
    )
    assert not encoded.vector[:, 8:].any()
    assert encoded.weights.tolist() == [[1, 0]] * 6
