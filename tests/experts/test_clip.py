"""Features that are cut after scaling."""

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.experts.batches import FeatureScale
from pathfuse.experts.recipe import TrainingRecipe


def test_a_value_is_cut_to_so_many_standard_deviations() -> None:
    bag = np.array([[1.0, 40.0], [5.0, -40.0]], dtype=np.float32)
    mean, sd = np.array([1.0, 0.0]), np.array([2.0, 4.0])
    cut = FeatureScale(mean, sd, 3.0).apply(bag)
    assert cut.dtype == np.float32
    assert cut.tolist() == [[0.0, 3.0], [2.0, -3.0]]
    assert FeatureScale(mean, sd).apply(bag).tolist() == [[0.0, 10.0], [2.0, -10.0]]


@pytest.mark.parametrize("chosen", [{}, {"standardize": True, "head": "linear_probe"}])
def test_nothing_is_cut_that_is_not_scaled_by_tile(chosen: dict[str, object]) -> None:
    with pytest.raises(InputError, match="'clip': clips standardised features of a trained head"):
        TrainingRecipe.of(**{"head": "abmil", **chosen, "clip": 3.0})  # type: ignore[arg-type]
