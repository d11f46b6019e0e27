"""Figures of experts that predict probabilities, by hand."""

import numpy as np
import pytest

from pathfuse.calibration.conformal import PredictionSets
from pathfuse.drift.categorical import categorical_figures
from pathfuse.drift.figures import MOST_OUTCOMES, Figure

PROB = np.array([[[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], [[0.1, 0.8, 0.1], [np.nan] * 3]])
FUSED = np.array([[0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])


def figures(prob=PROB, fused=FUSED, outcomes=("x", "y", "z"), sets=None):
    return dict(categorical_figures(np.log(prob), np.log(fused), ("a", "b"), "all", outcomes, sets))


def entropy(p):
    return -(np.asarray(p) * np.log(p)).sum()


def test_each_expert_has_its_entropy_its_probabilities_and_its_distance_from_the_others():
    found = figures()
    assert found[Figure("entropy", "a")] == pytest.approx(
        [entropy(PROB[0, 0]), entropy(PROB[1, 0])]
    )
    assert found[Figure("probability", "b", outcome="z")][0] == pytest.approx(0.6)
    assert np.isnan(found[Figure("probability", "b", outcome="z")][1])
    apart = (PROB[0, 0] * np.log(PROB[0, 0] / PROB[0, 1])).sum()
    assert found[Figure("distance", "a")][0] == pytest.approx(apart)
    assert np.isnan(found[Figure("distance", "a")][1])  # nobody else scored the sample


def test_disagreement_is_the_divergence_of_jensen_and_shannon():
    found = figures()[Figure("disagreement")]
    mean = PROB[0].mean(axis=0)
    assert found[0] == pytest.approx(
        entropy(mean) - (entropy(PROB[0, 0]) + entropy(PROB[0, 1])) / 2
    )
    assert np.isnan(found[1])


def test_the_fusion_has_an_entropy_and_a_size_of_its_set():
    found = figures(sets=PredictionSets(0.9, 0.3, 10, 10))
    assert found[Figure("entropy")][0] == pytest.approx(entropy(FUSED[0]))
    assert found[Figure("set_size")].tolist() == [3, 1]


def test_of_two_outcomes_one_is_watched_and_of_too_many_none():
    two = figures(PROB[:, :, :2], FUSED[:, :2], ("no", "yes"))
    assert {one.outcome for one in two if one.kind == "probability"} == {"yes"}
    many = np.full((2, 2, MOST_OUTCOMES + 1), 1 / (MOST_OUTCOMES + 1))
    names = [f"c{k}" for k in range(MOST_OUTCOMES + 1)]
    assert "probability" not in {one.kind for one in figures(many, many[:, 0], names)}


def test_an_expert_of_another_label_has_no_figures():
    gone = PROB.copy()
    gone[:, 1] = np.nan
    assert "b" not in {one.expert for one in figures(gone)}
