"""The transformer against torch's own attention layer with the same weights, one bag at a time."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402


def attended(layer, tokens):
    """What torch's multi-head attention makes of the tokens, and the mean weights of its heads."""
    width = tokens.shape[-1]
    return functional.multi_head_attention_forward(
        tokens[:, None], tokens[:, None], tokens[:, None], width, 8, layer.mix.weight, layer.mix.bias, None, None,
        False, 0.0, layer.out.weight, layer.out.bias, training=False,
    )  # fmt: skip


def test_the_forward_pass():
    torch.manual_seed(0)
    head = make_head(
        TrainingRecipe.of("trans_mil", hidden=16, layers=2), Inputs({"features": 5}), 3
    ).eval()
    x = torch.randn(6, 5)
    output = head(torch.cat([torch.randn(9, 5), x]), torch.tensor([0] * 9 + [1] * 6), 2)
    tokens = torch.cat([head.token[None], head.project(x)])
    for layer in head.layers:
        mixed, weights = attended(layer, layer.norm(tokens))
        tokens = tokens + mixed[:, 0]
        tokens = tokens + layer.feed(layer.norm_2(tokens))
    torch.testing.assert_close(
        output.outputs[1], head.decide(head.norm(tokens[0])), rtol=1e-4, atol=1e-5
    )
    looked = weights[0, 0, 1:]
    torch.testing.assert_close(output.attention[9:], looked / looked.sum(), rtol=1e-4, atol=1e-5)


def test_widths_are_rounded_up_to_the_heads():
    assert make_head(
        TrainingRecipe.of("trans_mil", hidden=13), Inputs({"features": 5}), 3
    ).token.shape == (16,)
