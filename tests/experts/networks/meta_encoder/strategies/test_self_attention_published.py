"""The published self-attention is a linear map, and equals torch's attention over a sequence of
length 1."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def encoder_of(**chosen):
    torch.manual_seed(0)
    return MetaEncoder({"a": 4, "b": 5}, "self_attention_published", dim=8, **chosen).eval()


def test_it_is_one_matrix():
    encoder = encoder_of()
    assert encoder.dim_out == 8

    def f(x):
        return encoder(x).vector

    a, b = torch.randn(6, 9), torch.randn(6, 9)
    torch.testing.assert_close(f(a) + f(b) - f(torch.zeros(6, 9)), f(a + b), **CLOSE)
    value, out = encoder.strategy.value, encoder.strategy.out
    torch.testing.assert_close(
        f(a), a @ (out.weight @ value.weight).T + (out.weight @ value.bias + out.bias), **CLOSE
    )


def test_no_choice_but_the_width_changes_it():
    x = torch.randn(6, 9)
    wanted = encoder_of()(x).vector
    for chosen in (
        {"heads": 2},
        {"layers": 3},
        {"projection": "identity"},
        {"pooling": "attention"},
    ):
        assert torch.equal(encoder_of(**chosen)(x).vector, wanted)


@pytest.mark.parametrize("heads", [1, 4])
def test_against_attention_over_one_token(heads):
    """Whatever the query is."""
    encoder, x = encoder_of(), torch.randn(6, 9)
    attention = torch.nn.MultiheadAttention(8, heads, kdim=9, vdim=9, batch_first=True)
    value, out = encoder.strategy.value, encoder.strategy.out
    with torch.no_grad():
        attention.v_proj_weight.copy_(value.weight)
        attention.in_proj_bias[16:] = value.bias
        attention.out_proj.weight.copy_(out.weight)
        attention.out_proj.bias.copy_(out.bias)
    for query in (torch.zeros(6, 1, 8), torch.randn(6, 1, 8)):
        got = attention(query, x[:, None], x[:, None])[0][:, 0]
        torch.testing.assert_close(got, encoder(x).vector, **CLOSE)


def test_a_missing_model_counts_as_zeros():
    x = torch.randn(6, 9)
    gap, zeros = x.clone(), x.clone()
    gap[:, :4], zeros[:, :4] = torch.nan, 0.0
    assert torch.equal(encoder_of()(gap).vector, encoder_of()(zeros).vector)
