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
        frame.with_columns(**{k: pl.Series(v) for k, v in said.items()}).write_csv(folder / f"expert_{m}.csv")
    samples.write_csv(tmp_path / "samples.csv")
    return tmp_path


def fuse(run_cli, place, *more):
    given = ("--samples", place / "samples.csv", "--predictions", place / "predictions", "--out", place / "out")
    return run_cli("fuse", *given, "--resamples", 20, *more)


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
    wanted = {"best_expert", "mean_probability", "uniform_product", "static_product", "logitprod", "stacking", "fused"}
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
        "predict", "--model", study / "out", "--predictions", study / "predictions", "--out", study / "again.parquet"
    )
    assert status == 0, err
    assert (study / "again.parquet").read_bytes() == (study / "out/fused.parquet").read_bytes()


def test_evaluate_and_folds(study, run_cli):
    given = ("--samples", study / "samples.csv", "--predictions", study / "predictions")
    assert run_cli("evaluate", *given, "--out", study / "judged", "--resamples", 20)[0] == 0
    edit(study / "samples.csv", lambda t: t.drop("split").with_columns(fold=pl.int_range(pl.len()) % 3))
    assert fuse(run_cli, study)[0] == 0
    certificate = json.loads((study / "out/certificate.json").read_text())
    assert set(certificate["folds"]) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            "predictions/expert_0.csv",
            pl.lit(0.0).alias("sd_CD24"),
            ("column 'sd_CD24'", "no standard deviation above 0"),
        ),
        ("predictions/expert_0.csv", pl.lit(-1.0).alias("sd_CD24"), ("column 'sd_CD24'", "-1 is no standard")),
        ("predictions/expert_0.csv", pl.lit("nan").alias("mean_CD24"), ("column 'mean_CD24'", "NaN")),
        ("predictions/expert_0.csv", pl.lit(1.0).alias("mean_XYZ"), ("column 'mean_XYZ'", "'target_XYZ'")),
        ("samples.csv", pl.lit(3.0).alias("target_CD24"), ("column 'target_CD24'", "all 60 values are 3", "must vary")),
        ("samples.csv", pl.lit("high").alias("target_CD24"), ("column 'target_CD24'", "'high' is not a number")),
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
