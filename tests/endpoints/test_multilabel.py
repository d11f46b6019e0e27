"""Several yes-or-no questions: every label is a task of its own, blanks allowed."""

import json

import numpy as np
import pytest
from scipy.special import expit

from pathfuse.distributions.likelihood import set_nll
from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.detect import endpoint_from_dict, endpoint_of
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.classification import METRICS

LABELS = Multilabel(("CDH1", "PIK3CA", "TP53"))


def samples(**values):
    n = len(next(iter(values.values())))
    kept = {f"label_{name}": np.array([None if v is None else str(v) for v in column], dtype=object)
            for name, column in values.items()}  # fmt: skip
    return Columns("samples.csv", [f"s{i}" for i in range(n)], kept)


def expert(label_map=None, **values):
    n = len(next(iter(values.values())))
    table = Columns(
        "uni.csv",
        [f"s{i}" for i in range(n)],
        {k: np.array(v, dtype=float) for k, v in values.items()},
    )
    return LABELS.read_expert(table, label_map)


def test_labels_are_sorted_by_name():
    assert Multilabel.from_columns(samples(TP53=[1], CDH1=[0])).labels == ("CDH1", "TP53")


def test_target_columns():
    header = ["sample_id", "label_TP53", "label_", "split", "label_CDH1"]
    assert Multilabel.target_columns(header) == ["label_TP53", "label_CDH1"]
    assert endpoint_of(header, "samples.csv") == (Multilabel, ["label_TP53", "label_CDH1"])
    with pytest.raises(InputError, match=r"several endpoints .*--endpoint multiclass\|multilabel"):
        endpoint_of([*header, "label"], "samples.csv")
    assert endpoint_of([*header, "label"], "samples.csv", "multilabel")[0] is Multilabel


def test_names():
    assert LABELS.tasks == LABELS.labels
    assert LABELS.outcomes == ("0", "1")
    assert LABELS.metrics == tuple(metric.name for metric in METRICS)
    assert endpoint_from_dict(json.loads(json.dumps(LABELS.as_dict()))) == LABELS


def test_truth_and_blanks():
    truth = Multilabel(("a", "b")).truth(samples(a=[1, 0, None, "1.0"], b=[0, None, 1, "nan"]))
    np.testing.assert_array_equal(truth["a"].observed, [[0, 1], [1, 0], [1, 1], [0, 1]])
    assert truth["a"].known.tolist() == [True, True, False, True]
    assert truth["b"].known.tolist() == [True, False, True, False]
    log_prob = np.log(np.array([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1]]))
    expected = -np.log([0.8, 0.7, 1, 0.1])  # a blank adds no term
    np.testing.assert_allclose(set_nll(log_prob, truth["a"].observed), expected, atol=1e-15)


@pytest.mark.parametrize("value", ["2", "-1", "0.5", "inf"])
def test_a_value_that_is_neither(value):
    with pytest.raises(
        InputError,
        match=f"samples.csv, column 'label_a', sample 's1': {value} is neither 1, 0 nor e",
    ):
        Multilabel(("a",)).truth(samples(a=[1, value, 0]))


def test_a_value_that_is_no_number():
    with pytest.raises(InputError, match="column 'label_a', sample 's1': 'yes' is not a number"):
        Multilabel(("a",)).truth(samples(a=[1, "yes", 0]))


def test_log_odds_and_probabilities_say_the_same():
    odds = np.array([-3.0, 0.0, 2.5])
    read = expert(logit_TP53=odds, prob_CDH1=expit(odds))
    assert list(read) == ["TP53", "CDH1"]  # an expert need not know every label
    np.testing.assert_allclose(np.exp(read["TP53"].log_prob[:, 1]), expit(odds), rtol=1e-6)
    np.testing.assert_allclose(read["TP53"].log_prob, read["CDH1"].log_prob, rtol=1e-12)
    np.testing.assert_allclose(np.exp(read["TP53"].log_prob).sum(axis=1), 1, rtol=1e-12)
    assert read["TP53"].group.tolist() == [0, 1]


def test_probabilities_of_exactly_0_and_1_are_floored_and_counted():
    read = expert(prob_TP53=[0.0, 1.0, 0.5], logit_CDH1=[800.0, -800.0, 0.0])
    for label in ("TP53", "CDH1"):
        assert read[label].n_floored == 2
        assert read[label].log_prob.min() >= -16 - 1e-6
        assert np.all(np.isfinite(read[label].log_prob))


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_value_that_is_no_probability(value):
    with pytest.raises(
        InputError, match=f"column 'prob_TP53', sample 's1': {value} is not a probab.*'logit_TP53'"
    ):
        expert(prob_TP53=[0.5, value])


@pytest.mark.parametrize("column", ["prob_TP53", "logit_TP53"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite(column, value):
    with pytest.raises(InputError, match=f"column '{column}', sample 's1': the value is"):
        expert(**{column: [0.5, value]})


def test_a_column_of_no_label():
    with pytest.raises(
        InputError,
        match="column 'prob_KRAS': no column 'label_KRAS' in the samples; the labels are CD",
    ):
        expert(prob_KRAS=[0.5])


def test_one_label_twice():
    with pytest.raises(InputError, match="both 'logit_TP53' and 'prob_TP53'"):
        expert(logit_TP53=[0.5], prob_TP53=[0.5])


def test_no_prediction_column():
    with pytest.raises(
        InputError, match="no 'logit_<label>' or 'prob_<label>' column; its columns are score"
    ):
        expert(score=[0.5])


def test_a_label_map_has_no_meaning():
    with pytest.raises(InputError, match=r"uni.csv: a label map has no meaning for several labels"):
        expert({"a": "b"}, prob_TP53=[0.5])


def test_fused_columns():
    """``prediction`` lists the labels with p >= 0.5; a label that could not be fused has no
    probability."""
    table = LABELS.fused_columns(
        {"TP53": np.log([[0.3, 0.7], [0.8, 0.2]]), "CDH1": np.log([[0.5, 0.5], [0.9, 0.1]])}
    )
    assert list(table) == ["prob_CDH1", "prob_PIK3CA", "prob_TP53", "prediction"]
    np.testing.assert_allclose(table["prob_TP53"], [0.7, 0.2])
    assert np.isnan(table["prob_PIK3CA"]).all()
    assert table["prediction"].tolist() == ["CDH1;TP53", ""]
