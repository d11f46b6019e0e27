"""What all methods share: Bayes' rule with sleepers, and priors that are distributions."""

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.online.base import conditioned, log_sum, shares
from pathfuse.online.bayes import BayesMixture


@pytest.mark.parametrize("prior", [[], [0.5, 0.6], [1.0, 0.0], [[0.5, 0.5]]])
def test_a_prior_that_is_no_distribution(prior):
    with pytest.raises(InputError, match="above 0 and sum to 1"):
        BayesMixture(np.array(prior))


def test_log_sum_of_what_would_underflow():
    assert log_sum(np.array([-1000.0, -1000.0])) == pytest.approx(-1000 + np.log(2))
    assert log_sum(np.full((2, 2), -np.inf), axis=0).tolist() == [-np.inf, -np.inf]


def test_a_sleeper_keeps_its_weight_and_shares_nothing():
    before = np.log([[0.5, 0.3, 0.2]])
    after = conditioned(before, np.array([np.log(0.9), np.nan, np.log(0.1)]))
    weights = np.exp(after[0])
    assert weights.sum() == pytest.approx(1)
    assert weights[1] == pytest.approx(0.3)  # by hand: it says what the mixture says
    assert weights[0] == pytest.approx(0.7 * 0.45 / 0.47)
    awake = np.array([True, False, True])
    assert shares(before, awake) == pytest.approx([0.5 / 0.7, 0, 0.2 / 0.7])
    assert shares(before, np.zeros(3, dtype=bool)).tolist() == [0, 0, 0]
