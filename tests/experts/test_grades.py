"""An expert of grades: trained like one of classes, judged by how far misses are."""

import json

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(1)
    grade = rng.permutation(np.arange(90) % 3)
    seen = grade[:, None] * [1.0, 0.5, 0.0] + rng.normal(size=(90, 3))
    ids = [f"s{i:02d}" for i in range(90)]
    split = ["fit"] * 60 + ["test"] * 30
    pl.DataFrame({"sample_id": ids, "grade": grade, "split": split}).write_csv(
        tmp_path / "samples.csv"
    )
    pl.DataFrame({"sample_id": ids, **{f"f{k}": seen[:, k] for k in range(3)}}).write_csv(
        tmp_path / "vectors.csv"
    )
    return tmp_path


@pytest.mark.slow
def test_trained_predicted_and_fused(study, run_cli, quick_inner_folds):
    expert, samples = study / "probe", study / "samples.csv"
    trained = run_cli("experts", "train", "--samples", samples, "--features", study / "vectors.csv", "--name", "probe",
                      "--head", "linear_probe", "--out", expert)  # fmt: skip
    assert trained.status == 0, trained.err
    assert json.loads((expert / "expert.json").read_text())["endpoint"]["kind"] == "ordinal"
    new = study / "new.csv"
    again = run_cli(
        "experts", "predict", "--model", expert, "--features", study / "vectors.csv", "--out", new
    )
    assert again.status == 0, again.err
    assert pl.read_csv(new).columns == ["sample_id", "logit_0", "logit_1", "logit_2"]
    fused = run_cli("fuse", "--samples", samples, "--predictions", expert / "predictions", "--out", study / "out",
                    "--resamples", "0")  # fmt: skip
    assert fused.status == 0, fused.err
    metrics = pl.read_csv(study / "out" / "metrics.csv")
    kappa = metrics.filter(method="probe", metric="quadratic_kappa")["value"]
    assert kappa[0] > 0.2
