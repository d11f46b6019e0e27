"""The largest value of each feature and one linear layer, in numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402


def test_the_forward_pass():
    head = make_head(TrainingRecipe.of("max_pool"), Inputs({"features": 5}), 2).eval()
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    layer = head.decide[1]
    pooled = np.stack([x[:3].max(axis=0), x[3:].max(axis=0)])
    wanted = pooled @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    got = head(torch.from_numpy(x), torch.tensor([0] * 3 + [1] * 4), 2).outputs
    np.testing.assert_allclose(got.detach(), wanted, rtol=1e-5, atol=1e-6)
