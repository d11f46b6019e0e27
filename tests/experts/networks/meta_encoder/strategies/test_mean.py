"""The mean over the models that are present."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.networks.meta_encoder.encoder import MetaEncoder  # noqa: E402


def test_the_mean_of_the_present():
    encoder = MetaEncoder({"a": 2, "b": 2, "c": 2}, "mean", projection="identity")
    nan = torch.nan
    x = torch.tensor(
        [
            [1.0, 2.0, 3.0, 6.0, 5.0, 1.0],
            [1.0, 2.0, nan, nan, 5.0, 1.0],
            [nan, nan, 3.0, 6.0, nan, nan],
        ]
    )
    assert encoder(x).vector.tolist() == [[3, 3], [3, 1.5], [3, 6]]
