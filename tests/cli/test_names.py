"""Names that look like markup, patterns or mathematics, from the command line to the page."""

import csv
import io
import os
import sys

import polars as pl
import pytest

from pathfuse.cli.console import progress
from pathfuse.cli.dense import show_table
from pathfuse.files.tables import parquet_frame, parquet_header
from pathfuse.report.theme import plain

NAMES = ("[/bold]", "b[red]", "a$b$", "*", ":heart:", "<i>x</i>", "_x")
CLASSES = ("[/red]normal", "tumor[b]")
QUICK = ("--method", "static_product", "--resamples", 120)


@pytest.fixture(scope="module")
def study(tmp_path_factory, simulate):
    """Seven experts in one long table, since a slash cannot name a file; the folder has brackets
    too."""
    made = simulate(n_fit=24, n_test=24, n_experts=len(NAMES), classes=CLASSES)
    folder = tmp_path_factory.mktemp("names") / "[b]a[1]"
    folder.mkdir()
    made.samples.write_csv(folder / "samples.csv")
    frames = zip(NAMES, made.experts.values(), strict=True)
    pl.concat([frame.with_columns(expert=pl.lit(name)) for name, frame in frames]).write_csv(
        folder / "long.csv"
    )
    return folder


def shown(text, names):
    """Every name stands in the table's first column."""
    cells = {line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")}
    assert set(names) <= cells


@pytest.mark.slow
def test_fuse_and_predict_show_every_name_as_it_is(study, tmp_path, run_cli):
    given = ("--samples", study / "samples.csv", "--predictions", study / "long.csv")
    status, out, err = run_cli("fuse", *given, "--out", tmp_path / "o[1]", *QUICK)
    assert status == 0, err
    shown(out, NAMES)
    assert f"Report: {tmp_path}/o[1]/report.html" in out
    page = (tmp_path / "o[1]/report.html").read_text()
    assert "<i>x</i>" not in page
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    for name in ("ranking", "weights"):
        drawn = (tmp_path / f"o[1]/figures/{name}.svg").read_text()
        for expert in ("[/bold]", "b[red]", "a$b$", "*", ":heart:", "_x", "&lt;i&gt;x&lt;/i&gt;"):
            assert f">{expert}<" in drawn.replace("> _x<", ">_x<"), (name, expert)
    said = run_cli("predict", "--model", tmp_path / "o[1]", "--predictions", study / "long.csv", "--out",
                   tmp_path / "f[1].csv")  # fmt: skip
    assert said.status == 0
    assert f"\n48 samples fused: {tmp_path}/f[1].csv\n" in "\n" + said.out


def test_evaluate_shows_every_name_as_it_is(study, tmp_path, run_cli):
    given = (
        "--samples",
        study / "samples.csv",
        "--predictions",
        study / "long.csv",
        "--resamples",
        120,
    )
    status, out, err = run_cli("evaluate", *given, "--out", tmp_path / "out")
    assert status == 0, err
    shown(out, NAMES)


@pytest.mark.slow
def test_a_suite_reads_the_row_of_each_study_from_its_own_folder(tmp_path, make_study, run_cli):
    names = ("a[1]", "a1", "[link]x", "a*", "[red]")
    for seed, name in enumerate(names):
        make_study(
            tmp_path / "studies" / name, 12, 12, n_experts=2, classes=("normal", "tumor"), seed=seed
        )
    status, out, err = run_cli(
        "suite",
        "run",
        tmp_path / "studies",
        "--out",
        tmp_path / "out",
        "--method",
        "uniform_product",
        "--resamples",
        20,
    )
    assert status == 0, err
    shown(out, names)
    table = {
        row["study"]: row for row in pl.read_csv(tmp_path / "out/suite.csv").iter_rows(named=True)
    }
    figures = set()
    for name in names:
        with (tmp_path / "out" / name / "metrics.csv").open() as lines:
            own = {
                row["metric"]: float(row["value"])
                for row in csv.DictReader(lines)
                if row["method"] == "fused"
            }
        assert table[name]["fused_nll"] == own["nll"]
        assert table[name]["fused_f1_macro"] == own["f1"]
        figures.add(own["nll"])
    assert len(figures) == len(names)
    again = run_cli(
        "suite",
        "run",
        tmp_path / "studies",
        "--out",
        tmp_path / "out",
        "--method",
        "uniform_product",
        "--resamples",
        20,
    )
    assert f"{len(names)} done ({len(names)} unchanged)" in again.out


def test_rank_shows_every_name_as_it_is(tmp_path, run_cli):
    cells = [
        f"{s},{m},auroc,{0.5 + (3 * i + j) % 7 / 20}"
        for i, s in enumerate("abcd")
        for j, m in enumerate(NAMES)
    ]
    (tmp_path / "s[1].csv").write_text("\n".join(["study,method,metric,value", *cells]) + "\n")
    status, out, err = run_cli("rank", tmp_path / "s[1].csv", "--out", tmp_path / "out")
    assert status == 0, err
    shown(out, NAMES)
    drawn = (tmp_path / "out/figures/critical_difference.svg").read_text()
    assert all(name in drawn for name in ("[/bold]", "b[red]", "a$b$", ":heart:"))
    assert "<i>x</i>" not in (tmp_path / "out/ranking.html").read_text()


def test_other_tables_show_names_as_they_are(capsys):
    show_table(("method", "[/b]"), [(name, 1) for name in NAMES])
    out = capsys.readouterr().out
    shown(out, NAMES)
    assert "[/b]" in out


def test_a_bar_shows_names_as_they_are(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with progress() as report:
        report("[/bold] epoch 1 of {x} :heart:", 0.5)
    assert "[/bold] epoch 1 of {x} :heart:" in terminal.getvalue()


def test_a_parquet_file_is_the_one_of_that_name(tmp_path):
    for name, value in (("a[1]", 1), ("a1", 2), ("a*", 3)):
        pl.DataFrame({name: [value]}).write_parquet(tmp_path / f"{name}.parquet")
    for name in ("a[1]", "a1", "a*"):
        assert parquet_header(tmp_path / f"{name}.parquet") == [name]
        assert parquet_frame(tmp_path / f"{name}.parquet").columns == [name]


def test_names_in_figures():
    assert plain("a$b$") == r"a\$b\$"
    assert plain("_x") == " _x"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
@pytest.mark.slow
def test_every_file_of_a_result_follows_the_umask(study, tmp_path, run_cli, mask, mode):
    before = os.umask(mask)
    try:
        given = ("--samples", study / "samples.csv", "--predictions", study / "long.csv")
        assert run_cli("fuse", *given, "--out", tmp_path / "out", *QUICK).status == 0
    finally:
        os.umask(before)
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert "model.safetensors" in {p.name for p in files}
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in files} == {
        p.name: oct(mode) for p in files
    }
