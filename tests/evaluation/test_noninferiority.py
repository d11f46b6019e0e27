"""Non-inferiority: every conclusion by construction, its p-value by hand."""

import numpy as np
import pytest
from scipy.special import ndtri

from pathfuse.evaluation.noninferiority import non_inferiority

MARGIN = 0.01


def spread(centre, error, n=2001):
    """Gains whose quantiles are those of a normal distribution."""
    return centre + error * ndtri((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize(
    ("centre", "error", "conclusion"),
    [
        (0.010, 0.004, "superior"),  # 95 %: .002 to .018
        (0.004, 0.001, "superior"),  # also inside the margins: the stronger word
        (-0.030, 0.004, "inferior"),  # -.038 to -.022
        (0.001, 0.003, "equivalent"),  # 90 %: -.004 to .006; 95 %: -.005 to .007
        (
            -0.004,
            0.003,
            "equivalent",
        ),  # worse for sure (-.0099 to .0019), and by less than the margin
        (
            -0.004,
            0.0035,
            "equivalent",
        ),  # 90 % from -.0098, 95 % only from -.0109: two one-sided tests
        (0.006, 0.006, "non-inferior"),  # 95 %: -.006 to .018; 90 % reaches .016
        (0.000, 0.020, "unresolved"),  # -.039 to .039
        (-0.010, 0.003, "unresolved"),  # on the margin: -.016 to -.004
        (-0.017, 0.004, "unresolved"),  # 90 % below the margin, 95 % not
    ],
)
def test_each_conclusion(centre, error, conclusion):
    assert non_inferiority(spread(centre, error), MARGIN).conclusion == conclusion


def test_a_difference_that_is_not_significant_shows_nothing_by_itself():
    """The same centre; what can be said depends on the width alone."""
    words = [non_inferiority(spread(0.0, error), MARGIN).conclusion for error in (0.004, 0.02)]
    assert words == ["equivalent", "unresolved"]


def test_a_wider_margin_forgives_more():
    gains = spread(-0.012, 0.004)
    words = [non_inferiority(gains, margin).conclusion for margin in (0.003, 0.01, 0.02)]
    assert words == ["inferior", "unresolved", "equivalent"]


@pytest.mark.parametrize(
    ("gains", "margin", "p_value"),
    [
        ([0.02] * 99, 0.01, 1 / 100),  # never 0
        ([0.02] * 96 + [-0.02] * 3, 0.01, 4 / 100),
        ([-0.005] * 99, 0.01, 1 / 100),  # a loss within the margin does not count
        ([-0.5] * 8 + [-0.25], 0.3, 9 / 10),
        ([-0.5] * 9, 0.3, 1.0),
        ([0.5, -0.25, 0.5], 0.3, 1 / 4),
        ([0.5, -0.25, 0.5], 0.25, 2 / 4),  # a loss of the very margin counts
        ([np.nan, 0.5, -0.25, 0.5, np.nan], 0.25, 2 / 4),
    ],
)
def test_p_value_by_hand(gains, margin, p_value):
    assert non_inferiority(np.array(gains), margin).p_value == pytest.approx(p_value, abs=1e-15)


def test_undefined_gains_are_left_out():
    gains = spread(0.004, 0.006)
    with_gaps = np.concatenate([gains, np.full(1500, np.nan)])
    assert non_inferiority(with_gaps, MARGIN) == non_inferiority(gains, MARGIN)


@pytest.mark.parametrize("gains", [[], [np.nan] * 20, [0.5] * 9 + [np.nan] * 11])
def test_without_intervals_nothing_is_concluded(gains):
    found = non_inferiority(np.array(gains, dtype=float), MARGIN)
    assert np.isnan(found.p_value)
    assert found.conclusion == "no intervals"


@pytest.mark.parametrize(("error", "shown"), [(0.0045, True), (0.0055, False)])
def test_the_p_value_and_the_interval_agree(error, shown):
    """The 95 % interval of gains around 0 ends above -.01 where p is below 2.5 %: an error below
    .01 / 1.96 = .0051."""
    found = non_inferiority(spread(0.0, error), MARGIN)
    assert (found.p_value < 0.025) == shown == (1.96 * error < MARGIN)
