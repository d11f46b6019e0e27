"""CLAM's branch: tanh, and biases in the attention."""

import pytest

pytest.importorskip("torch")

from pathfuse.experts.heads.make import make_head
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


def test_the_size_of_clam():
    """CLAM's small model at D = 1024: 512 wide, attention 256, with biases."""
    head = make_head(TrainingRecipe.of("clam"), Inputs({"features": 1024}), 2)
    wanted = (1024 + 1) * 512 + 2 * (512 + 1) * 256 + (256 + 1) + (512 + 1) * 2
    assert sum(p.numel() for p in head.parameters()) == wanted
    assert type(head.activate).__name__ == "Tanh"
