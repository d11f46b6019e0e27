"""``evaluate`` learns nothing from judged truth: it changes no prediction, whatever the endpoint."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pathfuse
from pathfuse.errors import InputError
from pathfuse.workflows import evaluate as module

N = 36
IDS = [f"s{i:02d}" for i in range(N)]
CLASSES = ("adenoma", "cancer", "fat")
EVENTS = (0.0, 1.0, 2.0, 3.0, float("inf"))


def labelled(rng):
    return {"label": [CLASSES[k] for k in rng.permutation(np.arange(N) % 3)]}


def classes(rng):
    fine = {f"logit_{c}": rng.normal(size=N) for c in CLASSES}
    coarse = {"logit_epithelium": rng.normal(size=N), "logit_fat": rng.normal(size=N)}
    maps = {"coarse": {"adenoma": "epithelium", "cancer": "epithelium", "fat": "fat"}}
    return {"fine": fine, "coarse": coarse}, {"label_maps": maps}


def marked(rng):
    return {
        "label_x": rng.permutation(np.arange(N) % 2),
        "label_y": rng.permutation(np.arange(N) % 3 % 2),
    }


def labels(rng):
    return {
        m: {"logit_x": rng.normal(size=N), "logit_y": rng.normal(size=N)} for m in ("one", "two")
    }, {}


def followed(rng):
    return {"time": rng.uniform(0.1, 3.9, size=N), "event": rng.permutation(np.arange(N) % 2)}


def hazards(rng):
    return {
        m: {f"hazard_logit_{k}": rng.normal(size=N) for k in range(1, 5)} for m in ("one", "two")
    }, {"time_edges": EVENTS}


def measured(rng):
    return {"target_a": rng.normal(3, 2, size=N), "target_b": rng.normal(size=N)}


def numbers(rng):
    sure = {
        "mean_a": rng.normal(3, 2, size=N),
        "sd_a": rng.uniform(0.5, 2, size=N),
        "mean_b": rng.normal(size=N),
    }
    return {
        "sure": sure,
        "bare": {"mean_a": rng.normal(3, 1, size=N), "mean_b": rng.normal(size=N)},
    }, {}


ENDPOINTS = {
    "multiclass": (labelled, classes),
    "multilabel": (marked, labels),
    "survival": (followed, hazards),
    "regression": (measured, numbers),
}
ROLES = {
    "none": {},
    "split": {"split": np.where(np.arange(N) % 2, "test", "fit")},
    "fold": {"fold": np.arange(N) % 3},
}


def study_of(kind, roles, truth_seed, changed=None):
    """A study whose truths of the ``changed`` rows come from another seed than those of the others."""
    truth, experts = ENDPOINTS[kind]
    own, other = (truth(np.random.default_rng(seed)) for seed in (1, truth_seed))
    mixed = {
        name: [
            b if changed is None or changed[i] else a
            for i, (a, b) in enumerate(zip(own[name], other[name], strict=True))
        ]
        for name in own
    }
    said, options = experts(np.random.default_rng(0))
    frames = {name: pl.DataFrame({"sample_id": IDS, **columns}) for name, columns in said.items()}
    return pathfuse.read_study(
        pl.DataFrame({"sample_id": IDS, **ROLES[roles], **mixed}), frames, **options
    )


def predictions_of(study, monkeypatch):
    seen = {}

    def spy(of, tasks, contrasts, rules, judge=module.evaluate_study):
        seen.update(
            {
                output: (judged.patients, judged.folds, judged.predictions)
                for output, judged in tasks.items()
            }
        )
        return judge(of, tasks, contrasts, rules)

    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate_study", spy)
        return seen, pathfuse.evaluate(study, n_resamples=0)


@pytest.mark.parametrize("kind", list(ENDPOINTS))
@pytest.mark.parametrize("roles", ["none", "split"])
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(2, 10_000))
def test_judged_truths_change_no_prediction(kind, roles, seed, monkeypatch):
    judged = np.ones(N, dtype=bool) if roles == "none" else ROLES["split"]["split"] == "test"
    before, _ = predictions_of(study_of(kind, roles, 1), monkeypatch)
    after, _ = predictions_of(study_of(kind, roles, seed, judged), monkeypatch)
    assert list(before) == list(after)
    for output, (_, _, said) in before.items():
        assert list(said) == list(after[output][2])
        for name, values in said.items():
            np.testing.assert_array_equal(
                values, after[output][2][name], err_msg=f"{output}: {name}"
            )


@pytest.mark.parametrize("kind", list(ENDPOINTS))
@pytest.mark.slow
def test_with_folds_a_fold_s_truths_change_none_of_its_predictions(kind, monkeypatch):
    for fold in range(3):
        before, _ = predictions_of(study_of(kind, "fold", 1), monkeypatch)
        after, _ = predictions_of(
            study_of(kind, "fold", 77, ROLES["fold"]["fold"] == fold), monkeypatch
        )
        for output, (_, folds, said) in before.items():
            for name, values in said.items():
                np.testing.assert_array_equal(
                    values[folds == fold], after[output][2][name][folds == fold]
                )


def cells(result, metric):
    rows = result.metrics.filter(pl.col("metric") == metric)
    return {(m, o): v for m, o, v in rows.select("method", "output", "value").iter_rows()}


def test_without_fit_rows_an_expert_without_sd_has_no_nll_and_pools_average_the_means(monkeypatch):
    seen, result = predictions_of(study_of("regression", "none", 1), monkeypatch)
    nll, rmse = cells(result, "nll"), cells(result, "rmse")
    assert nll["sure", "a"] is not None
    assert [nll[name, "a"] for name in ("bare", "mean_probability", "uniform_product")] == [
        None
    ] * 3
    assert nll["sure", "b"] is None
    assert None not in rmse.values()
    said = seen["a"][2]
    mean = (said["sure"][:, 0] + said["bare"][:, 0]) / 2
    for pool in ("mean_probability", "uniform_product"):
        np.testing.assert_allclose(said[pool][:, 0], mean, rtol=1e-12)
    reason = "nll of bare, mean_probability, uniform_product is undefined: it gives no standard deviation, and there "
    assert f"a: {reason}is no fit row to take one from" in result.manifest["notes"]
    assert result.manifest["warnings"] == [
        (
            "bare, sure: no standard deviation, and no fit rows to take one from, so there is no NLL; pools average "
            "the means with equal weights and have none either"
        )
    ]


def test_with_fit_rows_the_sd_is_that_of_the_residuals_there(monkeypatch):
    study = study_of("regression", "split", 1)
    seen, result = predictions_of(study, monkeypatch)
    fit = study.samples.roles == "fit"
    residual = study.truth["all"].observed[fit, 0] - study.experts[0].outputs["all"].mean[fit, 0]
    assert study.experts[0].name == "bare"
    assert seen["a"][2]["bare"][:, 1] == pytest.approx((residual**2).mean())
    assert None not in cells(result, "nll").values()
    assert not [w for w in result.manifest["warnings"] if "no fit rows" in w]


def test_without_fit_rows_coarse_classes_are_spread_equally(monkeypatch):
    seen, result = predictions_of(study_of("multiclass", "none", 1), monkeypatch)
    coarse = seen["all"][2]["coarse"]
    np.testing.assert_allclose(coarse[:, 0], coarse[:, 1], rtol=1e-12)
    assert result.manifest["warnings"] == [
        "there are no fit rows, so classes that coarse cannot tell apart share its probability equally"
    ]
    assert "null_model" not in seen["all"][2]


def test_with_fit_rows_coarse_classes_are_spread_by_their_frequencies(monkeypatch):
    study = study_of("multiclass", "split", 1)
    seen, result = predictions_of(study, monkeypatch)
    coarse = seen["all"][2]["coarse"]
    frequency = study.frequency("all", np.flatnonzero(study.samples.roles == "fit"))
    np.testing.assert_allclose(
        coarse[:, 1] - coarse[:, 0], np.log(frequency[1] / frequency[0]), atol=1e-6
    )
    assert not [w for w in result.manifest["warnings"] if "no fit rows" in w]


def test_survival_without_fit_rows_says_where_the_censoring_is_from():
    result = pathfuse.evaluate(study_of("survival", "none", 1), n_resamples=0)
    said = "there are no fit rows, so c_index_ipcw, ibs and AUCs weigh by the censoring of the judged rows"
    assert said in result.manifest["notes"]
    assert (
        said
        not in pathfuse.evaluate(study_of("survival", "split", 1), n_resamples=0).manifest["notes"]
    )


def test_a_study_that_the_experts_scored_less_than_half_of_is_refused(make_study, tmp_path):
    """Issue 15, item 17: a verdict on the few that are left would stand for all."""
    samples, predictions = make_study(tmp_path, 30, 30)
    for file in predictions.iterdir():
        pl.read_csv(file, infer_schema=False).head(25).write_csv(file)
    study = pathfuse.read_study(samples, predictions)
    with pytest.raises(
        InputError, match=r"no expert scored 3[0-9] of the 60 samples .* more than half"
    ):
        pathfuse.evaluate(study, n_resamples=0)
    with pytest.raises(InputError, match="more than half"):
        pathfuse.fuse(study, method="uniform_product", n_resamples=0, skip_unscored=True)
