"""The encoder around the strategies: tokens, what is missing, and what is dropped in training."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder, dropped  # noqa: E402

DIMS = {"uni": 4, "chief": 3}
"""In the order of names: chief, columns 0 to 2; uni, 3 to 6."""


def drawn(n=5):
    return torch.randn(n, 7, generator=torch.Generator().manual_seed(0))


def test_tokens_are_projected_and_normalised():
    torch.manual_seed(0)
    encoder, x = MetaEncoder(DIMS, "mean", dim=6), drawn()
    x[1, :3] = torch.nan
    tokens = encoder(x).tokens.detach()
    for m, part in enumerate((slice(0, 3), slice(3, 7))):
        layer = encoder.project[m][0]
        wanted = x[:, part].numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        wanted = (wanted - wanted.mean(axis=1, keepdims=True)) / np.sqrt(
            wanted.var(axis=1, keepdims=True) + 1e-5
        )
        if m == 0:
            wanted[1] = 0
        np.testing.assert_allclose(tokens[:, m], wanted, rtol=1e-4, atol=1e-5)


def test_the_identity_leaves_features_untouched():
    encoder, x = MetaEncoder(DIMS, "concat", dim=6, projection="identity"), drawn()
    assert encoder.dim_out == 7
    assert not list(encoder.parameters())
    encoded = encoder(x)
    assert torch.equal(encoded.vector, x)
    assert torch.equal(encoded.tokens[:, 0], torch.nn.functional.pad(x[:, :3], (0, 1)))
    x[2, 3:] = torch.nan
    assert encoder(x).vector[2].tolist() == [*x[2, :3].tolist(), 0, 0, 0, 0]


def test_a_feature_that_is_nan_alone_is_no_missing_model():
    """It would be an error of the reader; it shows, and is not guessed away."""
    x = drawn()
    x[1, 0] = torch.nan
    encoded = MetaEncoder(DIMS, "mean", dim=6)(x)
    assert encoded.present.all()
    assert encoded.vector.isnan().any(dim=1).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_dropping_leaves_one(share):
    torch.manual_seed(0)
    present = torch.rand(20_000, 3) < 0.6
    present[~present.any(dim=1), 1] = True
    stays = dropped(present, share)
    assert not (stays & ~present).any()
    assert stays.any(dim=1).all()
    for count in (1, 2, 3):
        rows = present.sum(dim=1) == count
        alone = share**count  # all would go, and one of them stays
        wanted = (1 - share) + alone / count
        assert float(stays[rows].sum() / present[rows].sum()) == pytest.approx(wanted, abs=0.012)


def test_models_are_dropped_in_training_only():
    torch.manual_seed(0)
    encoder, x = MetaEncoder(DIMS, "gated", dim=6, drop_encoder=0.9), drawn(200)
    encoded = encoder.train()(x)
    assert encoded.present.any(dim=1).all()
    assert encoded.present.sum() < 260
    assert not encoded.tokens[~encoded.present].any()
    assert not encoded.weights[~encoded.present].any()
    assert encoder.eval()(x).present.all()
