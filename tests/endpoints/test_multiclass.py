import numpy as np
import pytest

from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError

TISSUE = Multiclass(("adipose", "stroma", "tumor"))


def labels(*values):
    return Columns(
        "samples.csv",
        [f"s{i}" for i in range(len(values))],
        {"label": np.array(values, dtype=object)},
    )


def said(**columns):
    columns = {name: np.array(values, dtype=float) for name, values in columns.items()}
    return Columns("uni.csv", [f"s{i}" for i in range(len(next(iter(columns.values()))))], columns)


def read(columns, label_map=None, endpoint=TISSUE):
    return endpoint.read_expert(columns, label_map)["all"]


def test_the_classes_are_those_that_occur_sorted_by_name():
    assert Multiclass.from_columns(labels("tumor", "adipose", "tumor", "stroma")) == TISSUE
    assert TISSUE.outcomes == ("adipose", "stroma", "tumor")
    assert TISSUE.tasks == ("all",)
    assert Multiclass.target_columns(["sample_id", "label", "label_tp53"]) == ["label"]
    assert Multiclass.target_columns(["sample_id", "time", "event"]) == []


def test_the_truth_is_one_class_per_sample():
    truth = TISSUE.truth(labels("tumor", "adipose"))["all"]
    assert truth.observed.tolist() == [[False, False, True], [True, False, False]]
    assert truth.known.all()


@pytest.mark.parametrize(
    ("value", "what"), [(None, "the label is empty"), ("tumour", "'tumour' is none of the")]
)
def test_a_wrong_label_is_named(value, what):
    with pytest.raises(InputError, match=f"samples.csv, column 'label', sample 's1': {what}"):
        TISSUE.truth(labels("tumor", value))


def test_the_dictionary_and_back():
    assert Multiclass.from_dict(TISSUE.as_dict()) == TISSUE


def test_logits_and_their_probabilities_say_the_same_thing():
    logits = np.array([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0]])
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    by_logit = read(
        said(logit_adipose=logits[:, 0], logit_stroma=logits[:, 1], logit_tumor=logits[:, 2])
    )
    by_prob = read(said(prob_adipose=prob[:, 0], prob_stroma=prob[:, 1], prob_tumor=prob[:, 2]))
    np.testing.assert_allclose(np.exp(by_logit.log_prob), prob, rtol=1e-12)
    np.testing.assert_allclose(by_prob.log_prob, by_logit.log_prob, rtol=1e-12)


def test_classes_are_matched_by_name_and_not_by_position():
    one = read(said(logit_adipose=[1.0], logit_stroma=[2.0], logit_tumor=[3.0]))
    other = read(said(logit_tumor=[3.0], logit_adipose=[1.0], logit_stroma=[2.0]))
    assert np.array_equal(one.log_prob[:, one.group], other.log_prob[:, other.group])


def test_a_class_that_the_expert_does_not_know():
    expert = read(said(prob_tumor=[0.9], prob_adipose=[0.1]))
    assert expert.group.tolist() == [0, -1, 1]
    np.testing.assert_allclose(np.exp(expert.log_prob), [[0.1, 0.9]], rtol=1e-12)


def test_a_probability_of_zero_is_allowed_and_counted():
    expert = read(said(prob_adipose=[1.0, 0.5], prob_stroma=[0.0, 0.5], prob_tumor=[0.0, 0.0]))
    assert expert.n_floored == 3
    assert np.isfinite(expert.log_prob).all()
    assert np.exp(expert.log_prob[0, 1]) == pytest.approx(np.exp(-16), rel=1e-5)


def test_logits_of_ten_thousand_are_floored_and_counted():
    expert = read(said(logit_adipose=[1e4], logit_stroma=[0.0], logit_tumor=[-1e4]))
    assert np.isfinite(expert.log_prob).all()
    assert expert.n_floored == 2


@pytest.mark.parametrize("total", [0.9991, 1.0, 1.0009])
def test_a_sum_within_the_tolerance_is_normalised(total):
    expert = read(said(prob_adipose=[total - 0.75], prob_stroma=[0.5], prob_tumor=[0.25]))
    np.testing.assert_allclose(
        np.exp(expert.log_prob), np.array([[total - 0.75, 0.5, 0.25]]) / total, rtol=1e-12
    )


@pytest.mark.parametrize("total", [0.998, 1.002])
def test_a_sum_outside_the_tolerance_is_refused(total):
    columns = said(prob_adipose=[0.5, total - 0.75], prob_stroma=[0.5, 0.5], prob_tumor=[0.0, 0.25])
    with pytest.raises(
        InputError, match=rf"uni.csv, column .*prob_.*, sample 's1': .* sum to {total}, not to 1"
    ):
        read(columns)


