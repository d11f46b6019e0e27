"""``pathfuse rank`` on the command line."""

import json

import polars as pl
import pytest

HEADER = "study,method,metric,value,ci_low,ci_high,cohort\n"
GOOD = HEADER + "".join(
    f"s{s},{m},auroc,{v - 0.01 * (s % 3 == k)},{v - 0.1},{v + 0.1},c{s // 2}\n"
    for s in range(8)
    for k, (m, v) in enumerate((("uni", 0.9), ("conch[2]", 0.895), ("gpfm", 0.5)))
)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "scores.csv").write_text(GOOD)
    return tmp_path / "scores.csv"


def test_shows_the_methods_and_writes_the_folder(tmp_path, table, run_cli):
    said = run_cli("rank", table, "--out", tmp_path / "r")
    assert (said.status, said.err) == (0, "")
    assert "8 studies, 4 cohorts, by auroc" in said.out
    assert "conch[2]" in said.out  # no markup of the terminal
    assert "Over 8 studies of 4 cohorts, uni has the best mean rank by auroc" in said.out
    assert (
        "Note: with 4 cohorts and 3 pairs no signed-rank test can come below 0.05 after Holm"
        in said.out
    )
    assert said.out.endswith(f"Report: {tmp_path / 'r'}/ranking.html\n")
    assert pl.read_csv(tmp_path / "r/summary.csv")["method"].to_list() == [
        "uni",
        "conch[2]",
        "gpfm",
    ]
    assert set(pl.read_csv(tmp_path / "r/winners.csv")["unresolved_with"]) == {"conch[2]", "uni"}
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    assert manifest["command"].startswith("pathfuse")
    assert manifest["left_out"] == []
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_several_sources_and_what_was_left_out(tmp_path, table, run_cli):
    (tmp_path / "more.csv").write_text(
        "study,method,metric,value\nx,uni,auroc,0.9\nx,gpfm,auroc,\n"
    )
    said = run_cli("rank", table, tmp_path / "more.csv", "--out", tmp_path / "r")
    assert said.status == 0
    assert "Left out: cells (1), they hold no value: x/gpfm." in said.out
    assert "Left out: studies (1), they have one method only: x." in said.out


def test_an_unknown_metric_needs_its_better_side(tmp_path, table, run_cli):
    table.write_text(GOOD.replace("auroc", "wobble"))
    assert (
        "say --higher-is-better or --lower-is-better"
        in run_cli("rank", table, "--out", tmp_path / "r").err
    )
    assert run_cli("rank", table, "--out", tmp_path / "low", "--lower-is-better").status == 0
    assert run_cli("rank", table, "--out", tmp_path / "high", "--higher-is-better").status == 0
    orders = [
        pl.read_csv(tmp_path / side / "summary.csv")["method"].to_list() for side in ("low", "high")
    ]
    assert (orders[0][0], orders[1][0]) == ("gpfm", "uni")


def test_an_existing_folder_needs_force(tmp_path, table, run_cli):
    (tmp_path / "r").mkdir()
    assert "exists already" in run_cli("rank", table, "--out", tmp_path / "r").err
    assert run_cli("rank", table, "--out", tmp_path / "r", "--force").status == 0
    assert (tmp_path / "r/ranking.html").exists()


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        (None, [], "scores.csv does not exist"),
        ("x,y\n1,2\n", [], "is not recognised by its columns (x, y)"),
        (HEADER, [], "has no row"),
        (GOOD + "s0,uni,auroc,0.5,,,c0\n", [], "study 's0' has the method 'uni' twice"),
        (HEADER + "a,x,auroc,0.9,,,\na,y,auroc,0.8,,,\n", [], "ranking needs two studies"),
        (
            HEADER + "a,x,auroc,0.9,,,\nb,x,auroc,0.8,,,\n",
            [],
            "ranking needs two methods that the studies share",
        ),
        (HEADER + "a,x,auroc,,,,\nb,x,auroc,,,,\n", [], "holds no value"),
        (
            HEADER + "a,x,auroc,high,,,\n",
            [],
            "column 'value', study 'a', method 'x': 'high' is not a number",
        ),
        (
            GOOD + "s0,uni,nll,0.5,,,c0\n",
            [],
            "the studies have several metrics (auroc, nll): name one with --metric",
        ),
        (GOOD, ["--metric", "f1"], "no study has the metric 'f1'; there are auroc"),
        (
            GOOD,
            ["--lower-is-better"],
            "the metric 'auroc' is better when higher; --lower-is-better contradicts that",
        ),
        (GOOD, ["--experts"], "--experts applies to result folders"),
        (
            GOOD,
            ["--cohorts", "COHORTS"],
            "column 'study': no study is named 'nowhere'; there are s0, s1",
        ),
        (GOOD, ["--cohorts", "ABSENT.csv"], "ABSENT.csv cannot be read"),
        (GOOD, ["--seed", "-1"], "--seed -1 is out of range"),
        (GOOD, ["TABLE"], "is given twice"),
        (GOOD, ["OTHER"], "study 's0' has the method 'uni' more than once, in"),
        (GOOD, ["MOVED"], "study 's0' has two cohorts, 'c0' and 'elsewhere', in different sources"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path, run_cli, change, options, complaint
):
    table, out = tmp_path / "scores.csv", tmp_path / "r"
    if change is not None:
        table.write_text(change)
    (tmp_path / "cohorts.csv").write_text("study,cohort\ns0,A\nnowhere,A\n")
    (tmp_path / "other.csv").write_text(GOOD)
    (tmp_path / "moved.csv").write_text(HEADER + "s0,new,auroc,0.5,,,elsewhere\n")
    words = {
        "COHORTS": "cohorts.csv",
        "TABLE": "scores.csv",
        "OTHER": "other.csv",
        "MOVED": "moved.csv",
    }
    given = [str(tmp_path / words[o]) if o in words else o for o in options]
    said = run_cli("rank", table, *given, "--out", out)
    assert said.status == 2
    assert complaint in said.err
    assert said.err.startswith("pathfuse: ")
    assert said.err.count("\n") == 1
    assert not out.exists()


def test_no_source_and_a_folder_without_study(tmp_path, run_cli):
    assert "there is no source to rank" in run_cli("rank", "--out", tmp_path / "r").err
    (tmp_path / "hollow").mkdir()
    said = run_cli("rank", tmp_path / "hollow", "--out", tmp_path / "r")
    assert (said.status, said.out) == (2, "")
    assert "hollow holds no study" in said.err
