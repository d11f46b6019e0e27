"""One suite against every fusion of both families. A new method is covered by being registered."""

import re
from inspect import cleandoc
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone

import pathfuse
from pathfuse.errors import InputError, NotFittedError
from pathfuse.fusion import inner_cv
from pathfuse.fusion.auto import Council
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.choose import Choice
from pathfuse.fusion.expert_table import Prediction
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.inner_cv import inner_folds, strata_of
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import METHODS
from pathfuse.fusion.registry import FUSIONS, fusions_of
from pathfuse.fusion.store import dump, restore

N, M, K, G = 90, 3, 3, 2
every = pytest.mark.parametrize("kind", FUSIONS, ids=lambda kind: f"{kind.family.name}-{kind.name}")
classifiers = pytest.mark.parametrize(
    "kind", fusions_of(CATEGORICAL).values(), ids=lambda kind: kind.name
)
SYMMETRIC = {
    "mean_probability", "uniform_product", "static_product", "covariance_product", "logitprod", "auto", "choose",
    "best_expert",
}  # fmt: skip
symmetric = pytest.mark.parametrize(
    "kind",
    [k for k in FUSIONS if k.name in SYMMETRIC],
    ids=lambda kind: f"{kind.family.name}-{kind.name}",
)
CERTIFIED = {"best_expert", "static_product", "logitprod", "auto"}


class Problem(NamedTuple):
    """What experts predicted of some samples, and what was observed."""

    experts: Experts | GaussianExperts
    truth: np.ndarray

    def rows(self, index):
        return Problem(self.experts.rows(index), self.truth[index])

    def fit(self, kind):
        return kind().fit_experts(self.experts, self.truth, np.arange(len(self.truth)))


@pytest.fixture(scope="module", autouse=True)
def fewer_inner_folds():
    """Two divisions in five in place of five in ten: what is tested here holds whatever the folds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        yield


def simulate(n=N, m=M, k=K, seed=0, missing=0.0):
    """Experts that see the truth through noise of different size and are over-confident to
    different degrees."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    signal = 2.0 * np.eye(k)[y] + rng.normal(size=(n, k))
    noise = rng.normal(size=(n, m, k)) * np.linspace(0.5, 2.0, m)[:, None]
    logits = (signal[:, None] + noise) * np.linspace(0.7, 2.0, m)[:, None]
    logits[hidden(rng, n, m, missing)] = np.nan
    return logits, y


def hidden(rng, n, m, missing):
    """Who did not score what; never all of a sample's experts."""
    gone = rng.random((n, m)) < missing
    gone[np.arange(n), rng.integers(m, size=n)] = False
    return gone


def problem(family, n=N, m=M, seed=0, missing=0.0):
    """The same in every family: experts of different noise, the last of a regression without
    variances."""
    if family is CATEGORICAL:
        logits, y = simulate(n, m, seed=seed, missing=missing)
        return Problem(Experts.from_logits(logits), np.eye(K, dtype=bool)[y])
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, G)) * [1.0, 3.0]
    sd = np.linspace(0.4, 1.6, m)[:, None] * [1.0, 3.0]
    mean = y[:, None] + rng.normal(size=(n, m, G)) * sd
    variance = np.broadcast_to(sd**2, mean.shape).copy()
    variance[:, m - 1 :] = np.nan
    gone = hidden(rng, n, m, missing)
    mean[gone], variance[gone] = np.nan, np.nan
    return Problem(GaussianExperts(mean, variance), y)


def permuted(experts, order):
    if isinstance(experts, Experts):
        return Experts(experts.log_prob[:, order], experts.present[:, order])
    return GaussianExperts(experts.mean[:, order], experts.variance[:, order])


def assert_predicts(family, predicted: Prediction, shape):
    """Distributions that sum to 1, or finite means and positive variances."""
    assert predicted.shape == shape
    assert np.all(np.isfinite(predicted))
    if family is CATEGORICAL:
        np.testing.assert_allclose(np.exp(predicted).sum(axis=1), 1, atol=1e-12)
    else:
        assert np.all(as_moments(predicted).variance > 0)


