"""Ranks from confusion matrices: clear orders, ties that stay ties, and studies that share their images."""

import numpy as np
import pytest

from pathfuse.dense.judging.judge import judge_dense
from pathfuse.dense.judging.leaderboard import RankedStudy, leaderboard
from pathfuse.errors import InputError

MODELS = {"clear": 0.95, "twin_a": 0.80, "twin_b": 0.80, "poor": 0.55}


def made_study(name: str, seed: int, n: int = 20, cohort: str | None = None) -> RankedStudy:
    rng = np.random.default_rng(seed)
    cms = {}
    for model, quality in MODELS.items():
        right = rng.binomial(500, np.clip(rng.normal(quality, 0.04, (n, 2)), 0, 1))
        cms[model] = np.stack([right[:, 0], 500 - right[:, 0], 500 - right[:, 1], right[:, 1]], 1).reshape(n, 2, 2)
    return RankedStudy(name, cohort or name, cms, [f"p{i}" for i in range(n)])


def test_unresolved_models_share_a_place():
    board = leaderboard([made_study("glas", 0)], n_resamples=300)
    place = dict(board.places.select("method", "place").iter_rows())
    worst = dict(board.places.select("method", "worst_place").iter_rows())
    assert place == {"clear": 1, "twin_a": 2, "twin_b": 2, "poor": 4}
    assert worst == {"clear": 1, "twin_a": 3, "twin_b": 3, "poor": 4}
    assert board.places["method"].to_list()[0] == "clear"
    twin = board.places.filter(method="twin_a").row(0, named=True)
    assert (twin["rank_ci_low"], twin["rank_ci_high"]) == (2, 3)


def test_a_place_agrees_with_the_paired_intervals_of_judging():
    study = made_study("glas", 3)
    verdict = judge_dense(study.cms, study.patients, 300, seed=5)
    pairs = verdict.comparisons.filter(metric="mDice", output="all")
    better = dict.fromkeys(MODELS, 0)
    for row in pairs.iter_rows(named=True):
        better[row["reference"]] += row["ci_low"] > 0
        better[row["method"]] += row["ci_high"] < 0
    found = leaderboard([study], n_resamples=300, seed=5).places
    assert dict(found.select("method", "place").iter_rows()) == {m: 1 + n for m, n in better.items()}


def test_mean_ranks_over_studies():
    studies = [made_study(f"set{i}", i) for i in range(12)]
    board = leaderboard(studies, n_resamples=200)
    rows = {row["method"]: row for row in board.summary.iter_rows(named=True)}
    assert (rows["clear"]["mean_rank"], rows["poor"]["mean_rank"]) == (1, 4)
    assert rows["twin_a"]["mean_rank"] + rows["twin_b"]["mean_rank"] == 5
    assert rows["twin_a"]["rank_ci_low"] <= rows["twin_a"]["mean_rank"] <= rows["twin_a"]["rank_ci_high"]
    assert rows["twin_a"]["cohort_ci_low"] < rows["twin_a"]["cohort_ci_high"]
    assert rows["clear"]["wins"] == 12
    assert {m: row["place"] for m, row in rows.items()}["poor"] == 4


def test_strategies_of_a_data_set_are_resampled_together():
    one = made_study("glas/frozen", 0, cohort="glas")
    other = RankedStudy("glas/lora", "glas", one.cms, one.patients)
    rows = leaderboard([one, other], n_resamples=200)
    alone = leaderboard([one], n_resamples=200)
    columns = ["method", "mean_rank", "rank_ci_low", "rank_ci_high"]
    assert rows.summary.select(columns).equals(alone.summary.select(columns))


def test_few_images_rank_without_resolving():
    board = leaderboard([made_study("tiny", 0, n=5)], n_resamples=50)
    assert board.places["place"].to_list() == [1, 1, 1, 1]
    assert board.places["ci_low"].is_null().all()
    assert board.summary["rank_ci_low"].is_null().all()


def test_refusals():
    with pytest.raises(InputError, match="'dice' is unknown"):
        leaderboard([made_study("a", 0)], metric="dice")
    lone = RankedStudy("a", "a", {"clear": made_study("a", 0).cms["clear"]}, [str(i) for i in range(20)])
    with pytest.raises(InputError, match="1 models in common"):
        leaderboard([lone])
