import numpy as np
import pytest

from pathfuse.distributions.discrete_time import hazards
from pathfuse.distributions.proportional import Baseline


@pytest.fixture
def cohort():
    """Risks, and observed sets of three bins and a tail, drawn from the model itself."""
    rng = np.random.default_rng(0)
    risk = rng.normal(2.0, 3.0, size=2000)
    hazard = 1 - np.exp(-np.exp(np.array([-2.0, -1.0, -1.5]) + 0.8 * (risk[:, None] - 2.0) / 3.0))
    died = rng.random(hazard.shape) < hazard
    bins = np.where(died.any(axis=1), died.argmax(axis=1), 3)
    left = rng.integers(0, 4, size=2000)  # followed through so many bins
    outcome = np.arange(4)
    seen = np.where(
        (bins < left)[:, None], outcome == bins[:, None], outcome >= np.minimum(bins, left)[:, None]
    )
    return risk, seen


def test_the_parameters_of_the_model_are_found(cohort):
    found = Baseline.fit(*cohort)
    assert found.mean == pytest.approx(2.0, abs=0.2)
    assert found.sd == pytest.approx(3.0, abs=0.2)
    assert found.slope == pytest.approx(0.8, abs=0.1)
    assert found.log_hazards == pytest.approx([-2.0, -1.0, -1.5], abs=0.25)


def test_hazards_follow_from_the_risk(cohort):
    found = Baseline.fit(*cohort)
    risk = np.array([-4.0, 2.0, 8.0])
    z = (risk - found.mean) / found.sd
    expected = 1 - np.exp(-np.exp(found.log_hazards + found.slope * z[:, None]))
    assert hazards(found.log_prob(risk)) == pytest.approx(expected, rel=1e-4)


def test_a_risk_that_goes_the_wrong_way_keeps_its_order_and_says_so(cohort):
    risk, seen = cohort
    found = Baseline.fit(-risk, seen)
    assert found.found < -0.5
    assert found.slope == pytest.approx(1e-3)
    nearly_alike = hazards(found.log_prob(-risk))
    assert np.ptp(nearly_alike, axis=0).max() < 0.01
    order = np.argsort(-risk)
    assert (np.diff(nearly_alike[order, 0]) >= 0).all()


def test_scale_and_place_of_the_risk_do_not_matter(cohort):
    risk, seen = cohort
    one, other = Baseline.fit(risk, seen), Baseline.fit(1000 + 50 * risk, seen)
    assert one.log_prob(risk) == pytest.approx(other.log_prob(1000 + 50 * risk), abs=1e-6)


def test_few_patients_and_bins_without_events_are_no_trouble():
    seen = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1]], dtype=bool)
    found = Baseline.fit(np.array([5.0, 1.0, 1.0]), seen)
    assert np.isfinite(found.log_prob(np.array([-1e6, 0.0, 1e6]))).all()
    constant = Baseline.fit(np.array([1.0, 1.0, 1.0]), seen)
    assert np.isfinite(constant.log_prob(np.array([1.0]))).all()


def test_json_and_back(cohort):
    found = Baseline.fit(*cohort)
    again = Baseline.from_dict(found.as_dict())
    assert (again.log_prob(cohort[0]) == found.log_prob(cohort[0])).all()
