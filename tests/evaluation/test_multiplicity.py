"""Holm's adjustment: by hand, beside the step-down procedure itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.evaluation.multiplicity import holm, holm_once

P_VALUES = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.04, 1.0])), max_size=12
)


def rejected_step_by_step(p, alpha):
    """Compares the smallest with alpha / m, the next with alpha / (m - 1), ..., and stops at the
    first that fails."""
    verdict = np.zeros(len(p), dtype=bool)
    for step, i in enumerate(np.argsort(p)):
        if p[i] * (len(p) - step) > alpha:
            break
        verdict[i] = True
    return verdict


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (
            [0.01, 0.04, 0.03],
            [0.03, 0.06, 0.06],
        ),  # 3 x .01, 2 x .03, then .04, which must not fall below .06
        ([0.2, 0.001, 0.4, 0.02], [0.4, 0.004, 0.4, 0.06]),
        ([0.6, 0.7], [1.0, 1.0]),  # cut at 1
        ([0.03, 0.03], [0.06, 0.06]),
        ([0.04], [0.04]),  # alone: nothing to adjust
        ([0.0, 1.0], [0.0, 1.0]),
        ([], []),
    ],
)
def test_by_hand(p, expected):
    assert holm(np.array(p, dtype=float)) == pytest.approx(expected, abs=1e-15)


def test_undefined_tests_do_not_count():
    found = holm(np.array([np.nan, 0.02, np.nan, 0.03]))
    assert found == pytest.approx([np.nan, 0.04, np.nan, 0.04], nan_ok=True, abs=1e-15)
    assert np.isnan(holm(np.array([np.nan]))).all()


@given(P_VALUES, st.floats(0.001, 0.2))
def test_rejects_what_the_steps_reject(p, alpha):
    p = np.array(p)
    assert ((holm(p) <= alpha) == rejected_step_by_step(p, alpha)).all()


@given(P_VALUES)
def test_keeps_the_order_and_never_flatters(p):
    p = np.array(p)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(len(p) * p, 1)).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_the_same_comparison_counts_once():
    """The best expert stands twice, under its own name and as best_expert: three comparisons, not
    four."""
    p = np.array([0.01, 0.04, 0.01, 0.02])
    np.testing.assert_allclose(holm_once(p, ["a", "b", "a", "c"]), [0.03, 0.04, 0.03, 0.04])
    np.testing.assert_allclose(
        holm_once(p, ["a", "b", "d", "c"]), holm(p)
    )  # equal by chance: two comparisons
