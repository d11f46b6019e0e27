"""Absent experts: what is left is as sharp as it deserves, and never much worse than its equal
product."""

from itertools import combinations

import numpy as np
import pytest

from pathfuse.distributions.likelihood import log_softmax
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logitprod import LogitProd
from pathfuse.fusion.categorical.stacking import Stacking
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.categorical.uniform_product import UniformProduct
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.gaussian.uniform_product import GaussianUniformProduct
from pathfuse.fusion.presence import (
    MAX_EXPERTS,
    check_presence,
    complete_group,
    group_of,
    hide_all_but,
    views,
)
from pathfuse.fusion.registry import fusion_class
from pathfuse.fusion.store import dump, restore

M = 5
FUSIONS = {
    "static_product": lambda: StaticProduct(ridge=1.0),
    "logitprod": lambda: LogitProd(rho=0.03),
    "stacking": lambda: Stacking(C=0.1),
    "auto": Auto,
}


def independent(rng, n, n_experts=M, k=3):
    """Experts that are right about themselves and make mistakes of their own: together they deserve
    to be sharp."""
    y = rng.integers(k, size=n)
    skill = np.linspace(0.8, 1.6, n_experts)[:, None]
    scores = skill * np.eye(k)[y][:, None] + rng.normal(size=(n, n_experts, k))
    return log_softmax(skill * scores), y


def only(logits, shown):
    """The same with all experts hidden but some."""
    gone = np.setdiff1d(np.arange(logits.shape[1]), shown)
    hidden = logits.copy()
    hidden[:, gone] = np.nan
    return hidden


def nll(model, logits, y):
    return -model.predict_log_proba(logits)[np.arange(len(y)), y].mean()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    return (*independent(rng, 300), *independent(rng, 3000))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name == "auto" else name for name in FUSIONS
    ],
)
def fitted(request, rows):
    return FUSIONS[request.param]().fit(rows[0], rows[1])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_is_left_is_not_worse_than_its_equal_product(rows, fitted, size):
    """Issue 15, item 9: a fusion of five that has one was worse than that expert alone in four of
    five cases."""
    unseen, truth = rows[2:]
    equal = UniformProduct().fit(rows[0], rows[1])
    for shown in combinations(range(M), size):
        kept = only(unseen, shown)
        assert nll(fitted, kept, truth) < 1.02 * nll(equal, kept, truth), shown


def test_without_the_correction_a_single_expert_is_over_confident(rows):
    """What the correction is for; that it is needed in this case."""
    fitted, kept = StaticProduct(ridge=1.0).fit(rows[0], rows[1]), only(rows[2], [0])
    aware = nll(fitted, kept, rows[3])
    fitted.presence_ = {}
    assert nll(fitted, kept, rows[3]) > 1.1 * aware


def test_complete_samples_are_as_they_were(rows, fitted):
    whole = fitted.predict_log_proba(rows[2][:50])
    fitted_without, fitted.presence_ = fitted.presence_, {}
    np.testing.assert_array_equal(fitted.predict_log_proba(rows[2][:50]), whole)
    fitted.presence_ = fitted_without


