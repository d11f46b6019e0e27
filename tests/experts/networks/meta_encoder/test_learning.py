"""What the strategies learn on simulated models: a regression, trained with dropout, stopped on
validation rows."""

import copy

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402
from pathfuse.experts.networks.meta_encoder.strategies.registry import STRATEGIES  # noqa: E402

SEEDS = (0, 1, 2)
N_FIT, N_VALIDATION, N_TEST = 300, 150, 600
N = N_FIT + N_VALIDATION + N_TEST
DIM = 8


def r2(parts, truth, strategy, seed, steps):
    """R² on test rows of an encoder on some models, with a linear head; the best of all 5th steps
    is kept."""
    torch.manual_seed(seed)
    encoder = MetaEncoder(
        {f"m{k}": DIM for k in range(len(parts))}, strategy, dim=16, heads=4, dropout=0.25
    )
    network = torch.nn.ModuleDict({"encoder": encoder, "head": torch.nn.Linear(encoder.dim_out, 1)})
    x = torch.cat(parts, dim=1)
    adam = torch.optim.Adam(network.parameters(), lr=2e-2, fused=True)

    def error(rows):
        predicted = network["head"](encoder(x[rows]).vector)[:, 0]
        return ((predicted - truth[rows]) ** 2).mean()

    def judged(rows):
        network.eval()
        with torch.no_grad():
            value = float(error(rows))
        network.train()
        return value

    best, kept = float("inf"), network.state_dict()
    for step in range(steps):
        adam.zero_grad()
        error(slice(0, N_FIT)).backward()
        adam.step()
        if step % 5 == 4 and (now := judged(slice(N_FIT, N_FIT + N_VALIDATION))) < best:
            best, kept = now, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    rows = slice(N_FIT + N_VALIDATION, N)
    return 1 - judged(rows) / float(truth[rows].var())


def noisy(truth, generator, size):
    return truth / truth.std() + size * torch.randn(N, generator=generator)


@pytest.mark.parametrize(
    "strategy", sorted(set(STRATEGIES) - {"contrastive"})
)  # it joins as concat does
def test_copies_of_a_model_do_not_harm(strategy):
    """Three copies against one; 0.8 is the most that can be had.

    Attention over copies learns noise otherwise: about 0.03 are lost without dropout, 0.2 without
    stopping too.
    """
    lost = []
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(N, DIM, generator=generator)
        truth = noisy(x @ torch.randn(DIM, generator=generator), generator, 0.5)
        one = r2([x], truth, strategy, seed, 40)
        assert one > 0.6
        lost.append(one - r2([x] * 3, truth, strategy, seed, 40))
    assert sum(lost) / len(lost) < 0.03


def complementary(kind, seed):
    """Two models, each of which sees one half of a latent; the target needs both halves."""
    generator = torch.Generator().manual_seed(seed)
    latent = torch.randn(2, N, 2, generator=generator)
    parts = [half @ torch.randn(2, DIM, generator=generator) for half in latent]
    parts = [part + 0.2 * torch.randn(N, DIM, generator=generator) for part in parts]
    a, b = latent[0, :, 0], latent[1, :, 0]
    return parts, noisy(a * b if kind == "product" else a + b, generator, 0.2)


@pytest.mark.parametrize(
    ("strategy", "kind", "margin"),
    [
        ("self_attention", "sum", 0.3),
        ("self_attention", "product", 0.5),
        ("cross_attention", "product", 0.5),
    ],
)
def test_complementary_models(strategy, kind, margin):
    """A single model explains half of a sum at most and nothing of a product: R² 0.48 and 0."""
    for seed in SEEDS:
        parts, truth = complementary(kind, seed)
        best_single = max(r2([part], truth, "mean", seed, 40) for part in parts)
        assert r2(parts, truth, strategy, seed, 70) > max(best_single, 0) + margin
