"""Pooling of the attended tokens."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_pooling(pooling):
    torch.manual_seed(0)
    encoder = MetaEncoder({"a": 4, "b": 5, "c": 3}, dim=8, heads=2, pooling=pooling).eval()
    x = torch.randn(6, 12)
    x[1:3, :4] = torch.nan
    encoded = encoder(x)
    tokens, origin = encoder.strategy.layers(encoded.tokens, encoded.present)
    for row in range(6):
        here = encoded.present[row]
        pool = torch.full((int(here.sum()),), 1 / float(here.sum()))
        if pooling == "attention":
            pool = (tokens[row, here] @ encoder.strategy.pool.weight[0]).softmax(dim=0)
        torch.testing.assert_close(encoded.vector[row], pool @ tokens[row, here])
        torch.testing.assert_close(encoded.weights[row], pool @ origin[row, here])


def test_models_are_told_apart():
    """Two models with the same features and the same projection still have different tokens after
    attention."""
    torch.manual_seed(0)
    encoder = MetaEncoder({"a": 4, "b": 4}, dim=8, heads=2)
    encoder.project[1].load_state_dict(encoder.project[0].state_dict())
    x = torch.randn(5, 4)
    encoded = encoder(torch.cat([x, x], dim=1))
    assert torch.equal(encoded.tokens[:, 0], encoded.tokens[:, 1])
    tokens, _ = encoder.strategy.layers(encoded.tokens, encoded.present)
    assert not torch.allclose(tokens[:, 0], tokens[:, 1], atol=1e-3)
