"""``calibration.csv`` and ``calibration_curves.csv`` of runs, whatever the endpoint."""

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression

import pathfuse
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.evaluation.corp import MOST_POINTS
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.slope import calibration_slope
from pathfuse.workflows.reporting.calibration import BUDGET, FEWEST, affordable
from pathfuse.workflows.reporting.resamples import fused_or_experts

N = 60
IDS = [f"s{i:02d}" for i in range(N)]


def run_of(target, experts, samples=None, n_resamples=200, **options):
    frame = pl.DataFrame({"sample_id": IDS, **(samples or {}), **target})
    frames = {name: pl.DataFrame({"sample_id": IDS, **own}) for name, own in experts.items()}
    study = pathfuse.read_study(frame, frames, **options)
    return pathfuse.evaluate(study, n_resamples=n_resamples)


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(0)
    logit = rng.normal(size=(2, N)) * 1.5
    happened = rng.random(N) < 1 / (1 + np.exp(-logit[0]))
    target = {
        "label": np.where(happened, "yes", "no").tolist(),
        "fold": (np.arange(N) % 2).tolist(),
    }
    experts = {f"e{m}": {"logit_no": np.zeros(N), "logit_yes": own} for m, own in enumerate(logit)}
    return logit, happened, run_of(target, experts)


def cell(table, figure, column="value", **where):
    (found,) = table.filter(figure=figure, **where)[column].to_list()
    return found


def test_two_classes_have_figures_of_the_positive_one(binary):
    logit, happened, run = binary
    table = run.tables["calibration"]
    assert set(table["method"]) == {"e0", "e1"}
    assert set(table["group"]) == {"yes"}
    prob = 1 / (1 + np.exp(-logit[0]))
    ratio = cell(table, "observed_to_expected", method="e0")
    assert ratio == pytest.approx(happened.sum() / prob.sum(), rel=1e-6)
    fitted = IsotonicRegression().fit_transform(prob, happened)
    ici = cell(table, "ici", method="e0")
    assert ici == pytest.approx(np.abs(prob - fitted).mean(), abs=1e-6)
    score = cell(table, "brier", method="e0")
    whole = run.metrics.filter(method="e0", metric="brier")["value"][0]
    assert score == pytest.approx(np.mean((prob - happened) ** 2), abs=1e-6)
    assert 2 * score == pytest.approx(whole, abs=1e-2)  # which is the mean of the folds'
    for figure in ("slope", "intercept", "observed_to_expected", "brier"):
        low, value, high = (
            cell(table, figure, column, method="e0") for column in ("ci_low", "value", "ci_high")
        )
        assert low < value < high
    assert table.filter(pl.col("figure").is_in(["ici", "reliability"]))["ci_low"].is_null().all()
    assert cell(table, "ici", method="e1") > 2 * cell(table, "ici_if_calibrated", method="e1")


def test_curves_go_through_the_isotonic_fit_inside_their_band(binary):
    logit, happened, run = binary
    curve = run.tables["calibration_curves"].filter(method="e1")
    prob = 1 / (1 + np.exp(-logit[1]))
    expected = IsotonicRegression(out_of_bounds="clip").fit(prob, happened)
    assert curve["observed"].to_numpy() == pytest.approx(expected.predict(curve["predicted"]), abs=1e-6)  # fmt: skip
    assert curve.height <= MOST_POINTS
    assert (curve["low"] <= curve["high"]).all()
    assert (curve["low"] <= curve["observed"] + 0.3).all()


def test_the_slope_is_the_one_of_the_manifest(binary):
    logit, happened, run = binary
    predictions = log_softmax(np.stack([np.zeros(N), logit[0]], axis=1))
    observed = np.eye(2, dtype=bool)[happened.astype(int)]
    folds = np.arange(N) % 2
    order = np.argsort(folds, kind="stable")  # as rows are judged, fold after fold
    judged = Judged(observed[order], np.arange(N)[order], folds[order], {"e0": predictions[order]})
    known = calibration_slope(Multiclass(("no", "yes")), judged, "e0", 200, seed=0)
    table = run.tables["calibration"]
    assert cell(table, "slope", method="e0") == pytest.approx(known.point, rel=1e-6)
    ends = known.interval()
    assert cell(table, "slope", "ci_low", method="e0") == pytest.approx(ends.low, rel=1e-6)
    assert cell(table, "slope", "ci_high", method="e0") == pytest.approx(ends.high, rel=1e-6)