@pytest.fixture(scope="module", params=FUSIONS, ids=lambda kind: f"{kind.family.name}-{kind.name}")
def fitted(request):
    return problem(request.param.family).fit(request.param)


@pytest.fixture(scope="module", params=FUSIONS, ids=lambda kind: f"{kind.family.name}-{kind.name}")
def fitted_with_gaps(request):
    given = problem(request.param.family, missing=0.25, seed=3)
    return given.fit(request.param), given


@every
def test_it_says_what_it_is(kind):
    assert kind.name
    assert kind.summary
    assert not kind.summary.endswith(".")
    assert "\n" not in kind.summary
    assert len({work.key for work in kind.references}) == len(kind.references)
    for work in kind.references:
        assert work.fields["year"] in work.text


@every
def test_its_docstring_has_a_formula_its_sources_and_an_example(kind):
    """The formula is a block indented by four spaces; each work is named by an author and its year."""
    text = cleandoc(kind.__doc__)
    before_sections = re.split(r"^(?:Args|Attributes|References|Examples):$", text, flags=re.M)[0]
    formula = [line for line in before_sections.splitlines() if line.startswith("    ")]
    assert any("=" in line or "∝" in line for line in formula)
    for work in kind.references:
        first_author = work.fields["author"].split(",")[0]
        assert first_author in text
        assert work.fields["year"] in text
    assert ">>>" in text


def test_names_are_unique_in_a_family_and_each_family_has_its_council():
    for family in (CATEGORICAL, GAUSSIAN):
        of_family = [kind.name for kind in FUSIONS if kind.family is family]
        assert len(of_family) == len(set(of_family))
        assert {"auto", "choose", "best_expert"} <= set(of_family)


def test_it_predicts_new_samples(fitted):
    new = problem(fitted.family, seed=1)
    assert_predicts(fitted.family, fitted.combine(new.experts), (N, new.experts.n_columns))


def test_weights_lie_on_the_simplex(fitted):
    weights = fitted.weigh(problem(fitted.family, seed=1).experts)
    assert weights.shape == (N, M)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


def test_better_than_knowing_nothing_on_new_samples(fitted):
    known, new = problem(fitted.family), problem(fitted.family, n=400, seed=2)
    if fitted.family is CATEGORICAL:
        nothing = np.tile(np.log(known.truth.mean(axis=0)), (400, 1))
    else:
        nothing = np.tile(
            np.concatenate([known.truth.mean(axis=0), known.truth.var(axis=0)]), (400, 1)
        )
    assert fitted.family.score(fitted.combine(new.experts), new.truth) < fitted.family.score(
        nothing, new.truth
    )


def test_absent_experts_have_weight_zero(fitted_with_gaps):
    fusion, given = fitted_with_gaps
    weights, scored = fusion.weigh(given.experts), given.experts.scored
    assert not scored.all()
    assert np.all(weights[~scored] == 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    assert_predicts(fusion.family, fusion.combine(given.experts), (N, given.experts.n_columns))


def test_certificate_is_what_it_says(fitted_with_gaps):
    fusion, given = fitted_with_gaps
    certificate = fusion.certificate_
    assert certificate.fused == pytest.approx(
        fusion.family.score(fusion.combine(given.experts), given.truth), abs=1e-12
    )
    assert certificate.experts == pytest.approx(
        fusion.family.chain_scores(given.experts, given.truth), abs=1e-12
    )
    assert certificate.n_scored == tuple(given.experts.scored.sum(axis=0))
    assert certificate.holds == (certificate.fused <= min(certificate.experts) + 1e-9)
    assert certificate["holds"] == certificate.holds
    assert list(certificate["experts"].values()) == list(certificate.experts)
    if fusion.name in CERTIFIED:
        assert certificate.holds


def test_a_row_depends_on_nothing_but_itself(fitted_with_gaps):
    """Down to the last bit: else a saved model could not repeat a run on part of its rows."""
    fusion, given = fitted_with_gaps
    whole, weights = fusion.combine(given.experts), fusion.weigh(given.experts)
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 7, 16, 33, N):
        rows = rng.permutation(N)[:size]
        assert np.array_equal(fusion.combine(given.experts.rows(rows)), whole[rows])
        assert np.array_equal(fusion.weigh(given.experts.rows(rows)), weights[rows])


