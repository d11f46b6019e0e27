"""DSMIL in numpy, from equations 2 to 5 of Li, Li and Eliceiri (2021)."""

import numpy as np
import pytest
from scipy.special import log_softmax

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.base import Packed, Truths  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402


def by_hand(head, x):
    """Scores of both streams and the attention (tile, output), tile by tile."""
    w = {name: p.detach().double().numpy() for name, p in head.named_parameters()}
    scores = np.array([w["instances.weight"] @ h + w["instances.bias"] for h in x])
    query = np.array([w["query.weight"] @ h + w["query.bias"] for h in x])
    value = np.array([w["value.weight"] @ h + w["value.bias"] for h in x])
    pooled, attention = [], []
    for c in range(scores.shape[1]):
        critical = query[scores[:, c].argmax()]
        raised = np.exp(query @ critical / np.sqrt(len(critical)))
        u = raised / raised.sum()
        b = sum(share * v for share, v in zip(u, value, strict=True))
        pooled.append(w["decide.weight"][c] @ b + w["decide.bias"][c])
        attention.append(u)
    return scores.max(axis=0), np.array(pooled), np.array(attention).T


def test_the_forward_pass_and_the_loss():
    torch.manual_seed(0)
    recipe = TrainingRecipe.of("dsmil", hidden=7, attention=4)
    head = make_head(recipe, Inputs({"features": 5}), 3).eval()
    x = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)
    packed = Packed(torch.from_numpy(x), torch.tensor([0] * 4 + [1] * 6), 2)
    output = head.forward_packed(packed)
    truth = Truths(
        target_kind("multiclass", "gaussian"), torch.eye(3)[[2, 0]], torch.ones(2, 1).bool()
    )
    losses = head.loss(output, packed, truth).detach()
    for bag, rows, label in ((0, slice(4), 2), (1, slice(4, 10), 0)):
        highest, pooled, attention = by_hand(head, x[rows].astype(np.float64))
        np.testing.assert_allclose(
            output.outputs[bag].detach(), (highest + pooled) / 2, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            output.attention[rows].detach(), attention.mean(axis=1), rtol=1e-4, atol=1e-6
        )
        wanted = -(log_softmax(highest)[label] + log_softmax(pooled)[label]) / 2
        assert float(losses[bag]) == pytest.approx(wanted, rel=1e-4)
