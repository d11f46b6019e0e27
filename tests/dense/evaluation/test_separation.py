"""One way for all models; a model's own map of distances is heeded."""

import numpy as np
import pytest

from pathfuse.dense.evaluation.separation import (
    COMPONENTS,
    SEPARATIONS,
    WATERSHED,
    find_separation,
    instances_of,
    inwardness_of_hover,
)
from pathfuse.errors import InputError

ROD = np.zeros((20, 60), dtype=bool)
ROD[5:15, 5:55] = True
TRUTH = np.where(ROD, 1 + (np.arange(60) >= 30), 0)
"""Two that no shape tells apart."""


def test_components_are_connected_pixels():
    mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=bool)
    assert instances_of(mask, how=COMPONENTS).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [2] * 3]


def test_a_model_that_knows_more_than_the_shape():
    assert instances_of(ROD).max() == 1
    columns = np.arange(60)
    inward = np.minimum(abs(columns - 4.5), np.minimum(abs(columns - 29.5), abs(columns - 54.5)))
    for given in (np.tile(inward, (20, 1)), np.tile(inward, (20, 1)) - 7):  # any unit, any zero
        found = instances_of(ROD, given)
        assert found.tolist() == TRUTH.tolist()
    assert instances_of(ROD, np.tile(inward, (20, 1)), how=COMPONENTS).max() == 1


def test_maps_of_hover_net():
    place = np.tile(
        np.where(np.arange(60) < 30, np.arange(60) - 17, np.arange(60) - 42) / 12.5, (20, 1)
    )
    across = np.where(ROD, place, 0.0)
    down = np.where(ROD, np.tile((np.arange(20) - 9.5)[:, None] / 5, (1, 60)), 0.0)
    inward = inwardness_of_hover(across, down)
    assert inward.min() == 0.0
    assert inward.max() <= 1.0
    found = instances_of(ROD, inward)
    assert found.max() == 2
    assert len(np.unique(found[5:15, 8:28])) == len(np.unique(found[5:15, 32:52])) == 1


def test_names_and_words():
    assert SEPARATIONS[0] is WATERSHED
    assert [find_separation(way.name) for way in SEPARATIONS] == list(SEPARATIONS)
    with pytest.raises(
        InputError, match=r"called 'magic'; known are watershed, components, and choose$"
    ):
        find_separation("magic")


def test_maps_that_do_not_fit():
    with pytest.raises(InputError, match=r"shape \(20, 60\) but the map of distances \(20, 59\)"):
        instances_of(ROD, np.zeros((20, 59)))
    bad = np.where(ROD, 1.0, np.nan)
    assert instances_of(ROD, bad).max() == 1  # outside nothing is looked at
    bad[6, 6] = np.inf
    with pytest.raises(InputError, match="not finite"):
        instances_of(ROD, bad)
