"""Nothing in a name acts on a terminal, whichever way a command writes."""

import io
import re
import sys

import polars as pl
import pytest
from rich.table import Table

from pathfuse.cli.console import console
from pathfuse.cli.streams import shown_as_text
from pathfuse.unseen import UNSEEN

NAMES = ("esc\x1b[31m", "bell\x07", "x\u202egnp.exe", "c1\x9b0m", "two\nlines")
ESCAPES = (r"esc\x1b[31m", r"bell\x07", r"x\u202egnp.exe", r"c1\x9b0m", r"two\nlines")


def unseen(text):
    return UNSEEN.findall(re.sub(r"[\n\t]", "", text))


@pytest.fixture
def study(tmp_path, simulate):
    made = simulate(n_fit=24, n_test=24, n_experts=len(NAMES), classes=("a\x1b[2J", "b\u2066"))
    place = tmp_path / "esc\x1b[31m"
    place.mkdir()
    ids = pl.col("sample_id") + "\x1b"
    made.samples.with_columns(ids).write_parquet(place / "samples.parquet")
    frames = zip(NAMES, made.experts.values(), strict=True)
    pl.concat(frame.with_columns(ids, expert=pl.lit(name)) for name, frame in frames).write_parquet(
        place / "long.parquet"
    )
    return place


@pytest.mark.parametrize("command", [pytest.param("evaluate", marks=pytest.mark.slow), "check"])
def test_what_a_command_says_has_no_character_that_nobody_sees(study, run_cli, command):
    out = ("--out", study / "out", "--resamples", 100) if command == "evaluate" else ()
    given = ("--samples", study / "samples.parquet", "--predictions", study / "long.parquet")
    said = run_cli(command, *given, *out)
    assert said.status == 0, said.err
    assert not unseen(said.out + said.err)
    if out:
        assert all(name in said.out for name in ESCAPES[:4])
        assert r"esc\x1b[31m/out/report.html" in said.out


def test_the_streams_show_names_and_keep_lines_and_tabs(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with shown_as_text():
        sys.stdout.write("".join(f"{name}\t|\n" for name in NAMES))
        sys.stderr.writelines(NAMES)
        sys.stdout.flush()
        assert not sys.stdout.isatty()
    assert out.getvalue() == "".join(f"{name}\t|\n" for name in (*ESCAPES[:4], NAMES[4]))
    assert not unseen(err.getvalue())
    assert sys.stdout is out


def test_a_table_shows_names_and_rich_keeps_its_colours(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with shown_as_text():
        table = Table(title=NAMES[0])
        table.add_column(NAMES[1])
        table.add_row(NAMES[2], style="bold")
        console().print(table)
        console().print(NAMES[3])
    shown = sys.stdout.getvalue()
    assert "\x1b[1m" in shown
    assert not unseen(re.sub(r"\x1b\[\d*(;\d+)*m", "", shown))
    assert all(name in shown for name in ESCAPES[:4])
