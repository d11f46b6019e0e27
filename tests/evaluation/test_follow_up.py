"""Median follow-up against lifelines."""

import numpy as np
import pytest

from pathfuse.evaluation.follow_up import median_follow_up

# lifelines 0.30.3:
#   fitter = KaplanMeierFitter().fit(time, 1 - event)
#   fitter.median_survival_time_, median_survival_times(fitter.confidence_interval_)
FROM_LIFELINES = {
    (0, 40): (25.0, 17.0, 56.5),
    (1, 120): (25.0, 18.0, 38.5),
    (2, 15): (19.0, 4.5, 37.0),
}


def followed(seed, n):
    rng = np.random.default_rng(seed)
    return np.ceil(rng.exponential(20, n) * 2) / 2, (rng.random(n) < 0.45).astype(float)


@pytest.mark.parametrize(("study", "expected"), FROM_LIFELINES.items())
def test_the_median_is_that_of_lifelines_with_events_and_censorings_swapped(study, expected):
    found = median_follow_up(*followed(*study))
    assert (found.median, found.low, found.high) == pytest.approx(expected)


def test_it_is_not_reached_where_nearly_all_die_before():
    found = median_follow_up(np.arange(1.0, 11.0), np.array([1.0] * 9 + [1.0]))
    assert np.isnan([found.median, found.low, found.high]).all()


def test_deaths_do_not_shorten_it():
    """Had nobody died: the deaths leave the risk set, and nothing else."""
    time = np.arange(1.0, 101.0)
    early_deaths = np.where(np.arange(100) < 30, 1.0, 0.0)
    assert median_follow_up(time, early_deaths).median == 65.0
    assert median_follow_up(time, np.zeros(100)).median == 50.0
