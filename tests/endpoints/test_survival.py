"""Discrete-time survival: hazards as distributions, what a follow-up says, and which columns are
refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from pathfuse.distributions.discrete_time import event_distribution, hazards, survival_at_edges
from pathfuse.distributions.likelihood import set_nll
from pathfuse.endpoints.base import Options
from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.survival import auc_name

EDGES = (0.0, 12.0, 24.0, 48.0)
HAZARD = np.array([[0.2, 0.5, 0.1], [0.9, 0.01, 0.3]])
BY_HAND = np.array([[0.2, 0.8 * 0.5, 0.8 * 0.5 * 0.1, 0.8 * 0.5 * 0.9],
                    [0.9, 0.1 * 0.01, 0.1 * 0.99 * 0.3, 0.1 * 0.99 * 0.7]])  # fmt: skip


def columns(source="samples.csv", **values):
    n = len(next(iter(values.values())))
    kept = {name: np.array([None if v is None else str(v) for v in column], dtype=object)
            for name, column in values.items()}  # fmt: skip
    return Columns(source, [f"s{i}" for i in range(n)], kept)


def truth(time, event, edges=EDGES, censoring="later"):
    return Survival(edges, censoring).truth(columns(time=time, event=event))["all"]


def expert(endpoint=None, **values):
    n = len(next(iter(values.values())))
    table = Columns(
        "uni.csv",
        [f"s{i}" for i in range(n)],
        {k: np.array(v, dtype=float) for k, v in values.items()},
    )
    return (endpoint or Survival(EDGES)).read_expert(table, None)["all"]


# Hazards and distributions


def test_event_distribution_by_hand():
    np.testing.assert_allclose(np.exp(event_distribution(logit(HAZARD))), BY_HAND, rtol=1e-12)


def test_survival_by_hand():
    expected = np.array([[0.8, 0.4, 0.36], [0.1, 0.099, 0.0693]])
    np.testing.assert_allclose(survival_at_edges(np.log(BY_HAND)), expected, rtol=1e-12)


def test_hazards_by_hand():
    np.testing.assert_allclose(hazards(np.log(BY_HAND)), HAZARD, rtol=1e-12)


@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.1, 8))
def test_hazards_and_distributions_are_one_another(n_bins, seed, size):
    logits = np.random.default_rng(seed).normal(size=(6, n_bins)) * size
    log_prob = event_distribution(logits)
    np.testing.assert_allclose(np.exp(log_prob).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(hazards(log_prob), expit(logits), rtol=1e-9)
    alive = survival_at_edges(log_prob)
    np.testing.assert_allclose(alive, np.cumprod(1 - expit(logits), axis=1), rtol=1e-9, atol=1e-15)
    assert np.all(np.diff(np.concatenate([np.ones((6, 1)), alive], axis=1)) <= 0)


@pytest.mark.parametrize("value", [-700.0, 700.0])
def test_extreme_hazards_do_not_overflow(value):
    log_prob = event_distribution(np.full((2, 3), value))
    assert np.all(np.isfinite(log_prob))
    np.testing.assert_allclose(hazards(log_prob), expit(np.full((2, 3), value)), atol=1e-300)


def test_hazards_where_survival_underflows():
    """A very sharp product: everything after the first bin lies beyond the smallest float."""
    np.testing.assert_allclose(
        hazards(np.array([[0.0, -800.0, -801.0, -5000.0]])), [[1, expit(1), 1]], rtol=1e-12
    )


def test_hazards_of_a_row_depend_on_nothing_but_the_row():
    log_prob = event_distribution(np.random.default_rng(0).normal(size=(33, 5)) * 3)
    for rows in ([4], [0, 32], list(range(7))):
        assert np.array_equal(hazards(log_prob[rows]), hazards(log_prob)[rows])
        assert np.array_equal(survival_at_edges(log_prob[rows]), survival_at_edges(log_prob)[rows])


# What was observed


def test_observed_sets():
    """Bins are (0, 12], (12, 24], (24, 48]: a time on an edge belongs to the bin that ends there."""
    found = truth([5, 12, 12.5, 48, 30, 12, 1], [1, 1, 1, 1, 0, 0, 0])
    assert found.observed.dtype == bool
    np.testing.assert_array_equal(
        found.observed,
        np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0],  # events
                  [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 1]], dtype=bool),  # censored inside 3, 1 and 1
    )  # fmt: skip
    assert found.known.all()
    assert found.time.tolist() == [5, 12, 12.5, 48, 30, 12, 1]
    assert found.event.tolist() == [1, 1, 1, 1, 0, 0, 0]


def test_followed_beyond_the_last_edge_is_the_tail_event_or_not():
    np.testing.assert_array_equal(truth([48.5, 99, 1], [1, 0, 1]).observed[:2], [[0, 0, 0, 1]] * 2)


def test_an_infinite_last_edge_leaves_the_tail_to_the_censored():
    observed = truth([25, 1e6, 1e6], [1, 1, 0], edges=(0, 12, 24, np.inf)).observed
    np.testing.assert_array_equal(observed, [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_half_of_the_bin_for_the_censored():
    observed = truth([5, 5, 30, 60], [1, 0, 0, 0], censoring="half").observed
    np.testing.assert_array_equal(
        observed, [[1, 0, 0, 0], [0.5, 1, 1, 1], [0, 0, 0.5, 1], [0, 0, 0, 1]]
    )


def test_nll_by_hand():
    """Event in bin k: -log h_k - sum_{j<k} log(1-h_j). Censored in bin k: -sum_{j<=k} log(1-h_j)."""
    h = np.array([0.2, 0.5, 0.1])
    log_prob = event_distribution(np.repeat(logit(h)[None], 4, axis=0))
    time, event = [30, 5, 20, 99], [1, 0, 0, 1]
    survived = -np.log(1 - h)
    later = [-np.log(h[2]) + survived[:2].sum(), survived[0], survived[:2].sum(), survived.sum()]
    np.testing.assert_allclose(set_nll(log_prob, truth(time, event).observed), later, rtol=1e-12)
    half = set_nll(log_prob, truth(time, event, censoring="half").observed)
    np.testing.assert_allclose(half[[0, 3]], [later[0], later[3]], rtol=1e-12)
    np.testing.assert_allclose(half[1:3], -np.log([0.8 + 0.5 * 0.2, 0.4 + 0.5 * 0.4]), rtol=1e-12)


@pytest.mark.parametrize(
    ("time", "shown"),
    [(0, "0"), (-3, "-3"), ("nan", "nan"), (None, "empty"), ("inf", "inf")],
    ids=str,
)
def test_a_time_that_is_none(time, shown):
    with pytest.raises(
        InputError, match=f"samples.csv, column 'time', sample 's1': {shown} is not a time above 0"
    ):
        truth([5, time, 7], [1, 1, 0])


@pytest.mark.parametrize(
    ("event", "shown"), [(2, "2"), (-1, "-1"), (0.5, "0.5"), (None, "empty"), ("nan", "nan")]
)
def test_an_event_that_is_neither(event, shown):
    with pytest.raises(
        InputError, match=f"samples.csv, column 'event', sample 's1': {shown} is neither 1 .* nor 0"
    ):
        truth([5, 6, 7], [1, event, 0])


def test_a_time_that_is_no_number():
    with pytest.raises(InputError, match="column 'time', sample 's1': 'soon' is not a number"):
        truth([5, "soon", 7], [1, 1, 0])


def test_all_censored():
    """No study can be made of them; as new cases of a model they say what they say."""
    with pytest.raises(InputError, match="column 'event': all 3 cases are censored"):
        Survival.from_columns(columns(time=[5, 6, 7], event=[0, 0, 0]), Options(EDGES))
    truth([5, 6, 7], [0, 0, 0])


def test_a_time_before_the_first_edge():
    with pytest.raises(
        InputError, match="column 'time', sample 's1': 6 is not after the first edge, 6"
    ):
        truth([7, 6, 8], [1, 1, 0], edges=(6, 12))


# The endpoint


def test_edges_are_needed():
    with pytest.raises(
        InputError, match=r"--time-edges 0,12,24,inf .'pathfuse bins' proposes some"
    ):
        Survival.from_columns(columns(time=[1], event=[1]))


@pytest.mark.parametrize("edges", [(0, 12, 12), (0, 24, 12), (0, np.nan, 12), (0, np.inf, np.inf)])
def test_edges_that_do_not_increase(edges):
    with pytest.raises(InputError, match=r"--time-edges 0,.*: the edges do not increase"):
        Survival.from_columns(columns(time=[1], event=[1]), Options(edges))


def test_one_edge_makes_no_bin():
    with pytest.raises(InputError, match="at least two edges"):
        Survival.from_columns(columns(time=[1], event=[1]), Options((0,)))


def test_an_unknown_rule_for_censoring():
    with pytest.raises(InputError, match="censoring 'never' is unknown; choose later or half"):
        Survival.from_columns(columns(time=[1], event=[1]), Options(EDGES, "never"))


@pytest.mark.parametrize("edges", [EDGES, (0.0, 0.1 + 0.2, 24.0, np.inf)])
def test_round_trip_through_json(edges):
    endpoint = Survival(edges, "half")
    assert (
        endpoint_from_dict(json.loads(json.dumps(endpoint.as_dict(), allow_nan=False))) == endpoint
    )


def test_names():
    endpoint = Survival((0, 12, 24, np.inf))
    assert endpoint.outcomes == ("(0, 12]", "(12, 24]", "(24, inf]", "later")
    assert endpoint.metrics == ("nll", "c_index", "c_index_ipcw", "ibs", "auc_at_12", "auc_at_24")
    assert endpoint.tasks == ("all",)
    assert Survival.target_columns(["sample_id", "event", "time", "site"]) == ["time", "event"]
    assert Survival.target_columns(["sample_id", "time"]) == []


def test_edges_that_lie_close_together_have_metrics_of_their_own():
    assert auc_name(1234567.0) != auc_name(1234568.0)
    assert auc_name(7.26) == "auc_at_7.26"


def test_fused_columns():
    """``prediction`` is the risk, minus the sum of the survival curve: higher = earlier event."""
    table = Survival(EDGES).fused_columns({"all": np.log(BY_HAND)})
    assert list(table) == ["hazard_1", "hazard_2", "hazard_3", "prediction"]
    np.testing.assert_allclose(np.stack([table[f"hazard_{k}"] for k in (1, 2, 3)], axis=1), HAZARD)
    np.testing.assert_allclose(table["prediction"], [-(0.8 + 0.4 + 0.36), -(0.1 + 0.099 + 0.0693)])


# The experts' columns


def test_logits_and_hazards_say_the_same():
    logits = expert(**{f"hazard_logit_{k + 1}": logit(HAZARD[:, k]) for k in range(3)})
    plain = expert(**{f"hazard_{k + 1}": HAZARD[:, k] for k in range(3)})
    np.testing.assert_allclose(np.exp(logits.log_prob), BY_HAND, rtol=1e-5)
    np.testing.assert_allclose(plain.log_prob, logits.log_prob, rtol=1e-12)
    assert logits.group.tolist() == [0, 1, 2, 3]
    assert logits.n_floored == plain.n_floored == 0


def test_columns_are_matched_by_name_never_by_position():
    ten = Survival(tuple(float(e) for e in range(11)))
    hazard = np.random.default_rng(0).uniform(0.05, 0.3, size=(4, 10))
    named = {f"hazard_{k + 1}": hazard[:, k] for k in range(10)}
    shuffled = {name: named[name] for name in sorted(named)}  # hazard_10 stands before hazard_2
    assert list(shuffled)[1] == "hazard_10"
    np.testing.assert_array_equal(expert(ten, **shuffled).log_prob, expert(ten, **named).log_prob)


def test_hazards_of_exactly_0_and_1_are_allowed_and_counted():
    found = expert(hazard_1=[0.0, 1.0, 0.2], hazard_2=[0.5, 0.5, 0.2], hazard_3=[0.5, 0.5, 0.2])
    assert np.all(np.isfinite(found.log_prob))
    assert found.log_prob.min() >= -16 - 1e-6
    assert found.n_floored == 4  # bin 1 of the first row; all but bin 1 of the second


@pytest.mark.parametrize("bins", [2, 4])
def test_fewer_and_more_hazard_columns_than_the_edges_make(bins):
    with pytest.raises(
        InputError,
        match=rf"uni.csv has {bins} hazard columns .hazard_1.*but 4 time edges make 3 bins",
    ):
        expert(**{f"hazard_{k + 1}": [0.1] for k in range(bins)})


def test_hazard_columns_that_start_at_zero():
    with pytest.raises(InputError, match=r"hazard_0, hazard_1, hazard_2.*: hazard_1 to hazard_3"):
        expert(hazard_0=[0.1], hazard_1=[0.1], hazard_2=[0.1])


def test_no_hazard_column():
    with pytest.raises(InputError, match=r"uni.csv has 0 hazard columns .none."):
        expert(score=[0.1])


@pytest.mark.parametrize(("value", "shown"), [(-0.5, "-0.5"), (1.25, "1.25")])
def test_a_value_that_is_no_hazard(value, shown):
    with pytest.raises(
        InputError, match=f"column 'hazard_2', sample 's1': {shown} is not a hazard between 0 and 1"
    ):
        expert(hazard_1=[0.1, 0.1], hazard_2=[0.1, value], hazard_3=[0.1, 0.1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number(value):
    with pytest.raises(InputError, match="column 'hazard_logit_2', sample 's1': the value is"):
        expert(hazard_logit_1=[0.1, 0.1], hazard_logit_2=[0.1, value], hazard_logit_3=[0.1, 0.1])


def test_a_label_map_has_no_meaning():
    table = Columns("uni.csv", ["s0"], {f"hazard_{k}": np.array([0.1]) for k in (1, 2, 3)})
    with pytest.raises(InputError, match=r"uni.csv: a label map has no meaning for survival"):
        Survival(EDGES).read_expert(table, {"a": "b"})
