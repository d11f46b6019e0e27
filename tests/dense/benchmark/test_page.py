"""The leaderboard page: ranks that are ties unless resolved, gains of fusions, safe against names,
sortable."""

import re

import polars as pl
import pytest

from pathfuse.dense.benchmark.columns import FACTS, FIGURES, KEYS, PAIRS
from pathfuse.dense.benchmark.page import (
    SHOWN,
    boards,
    headline,
    mean_ranks,
    paired,
    rank_intervals,
    render,
)
from pathfuse.errors import InputError

NASTY = '<b>&"x'
MANIFEST = {"pathfuse": "1", "resamples": 1000, "warnings": [f"class '{NASTY}' is never hit"]}


def board(values, dataset="glas", strategy="lora", seed="0", **facts):
    """A leaderboard: every metric of a model is the same."""
    rows = [
        {
            "dataset": dataset, "strategy": strategy, "model": model, "seed": seed, "metric": metric,
            "kind": "fusion" if model in ("best_expert", "logitprod", "fused") else "model", "value": value,
            "ci_low": value - 0.05, "ci_high": value + 0.05, "n_images": 20, "n_patients": 12,
            "matched_modules": 8, "trainable_parameters": 123456, "memory_mb": 900.0, "seconds": 12.0,
            "size_policy": "multiple of 16", "pretraining": None, "note": None, **facts,
        }
        for model, value in values.items()
        for metric in SHOWN
    ]  # fmt: skip
    columns = {
        name: kind for name, kind in {**KEYS, **FIGURES, **FACTS}.items() if name != "output"
    }
    return pl.DataFrame(rows, schema=columns)


def pairs(*differences, dataset="glas", strategy="lora", seed="0"):
    rows = [
        {
            "dataset": dataset, "strategy": strategy, "seed": seed, "method": one, "reference": other,
            "metric": "mDice", "difference": (low + high) / 2, "ci_low": low, "ci_high": high,
            "p_value": 0.5, "test": "t", "p_holm": 0.5,
        }
        for one, other, low, high in differences
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=PAIRS)


def test_a_rank_is_a_tie_unless_the_paired_interval_lies_beyond_zero():
    found = rank_intervals(
        ["a", "b", "c"],
        pairs(
            ("a", "b", -0.01, 0.03),
            ("a", "c", 0.01, 0.05),
            ("b", "c", -0.02, 0.04),
            ("fused", "a", 0.1, 0.2),
        ),
    )
    assert found == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}
    # the other way round says the same
    turned = rank_intervals(["a", "c"], pairs(("c", "a", -0.05, -0.01)))
    assert turned == {"a": (1, 1), "c": (2, 2)}


def test_without_intervals_nothing_is_resolved():
    none = pairs(("a", "b", 0.1, 0.2)).with_columns(
        ci_low=pl.lit(None, pl.Float64), ci_high=pl.lit(None, pl.Float64)
    )
    assert rank_intervals(["a", "b"], none) == {"a": (1, 2), "b": (1, 2)}


def test_a_gain_is_turned_to_the_fusion():
    straight = paired("logitprod", "best_expert", pairs(("logitprod", "best_expert", -0.01, 0.05)))
    turned = paired("logitprod", "best_expert", pairs(("best_expert", "logitprod", -0.05, 0.01)))
    assert straight["difference"] == pytest.approx(0.02) == turned["difference"]
    assert (turned["ci_low"], turned["ci_high"]) == (-0.01, 0.05)
    assert paired("logitprod", "best_expert", pairs(("a", "b", 0, 1))) is None


def test_lines_are_ordered_and_fusions_are_not_ranked():
    table = board({"a": 0.7, "b": 0.8, "best_expert": 0.8, "logitprod": 0.85})
    (one,) = boards(
        table, pairs(("a", "b", -0.2, -0.05), ("best_expert", "logitprod", -0.06, -0.04)), []
    )
    assert [line.name for line in one.lines] == ["logitprod", "b", "best_expert", "a"]
    assert [line.place for line in one.lines] == ["—", "1", "—", "2"]
    assert one.winner.name == "b"
    assert one.tied == ()
    assert one.lines[0].gain["ci_low"] == 0.04
    assert one.lines[2].gain is None


def test_several_seeds_are_one_line_with_their_range():
    table = pl.concat(
        [
            board({"a": 0.6, "b": 0.5}, seed="0"),
            board({"a": 0.8}, seed="1"),
            board({"a": 0.7, "b": 0.5}, seed="all"),
        ]
    )
    (one,) = boards(table, pairs(("a", "b", 0.1, 0.3), seed="all"), [])
    assert [(line.name, line.of_seeds) for line in one.lines] == [("a", (0.6, 0.8)), ("b", (0.5,))]
    assert one.lines[0].metrics["mDice"]["value"] == 0.7
    text = render(table, pairs(("a", "b", 0.1, 0.3), seed="all"), [], MANIFEST)
    assert "0.600–0.800" in text


def test_mean_ranks_count_models_that_stand_everywhere():
    table = pl.concat(
        [board({"a": 0.7, "b": 0.8, "c": 0.9}), board({"a": 0.7, "b": 0.7}, strategy="cnn")]
    )
    found = mean_ranks(list(boards(table, pairs(), [])))
    assert [(row["model"], row["mean_rank"], row["wins"]) for row in found] == [
        ("b", 1.25, 2),
        ("a", 1.75, 1),
    ]
    assert mean_ranks(list(boards(board({"a": 0.7, "b": 0.8}), pairs(), []))) == []


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


def test_the_page_is_self_contained_complete_and_safe():
    table = board({NASTY: 0.7, "b": 0.8, "best_expert": 0.8, "logitprod": 0.85}, note=NASTY)
    failed = [
        {
            "dataset": "kumar",
            "strategy": "cnn",
            "model": NASTY,
            "seed": 3,
            "sentence": f"{NASTY} broke",
        }
    ]
    known = pairs(("b", NASTY, -0.1, 0.2), ("logitprod", "best_expert", 0.01, 0.09))
    text = render(table, known, failed, MANIFEST)
    assert NASTY not in text
    assert "broke" in text
    assert "123,456" in text
    assert not re.search(r'(src|href)="(?!#)', text)
    assert text.count("data-sortable") >= 2
    for rows in re.findall(r"<table.*?</table>", text, re.S):
        widths = {len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr.*?</tr>", rows, re.S)}
        assert len(widths) == 1
    assert text == render(table, known, failed, MANIFEST)


def test_a_metric_that_does_not_exist_is_refused():
    table = board({"a": 0.5}).with_columns(metric=pl.lit("mDyce"))
    with pytest.raises(InputError, match="no metric of segmentation 'mDyce'; known are mDice"):
        list(boards(table, pairs(), []))


def test_a_grid_without_a_single_result_has_a_page():
    failed = [
        {"dataset": "kumar", "strategy": "cnn", "model": "a", "seed": 3, "sentence": "too small"}
    ]
    assert "could not be evaluated" not in render(board({"a": 0.5}), pairs(), [], MANIFEST)
    assert "No cell of the benchmark could be evaluated" in render(
        board({}), pairs(), failed, MANIFEST
    )
