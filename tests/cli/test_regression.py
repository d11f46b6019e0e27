"""Regression through the command line."""

import json

import numpy as np
import polars as pl
import pytest


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    n, targets = 60, ("CD24", "ERBB2")
    y = rng.normal([1.0, 4.0], size=(n, 2))
    ids = [f"spot{i:03d}" for i in range(n)]
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit"] * 40 + ["test"] * 20})
    samples = samples.with_columns(pl.Series(f"target_{t}", y[:, g]) for g, t in enumerate(targets))
    folder = tmp_path / "predictions"
    folder.mkdir()
    for m, noise in enumerate((0.5, 1.0, 1.5)):
        frame = pl.DataFrame({"sample_id": ids})
        said = {f"mean_{t}": y[:, g] + noise * rng.normal(size=n) for g, t in enumerate(targets)}
        if m < 2:
            said |= {f"sd_{t}": np.full(n, noise) for t in targets}
        frame.with_columns(**{k: pl.Series(v) for k, v in said.items()}).write_csv(
            folder / f"expert_{m}.csv"
        )
    samples.write_csv(tmp_path / "samples.csv")
    return tmp_path


def fuse(run_cli, place, *more):
    given = (
        "--samples",
        place / "samples.csv",
        "--predictions",
        place / "predictions",
        "--out",
        place / "out",
    )
    return run_cli("fuse", *given, "--resamples", 120, *more)


def edit(path, change):
    change(pl.read_csv(path)).write_csv(path)


def test_files_and_columns(study, run_cli):
    status, _, err = fuse(run_cli, study)
    assert status == 0, err
    fused = pl.read_parquet(study / "out/fused.parquet")
    assert fused.columns == [
        "sample_id", "mean_CD24", "mean_ERBB2", "sd_CD24", "sd_ERBB2", "prediction",
        "weight_expert_0", "weight_expert_1", "weight_expert_2", "n_experts",
    ]  # fmt: skip
    metrics = pl.read_csv(study / "out/metrics.csv")
    assert set(metrics["output"]) == {"CD24", "ERBB2", "all"}
    assert set(metrics["metric"]) == {"nll", "pearson", "spearman", "rmse", "r2"}
    wanted = {
        "best_expert",
        "mean_probability",
        "uniform_product",
        "static_product",
        "logitprod",
        "stacking",
        "fused",
    }
    assert wanted <= set(metrics["method"])
    each = metrics.filter((pl.col("method") == "fused") & (pl.col("metric") == "rmse"))
    by_output = dict(each.select("output", "value").iter_rows())
    assert by_output["all"] == pytest.approx((by_output["CD24"] + by_output["ERBB2"]) / 2)
    truth = pl.read_csv(study / "samples.csv").sort("sample_id").filter(pl.col("split") == "test")
    own = np.sqrt(((fused["mean_CD24"] - truth["target_CD24"]) ** 2).mean())
    assert by_output["CD24"] == pytest.approx(own)
    assert json.loads((study / "out/certificate.json").read_text())["holds"] is True


def test_predict_reproduces_the_run_bit_for_bit(study, run_cli):
    assert fuse(run_cli, study)[0] == 0
    for file in (study / "predictions").iterdir():
        edit(file, lambda t: t.filter(pl.col("sample_id") >= "spot040"))
    status, _, err = run_cli(
        "predict",
        "--model",
        study / "out",
        "--predictions",
        study / "predictions",
        "--out",
        study / "again.parquet",
    )
    assert status == 0, err
    assert (study / "again.parquet").read_bytes() == (study / "out/fused.parquet").read_bytes()


@pytest.mark.slow
def test_evaluate_and_folds(study, run_cli):
    given = ("--samples", study / "samples.csv", "--predictions", study / "predictions")
    assert run_cli("evaluate", *given, "--out", study / "judged", "--resamples", 120)[0] == 0
    edit(
        study / "samples.csv",
        lambda t: t.drop("split").with_columns(fold=pl.int_range(pl.len()) % 3),
    )
    assert fuse(run_cli, study)[0] == 0
    certificate = json.loads((study / "out/certificate.json").read_text())
    assert set(certificate["folds"]) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            "predictions/expert_0.csv",
            pl.lit(0.0).alias("sd_CD24"),
            ("column 'sd_CD24'", "not a standard deviation above 0"),
        ),
        (
            "predictions/expert_0.csv",
            pl.lit(-1.0).alias("sd_CD24"),
            ("column 'sd_CD24'", "-1 is not a standard"),
        ),
        (
            "predictions/expert_0.csv",
            pl.when(pl.int_range(pl.len()) == 3)
            .then(pl.lit("nan"))
            .otherwise(pl.col("mean_CD24").cast(pl.String))
            .alias("mean_CD24"),
            ("column 'mean_CD24'", "NaN"),
        ),
        (
            "predictions/expert_0.csv",
            pl.lit(1.0).alias("mean_XYZ"),
            ("column 'mean_XYZ'", "'target_XYZ'"),
        ),
        (
            "samples.csv",
            (pl.lit(3.0).alias("target_CD24"), pl.lit(4.0).alias("target_ERBB2")),
            ("column 'target_CD24'", "all 60 values are 3", "must vary"),
        ),
        (
            "samples.csv",
            (
                pl.when(split="test").then(f"target_{t}").otherwise(3.0).alias(f"target_{t}")
                for t in ("CD24", "ERBB2")
            ),
            (
                "no target can be fused",
                "target 'CD24' was not fused: its 40 values in the fit rows do not vary",
            ),
        ),
        (
            "samples.csv",
            pl.lit("high").alias("target_CD24"),
            ("column 'target_CD24'", "'high' is not a number"),
        ),
    ],
)
def test_bad_input_is_one_sentence(study, run_cli, file, change, words):
    edit(study / file, lambda t: t.with_columns(change))
    status, out, err = fuse(run_cli, study)
    assert (status, out) == (2, "")
    for word in words:
        assert word in err.splitlines()[-1]
    assert not (study / "out").exists()


