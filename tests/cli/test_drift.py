"""``pathfuse drift`` and what ``predict`` says of drift."""

import polars as pl
import pytest

from pathfuse.workflows.model_file import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory, simulate, write_study, run_cli, quick_inner_folds):
    """A fused study, and new samples: alike, and with an expert that is gone mad."""
    place = tmp_path_factory.mktemp("drift")
    study = simulate(n_fit=90, n_test=150, seed=5)
    new = study.samples.filter(pl.col("split") == "test")["sample_id"].to_list()[30:]
    known = study._replace(
        samples=study.samples.filter(~pl.col("sample_id").is_in(new)),
        experts={n: f.filter(~pl.col("sample_id").is_in(new)) for n, f in study.experts.items()},
    )
    samples, predictions = write_study(place / "study", known)
    done = run_cli("fuse", "--samples", samples, "--predictions", predictions, "--out", place / "run",
                   "--method", "static_product", "--resamples", 0)  # fmt: skip
    assert done.status == 0, done.err
    for kind in ("alike", "broken"):
        (place / kind).mkdir()
        for name, frame in study.experts.items():
            own = frame.filter(pl.col("sample_id").is_in(new))
            if kind == "broken" and name == "expert_0":
                own = own.with_columns(
                    (-4 * pl.col(c)).alias(c) for c in own.columns if c != "sample_id"
                )
            own.write_csv(place / kind / f"{name}.csv")
    return place


def test_the_exit_status_says_whether_drift_was_found(folder, run_cli, tmp_path):
    call = ("drift", "--model", folder / "run", "--predictions")
    alike = run_cli(*call, folder / "alike", "--out", tmp_path / "alike")
    assert alike.status == 0, alike.err
    assert "No drift found among 120 samples" in alike.out
    broken = run_cli(*call, folder / "broken", "--out", tmp_path / "broken")
    assert broken.status == 1
    assert "Drift found among 120 samples" in broken.out
    assert f"Report: {tmp_path / 'broken'}/drift.html" in broken.out
    table = pl.read_csv(tmp_path / "broken/drift.csv")
    assert table.filter("batch_alarm")["expert"].str.contains("expert_0").any()
    page = (tmp_path / "broken/drift.html").read_text(encoding="utf-8")
    assert "Drift found" in page
    assert page.count("<svg") == 2
    again = run_cli(*call, folder / "broken", "--out", tmp_path / "broken")
    assert again.status == 2


def test_too_few_patients_end_with_status_2_and_one_sentence(folder, run_cli, tmp_path):
    for file in (folder / "alike").glob("*.csv"):
        pl.read_csv(file).head(12).write_csv(tmp_path / file.name)
    said = run_cli("drift", "--model", folder / "run", "--predictions", tmp_path)
    assert said.status == 2
    assert said.err == (
        "pathfuse: a drift check needs at least 20 new patients, but there are 12 samples\n"
    )


def test_predict_says_what_it_sees(folder, run_cli, tmp_path):
    call = (
        "predict",
        "--model",
        folder / "run",
        "--out",
        tmp_path / "x.csv",
        "--force",
        "--predictions",
    )
    alike = run_cli(*call, folder / "alike")
    assert alike.out.endswith("Drift: none found (1 % false alarms)\n")
    broken = run_cli(*call, folder / "broken")
    assert broken.status == 0
    assert "warning: drift: these samples are unlike the fit rows" in broken.err
    assert "'expert_0'" in broken.err


def test_predict_in_blocks_says_the_same(folder, run_cli, tmp_path):
    for file in (folder / "broken").glob("*.csv"):
        pl.read_csv(file).write_parquet(tmp_path / "in" / f"{file.stem}.parquet", mkdir=True)
    said = run_cli("predict", "--model", folder / "run", "--predictions", tmp_path / "in", "--stream",
                   "--jobs", 1, "--out", tmp_path / "out" / "x.parquet")  # fmt: skip
    assert said.status == 0, said.err
    assert "'expert_0'" in said.err


def test_predict_of_an_older_model_is_silent(folder, run_cli, tmp_path):
    from dataclasses import replace

    replace(load(folder / "run"), reference=None).save(tmp_path / "model")
    said = run_cli("predict", "--model", tmp_path / "model", "--predictions", folder / "alike",
                   "--out", tmp_path / "x.csv")  # fmt: skip
    assert "Drift" not in said.out + said.err


def test_fit_rows_among_the_samples_are_warned_of(folder, run_cli):
    said = run_cli(
        "drift", "--model", folder / "run", "--predictions", folder / "study/predictions"
    )
    assert said.status in {0, 1}
    assert (
        "pathfuse: warning: 90 of the 120 samples were among the fit rows of the model" in said.err
    )
