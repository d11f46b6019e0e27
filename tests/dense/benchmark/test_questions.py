"""What a whole benchmark answers: mean ranks, size, ablations, against values counted by hand."""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pathfuse.dense.benchmark.figures import drawings
from pathfuse.dense.benchmark.questions import ablation, mean_ranks, scaling

spec = importlib.util.spec_from_file_location("made_up", Path(__file__).with_name("made_up.py"))
made_up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made_up)
board = made_up.board


def test_mean_ranks_count_models_that_stand_everywhere():
    table = pl.concat(
        [board({"a": 0.7, "b": 0.8, "c": 0.9}), board({"a": 0.7, "b": 0.7}, strategy="cnn")]
    )
    found = mean_ranks(table, "model")
    assert [(one.name, one.mean_rank, one.wins) for one in found] == [
        ("b", 1.25, 2),
        ("a", 1.75, 1),
    ]
    assert found[0].ci_low is None  # one data set
    assert mean_ranks(board({"a": 0.7, "b": 0.8}), "model") == []


def test_strategies_are_ranked_over_models_and_fusions_are_not_counted():
    table = pl.concat(
        [
            board({"a": 0.7, "b": 0.8, "fused": 0.1}, strategy="frozen"),
            board({"a": 0.8, "b": 0.9, "fused": 0.9, "c": 0.1}, strategy="lora"),
        ]
    )
    found = mean_ranks(table, "strategy")
    assert [(one.name, one.mean_rank, one.n_cells) for one in found] == [
        ("lora", 1.0, 2),
        ("frozen", 2.0, 2),
    ]


def test_ten_data_sets_give_mean_ranks_their_intervals():
    rng = np.random.default_rng(0)
    table = pl.concat(
        [
            board({"a": 0.6 + 0.1 * rng.random(), "b": 0.65}, dataset=f"d{k}", strategy=strategy)
            for k in range(10)
            for strategy in ("frozen", "lora")
        ]
    )
    for one in mean_ranks(table, "model"):
        assert one.n_datasets == 10
        assert one.ci_low <= one.mean_rank <= one.ci_high


def test_all_seeds_count_once():
    table = pl.concat(
        [
            board({"a": 0.1, "b": 0.2}, seed="0"),
            board({"a": 0.9, "b": 0.2}, seed="1"),
            board({"a": 0.5, "b": 0.2}, seed="all"),
            board({"a": 0.5, "b": 0.2}, strategy="cnn"),
        ]
    )
    first = mean_ranks(table, "model")[0]
    assert (first.name, first.mean, first.n_cells) == ("a", 0.5, 2)


def sized(values, strategy="lora", **facts):
    """Models of 10, 20, ... million parameters."""
    return pl.concat(
        [
            board({f"m{k}": value}, strategy=strategy, encoder_parameters=(k + 1) * 10**7, **facts)
            for k, value in enumerate(values)
        ]
    )


def test_size_is_held_against_dice_by_spearman():
    values = [0.5, 0.7, 0.6, 0.8, 0.75]
    (found,) = scaling(sized(values))
    assert found.rho == pytest.approx(stats.spearmanr(range(5), values).statistic)
    assert found.ci_low < found.rho < found.ci_high <= 1
    assert found.parameters_m == (10, 20, 30, 40, 50)
    assert scaling(sized(values[:4])) == []  # four models say nothing


def test_an_axis_of_the_grid_is_averaged_over_models_that_have_all_of_it():
    table = pl.concat(
        [
            board({"a": 0.5, "b": 0.7}, strategy="lora-r4", base_strategy="lora", rank=4),
            board(
                {"a": 0.6, "b": 0.8, "c": 0.1}, strategy="lora-r16", base_strategy="lora", rank=16
            ),
            board({"a": 0.4, "b": 0.4}, strategy="frozen"),
        ]
    )
    found = ablation(table, "rank")
    assert found.rows() == [
        ("lora", "glas", 4.0, pytest.approx(0.6), 2),
        ("lora", "glas", 16.0, pytest.approx(0.7), 2),
    ]
    assert ablation(table, "size_px").height == 0


def test_entries_of_one_adaptation_are_series_of_their_own():
    rows = {"lora-r4": 0.5, "lora-r16": 0.6, "even-r4": 0.9, "even-r16": 0.7}
    table = pl.concat(
        [
            board({"a": value}, strategy=name, base_strategy="lora", rank=int(name.split("-r")[1]))
            for name, value in rows.items()
        ]
    )
    assert ablation(table, "rank").select("series", "at", "value").rows() == [
        ("even", 4.0, 0.9),
        ("even", 16.0, 0.7),
        ("lora", 4.0, 0.5),
        ("lora", 16.0, 0.6),
    ]


def test_two_axes_make_a_series_of_each_other():
    table = pl.concat(
        [
            board({"a": 0.5 + rank / 100 + px / 10_000}, strategy=f"lora-r{rank}-{px}px", base_strategy="lora",
                  rank=rank, size_px=px)
            for rank in (4, 16)
            for px in (224, 448)
        ]
    )  # fmt: skip
    assert set(ablation(table, "rank")["series"]) == {"lora-224px", "lora-448px"}
    names = [one.name for one in drawings(table)]
    assert names == ["strategies", "rank", "size_px", "cost"]
