"""Experts of survival that give a risk alone."""

import json

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.errors import InputError

EDGES = (0.0, 10.0, 20.0, 40.0)


@pytest.fixture
def cohort():
    """Samples, and what two experts say of their risk."""
    rng = np.random.default_rng(3)
    n = 120
    true = rng.normal(size=n)
    time, censored = rng.exponential(25 * np.exp(-true)), rng.uniform(5, 60, size=n)
    ids = [f"p{k:03d}" for k in range(n)]
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "time": np.minimum(time, censored).round(2) + 0.01,
            "event": (time <= censored).astype(int),
            "split": np.where(np.arange(n) % 3, "fit", "test"),
        }
    )
    risks = {name: true + rng.normal(scale=s, size=n) for name, s in (("a", 0.4), ("b", 0.8))}
    return samples, ids, risks


def read(cohort, names=("risk", "pred_score"), **options):
    samples, ids, risks = cohort
    frames = {
        expert: pl.DataFrame({"sample_id": ids, name: risks[expert]})
        for expert, name in zip(risks, names, strict=True)
    }
    return pathfuse.read_study(options.pop("samples", samples), frames, time_edges=EDGES)


def value(result, method, metric):
    (found,) = result.metrics.filter(method=method, metric=metric)["value"]
    return found


@pytest.fixture
def result(cohort):
    return pathfuse.fuse(read(cohort), method="static_product", n_resamples=0)


def test_risks_sit_in_the_fusion_and_keep_their_order(cohort, result):
    samples, _, risks = cohort
    test = samples["split"].to_numpy() == "test"
    time, event = samples["time"].to_numpy()[test], samples["event"].to_numpy()[test]
    pairs = (time[:, None] < time[None, :]) & (event[:, None] == 1)
    for name in risks:
        own = risks[name][test]
        right = (own[:, None] > own[None, :])[pairs].mean()
        assert value(result, name, "c_index") == pytest.approx(right, abs=1e-9)
        assert value(result, name, "nll") < value(result, "null_model", "nll")
    assert any("hazards in proportion to it" in line for line in result.manifest["understood"])
    assert any("'pred_score' is taken as a risk" in line for line in result.manifest["understood"])


@pytest.mark.slow
def test_judged_rows_do_not_shape_the_hazards(cohort, result):
    samples, ids, risks = cohort
    other = samples.with_columns(
        time=pl.when(pl.col("split") == "test").then(pl.col("time") / 2).otherwise("time")
    )
    again = pathfuse.fuse(read((other, ids, risks)), method="static_product", n_resamples=0)
    assert again.fused.equals(result.fused)


def test_a_saved_model_turns_new_risks_into_hazards(cohort, result, tmp_path):
    _, ids, risks = cohort
    result.model.save(tmp_path)
    assert set(json.loads((tmp_path / "model.json").read_text())["baselines"]) == {"a", "b"}
    new = {name: pl.DataFrame({"sample_id": ids, "risk": own}) for name, own in risks.items()}
    predicted = pathfuse.load(tmp_path).predict(new).drop("seen_in_fit")
    kept = predicted.filter(pl.col("sample_id").is_in(result.fused["sample_id"].to_list()))
    assert kept.equals(result.fused)


def test_a_model_of_hazards_refuses_a_risk(cohort, tmp_path):
    samples, ids, risks = cohort
    hazards = {
        name: pl.DataFrame({"sample_id": ids, **{f"hazard_logit_{k}": own - 1 for k in (1, 2, 3)}})
        for name, own in risks.items()
    }
    study = pathfuse.read_study(samples, hazards, time_edges=EDGES)
    model = pathfuse.fuse(study, method="static_product", n_resamples=0).model
    with pytest.raises(
        InputError, match="'a' gives a risk, but the model was fitted on its hazards"
    ):
        model.predict({"a": pl.DataFrame({"sample_id": ids, "risk": risks["a"]})})


def test_a_risk_of_the_wrong_direction_is_said_and_not_turned_round(cohort):
    samples, ids, risks = cohort
    wrong = (samples, ids, {"a": risks["a"], "b": -risks["b"]})
    result = pathfuse.fuse(read(wrong), method="static_product", n_resamples=0)
    assert any(
        line.startswith("b: on the fit rows a higher risk goes with later events")
        for line in result.manifest["warnings"]
    )
    assert value(result, "b", "c_index") < 0.4


def test_without_fit_rows_the_order_alone_counts(cohort):
    samples = cohort[0].drop("split")
    result = pathfuse.evaluate(read(cohort, samples=samples), n_resamples=0)
    assert any(
        "only C-index" in line and line.startswith("a, b:") for line in result.manifest["warnings"]
    )
    assert value(result, "a", "c_index") > 0.7
    with_fit = pathfuse.evaluate(read(cohort), n_resamples=0)
    assert not any("only C-index" in line for line in with_fit.manifest["warnings"])