def test_store_round_trip_is_exact(fitted_with_gaps):
    fusion, given = fitted_with_gaps
    again = restore(*dump(fusion))
    assert type(again) is type(fusion)
    assert np.array_equal(again.combine(given.experts), fusion.combine(given.experts))
    assert np.array_equal(again.weigh(given.experts), fusion.weigh(given.experts))
    assert again.certificate_ == fusion.certificate_


@symmetric
@pytest.mark.slow
def test_permuting_experts_permutes_weights_and_nothing_else(kind):
    given, order = problem(kind.family, seed=7), np.array([2, 0, 1])
    other = Problem(permuted(given.experts, order), given.truth)
    one, two = given.fit(kind), other.fit(kind)
    np.testing.assert_allclose(two.combine(other.experts), one.combine(given.experts), atol=5e-3)
    np.testing.assert_allclose(
        two.weigh(other.experts), one.weigh(given.experts)[:, order], atol=5e-3
    )


@pytest.mark.parametrize(
    "kind", [k for k in METHODS if not k.fits], ids=lambda kind: f"{kind.family.name}-{kind.name}"
)
def test_of_one_expert_alone_a_method_without_a_fit_makes_that_expert(kind):
    given = problem(kind.family, m=1, seed=9)
    fusion = given.fit(kind)
    if kind.family is CATEGORICAL:
        alone = given.experts.log_prob[:, 0]
    else:
        alone = np.concatenate(
            [given.experts.mean[:, 0], fusion.completed(*given_to(fusion, given)).variance[:, 0]], 1
        )
    np.testing.assert_allclose(fusion.combine(given.experts), alone, atol=1e-5)
    assert np.all(fusion.weigh(given.experts) == 1)


def given_to(fusion, given):
    return given.experts, fusion.params_


@every
@pytest.mark.slow
def test_same_input_same_bytes(kind):
    given = problem(kind.family, seed=10)
    assert np.array_equal(
        given.fit(kind).combine(given.experts), given.fit(kind).combine(given.experts)
    )


