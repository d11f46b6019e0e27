"""One suite against every strategy of Meta-Encoder. A new strategy is covered by being registered."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402
from pathfuse.experts.networks.meta_encoder.strategies.registry import STRATEGIES  # noqa: E402

SIZES = {"uni": 7, "chief": 5, "gigapath": 9, "titan": 4, "prism": 6}
N, DIM = 12, 16
WEIGHING = {"gated", "self_attention", "cross_attention"}
VARIANTS = {
    **{name: {"strategy": name} for name in STRATEGIES},
    "self_attention, pooled": {"strategy": "self_attention", "pooling": "attention", "layers": 2},
    "cross_attention, deep": {"strategy": "cross_attention", "layers": 2},
    "concat, identity": {"strategy": "concat", "projection": "identity"},
}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}

every = pytest.mark.parametrize("variant", VARIANTS)
weighing = pytest.mark.parametrize(
    "variant", [v for v, chosen in VARIANTS.items() if chosen["strategy"] in WEIGHING]
)
any_number = pytest.mark.parametrize("m", [1, 2, 3, 5])
several = pytest.mark.parametrize("m", [2, 3, 5])


def dims_of(m):
    return dict(list(SIZES.items())[:m])


def encoder_of(variant, m, seed=0, **chosen):
    torch.manual_seed(seed)
    return MetaEncoder(dims_of(m), **{"dim": DIM, "heads": 4, **VARIANTS[variant], **chosen}).eval()


def drawn(m, n=N, seed=0):
    return torch.randn(n, sum(dims_of(m).values()), generator=torch.Generator().manual_seed(seed))


def columns(encoder):
    """The columns of each model."""
    ends = torch.tensor(encoder.sizes).cumsum(0).tolist()
    return [slice(end - size, end) for end, size in zip(ends, encoder.sizes, strict=True)]


def with_gaps(encoder, x):
    """Row i lacks model i mod m, and row 0 all models but the last."""
    x = x.clone()
    parts = columns(encoder)
    for row in range(1, len(x)):
        x[row, parts[row % len(parts)]] = torch.nan
    for part in parts[:-1]:
        x[0, part] = torch.nan
    return x


def squared(vector, seed=5):
    """A loss to which every column matters; the plain sum of squares of a layer-normalised vector
    is constant."""
    return (
        (vector @ torch.randn(vector.shape[1], 3, generator=torch.Generator().manual_seed(seed)))
        .square()
        .sum()
    )


@every
@any_number
def test_shapes(variant, m):
    encoder = encoder_of(variant, m)
    encoded = encoder(drawn(m))
    assert encoded.vector.shape == (N, encoder.dim_out)
    assert encoded.tokens.shape == (N, m, encoder.width)
    assert encoded.present.shape == (N, m)
    assert encoded.present.all()
    assert torch.isfinite(encoded.vector).all()
    assert (encoded.weights is not None) == (VARIANTS[variant]["strategy"] in WEIGHING)


@every
@any_number
def test_every_model_matters_in_every_row(variant, m):
    """The published cross-attention hears one model only.

    See docs/design/meta-encoder.md, section 2.1.
    """
    encoder, x, noise = encoder_of(variant, m), drawn(m), drawn(m, seed=1)
    before = encoder(x).vector
    for part in columns(encoder):
        replaced, permuted = x.clone(), x.clone()
        replaced[:, part] = noise[:, part]
        permuted[:, part] = x[:, part].roll(1, dims=0)
        for changed in (replaced, permuted):
            assert ((encoder(changed).vector - before).abs().amax(dim=1) > 1e-3).all()


@every
@any_number
def test_a_row_does_not_hear_its_neighbours(variant, m):
    encoder, x = encoder_of(variant, m), drawn(m)
    if m > 1:
        x = with_gaps(encoder, x)
    together = encoder(x)
    others = torch.cat([50 * drawn(m, 3, seed=2), x[4:5], drawn(m, 40, seed=3)])
    torch.testing.assert_close(encoder(others).vector[3], together.vector[4], **CLOSE)
    for row in range(N):
        alone = encoder(x[row : row + 1])
        torch.testing.assert_close(alone.vector[0], together.vector[row], **CLOSE)
        if together.weights is not None:
            torch.testing.assert_close(alone.weights[0], together.weights[row], **CLOSE)


@every
def test_prediction_equals_training_without_dropout(variant):
    """Torch has a fast path of its own for attention when no gradient is asked for."""
    encoder = encoder_of(variant, 3)
    x = with_gaps(encoder, drawn(3))
    with torch.inference_mode():
        quick = encoder(x)
    encoded = encoder.train()(x)
    torch.testing.assert_close(quick.vector, encoded.vector, **CLOSE)
    if encoded.weights is not None:
        torch.testing.assert_close(quick.weights, encoded.weights, **CLOSE)


@every
@several
def test_a_missing_model_has_no_effect(variant, m):
    """Neither its projection nor its embedding: other parameters of that model leave the rows as
    they are."""
    encoder = encoder_of(variant, m)
    x = with_gaps(encoder, drawn(m))
    before = encoder(x)
    assert torch.isfinite(before.vector).all()
    gone = before.present.logical_not()
    assert gone.any(dim=1).all()
    assert not before.tokens[gone].any()
    for k in range(m):
        rows = gone[:, k]
        changed = encoder_of(variant, m)
        own = [
            *changed.project[k].parameters(),
            *(p[k] for p in changed.parameters() if p.shape[:1] == (m,)),
        ]
        with torch.no_grad():
            for parameter in own:
                parameter.add_(torch.randn(parameter.shape))
        after = changed(x)
        torch.testing.assert_close(after.vector[rows], before.vector[rows], **CLOSE)
        if own:
            assert not torch.allclose(after.vector[~rows], before.vector[~rows], atol=1e-3)
        if before.weights is not None:
            torch.testing.assert_close(after.weights[rows], before.weights[rows], **CLOSE)


@every
@several
def test_gaps_do_not_poison_gradients(variant, m):
    encoder = encoder_of(variant, m).train()
    x = with_gaps(encoder, drawn(m)).requires_grad_()
    squared(encoder(x).vector).backward()
    assert torch.isfinite(x.grad).all()
    assert not x.grad[x.isnan()].any()
    assert (x.grad.abs().sum(dim=1) > 0).all()
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


@every
@several
def test_gradients_reach_all_parameters(variant, m):
    """Of every model; in the published code 6.8 of 11.3 million weights never train."""
    encoder, x = encoder_of(variant, m).train(), drawn(m).requires_grad_()
    squared(encoder(x).vector).backward()
    assert (x.grad != 0).all()
    for name, parameter in encoder.named_parameters():
        rows = parameter.grad.reshape(len(parameter), -1).abs().amax(dim=1)
        scale = float(rows.max())
        assert scale > 1e-6, name
        if name.endswith("in_proj_bias"):  # the keys' bias raises all scores of a query alike
            rows = torch.cat([rows[:DIM], rows[2 * DIM :]])
        assert (rows > 1e-6 * scale).all(), name


@every
@several
def test_the_order_of_names_does_not_matter(variant, m):
    turned = dict(reversed(dims_of(m).items()))
    torch.manual_seed(0)
    other = MetaEncoder(turned, **{"dim": DIM, "heads": 4, **VARIANTS[variant]}).eval()
    first = encoder_of(variant, m)
    assert other.names == first.names == tuple(sorted(turned))
    assert all(
        torch.equal(a, b) for a, b in zip(other.parameters(), first.parameters(), strict=True)
    )
    assert torch.equal(other(drawn(m)).vector, first(drawn(m)).vector)


@every
def test_seeds(variant):
    same, again, other = (encoder_of(variant, 3, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(same[key], again[key]) for key in same)
    assert not same or any(not torch.equal(same[key], other[key]) for key in same)


@every
def test_dropout_only_in_training(variant):
    encoder, x = encoder_of(variant, 3, dropout=0.5, drop_encoder=0.3), drawn(3)
    assert torch.equal(encoder(x).vector, encoder(x).vector)
    encoder.train()
    assert not torch.equal(encoder(x).vector, encoder(x).vector)


@every
def test_half_precision_is_near(variant):
    encoder = encoder_of(variant, 3)
    x = with_gaps(encoder, drawn(3))
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(x)
    torch.testing.assert_close(half.vector.float(), encoder(x).vector, rtol=0.05, atol=0.1)
    if half.weights is not None:
        torch.testing.assert_close(half.weights, encoder(x).weights, rtol=0.0, atol=0.03)
        torch.testing.assert_close(half.weights.sum(dim=1), torch.ones(N), rtol=0.01, atol=0.0)


@weighing
@any_number
def test_weights(variant, m):
    encoder = encoder_of(variant, m)
    full = encoder(drawn(m)).weights
    assert full.dtype == torch.float32
    torch.testing.assert_close(full.sum(dim=1), torch.ones(N))
    assert (full > 0).all()
    if m == 1:
        return
    assert (full.std(dim=0) > 1e-3).all(), "weights vary between samples"
    encoded = encoder(with_gaps(encoder, drawn(m)))
    torch.testing.assert_close(encoded.weights.sum(dim=1), torch.ones(N))
    assert not encoded.weights[~encoded.present].any()
    assert (encoded.weights[encoded.present] > 0).all()
    assert float(encoded.weights[0, -1].detach()) == pytest.approx(1)
