"""``--ablation``: every variant is there, paired with the fusion, and shuffled labels leave nothing
to find."""

import numpy as np
import polars as pl
import pytest

COLUMNS = ["variant", "kind", "output", "metric", "value", "ci_low", "ci_high", "difference", "difference_low",
           "difference_high", "p_value", "note"]  # fmt: skip


@pytest.fixture(scope="module")
def ablated(tmp_path_factory, make_study, run_cli):
    folder = tmp_path_factory.mktemp("ablation")
    samples, predictions = make_study(
        folder, 90, 80, 3, ("benign", "malignant"), seed=5, n_train=20, coverage=0.8
    )
    out = folder / "out"
    given = (
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--out",
        out,
        "--resamples",
        200,
        "--ablation",
    )
    said = run_cli("fuse", *given)
    assert said.status == 0, said.err
    return out


def test_every_variant_is_there(ablated):
    table = pl.read_csv(ablated / "ablation.csv")
    assert table.columns == COLUMNS
    best = next(v for v in table["variant"].unique() if v.endswith("twice")).split()[1]
    kinds = dict(table.select("variant", "kind").unique().iter_rows())
    assert kinds == {
        **{f"without expert_{m}": "leave one out" for m in range(3)},
        f"with {best} twice": "duplicate",
        f"with {best} shuffled": "noise",
        "labels shuffled": "shuffled labels",
        "fitted on train rows too": "in-sample",
    }
    metrics = pl.read_csv(ablated / "metrics.csv")
    assert set(table["metric"]) == set(metrics["metric"])


def test_differences_are_to_the_fusion(ablated):
    """expert_0 scored everything, so a variant that keeps it is judged on the rows of the fusion."""
    metrics = pl.read_csv(ablated / "metrics.csv").filter(pl.col("method") == "fused")
    fused = dict(metrics.select("metric", "value").iter_rows())
    table = pl.read_csv(ablated / "ablation.csv")
    paired = table.filter(
        ~pl.col("kind").is_in(["shuffled labels"]) & (pl.col("variant") != "without expert_0")
    )
    for row in paired.to_dicts():
        assert row["difference"] == pytest.approx(row["value"] - fused[row["metric"]], abs=1e-12)
        assert row["metric"] == "ece" or row["difference_low"] <= row["difference_high"]


def test_shuffled_labels_leave_nothing_to_find(ablated):
    table = pl.read_csv(ablated / "ablation.csv").filter(pl.col("variant") == "labels shuffled")
    (row,) = table.filter(pl.col("metric") == "auroc").to_dicts()
    assert row["difference"] is None  # another truth
    se = 1 / np.sqrt(3 * 40)  # of an AUROC of one half with 40 rows of each kind
    assert abs(row["value"] - 0.5) < 4 * se
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_the_best_expert_matters_more_than_noise(ablated):
    table = pl.read_csv(ablated / "ablation.csv").filter(pl.col("metric") == "nll")
    loss = dict(
        table.select("kind", "difference")
        .group_by("kind")
        .agg(pl.col("difference").max())
        .iter_rows()
    )
    assert loss["leave one out"] > loss["noise"]
    assert loss["leave one out"] > loss["duplicate"]


@pytest.mark.slow
def test_two_experts_are_not_left_out(tmp_path, make_study, run_cli):
    """What is left would be an expert, which metrics.csv shows already."""
    samples, predictions = make_study(tmp_path, 30, 30, 2, ("benign", "malignant"))
    out = tmp_path / "out"
    given = (
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--out",
        out,
        "--resamples",
        0,
        "--ablation",
    )
    assert run_cli("fuse", *given).status == 0
    kinds = set(pl.read_csv(out / "ablation.csv")["kind"])
    assert kinds == {"duplicate", "noise", "shuffled labels"}


@pytest.mark.slow
@pytest.mark.usefixtures("all_inner_folds")
def test_folds_and_jobs(tmp_path, make_study, run_cli):
    samples, predictions = make_study(
        tmp_path, 16, 0, 2, ("benign", "malignant"), n_folds=2, per_patient=2
    )
    tables = []
    for jobs in (1, 2):
        out = tmp_path / f"out{jobs}"
        given = (
            "--samples",
            samples,
            "--predictions",
            predictions,
            "--out",
            out,
            "--resamples",
            120,
            "--jobs",
            jobs,
        )
        assert run_cli("fuse", *given, "--ablation", "--unit", "patient").status == 0
        tables.append((out / "ablation.csv").read_bytes())
    assert tables[0] == tables[1]