def test_it_can_be_cloned(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        again.combine(problem(fitted.family).experts)


def test_only_methods_that_vote_make_the_council_and_are_chosen(fitted):
    voting = {
        method.name for method in METHODS if method.family is fitted.family and method.in_council
    }
    if isinstance(fitted, Council):
        assert set(fitted.members_) <= voting
    if isinstance(fitted, Council | Choice):
        assert set(fitted.inner_scores_) <= voting
    if isinstance(fitted, Choice):
        assert fitted.chosen_.name in voting


@every
def test_one_patient_cannot_be_divided(kind):
    """A method with nothing to choose, or its middle setting, is fitted all the same; a council
    needs held-out rows."""
    given, one = problem(kind.family, seed=12), np.zeros(N, dtype=int)
    if issubclass(kind, Method):
        assert kind().fit_experts(given.experts, given.truth, one).certificate_
    else:
        with pytest.raises(InputError, match="two patients"):
            kind().fit_experts(given.experts, given.truth, one)


@pytest.mark.parametrize("family", [CATEGORICAL, GAUSSIAN], ids=lambda family: family.name)
def test_patients_stay_together_in_inner_folds(family):
    groups = np.repeat(np.arange(N // 3), 3)
    folds = inner_folds(family.strata(problem(family).truth), groups, seed=0)
    assert folds is not None
    for split in folds.splits:
        assert sorted(np.concatenate([test for _, test in split]).tolist()) == list(range(N))
        for train, test in split:
            assert not set(groups[train]) & set(groups[test])


# Classifiers on arrays


@pytest.fixture(scope="module", params=fusions_of(CATEGORICAL).values(), ids=lambda kind: kind.name)
def classifier(request):
    return request.param().fit(*simulate())


def test_probabilities_are_probabilities(classifier):
    prob = classifier.predict_proba(simulate(seed=1)[0])
    assert prob.shape == (N, K)
    assert np.all(prob >= 0)
    np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-12)


def test_better_than_chance_on_new_samples(classifier):
    logits, y = simulate(n=400, seed=2)
    assert np.mean(classifier.predict(logits) == y) > 0.6


def test_a_constant_on_one_experts_logits_changes_nothing(classifier):
    logits, _ = simulate(seed=4)
    shifted = logits + np.random.default_rng(0).normal(size=(N, M, 1)) * 10
    np.testing.assert_allclose(
        classifier.predict_proba(shifted), classifier.predict_proba(logits), atol=1e-10
    )


def test_huge_logits_do_not_overflow(classifier):
    logits, _ = simulate(seed=5)
    with np.errstate(over="raise", invalid="raise"):
        log_prob = classifier.predict_log_proba(logits * 1e4)
    assert np.all(np.isfinite(log_prob))


@classifiers
def test_fits_on_huge_logits(kind):
    logits, y = simulate(seed=6)
    assert np.all(np.isfinite(kind().fit(logits * 1e4, y).predict_proba(logits)))


@pytest.mark.parametrize(
    "kind",
    [k for k in fusions_of(CATEGORICAL).values() if k.name in SYMMETRIC],
    ids=lambda kind: kind.name,
)
@pytest.mark.slow
def test_an_expert_that_is_missing_everywhere_changes_nothing(kind):
    logits, y = simulate(seed=8)
    with_ghost = np.concatenate([logits, np.full((N, 1, K), np.nan)], axis=1)
    one, other = kind().fit(logits, y), kind().fit(with_ghost, y)
    np.testing.assert_allclose(
        other.predict_proba(with_ghost), one.predict_proba(logits), atol=2e-3
    )
    assert np.all(other.weights(with_ghost)[:, 3] == 0)


def test_the_logits_of_one_expert_are_its_own_prediction():
    logits, y = simulate(m=1, seed=9)
    fusion = pathfuse.BestExpert().fit(logits, y)
    np.testing.assert_allclose(
        fusion.predict_log_proba(logits), log_softmax(logits[:, 0], axis=1), atol=1e-5
    )


@classifiers
@pytest.mark.slow
def test_labels_may_be_names(kind):
    logits, y = simulate(seed=11)
    names = np.array(["adipose", "stroma", "tumor"])[y]
    fusion = kind().fit(logits, names)
    assert fusion.classes_.tolist() == ["adipose", "stroma", "tumor"]
    assert set(fusion.predict(logits)) <= set(names)


@classifiers
def test_bad_arrays_are_refused(kind):
    logits, y = simulate()
    fusion = kind()
    with pytest.raises(InputError, match="samples"):
        fusion.fit(logits, y[:-1])
    with pytest.raises(InputError, match="no expert"):
        fusion.fit(np.where(np.arange(N)[:, None, None] == 5, np.nan, logits), y)
    broken = logits.copy()
    broken[4, 1, 0] = np.nan
    with pytest.raises(InputError, match="sample 4, expert 1"):
        fusion.fit(broken, y)
    with pytest.raises(InputError, match="outcomes"):
        fusion.fit(logits, np.array(["a", "b"])[y % 2])


@classifiers
def test_every_classifier_has_a_public_name(kind):
    assert getattr(pathfuse, kind.__name__) is kind


def test_strata_are_the_kinds_of_truth():
    observed = np.eye(K, dtype=bool)[[0, 0, 2, 1]]
    assert len(set(strata_of(observed))) == K
