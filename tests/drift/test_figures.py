"""Figures by name."""

import numpy as np

from pathfuse.drift.figures import KINDS, Figure, Figures


def test_every_kind_has_words_and_the_label_is_named():
    for kind in KINDS:
        assert "{" not in Figure(kind, "uni", "kras", "tumor").words
    assert Figure("distance", "uni", "kras").words == (
        "distance of 'uni' from the other experts (label kras)"
    )
    assert Figure("entropy").words == "uncertainty (entropy) of the fusion"


def test_figures_are_found_by_name_and_unknown_ones_are_nan():
    one, other = Figure("entropy", "a"), Figure("loss")
    figures = Figures.of([(one, np.array([1.0, 2.0]))])
    found = figures.select((other, one))
    assert np.isnan(found[:, 0]).all()
    assert found[:, 1].tolist() == [1, 2]
