"""The pages of a benchmark: complete, safe against names, sortable, without a request."""

import importlib.util
import re
from pathlib import Path

import polars as pl
import pytest

from pathfuse.dense.benchmark.boards import boards
from pathfuse.dense.benchmark.dataset_page import render_datasets
from pathfuse.dense.benchmark.examples import Example
from pathfuse.dense.benchmark.page import headline, render

spec = importlib.util.spec_from_file_location("made_up", Path(__file__).with_name("made_up.py"))
made_up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made_up)
MANIFEST = made_up.MANIFEST
NASTY = made_up.NASTY
board = made_up.board
pairs = made_up.pairs
tables = made_up.tables


def test_the_headline_counts_ties_gains_and_failures():
    table = board({"a": 0.7, "b": 0.8, "best_expert": 0.8, "logitprod": 0.85, "fused": 0.79})
    known = pairs(
        ("a", "b", -0.2, 0.05),
        ("best_expert", "logitprod", -0.06, -0.04),
        ("fused", "best_expert", -0.02, 0.0),
    )
    failed = [
        {
            "dataset": "glas",
            "strategy": "lora",
            "model": "c",
            "seed": 0,
            "sentence": "no module matches",
        }
    ]
    said = headline(list(boards(table, known, failed)), failed)
    assert "In 1 of 1 tables the best model cannot be told from another." in said
    assert (
        "at or above the single model that validation chose in 0 of 1, with its whole interval in 0."
        in said
    )
    assert said.endswith("1 cell failed.")


def strategy_line(strategy, value, metric="mDice"):
    return {
        "dataset": "glas", "strategy": strategy, "metric": metric, "value": value, "ci_low": value - 0.1,
        "ci_high": value + 0.1, "n_models": 2, "n_images": 20, "n_patients": 12,
    }  # fmt: skip


def strategy_pair(model, difference):
    return {
        "dataset": "glas", "model": model, "strategy": "frozen", "reference": "lora", "metric": "mDice",
        "difference": difference, "ci_low": difference - 0.01, "ci_high": difference + 0.01, "p_value": 0.01,
        "test": "t", "p_holm": 0.0123,
    }  # fmt: skip


@pytest.fixture
def made():
    """Two strategies, two models, one with a name that would break a page; a failed cell elsewhere."""
    both = [
        board({NASTY: 0.7, "b": 0.8, "best_expert": 0.8, "fused": 0.85}, strategy=one, note=NASTY)
        for one in ("frozen", "lora")
    ]
    failed = [
        {
            "dataset": "kumar",
            "strategy": "cnn",
            "model": NASTY,
            "seed": 3,
            "sentence": f"{NASTY} broke",
        }
    ]
    known = pairs(("b", NASTY, -0.1, 0.2), ("fused", "best_expert", 0.01, 0.09))
    figures = [strategy_line("frozen", 0.7), strategy_line("lora", 0.75)]
    compared = [strategy_pair(name, -0.05) for name in (NASTY, "b", "all")]
    return tables(pl.concat(both), known, figures, compared), failed


def rows_are_even(text):
    for rows in re.findall(r"<table.*?</table>", text, re.S):
        widths = {len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr.*?</tr>", rows, re.S)}
        assert len(widths) == 1, rows


def test_the_pages_are_self_contained_complete_and_safe(made):
    found, failed = made
    shown = {("glas", "lora"): [Example("worst", NASTY, "fused", 0.4, b"png")]}
    text = render(found, failed, MANIFEST)
    pages = render_datasets(found, failed, MANIFEST, shown, "leaderboard.html")
    assert list(pages) == ["datasets/glas.html", "datasets/kumar.html"]
    for page in (text, *pages.values()):
        assert NASTY not in page
        linked = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
        kept = {"datasets/glas.html", "datasets/kumar.html", "../leaderboard.html"}
        assert {one.partition("#")[0] for one in linked if not one.startswith("data:")} <= kept
        rows_are_even(page)
    assert "broke" in text
    assert "broke" in pages["datasets/kumar.html"]
    assert "123,456" in pages["datasets/glas.html"]
    assert text == render(found, failed, MANIFEST)


def test_strategies_stand_best_first_with_their_paired_difference(made):
    text = render(*made, MANIFEST)
    table = text[text.index('id="strategies"') :]
    assert table.index(">lora<") < table.index(">frozen<")
    assert '<td data-value="0.05">+0.050' in table  # turned round: lora less frozen
    assert "0.012" in table


def test_each_models_gain_by_a_strategy_is_on_the_page_of_its_data_set(made):
    page = render_datasets(*made, MANIFEST, {}, "leaderboard.html")["datasets/glas.html"]
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(.*?)</th>.*?</tr>", page, re.S)
    assert rows[0] == "fused" or "fused" in rows
    assert "mean over models" in rows
    assert page.count('data-value="0.05"') == 3


def test_several_seeds_show_their_range():
    table = pl.concat(
        [board({"a": 0.6}, seed="0"), board({"a": 0.8}, seed="1"), board({"a": 0.7}, seed="all")]
    )
    (page,) = render_datasets(tables(table, pairs()), [], MANIFEST, {}, "x.html").values()
    assert "0.600–0.800" in page


def test_a_grid_without_a_single_result_has_a_page():
    failed = [
        {"dataset": "kumar", "strategy": "cnn", "model": "a", "seed": 3, "sentence": "too small"}
    ]
    nothing = tables(board({}), pairs())
    assert "could not be evaluated" not in render(tables(board({"a": 0.5}), pairs()), [], MANIFEST)
    assert "No cell of the benchmark could be evaluated" in render(nothing, failed, MANIFEST)
    assert (
        "too small"
        in render_datasets(nothing, failed, MANIFEST, {}, "x.html")["datasets/kumar.html"]
    )