def test_patients_are_no_unit_of_regression(study, run_cli):
    status, _, err = fuse(run_cli, study, "--unit", "patient")
    assert status == 2
    assert "regression has none" in err


def test_an_option_that_would_do_nothing_is_refused(study, run_cli):
    status, _, err = fuse(run_cli, study, "--expert-dropout", 0.2)
    assert status == 2
    assert "not built for regression" in err.splitlines()[-1]


IN_FOLD = "target 'CD24' was not fused: its 40 values in the fit rows of fold 2 do not vary"


@pytest.mark.slow
def test_a_target_that_is_constant_in_one_fold_is_left_out_and_the_rest_goes_on(study, run_cli):
    edit(
        study / "samples.csv",
        lambda t: t.drop("split").with_columns(fold=pl.int_range(pl.len()) % 3),
    )
    constant = pl.when(fold=2).then("target_CD24").otherwise(1.5)
    edit(study / "samples.csv", lambda t: t.with_columns(target_CD24=constant))
    status, _, err = fuse(run_cli, study)
    assert status == 0, err
    assert f"pathfuse: warning: {IN_FOLD}" in err.splitlines()
    manifest = json.loads((study / "out/manifest.json").read_text())
    assert manifest["warnings"][0] == IN_FOLD
    assert manifest["endpoint"] == {
        "kind": "regression",
        "targets": ["ERBB2"],
        "left_out": ["CD24"],
    }
    metrics = pl.read_csv(study / "out/metrics.csv")
    assert set(metrics["output"]) == {"ERBB2", "all"}
    assert (
        metrics.filter(pl.col("method") != "null_model")["value"].is_not_null().all()
    )  # a constant has no correlation
    fused = pl.read_parquet(study / "out/fused.parquet")
    assert fused["mean_CD24"].null_count() == fused["sd_CD24"].null_count() == fused.height == 60
    assert fused["prediction"].equals(fused["mean_ERBB2"], check_names=False)
    assert json.loads((study / "out/certificate.json").read_text())["holds"]
    given = ("--predictions", study / "predictions", "--out", study / "again.csv")
    assert run_cli("predict", "--model", study / "out", *given).status == 0
    again = pl.read_csv(study / "again.csv")
    assert (again["mean_CD24"].null_count(), again["mean_ERBB2"].null_count()) == (60, 0)
    given = (
        "--samples",
        study / "samples.csv",
        "--predictions",
        study / "again.csv",
        "--resamples",
        0,
    )
    status, _, err = run_cli("evaluate", *given, "--out", study / "judged")
    assert status == 0, err


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (pl.lit(3.0), "its 40 values in the fit rows do not vary"),
        (pl.lit(None, pl.Float64), "the fit rows hold no value of it"),
        (pl.when(pl.int_range(pl.len()) == 3).then("target_CD24").when(split="test").then("target_CD24"),
         "the fit rows hold one value of it"),
    ],
)  # fmt: skip
def test_a_target_without_two_values_is_left_out(study, run_cli, values, why):
    edit(study / "samples.csv", lambda t: t.with_columns(target_CD24=values))
    status, _, err = fuse(run_cli, study, "--method", "uniform_product", "--coverage", 0.5)
    assert status == 0, err
    n = "40" if "values" in why else ""
    shown = [line for line in err.splitlines() if "was not fused" in line]
    assert shown == [
        f"pathfuse: warning: target 'CD24' was not fused: {why.replace(n, '30') if n else why}"
    ]
    fused = pl.read_parquet(study / "out/fused.parquet")
    assert {"low_ERBB2", "high_ERBB2"} <= set(fused.columns)
    given = (
        "--samples",
        study / "samples.csv",
        "--predictions",
        study / "predictions",
        "--resamples",
        0,
    )
    status, _, err = run_cli("evaluate", *given, "--out", study / "judged")
    assert status == 0, err
    unjudged = "target 'CD24' was not judged: the judged rows hold no value of it" in err
    assert unjudged == ("no value" in why)


def test_an_expert_of_left_out_targets_alone(study, run_cli):
    edit(study / "samples.csv", lambda t: t.with_columns(target_CD24=3.0))
    edit(study / "predictions/expert_2.csv", lambda t: t.drop("mean_ERBB2"))
    status, _, err = fuse(run_cli, study)
    assert status == 2
    assert (
        "expert_2.csv: the expert 'expert_2' predicts only targets that are left out"
        in err.splitlines()[-1]
    )
