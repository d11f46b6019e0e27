"""Truth in the form of a loss, outputs in the columns of the contract, and averages by hand."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, softmax

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.targets.table import prediction_table

EDGES = (0.0, 1.0, 2.0, float("inf"))


def ids(n):
    return [f"s{i}" for i in range(n)]


def test_multiclass(people_of):
    targets = people_of(pl.DataFrame({"sample_id": ids(3), "label": ["b", "a", "b"]})).targets
    assert (targets.names, targets.n_outputs) == (("a", "b"), 2)
    assert targets.values.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert targets.strata(np.arange(3)).tolist() == [1, 0, 1]


def test_multilabel_with_blanks(people_of):
    table = pl.DataFrame(
        {"sample_id": ids(4), "label_B": [1, 0, None, None], "label_A": [None, 0, 0, None]}
    )
    targets = people_of(table).targets
    assert targets.names == ("A", "B")
    assert targets.known.tolist() == [[False, True], [True, True], [True, False], [False, False]]
    assert targets.values[targets.known].tolist() == [1, 0, 0, 0]
    assert targets.usable.tolist() == [True, True, True, False]
    assert targets.strata(np.arange(3)).tolist() == [1, 0, 0]


def test_survival(people_of):
    table = pl.DataFrame({"sample_id": ids(3), "time": [0.5, 1.5, 5.0], "event": [0, 1, 0]})
    targets = people_of(table, time_edges=EDGES).targets
    assert targets.names == ("1", "2", "3")
    assert targets.values.tolist() == [[0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert targets.strata(np.arange(2)).tolist() == [0, 1]


def test_regression_strata_use_every_target(people_of):
    """A target in thousands does not drown one in units, and rows without truth move no quartile."""
    n = 40
    big = np.tile([1000.0, 2000.0], n // 2)
    table = pl.DataFrame({
        "sample_id": [f"s{i:03d}" for i in range(2 * n)],
        "target_a": [*np.repeat([0.0, 1.0], n // 2).tolist(), *[None] * n],
        "target_b": [*big.tolist(), *[None] * n],
    })  # fmt: skip
    targets = people_of(table).targets
    assert targets.usable.tolist() == [True] * n + [False] * n
    strata = targets.strata(np.arange(n))
    means = [
        strata[(np.arange(n) // (n // 2) == a) & (np.arange(n) % 2 == b)]
        for a in (0, 1)
        for b in (0, 1)
    ]
    assert all(len(set(m.tolist())) == 1 for m in means)
    assert means[0][0] < means[3][0]
    assert (
        means[1][0] == means[2][0] != means[3][0]
    )  # low and high against high and low: the middle


def test_regression_strata_are_of_the_rows_asked_for(people_of):
    """Quartiles, means and spreads over other rows would let held-out targets move who trains."""
    rng, n, rows = np.random.default_rng(0), 40, np.arange(0, 40, 2)
    own, other = rng.normal(size=(2, n))
    changed = np.where(np.isin(np.arange(n), rows), own, 1e3 * other - 5e3)
    names = [f"s{i:02d}" for i in range(n)]
    tables = [
        pl.DataFrame({"sample_id": names, "target_a": a, "target_b": 1 / a}) for a in (own, changed)
    ]
    plain, moved = (people_of(table).targets for table in tables)
    assert not np.array_equal(plain.values, moved.values)
    assert plain.strata(rows).tolist() == moved.strata(rows).tolist()
    assert np.bincount(plain.strata(rows)).tolist() == [5, 5, 5, 5]


def test_columns():
    raw = np.array([[1.0, 2.0]])
    assert list(target_kind("multiclass").columns(("a", "b"), raw)) == ["logit_a", "logit_b"]
    assert list(target_kind("multilabel").columns(("a", "b"), raw)) == ["logit_a", "logit_b"]
    assert list(target_kind("survival").columns(("1", "2"), raw)) == [
        "hazard_logit_1",
        "hazard_logit_2",
    ]
    assert list(target_kind("regression").columns(("a", "b"), raw, raw)) == [
        "mean_a",
        "mean_b",
        "sd_a",
        "sd_b",
    ]
    assert list(target_kind("regression").columns(("a", "b"), raw)) == ["mean_a", "mean_b"]
    table = prediction_table(
        target_kind("multiclass"), ("a", "b"), ["z", "y"], np.array([[1.0, 2.0], [3.0, 4.0]])
    )
    assert table.rows() == [("y", 3.0, 4.0), ("z", 1.0, 2.0)]


def test_averages_are_of_distributions():
    rng = np.random.default_rng(0)
    raws = [rng.normal(size=(5, 3)) * 2 for _ in range(3)]
    got = softmax(target_kind("multiclass").average(raws), axis=1)
    np.testing.assert_allclose(got, np.mean([softmax(r, axis=1) for r in raws], axis=0), rtol=1e-9)
    np.testing.assert_allclose(
        expit(target_kind("multilabel").average(raws)),
        np.mean([expit(r) for r in raws], axis=0),
        rtol=1e-9,
    )
    np.testing.assert_allclose(target_kind("regression").average(raws), np.mean(raws, axis=0))
    got = np.exp(event_distribution(target_kind("survival").average(raws)))
    np.testing.assert_allclose(
        got, np.mean([np.exp(event_distribution(r)) for r in raws], axis=0), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival", "regression"])
def test_the_average_of_one_is_itself(kind):
    raw = np.array([[30.0, -40.0, 2.0]])
    np.testing.assert_array_equal(target_kind(kind).average([raw]), raw)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_averages_of_sure_models_are_finite(kind):
    raws = [np.array([[900.0, -900.0, 0.0]]), np.array([[900.0, -900.0, 0.0]])]
    assert np.isfinite(target_kind(kind).average(raws)).all()
