"""Published figures, recomputed from the published tables; skipped where ../shared is absent."""

from pathlib import Path

import numpy as np
import pytest

import pathfuse
from pathfuse.evaluation.ranking import ranks
from pathfuse.files.tables import read_table

DATA = Path(__file__).parents[2] / "shared/data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared is absent")

DENSE_RANKS = {
    "hoptimus_0": 4.08, "hoptimus_1": 4.36, "uni_v2": 5.03, "virchow_v1": 6.46, "kaiko-vitl14": 7.64,
    "lunit_vits8": 7.71, "uni_v1": 7.77, "conch_v1_5": 7.97, "hibou_l": 8.29, "gigapath": 8.36, "conch_v1": 9.61,
    "virchow_v2": 10.08, "phikon_v2": 10.76, "phikon": 11.24, "PathOrchestra": 12.83, "midnight12k": 14.61,
    "musk": 16.21,
}  # fmt: skip
"""docs/design/densebench.md, section 6."""
TASK_MEANS = {
    "Virchow2": 0.8297, "UNI": 0.8258, "H-optimus-0": 0.8245, "Prov-GigaPath": 0.8240, "UNI2": 0.8198,
    "H0-mini": 0.8173, "Virchow": 0.8095, "EXAONEPath": 0.8081, "GPFM": 0.8006, "Hibou": 0.8003, "CONCH": 0.7902,
    "Phikon": 0.7901, "Kaiko": 0.7883, "Phikon-v2": 0.7825, "TITAN": 0.7823, "cTranspath": 0.7264,
}  # fmt: skip
"""docs/design/statistics.md, section 2."""


@pytest.fixture(scope="module")
def dense():
    return pathfuse.rank([DATA / "densebench_leaderboard"])


@pytest.fixture(scope="module")
def tasks():
    return pathfuse.rank([DATA / "pathology_fm_benchmark_table"])


def test_mean_ranks_of_densebench(dense):
    found = {
        name: round(mean, 2)
        for name, mean in dense.summary.select("method", "mean_rank").iter_rows()
    }
    assert found == DENSE_RANKS
    assert list(found) == list(DENSE_RANKS)
    assert dense.manifest["studies"] == 90
    assert dense.manifest["cohorts"] == 18


def test_ranks_by_order_are_the_published_ones():
    frame = read_table(DATA / "densebench_leaderboard/leaderboard.csv").frame
    for _, cell in frame.group_by("dataset", "strategy"):
        mine = ranks(cell["Mean_Dice"].cast(float).to_numpy()[None], by_order=True)[0]
        np.testing.assert_array_equal(mine, cell["rank_mdice"].cast(float).to_numpy())


def test_fourteen_of_seventeen_reach_the_winner(dense):
    assert dense.manifest["mean_in_reach"] == pytest.approx(14.0, abs=0.05)
    assert 1 + dense.winners["n_unresolved"].mean() == pytest.approx(14.0, abs=0.05)
    assert (dense.winners["unresolved_with"].list.len() == dense.winners["n_unresolved"]).all()
    assert dense.ranks["unresolved"].sum() == pytest.approx(14.0 * 90, abs=4)


def test_strategies_of_a_data_set_are_no_independent_studies(dense):
    row = dense.pairs.row(0, named=True)
    assert (row["method"], row["reference"], row["n"], row["n_cohorts"]) == (
        "hoptimus_0",
        "hoptimus_1",
        90,
        18,
    )
    assert dense.friedman["cohorts"]["critical_difference"] == pytest.approx(
        dense.friedman["studies"]["critical_difference"] * 5**0.5
    )


def test_means_of_the_41_tasks(tasks):
    found = dict(tasks.summary.select("method", "mean_value").iter_rows())
    assert {name: round(found[name], 4) for name in TASK_MEANS} == TASK_MEANS
    assert len(found) == 32


def test_wins_of_the_41_tasks(tasks):
    wins = {name: n for name, n in tasks.summary.select("method", "wins").iter_rows() if n}
    known = {"Virchow2": 11, "UNI": 3, "H-optimus-0": 6, "Prov-GigaPath": 6, "UNI2": 4}
    assert {name: wins[name] for name in known} == known
    assert len(wins) == 14


def test_gap_oracle_and_reach_of_the_41_tasks(tasks):
    best = tasks.ranks.sort("value", descending=True).group_by("study", maintain_order=True).head(2)
    gaps = [own["value"][0] - own["value"][1] for _, own in best.group_by("study")]
    assert round(float(np.median(gaps)), 4) == 0.0060
    assert round(tasks.winners["value"].mean(), 4) == 0.8541
    assert round(tasks.winners["n_unresolved"].mean() / 31, 2) == 0.64


@pytest.mark.slow
def test_another_metric(tasks):
    other = pathfuse.rank([DATA / "pathology_fm_benchmark_table"], metric="auprc")
    assert other.manifest["metric"] == "AUPRC"
    assert other.summary["mean_rank"].to_list() != tasks.summary["mean_rank"].to_list()
