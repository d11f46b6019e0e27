"""Gated weights, in numpy."""

import numpy as np
import pytest
from scipy.special import expit, softmax

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402


def test_the_forward_pass():
    torch.manual_seed(0)
    encoder = MetaEncoder({"a": 4, "b": 5, "c": 3}, "gated", dim=6)
    torch.nn.init.normal_(encoder.strategy.preference)
    x = torch.randn(7, 12)
    x[0, 4:9] = torch.nan
    encoded = encoder(x)
    w = {name: p.detach().double().numpy() for name, p in encoder.strategy.named_parameters()}
    tokens = encoded.tokens.detach().double().numpy()
    content, gate = (
        tokens @ w[f"{part}.weight"].T + w[f"{part}.bias"] for part in ("content", "gate")
    )
    scores = (np.tanh(content) * expit(gate)) @ w["score.weight"][0] + w["preference"]
    scores[0, 1] = -np.inf
    weights = softmax(scores, axis=1)
    np.testing.assert_allclose(encoded.weights.detach(), weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        encoded.vector.detach(), (weights[..., None] * tokens).sum(axis=1), rtol=1e-4, atol=1e-5
    )
