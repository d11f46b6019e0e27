"""The estimators are scikit-learn's: its own checks, as far as their input allows.

scikit-learn's checks make tables (sample, feature), and our input has three axes; with honest tags
it skips nearly all of them. So they run twice: on the estimators as they are, and behind a door
that makes experts of a table.
"""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, check_cv, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

import pathfuse
from pathfuse.errors import InputError, NotFittedError
from pathfuse.fusion import inner_cv
from pathfuse.fusion.categorical.classifier import numbers, targets
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.registry import fusions_of

KINDS = fusions_of(CATEGORICAL)
every = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
EXPECTED = {
    "check_n_features_in_after_fitting": "n_features_in_ counts experts, two behind the door whatever the table has; "
    "a test below asks for it where the input has three axes",
    "check_dtype_object": "what is not a number is refused with an InputError, which is a ValueError and no TypeError",
}
"""The checks that fail, and why."""
SLOW = {"auto", "choose", "logitprod"}
"""Half a minute and more; ``auto`` and ``choose`` fit all methods."""
DEAR = {"stacking", "root_stacking", "static_product"}
"""Each takes some ten seconds; with the slow tests."""


class Door:
    """Two experts trained on a table, and fused: the checks' tables go in, the estimator behind
    does the rest."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = True, False
        tags.input_tags.allow_nan = False  # the experts' own limit
        return tags

    def fit(self, table, y, groups=None):
        table, y = numbers(table), targets(self, y)
        self.experts_ = [expert.fit(table, y) for expert in (LogisticRegression(), GaussianNB())]
        return super().fit(self.lifted(table), y, groups)

    def lifted(self, table):
        return np.stack([expert.predict_log_proba(table) for expert in self.experts_], axis=1)

    def _experts(self, table):
        self._need("certificate_")
        return super()._experts(self.lifted(numbers(table)))


def behind_door(kind):
    name = f"Flat{kind.__name__}"
    made = type(name, (Door, kind), {"__init__": kind.__init__, "__module__": __name__})
    globals()[name] = made  # pickle looks here
    return made


DOORS = {name: behind_door(kind) for name, kind in KINDS.items()}


@pytest.fixture(autouse=True)
def quick_inner_folds(monkeypatch):
    """One division in five instead of fifty fits per method."""
    monkeypatch.setattr(inner_cv, "SMALL", 0)
    monkeypatch.setattr(inner_cv, "LARGE", 0)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long)
        if name in SLOW
        else pytest.param(name, marks=pytest.mark.slow)
        if name in DEAR
        else name
        for name in DOORS
    ],
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_the_checks_of_scikit_learn(name):
    results = check_estimator(
        DOORS[name](), on_fail=None, on_skip=None, expected_failed_checks=EXPECTED
    )
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert not failed
    assert {one["check_name"] for one in results if one["status"] == "xfail"} == set(EXPECTED)
    assert len([one for one in results if one["status"] == "passed"]) > 45


@every
@pytest.mark.filterwarnings("ignore")
def test_tags_say_what_the_input_is(kind):
    estimator = kind()
    check_estimator(estimator, on_skip=None)
    tags = get_tags(estimator).input_tags
    assert (tags.two_d_array, tags.three_d_array, tags.allow_nan) == (False, True, True)
    assert is_classifier(estimator)
    assert isinstance(
        check_cv(3, np.arange(6) % 2, classifier=is_classifier(estimator)), StratifiedKFold
    )


def simulate(n=90, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    logits = rng.normal(size=(n, 4, k))
    logits[np.arange(n), :, y] += 1.5
    logits[::5, 1] = np.nan
    return logits, np.array(["adipose", "stroma", "tumor"])[y]


def test_cross_validation_takes_three_axes_nan_and_patients():
    logits, y = simulate()
    scores = cross_val_score(pathfuse.StaticProduct(ridge=1.0), logits, y, cv=3)
    assert len(scores) == 3
    assert min(scores) > 0.7
    patients = np.arange(90) // 3
    grouped = {"groups": patients, "cv": GroupKFold(3)}
    assert cross_val_score(pathfuse.UniformProduct(), logits, y, **grouped).min() > 0.7


def test_the_score_is_accuracy_of_labels_and_of_observed_sets():
    logits, y = simulate()
    model = pathfuse.UniformProduct().fit(logits, y)
    right = model.predict(logits) == y
    assert model.score(logits, y) == pytest.approx(right.mean())
    weight = np.linspace(0, 1, len(y))
    assert model.score(logits, y, weight) == pytest.approx(np.average(right, weights=weight))
    sets = np.eye(3, dtype=bool)[np.unique(y, return_inverse=True)[1]]
    assert model.score(logits, sets) == pytest.approx(right.mean())
    assert model.score(logits, np.ones_like(sets)) == 1


@every
def test_features_are_experts(kind):
    logits, y = simulate()
    fitted = kind().fit(logits, y)
    assert fitted.n_features_in_ == 4
    check_is_fitted(fitted)
    with pytest.raises(InputError, match="fitted on 4 experts and 3 outcomes"):
        fitted.predict(logits[:, :2])


@every
def test_what_is_not_fitted_says_so_to_both_libraries(kind):
    logits, _ = simulate()
    for ask in ("predict", "predict_proba", "predict_log_proba", "weights"):
        for error in (NotFittedError, SklearnNotFittedError):
            with pytest.raises(error, match="only after fit"):
                getattr(clone(kind()), ask)(logits)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (None, "requires y to be passed"),
        (np.linspace(0, 1, 90), "continuous"),
        (np.r_[np.nan, np.zeros(89)], "NaN"),
        (np.zeros((90, 2)), "one label per sample"),
    ],
)
def test_truths_that_are_no_labels_are_refused(y, why):
    with pytest.raises(ValueError, match=why):
        pathfuse.UniformProduct().fit(simulate()[0], y)
