"""LogitProd's tile expert: its layers, and samples of several vectors."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402


def test_the_published_layers():
    head = make_head(TrainingRecipe.of("tile_mlp"), Inputs({"features": 1024}), 9)
    kinds = [type(layer).__name__ for layer in head.layers if type(layer).__name__ != "Dropout"]
    assert kinds == ["Linear", "LayerNorm", "GELU", "Linear", "LayerNorm", "GELU", "Linear"]
    assert [layer.out_features for layer in head.layers if hasattr(layer, "out_features")] == [
        128,
        128,
        9,
    ]


def test_several_vectors_are_averaged():
    """A second slide that is equal to the first makes nobody more sure."""
    head = make_head(TrainingRecipe.of("tile_mlp", hidden=8), Inputs({"features": 4}), 3).eval()
    x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    alone = head(x, torch.tensor([0, 1]), 2).outputs
    twice = head(x[[0, 0, 1]], torch.tensor([0, 0, 1]), 2).outputs
    torch.testing.assert_close(twice, alone)
    torch.testing.assert_close(head(x, torch.tensor([0, 0]), 1).outputs[0], alone.mean(dim=0))
