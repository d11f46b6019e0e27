"""The head of the page: who is compared with whom, the sign of the difference, and the ceiling."""

import polars as pl
import pytest

from pathfuse.report.answer import answer, title
from pathfuse.report.content import Content

ROWS = {"fit": 60, "judged": 90, "read": 150, "patients_fit": 30, "patients_judged": 45}


def metrics_of(**values):
    rows = [
        (method, "all", metric, value, value - 0.02, value + 0.02, 90, 45)
        for method, own in values.items()
        for metric, value in zip(("nll", "auroc"), own, strict=True)
    ]
    names = ["method", "output", "metric", "value", "ci_low", "ci_high", "n", "n_patients"]
    return pl.DataFrame(rows, schema=names, orient="row")


def comparisons_of(*rows):
    names = ["method", "reference", "output", "metric", "difference", "ci_low", "ci_high"]
    made = [("fused", *row, 0.0234, "bootstrap") for row in rows]
    schema = dict.fromkeys(names[:4], pl.String) | dict.fromkeys(names[4:], pl.Float64)
    return pl.DataFrame(
        made, schema=schema | {"p_value": pl.Float64, "test": pl.String}, orient="row"
    )


def manifest_of(**more):
    return {
        "rows": ROWS,
        "experts": {"uni": {}, "conch": {}},
        "endpoint": {"kind": "multiclass", "classes": ["benign", "tumor"]},
        "positive_class": {"name": "tumor", "chosen": True},
        "outcomes_judged": {"all": {"benign": 60, "tumor": 30}},
        "best_experts": [{"fold": None, "all": "uni"}],
        "best_experts_by_metric": [{"fold": None, "metric": "auroc", "all": "conch"}],
        "ceiling": {
            "loss": "NLL",
            "hindsight": [{"metric": "auroc", "experts": ["conch"], "value": 0.87}],
            "oracle": {"loss": 0.123, "some_right": 0.956, "n": 90},
        },
        **more,
    }


METRICS = metrics_of(fused=(0.4, 0.9), best_expert=(0.5, 0.8), uni=(0.5, 0.8), conch=(0.6, 0.87))
BEST = ("best_expert", "all", "nll", -0.1, -0.15, -0.05)
BY_AUROC = ("best_expert_auroc", "all", "auroc", 0.03, 0.01, 0.05)


def test_the_best_single_model_is_the_best_by_the_metric_shown():
    found = answer(Content(METRICS, comparisons_of(BEST, BY_AUROC), manifest_of()))
    assert found.question == (
        "Predicted: which class (benign, tumor), of 90 samples of 45 patients, 30 of them tumor."
    )
    fused, single, difference = found.figures
    assert (fused.label, fused.value, fused.interval) == (
        "Fusion, AUROC",
        "0.900",
        "95 % interval 0.880 to 0.920",
    )
    assert (single.value, single.note) == ("0.870", "conch, chosen on the fit rows")
    assert (difference.value, difference.note) == ("+0.030", "p = 0.023; in favour of the fusion")
    assert (
        "the fusion has 0.400 and the best expert by it on the fit rows (uni) 0.500" in found.second
    )
    assert "0.100 lower (95 % interval 0.050 to 0.150)" in found.second
    assert "on these very rows (conch), has AUROC 0.870" in found.ceiling
    assert "0.123, and some expert is right in 95.6 %" in found.ceiling


def test_folds_that_chose_different_experts_take_the_figure_of_the_comparison():
    picks = [{"fold": f, "metric": "auroc", "all": n} for f, n in (("0", "uni"), ("1", "conch"))]
    found = answer(
        Content(METRICS, comparisons_of(BEST, BY_AUROC), manifest_of(best_experts_by_metric=picks))
    )
    assert (found.figures[1].value, found.figures[1].interval) == (
        "0.870",
        "interval: see the difference",
    )
    assert found.figures[1].note == "uni, conch, chosen on the fit rows"


@pytest.mark.parametrize(
    ("low", "high", "difference", "said"),
    [
        (-0.01, 0.05, 0.02, "the interval includes 0: this may be chance"),
        (-0.05, -0.01, -0.03, "in favour of the single model"),
    ],
)
def test_the_sign_says_who_is_better(low, high, difference, said):
    row = ("best_expert_auroc", "all", "auroc", difference, low, high)
    found = answer(Content(METRICS, comparisons_of(BEST, row), manifest_of()))
    assert said in found.figures[2].note


def test_without_a_fusion_there_are_no_figures():
    found = answer(
        Content(METRICS.filter(pl.col("method") != "fused"), comparisons_of(), manifest_of())
    )
    assert found.figures == ()
    assert found.second


def test_the_title_is_chosen_or_the_folder():
    assert title({"title": "Our study"}) == "Our study"
    assert title({"inputs": {"/data/brca/samples.csv": "abc"}}) == "brca"
    assert title({"inputs": {"samples": None}}) == "pathfuse report"


def test_events_are_counted():
    kind = {"kind": "survival", "time_edges": ["0.0", "12.0", "inf"], "censoring": "later"}
    manifest = manifest_of(
        endpoint=kind, positive_class=None, outcomes_judged={"all": {"events": 51, "censored": 39}}
    )
    found = answer(Content(METRICS, comparisons_of(), manifest))
    assert found.question == (
        "Predicted: how long until the event, of 90 samples of 45 patients with 51 events."
    )


def test_the_three_figures_subtract_where_the_best_model_misses_samples():
    metrics = METRICS.with_columns(
        n=pl.when(pl.col("method") == "conch").then(60).otherwise(pl.col("n"))
    )
    found = answer(Content(metrics, comparisons_of(BEST, BY_AUROC), manifest_of()))
    values = [float(one.value) for one in found.figures]
    assert values[0] - values[1] == pytest.approx(values[2])
    assert found.figures[1].note == (
        "conch, chosen on the fit rows, where it is missing the next best"
    )


def test_positives_of_every_label_and_of_patients():
    kind = {"kind": "multilabel", "labels": ["KRAS", "TP53"]}
    counts = {"KRAS": {"0": 80, "1": 10}, "TP53": {"0": 60, "1": 30}}
    manifest = manifest_of(endpoint=kind, positive_class=None, outcomes_judged=counts)
    found = answer(Content(METRICS, comparisons_of(), manifest))
    assert found.question.endswith("45 patients; positive are 10 (KRAS), 30 (TP53).")
    found = answer(Content(METRICS, comparisons_of(), manifest_of(unit="patient")))
    assert found.question.endswith("30 of the patients tumor.")


def test_the_corrected_p_value_stands_beside_it():
    corrected = comparisons_of(BEST, BY_AUROC).with_columns(p_holm=pl.lit(0.119))
    found = answer(Content(METRICS, corrected, manifest_of()))
    assert found.figures[2].note == "p = 0.023 (Holm = 0.119); in favour of the fusion"
