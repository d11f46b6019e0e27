"""Attention pooling: the published architecture and size, and the forward pass written out in numpy."""

import numpy as np
import pytest
from scipy.special import expit, softmax

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402


def test_the_published_size():
    head = make_head(TrainingRecipe.of("abmil"), Inputs({"features": 1536}), 2)
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == {
        "project.0.weight": (512, 1536), "project.0.bias": (512,), "content.weight": (128, 512),
        "gate.weight": (128, 512), "score.weight": (1, 128), "decide.weight": (2, 512), "decide.bias": (2,),
    }  # fmt: skip
    assert round(sum(p.numel() for p in head.parameters()) / 1e6, 2) == 0.92
    assert not head.project[0].bias.any()
    assert not head.decide.bias.any()
    wanted = np.sqrt(2 / (1536 + 512))  # Xavier, normal
    assert float(head.project[0].weight.detach().std()) == pytest.approx(wanted, rel=0.02)
    assert [m.p for m in head.modules() if isinstance(m, torch.nn.Dropout)] == [0.25, 0.25]


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("gate", ["relu", "tanh"])
def test_the_forward_pass(gate, gated):
    """Equations 8 (plain) and 9 (gated) of Ilse, Tomczak and Welling."""
    torch.manual_seed(0)
    recipe = TrainingRecipe.of("abmil", hidden=7, attention=4, gate=gate, gated=gated)
    head = make_head(recipe, Inputs({"features": 5}), 2).eval()
    w = {name: p.detach().double().numpy() for name, p in head.named_parameters()}
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    tiles = np.maximum(x @ w["project.0.weight"].T + w["project.0.bias"], 0)
    content = tiles @ w["content.weight"].T
    content = np.maximum(content, 0) if gate == "relu" else np.tanh(content)
    if gated:
        content = content * expit(tiles @ w["gate.weight"].T)
    attention = softmax(content @ w["score.weight"][0])
    outputs = (attention @ tiles) @ w["decide.weight"].T + w["decide.bias"]
    output = head(torch.from_numpy(x), torch.zeros(6, dtype=torch.int64), 1)
    np.testing.assert_allclose(output.outputs[0].detach(), outputs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(output.attention.detach(), attention, rtol=1e-4)
