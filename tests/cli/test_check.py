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
