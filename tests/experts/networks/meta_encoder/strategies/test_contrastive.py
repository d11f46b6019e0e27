"""The contrastive strategy is concatenation with a wish for training."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402
from pathfuse.experts.networks.meta_encoder.strategies.registry import STRATEGIES  # noqa: E402


def test_it_joins_as_concat_does():
    x, vectors = torch.randn(4, 9), []
    for name in ("concat", "contrastive"):
        torch.manual_seed(0)
        vectors.append(MetaEncoder({"a": 4, "b": 5}, name, dim=8)(x).vector)
    assert torch.equal(*vectors)
    assert [name for name, strategy in STRATEGIES.items() if strategy.contrasted] == ["contrastive"]
