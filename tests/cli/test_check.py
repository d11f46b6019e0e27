"""``pathfuse check`` and ``--dry-run``: everything that is wrong, at once."""

import polars as pl
import pytest


@pytest.fixture
def study(simulate, write_study, tmp_path):
    return write_study(tmp_path, simulate(n_fit=60, n_test=40, classes=("normal", "tumor")))


def test_a_sound_study_is_shown(study, run_cli):
    samples, predictions = study
    said = run_cli("check", "--samples", samples, "--predictions", predictions)
    assert said.status == 0, said.err
    assert "expert_2" in said.out
    assert "100.0 %" in said.out
    assert "No warning." in said.out


def swap(file):
    frame = pl.read_csv(file)
    frame.rename({"logit_normal": "logit_tumor", "logit_tumor": "logit_normal"}).write_csv(file)


def test_an_alarm_is_a_warning_and_a_status_on_request(study, run_cli):
    samples, predictions = study
    swap(predictions / "expert_1.csv")
    words = ["check", "--samples", samples, "--predictions", predictions]
    said = run_cli(*words)
    assert said.status == 0
    assert "pathfuse: warning: expert_1 ranks the wrong way round: AUROC 0." in said.err
    assert "1 warning:" in said.out
    assert run_cli(*words, "--fail-on-alarm").status == 1


def test_all_that_cannot_be_read_is_named_a_line_each(study, run_cli):
    samples, predictions = study
    (predictions / "expert_0.csv").write_bytes(b"PK\x03\x04 nothing")
    text = (predictions / "expert_1.csv").read_text().replace("logit_tumor", "logit_tumour")
    (predictions / "expert_1.csv").write_text(text)
    said = run_cli("check", "--samples", samples, "--predictions", predictions)
    assert said.status == 2
    lines = said.err.strip().splitlines()
    assert len(lines) == 2
    assert "expert_0" in lines[0]
    assert "logit_tumour" in lines[1]
    plain = run_cli("evaluate", "--samples", samples, "--predictions", predictions, "--out", "x")
    assert plain.status == 2
    assert "(and 1 more fault; 'pathfuse check' lists them all)" in plain.err


@pytest.mark.parametrize("command", ["fuse", "evaluate"])
def test_a_dry_run_writes_nothing_and_says_all(study, run_cli, tmp_path, command):
    samples, predictions = study
    swap(predictions / "expert_1.csv")
    out = tmp_path / "out"
    words = [command, "--samples", samples, "--predictions", predictions, "--out", out, "--dry-run"]
    said = run_cli(*words)
    assert said.status == 0
    assert "ranks the wrong way round" in said.err
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    said = run_cli(*words, "--interval", "odd")
    assert said.status == 2
    assert "interval 'odd' is unknown" in said.err
    assert str(out) in said.err
    assert "ranks the wrong way round" in said.err


def test_all_missing_places_are_named_together(study, run_cli, tmp_path):
    _, predictions = study
    places = [tmp_path / "nowhere", predictions, tmp_path / "neither"]
    said = run_cli("check", "--samples", tmp_path / "gone.csv", "--predictions", *places)
    assert said.status == 2
    lines = said.err.strip().splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("gone.csv", "nowhere", "neither"), strict=True):
        assert name in line


def test_what_fuse_would_refuse_is_no_silence(study, run_cli, tmp_path):
    samples, predictions = study
    frame = pl.read_csv(samples)
    frame.filter(pl.col("split") == "test").write_csv(samples)
    words = ["--samples", samples, "--predictions", predictions]
    said = run_cli("check", *words, "--allow-partial")
    assert said.status == 0
    assert "pathfuse: fuse would refuse: " in said.err
    assert "No warning" not in said.out
    dry = run_cli("fuse", *words, "--allow-partial", "--dry-run", "--out", tmp_path / "out")
    assert dry.status == 2
    assert "1 fault: the run would be refused." in dry.out
    frame.drop("split").write_csv(samples)
    assert "No warning." in run_cli("check", *words).out


def test_experts_of_patients_speak_for_their_samples(study, run_cli):
    samples, predictions = study
    frame = pl.read_csv(samples, infer_schema=False)
    frame = frame.with_columns(patient_id=pl.col("sample_id"), sample_id=pl.col("sample_id") + "-x")
    pl.concat([frame, frame.with_columns(sample_id=pl.col("patient_id") + "-y")]).write_csv(samples)
    for file in predictions.glob("*.csv"):
        pl.read_csv(file).rename({"sample_id": "patient_id"}).write_csv(file)
    words = ["check", "--samples", samples, "--predictions", predictions]
    said = run_cli(*words)
    assert said.status == 2
    assert "--unit patient" in said.err
    assert run_cli(*words, "--unit", "patient").status == 0
