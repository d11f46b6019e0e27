"""A leaderboard of ``dense run`` as studies to rank."""

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.importers import dense_leaderboard
from pathfuse.study.importers.scored_studies import read_scores


def line(strategy, model, value, seed="0", metric="mDice", kind="model", **more):
    return {
        "dataset": "glas", "strategy": strategy, "model": model, "kind": kind, "seed": seed, "metric": metric,
        "value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "n_images": 20, "n_patients": 12, **more,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Two strategies; the second was trained with two seeds. Beside it a table of classes."""
    lines = [
        line("frozen", "a", 0.6),
        line("frozen", "b", 0.7),
        line("frozen", "b", 0.3, metric="aji"),
    ]
    lines += [line("lora", name, value, seed) for seed, shift in (("0", -0.1), ("1", 0.1), ("all", 0))
              for name, value in (("a", 0.8 + shift), ("b", 0.5 + shift))]  # fmt: skip
    pl.DataFrame(lines).write_csv(tmp_path / "leaderboard.csv")
    pairs = [
        {"dataset": "glas", "strategy": "frozen", "seed": "0", "method": "a", "reference": "b", "metric": "mDice",
         "difference": -0.1, "ci_low": -0.2, "ci_high": 0.1},
    ]  # fmt: skip
    pl.DataFrame(pairs).write_csv(tmp_path / "comparisons.csv")
    pl.DataFrame([line("frozen", "a", 0.1, output="gland")]).write_csv(tmp_path / "classes.csv")
    return tmp_path


def test_a_study_is_a_data_set_under_a_strategy_and_all_seeds_count_once(folder):
    for source in (folder, folder / "leaderboard.csv"):
        (board,) = read_scores([source])
        assert board.format == dense_leaderboard.NAME
        assert board.default_metric == "mDice"
        own = board.scores.filter(pl.col("metric") == "mDice")
        assert own.select("study", "cohort", "method", "value").rows() == [
            ("glas/frozen", "glas", "a", 0.6),
            ("glas/frozen", "glas", "b", 0.7),
            ("glas/lora", "glas", "a", 0.8),
            ("glas/lora", "glas", "b", 0.5),
        ]
        assert board.paired.rows() == [("glas/frozen", "mDice", "a", "b", -0.2, 0.1)]
        assert len(board.inputs) == 2


def test_a_table_of_classes_is_no_leaderboard(folder):
    classes = pl.read_csv(folder / "classes.csv").columns
    assert not dense_leaderboard.recognises(classes)
    assert dense_leaderboard.recognises([name for name in classes if name != "output"])


def test_a_model_that_stands_twice_is_refused(folder):
    lines = [line("frozen", "a", 0.6), line("frozen", "a", 0.7)]
    pl.DataFrame(lines).write_csv(folder / "leaderboard.csv")
    with pytest.raises(InputError, match="has the method 'a' twice"):
        read_scores([folder])
