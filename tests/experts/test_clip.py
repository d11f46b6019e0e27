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


def test_nothing_is_cut_that_is_not_scaled() -> None:
    with pytest.raises(InputError, match="'clip': clips standardised features, so it needs"):
        TrainingRecipe.of("abmil", standardize=False, clip=3.0)
    assert TrainingRecipe.of("abmil", standardize=False).clip is None
    assert TrainingRecipe.of("pooled_linear", clip=3.0).clip == 3.0  # always scales
