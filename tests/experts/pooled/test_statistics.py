"""Statistics of bags, and columns that say nothing."""

import numpy as np
import pytest

pytest.importorskip("torch")

from types import SimpleNamespace

from pathfuse.experts.cohort import Unit
from pathfuse.experts.pooled.statistics import pooled, standard_of
from pathfuse.features.moments import Moments, moments_of


def test_statistics_stand_side_by_side():
    one = np.array([[1.0, 4.0], [3.0, 2.0], [5.0, 0.0]], dtype=np.float32)
    other = np.array([[9.0, 6.0]], dtype=np.float32)
    scanned = Moments.stacked([moments_of([one]), moments_of([other])])
    folder = SimpleNamespace(scanned=scanned, slides={"a": 0, "b": 1})
    units = [Unit(0, ("a",)), Unit(1, ("b", "a"))]
    got = pooled(folder, units, ("min", "mean", "max", "sd"))
    np.testing.assert_allclose(got[0], [1, 0, 3, 2, 5, 4, np.sqrt(8 / 3), np.sqrt(8 / 3)])
    both = np.concatenate([one, other])
    wanted = [both.min(0), both.mean(0), both.max(0), both.std(0)]
    np.testing.assert_allclose(got[1], np.concatenate(wanted))


@pytest.mark.parametrize("constant", [0.0, 7.5])
def test_a_column_that_hardly_varies_is_left_out(constant):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(30, 3))
    table[:, 1] = constant + 1e-9 * rng.normal(size=30)
    standard = standard_of(table, 5.0)
    new = table[:2].copy()
    new[0, 1] = 1e6  # a value that training never saw there
    assert np.all(standard.apply(new)[:, 1] == 0)
    np.testing.assert_allclose(standard.apply(table)[:, [0, 2]].std(axis=0), 1)


def test_values_are_cut_and_missing_ones_are_the_mean():
    table = np.arange(10.0)[:, None]
    scaled = standard_of(table, 2.0).apply(np.array([[1e9], [np.nan], [-1e9]]))
    assert scaled.ravel().tolist() == [2.0, 0.0, -2.0]
