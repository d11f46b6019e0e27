"""Lines of a table: ranks that are ties unless resolved, gains of fusions, several seeds."""

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from pathfuse.dense.benchmark.boards import boards, paired, rank_intervals
from pathfuse.errors import InputError

spec = importlib.util.spec_from_file_location("made_up", Path(__file__).with_name("made_up.py"))
made_up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made_up)
board = made_up.board
pairs = made_up.pairs


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


def test_a_metric_that_does_not_exist_is_refused():
    table = board({"a": 0.5}).with_columns(metric=pl.lit("mDyce"))
    with pytest.raises(InputError, match="no metric of segmentation 'mDyce'; known are mDice"):
        list(boards(table, pairs(), []))