def test_a_sample_does_not_depend_on_its_neighbours(rows, fitted):
    mixed = rows[2][:40].copy()
    mixed[::2, 1:4] = np.nan
    whole, weights = fitted.predict_log_proba(mixed), fitted.weights(mixed)
    for n in range(0, 40, 7):
        np.testing.assert_array_equal(fitted.predict_log_proba(mixed[[n]])[0], whole[n])
        np.testing.assert_array_equal(fitted.weights(mixed[[n]])[0], weights[n])
    assert (weights[::2, 1:4] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_it_is_stored(rows, fitted):
    again = restore(*dump(fitted))
    kept = Experts.from_logits(only(rows[2][:30], [1, 3]))
    np.testing.assert_array_equal(again.combine(kept), fitted.combine(kept))
    np.testing.assert_array_equal(again.weigh(kept), fitted.weigh(kept))


def test_experts_that_count_for_nothing_are_stored(rows):
    """The fit may end at powers of 0: where experts are missing nothing is known of the outcome."""
    experts, y = rows[:2]
    fusion = StaticProduct(ridge=1.0).fit(experts, y)
    for key in ("own", "equal"):
        fusion.presence_[key] = np.zeros_like(fusion.presence_[key])
    again = restore(*dump(fusion))
    few = experts.copy()
    few[:, 0] = np.nan
    assert np.exp(again.predict_log_proba(few[:5])) == pytest.approx(np.full((5, 3), 1 / 3))
    with pytest.raises(ValueError, match="both are 0"):
        check_presence("product", fusion.presence_, M, GAUSSIAN)


def test_models_without_it_predict_as_before(rows, fitted):
    content, tensors = dump(fitted)
    old = restore(
        content, {name: array for name, array in tensors.items() if "presence/" not in name}
    )
    kept = Experts.from_logits(only(rows[2][:30], [1, 3]))
    assert np.isfinite(old.combine(kept)).all()


def test_every_set_has_a_view_of_its_own_up_to_a_number_of_experts():
    present = np.ones((30, 4), dtype=bool)
    present[:10, 0] = False
    found = {hidden.group: hidden for hidden in hide_all_but(present, 0)}
    assert list(found) == list(range(1, 15))
    for group, hidden in found.items():
        assert (group_of(hidden.shown) == group).all()
        assert len(hidden.rows) == (
            20 if group & 1 else 30
        )  # only rows that the shown experts scored
    many = hide_all_but(np.ones((30, MAX_EXPERTS + 1), dtype=bool), 0)
    assert [hidden.group for hidden in many] == list(range(1, complete_group(MAX_EXPERTS + 1)))
    assert all((hidden.shown.sum(axis=1) == hidden.group).all() for hidden in many)
    assert len(np.unique(many[0].shown, axis=0)) > 3  # who is shown differs between rows


def test_an_expert_that_no_fit_row_has_is_as_if_it_were_not_there():
    present = np.array([[True, True, False]] * 12)
    assert [hidden.group for hidden in hide_all_but(present, 0)] == [1, 2]
    logits, _ = independent(np.random.default_rng(0), 12, 3)
    logits[:, 2] = np.nan
    assert all(
        not view.experts.present[:, 2].any() for view in views(Experts.from_logits(logits), 0)
    )


@pytest.mark.parametrize("method", ["static_product", "covariance_product", "stacking", "auto"])
@pytest.mark.slow
def test_a_regression_that_lacks_experts_is_not_worse_than_their_equal_product(method):
    """Five experts with independent errors: together twice as precise as one."""
    rng = np.random.default_rng(5)

    def draw(n):
        y = rng.normal(size=(n, 2))
        sd = np.linspace(0.5, 0.9, M)[:, None]
        mean = y[:, None] / (1 + sd**2) + rng.normal(size=(n, M, 2)) * sd / (1 + sd**2)
        return GaussianExperts(mean, np.broadcast_to(sd**2 / (1 + sd**2), mean.shape).copy()), y

    (known, truth), (unseen, later) = draw(300), draw(3000)
    fused = fusion_class(method, GAUSSIAN)().fit_experts(known, truth, np.arange(300))
    even = GaussianUniformProduct().fit_experts(known, truth, np.arange(300))
    for size in (1, 3):
        for shown in combinations(range(M), size):
            gone = np.setdiff1d(np.arange(M), shown)
            mean, variance = unseen.mean.copy(), unseen.variance.copy()
            mean[:, gone], variance[:, gone] = np.nan, np.nan
            kept = GaussianExperts(mean, variance)
            assert (
                GAUSSIAN.score(fused.combine(kept), later)
                < GAUSSIAN.score(even.combine(kept), later) + 0.02
            ), shown
