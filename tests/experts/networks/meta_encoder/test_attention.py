"""Attention across models, written out in numpy, row by row and head by head."""

import numpy as np
import pytest
from scipy.special import softmax

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.attention import ModelAttention, ModelLayers  # noqa: E402

WIDTH, HEADS, M = 8, 2, 3


def normed(x):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def slow(layer, tokens, present, others):
    """Tokens and attention of one row; absent models are left out instead of masked."""
    weight = layer.attend.in_proj_weight.detach().double().numpy()
    bias = layer.attend.in_proj_bias.detach().double().numpy()
    query, key, value = (
        normed(tokens) @ weight.reshape(3, WIDTH, WIDTH)[k].T + bias[k * WIDTH :][:WIDTH]
        for k in range(3)
    )
    here = np.flatnonzero(present)
    mixed, looked = np.zeros((M, WIDTH)), np.zeros((M, M))
    for i in here:
        asked = [j for j in here if not (others and j == i)]
        for head in np.arange(WIDTH).reshape(HEADS, -1):
            scores = [query[i, head] @ key[j, head] / len(head) ** 0.5 for j in asked]
            share = softmax([*scores, 0.0] if others else scores)
            mixed[i, head] = sum(s * value[j, head] for s, j in zip(share, asked, strict=False))
            for s, j in zip(share, [*asked, i], strict=False):
                looked[i, j] += s / HEADS
    out = layer.attend.out_proj
    return (
        tokens
        + mixed @ out.weight.detach().double().numpy().T
        + out.bias.detach().double().numpy(),
        looked,
    )


@pytest.mark.parametrize("others", [False, True])
def test_the_forward_pass(others):
    torch.manual_seed(0)
    layer = ModelAttention(WIDTH, HEADS, 0.0, others).eval()
    torch.nn.init.normal_(layer.attend.in_proj_bias)
    torch.nn.init.normal_(layer.attend.out_proj.bias)
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0]]).bool()
    tokens = torch.randn(3, M, WIDTH)
    got, origin = layer(tokens, present)
    for row in range(3):
        here = present[row].numpy()
        wanted, looked = slow(layer, tokens[row].double().numpy(), here, others)
        np.testing.assert_allclose(got[row].detach()[here], wanted[here], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            origin[row].detach()[here], (looked + np.eye(M))[here] / 2, rtol=1e-4, atol=1e-5
        )


def test_a_model_that_is_alone_hears_nobody():
    torch.manual_seed(0)
    layer = ModelAttention(WIDTH, HEADS, 0.0, others=True).eval()
    tokens = torch.randn(4, 1, WIDTH)
    got, origin = layer(tokens, torch.ones(4, 1, dtype=torch.bool))
    torch.testing.assert_close(got, tokens)  # the bias of the output starts at 0
    assert origin.flatten().tolist() == [1] * 4


def test_with_two_models_the_query_matters():
    """Without the empty slot the attention would be 1 whatever is asked.

    See docs/design/meta-encoder.md, section 2.1.
    """
    torch.manual_seed(0)
    layer = ModelAttention(WIDTH, HEADS, 0.0, others=True).eval()
    tokens = torch.randn(50, 2, WIDTH)
    share = layer(tokens, torch.ones(50, 2, dtype=torch.bool))[1][:, 0, 1]
    assert share.std() > 0.01
    assert share.max() < 0.5


def test_origins_of_several_layers_are_multiplied():
    torch.manual_seed(0)
    stack = ModelLayers(M, WIDTH, HEADS, 2, 0.0, others=False).eval()
    tokens, present = torch.randn(3, M, WIDTH), torch.ones(3, M, dtype=torch.bool)
    inside, first = stack.layers[0](tokens + stack.embedding, present)
    outside, second = stack.layers[1](inside, present)
    got, origin = stack(tokens, present)
    torch.testing.assert_close(got, stack.norm(outside))
    torch.testing.assert_close(origin, second @ first)
