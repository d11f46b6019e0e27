"""Operations of networks against hand counts: linear layers, attention, with and without gradients."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from pathfuse.experts.flops import count_flops  # noqa: E402

B, H, T, E = 2, 4, 5, 8
"""Batch, heads, tokens, width of a head."""


@pytest.mark.parametrize("shape", [(6,), (10, 6), (2, 5, 6)])
def test_a_linear_layer(shape):
    layer, inputs = torch.nn.Linear(6, 3), torch.ones(shape)
    rows = inputs.numel() // 6
    forward = 2 * rows * 6 * 3
    said, flops = count_flops(lambda: layer(inputs))
    assert torch.equal(said, layer(inputs))
    assert flops == forward
    with torch.inference_mode():
        assert count_flops(lambda: layer(inputs))[1] == forward
    assert (
        count_flops(lambda: layer(inputs).sum().backward())[1] == 2 * forward
    )  # of the weights, not of the inputs
    inputs.requires_grad_()
    assert count_flops(lambda: layer(inputs).sum().backward())[1] == 3 * forward


def test_attention():
    query = torch.randn(B, H, T, E, requires_grad=True)
    forward = 2 * (2 * B * H * T * T * E)

    def plain():
        with sdpa_kernel(SDPBackend.MATH):
            return scaled_dot_product_attention(query, query, query)

    assert count_flops(lambda: scaled_dot_product_attention(query, query, query))[1] == forward
    assert count_flops(plain)[1] == forward
    whole = count_flops(lambda: scaled_dot_product_attention(query, query, query).sum().backward())[
        1
    ]
    assert whole >= 3 * forward  # the fused path computes the scores again on its way back
    with torch.inference_mode():
        still = query.detach()
        assert count_flops(lambda: scaled_dot_product_attention(still, still, still))[1] == forward


def test_attention_of_torch_counts_the_same_at_rest_as_in_training():
    layer, tokens = (
        torch.nn.MultiheadAttention(H * E, H, batch_first=True),
        torch.randn(B, T, H * E),
    )
    width = H * E
    expected = (
        2 * B * T * width * (3 * width) + 2 * (2 * B * H * T * T * E) + 2 * B * T * width * width
    )
    assert count_flops(lambda: layer(tokens, tokens, tokens, need_weights=False))[1] == expected
    layer.eval()
    with torch.inference_mode():
        assert count_flops(lambda: layer(tokens, tokens, tokens, need_weights=False))[1] == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_products_with_a_vector():
    matrix, vector = torch.ones(4, 6), torch.ones(6)
    assert count_flops(lambda: matrix @ vector)[1] == 2 * 4 * 6
    assert count_flops(lambda: torch.addmv(torch.ones(4), matrix, vector))[1] == 2 * 4 * 6
    assert count_flops(lambda: vector @ vector)[1] == 2 * 6


def test_a_failing_call_leaves_torch_as_it_was():
    with pytest.raises(ZeroDivisionError):
        count_flops(lambda: 1 / 0)
    assert torch.backends.mha.get_fastpath_enabled()
    assert count_flops(lambda: torch.ones(2))[1] == 0
