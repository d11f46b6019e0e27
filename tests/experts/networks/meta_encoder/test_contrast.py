"""InfoNCE between models against a slow loop."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.contrast import contrast  # noqa: E402


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def one_way(tokens, present, groups, i, a, b, temperature):
    """Minus the log of the chance to find row i's token of model b with its token of model a."""
    ratio = 1.0
    right = cosine(tokens[i, a], tokens[i, b]) / temperature
    for j in range(len(tokens)):
        if groups[j] != groups[i] and present[j, b]:
            ratio += math.exp(cosine(tokens[i, a], tokens[j, b]) / temperature - right)
    return math.log(ratio)


def slow(tokens, present, groups, temperature):
    losses = []
    for i in range(len(tokens)):
        here = np.flatnonzero(present[i])
        pairs = [(a, b) for a in here for b in here if a < b]
        each = [
            one_way(tokens, present, groups, i, a, b, temperature) / 2
            + one_way(tokens, present, groups, i, b, a, temperature) / 2
            for a, b in pairs
        ]
        losses.append(sum(each) / len(each) if each else 0.0)
    return losses


def drawn(n=14, m=4, dim=5, seed=0):
    rng = np.random.default_rng(seed)
    present = rng.random((n, m)) < 0.7
    present[:2] = False
    present[0, 1] = True
    present[1] = True
    tokens = rng.normal(size=(n, m, dim)) * present[..., None]
    return tokens, present, rng.integers(5, size=n)


def told(tokens, present, groups, temperature=0.5):
    return contrast(
        torch.from_numpy(tokens).float(),
        torch.from_numpy(present),
        torch.from_numpy(groups),
        temperature,
    )


@pytest.mark.parametrize("temperature", [0.5, 0.07])
@pytest.mark.parametrize("seed", [0, 1])
def test_against_a_loop(temperature, seed):
    tokens, present, groups = drawn(seed=seed)
    got = told(tokens, present, groups, temperature)
    np.testing.assert_allclose(
        got, slow(tokens, present, groups, temperature), rtol=1e-4, atol=1e-6
    )
    assert got[0] == 0
    assert got[1] > 0


def test_rows_of_one_patient_are_no_negatives():
    """A row whose tokens are copies of its patient's other row is not punished for it."""
    tokens, present, groups = drawn()
    present[:] = True
    tokens = np.random.default_rng(3).normal(size=tokens.shape)
    groups = np.arange(len(groups)) // 2
    before = told(tokens, present, groups)
    tokens[1] = tokens[0]
    assert told(tokens, present, groups)[0] == pytest.approx(float(before[0]), rel=1e-6)
    assert told(tokens, present, np.arange(len(groups)))[0] > before[0] + 1e-3
    assert told(tokens, present, np.zeros_like(groups)).tolist() == [0] * len(groups)


def test_one_row_alone():
    tokens, present, groups = drawn()
    assert told(tokens[1:2], present[1:2], groups[1:2]).tolist() == [0]


def test_a_hand_case():
    """Two patients, two models that agree, and whose tokens are at right angles between patients."""
    tokens = np.stack([np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]])
    got = told(tokens, np.ones((2, 2), dtype=bool), np.array([0, 1]), 0.5)
    assert got.tolist() == pytest.approx([math.log(1 + math.exp(-2))] * 2)


def test_gradients_with_gaps():
    tokens, present, groups = drawn()
    leaf = torch.from_numpy(tokens).requires_grad_()
    contrast(leaf, torch.from_numpy(present), torch.from_numpy(groups)).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert not leaf.grad[~torch.from_numpy(present)].any()
    assert leaf.grad.abs().sum() > 0


def test_training_brings_tokens_of_a_row_together():
    """Two models see one latent through other mixings: after training each finds its partner."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(64, 3, generator=generator)
    views = [latent @ torch.randn(3, 8, generator=generator) for _ in range(2)]
    layers = [torch.nn.Linear(8, 8) for _ in views]
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=0.3, generator=generator)
    adam = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=0.02)

    def tokens():
        return torch.stack([layer(view) for layer, view in zip(layers, views, strict=True)], dim=1)

    def found():
        unit = torch.nn.functional.normalize(tokens(), dim=2)
        nearest = (unit[:, 0] @ unit[:, 1].T).argmax(dim=1)
        return float((nearest == torch.arange(64)).float().mean())

    assert found() < 0.2
    for _ in range(100):
        adam.zero_grad()
        contrast(tokens(), torch.ones(64, 2, dtype=torch.bool), torch.arange(64)).mean().backward()
        adam.step()
    assert found() > 0.8