def test_several_classes_have_a_slope_each_by_another_name(binary):
    rng = np.random.default_rng(1)
    truth = rng.permutation(np.arange(N) % 3)
    logits = rng.normal(size=(N, 3)) + 2 * np.eye(3)[truth]
    experts = {"one": {f"logit_{c}": logits[:, k] for k, c in enumerate("abc")}}
    experts["two"] = experts["one"]
    run = run_of({"label": np.array(list("abc"))[truth].tolist()}, experts)
    table = run.tables["calibration"]
    assert set(table["group"]) == {"a", "b", "c"}
    assert "class_slope" in set(table["figure"])
    assert "slope" not in set(table["figure"])
    assert set(run.tables["calibration_curves"]["group"]) == {"a", "b", "c"}
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for k, name in enumerate("abc"):
        score = cell(table, "brier", group=name, method="one")
        assert score == pytest.approx(np.mean((prob[:, k] - (truth == k)) ** 2), abs=1e-6)


def test_labels_have_figures_each_and_a_rare_one_no_intervals():
    rng = np.random.default_rng(2)
    rare = np.arange(N) < 1
    target = {"label_x": (np.arange(N) % 2).tolist(), "label_y": rare.astype(int).tolist()}
    experts = {
        m: {"logit_x": rng.normal(size=N), "logit_y": rng.normal(size=N)} for m in ("one", "two")
    }
    run = run_of(target, experts)
    table = run.tables["calibration"]
    assert set(table["output"]) == {"x", "y"}
    assert table.filter(output="y")["ci_low"].is_null().all()
    assert table.filter(output="x", figure="slope")["ci_low"].is_not_null().all()
    assert any("fewer than two" in note and "y, 1" in note for note in run.manifest["notes"])


def test_survival_has_edges_and_d_calibration():
    rng = np.random.default_rng(3)
    target = {"time": rng.uniform(0.1, 3.9, size=N).tolist(), "event": (np.arange(N) % 2).tolist()}
    experts = {
        m: {f"hazard_logit_{k}": rng.normal(-1, 0.3, size=N) for k in range(1, 5)}
        for m in ("one", "two")
    }
    run = run_of(target, experts, time_edges=(0.0, 1.0, 2.0, 3.0, float("inf")))
    table = run.tables["calibration"]
    ratios = table.filter(figure="observed_to_expected", method="one")
    assert ratios["group"].to_list() == ["1", "2", "3"]
    assert ratios["ci_low"].is_not_null().all()
    shares = table.filter(figure="d_calibration_share", method="one")
    assert shares["value"].sum() == pytest.approx(1)
    assert 0 <= cell(table, "d_calibration_p", method="one") <= 1
    assert "calibration_curves" not in run.tables
    for figure in ("slope", "intercept", "intercept_of_slope"):
        assert cell(table, figure, method="two") is not None


def test_numbers_have_a_line_per_target():
    rng = np.random.default_rng(4)
    truth = rng.normal(size=N)
    experts = {
        "sure": {"mean_a": truth + 0.1, "sd_a": np.full(N, 0.5)},
        "bare": {"mean_a": 2 * truth},
    }
    run = run_of({"target_a": truth.tolist()}, experts)
    table = run.tables["calibration"]
    assert cell(table, "slope", method="bare") == pytest.approx(0.5)
    assert cell(table, "intercept", method="sure") == pytest.approx(-0.1)
    assert cell(table, "below_q50", method="sure") == 1  # 0.1 too high everywhere
    assert cell(table, "below_q50", method="bare") is None  # which predicts no variance


def test_without_resamples_or_patients_there_are_values_alone(binary):
    logit, happened, _ = binary
    target = {"label": np.where(happened, "yes", "no").tolist()}
    experts = {"one": {"logit_no": np.zeros(N), "logit_yes": logit[0]}}
    experts["two"] = experts["one"]
    none = run_of(target, experts, n_resamples=0)
    few = run_of(target, experts, {"patient_id": [f"p{i % 5}" for i in range(N)]})
    for run in (none, few):
        table = run.tables["calibration"]
        assert table["ci_low"].is_null().all()
        assert table["value"].is_not_null().all()
        assert run.tables["calibration_curves"]["low"].is_null().all()
        assert run.manifest["calibration_resamples"] == 0


def test_the_fusion_and_the_best_expert_or_the_first_experts():
    assert fused_or_experts({"a": 0, "best_expert": 0, "fused": 0}, ["a"]) == [
        "fused",
        "best_expert",
    ]
    many = [f"e{i}" for i in range(9)]
    assert fused_or_experts(dict.fromkeys([*many, "uniform_product"]), many) == many[:6]


def test_large_studies_have_fewer_resamples():
    def judged(n):
        return {"all": Judged(np.zeros((n, 3)), np.zeros(n), np.zeros(n), {"fused": None})}

    kind = Multiclass(("a", "b", "c"))
    assert affordable(kind, judged(100), [], 2000) == 500
    assert affordable(kind, judged(100), [], 150) == 150
    assert affordable(kind, judged(10_000), [], 2000) == BUDGET // 30_000
    assert affordable(kind, judged(10**6), [], 2000) == FEWEST