@pytest.mark.parametrize("value", [-0.1, 1.1, 7.3])
def test_a_value_outside_0_and_1_is_no_probability(value):
    columns = said(prob_adipose=[value], prob_stroma=[1 - value], prob_tumor=[0.0])
    with pytest.raises(InputError, match="is not a probability between 0 and 1"):
        read(columns)


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, r"NaN"), (np.inf, r"infinite \(inf\)"), (-np.inf, r"\(-inf\)")]
)
@pytest.mark.parametrize("prefix", ["logit_", "prob_"])
def test_what_is_not_finite_is_refused(value, what, prefix):
    columns = said(
        **{
            f"{prefix}adipose": [0.5, 0.5],
            f"{prefix}stroma": [0.5, value],
            f"{prefix}tumor": [0.0, 0.0],
        }
    )
    with pytest.raises(
        InputError, match=f"uni.csv, column '{prefix}stroma', sample 's1': the value is .*{what}"
    ):
        read(columns)


def test_a_column_of_no_class_is_refused():
    with pytest.raises(
        InputError, match=r"uni.csv, column 'logit_tumour': no sample has the label 'tumour'"
    ):
        read(said(logit_adipose=[1.0], logit_tumour=[1.0]))


def test_logits_or_probabilities_but_not_both_and_not_neither():
    with pytest.raises(InputError, match=r"uni.csv has both 'logit_' and 'prob_' columns"):
        read(said(logit_adipose=[1.0], prob_tumor=[1.0]))
    with pytest.raises(
        InputError, match=r"uni.csv has no 'logit_<class>' or 'prob_<class>' column"
    ):
        read(Columns("uni.csv", ["s0"], {}))


def test_one_class_alone_is_no_prediction():
    with pytest.raises(InputError, match=r"uni.csv has predictions for 'tumor' only"):
        read(said(prob_tumor=[1.0]))


def test_other_columns_of_a_prediction_table_are_left_aside():
    assert TISSUE.prediction_columns(["logit_a", "prob_b", "note", "Logit_c", "my_logit_d"]) == [
        "logit_a",
        "prob_b",
    ]


def test_a_coarse_expert_with_a_map():
    coarse = {"adipose": "benign", "stroma": "benign", "tumor": "malignant"}
    expert = read(said(prob_malignant=[0.7], prob_benign=[0.3]), coarse)
    assert expert.group.tolist() == [0, 0, 1]
    np.testing.assert_allclose(np.exp(expert.log_prob), [[0.3, 0.7]], rtol=1e-12)


def test_a_map_may_leave_a_class_out_which_the_expert_then_does_not_know():
    expert = read(
        said(prob_malignant=[0.7], prob_benign=[0.3]), {"adipose": "benign", "tumor": "malignant"}
    )
    assert expert.group.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("label_map", "what"),
    [
        (
            {"adipose": "benign", "stroma": "benign", "tumor": "cancer"},
            "'tumor' to 'cancer'.*no column 'prob_cancer'",
        ),
        (
            {"adipose": "benign", "stroma": "benign", "tumor": "benign"},
            "'prob_malignant'.*no label to 'malignant'",
        ),
        (
            {"adipose": "benign", "tumour": "malignant"},
            "names 'tumour', which no sample has.*adipose, stroma, tumor",
        ),
    ],
)
def test_a_map_that_does_not_fit(label_map, what):
    with pytest.raises(InputError, match=f"uni.csv.*{what}"):
        read(said(prob_malignant=[0.7], prob_benign=[0.3]), label_map)


def test_a_map_is_needed_for_an_other_label_space():
    with pytest.raises(InputError, match="column 'prob_benign': no sample has the label 'benign'"):
        read(said(prob_malignant=[0.7], prob_benign=[0.3]))


def test_the_fused_columns():
    log_prob = np.log(np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
    columns = TISSUE.fused_columns({"all": log_prob})
    assert list(columns) == ["prob_adipose", "prob_stroma", "prob_tumor", "prediction"]
    np.testing.assert_allclose(columns["prob_stroma"], [0.5, 0.2], rtol=1e-12)
    assert columns["prediction"].tolist() == ["stroma", "tumor"]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (
            {"prob_tumor": [0.5], "prob_Stroma": [0.5]},
            "'Stroma' and 'stroma' differ by letter case",
        ),
        ({"prob_tumor": [0.5], "prob_artefact": [0.5]}, "; --drop-absent-classes leaves it out"),
        ({"Prob_Tumor": [0.5]}, "'Prob_Tumor' differs from 'prob_tumor' by letter case only"),
        ({"Tumor": [0.5]}, "'Tumor' differs from 'tumor' by letter case only"),
    ],
)
def test_columns_that_are_nearly_those_of_the_classes(columns, what):
    given = said(**columns)
    with pytest.raises(InputError, match=what):
        read(Columns(given.source, given.ids, given.values, tuple(columns)))
