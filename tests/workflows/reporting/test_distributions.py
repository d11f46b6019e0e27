"""``distributions.csv``: predictions by what happened, in a bounded number of lines."""

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.evaluation.prediction_spread import LEVELS, N_BINS

N = 60
IDS = [f"s{i:02d}" for i in range(N)]


def table_of(target, experts, **options):
    frame = pl.DataFrame({"sample_id": IDS, **target})
    frames = {name: pl.DataFrame({"sample_id": IDS, **own}) for name, own in experts.items()}
    study = pathfuse.read_study(frame, frames, **options)
    return pathfuse.evaluate(study, n_resamples=0).tables.get("distributions")


def median(table, **where):
    (found,) = table.filter(figure="quantile", x=0.5, **where)["y"].to_list()
    return found


def test_two_classes_show_the_probability_of_the_positive_one():
    logit, yes = np.linspace(-3, 3, N), np.arange(N) % 2 == 1
    experts = {m: {"logit_no": np.zeros(N), "logit_yes": logit} for m in ("one", "two")}
    table = table_of({"label": np.where(yes, "yes", "no").tolist()}, experts)
    assert set(table["what"]) == {"probability of yes"}
    assert table.height == 2 * 2 * (N_BINS + len(LEVELS))
    prob = 1 / (1 + np.exp(-logit))
    for name, side in (("yes", yes), ("no", ~yes)):
        found = median(table, method="one", group=name)
        assert found == pytest.approx(np.median(prob[side]), abs=1e-6)
    sums = table.filter(figure="density").group_by("method", "group").agg(pl.col("y").sum())
    assert sums["y"].to_numpy() == pytest.approx(np.ones(4))


def test_several_classes_show_the_probability_of_the_true_one():
    rng = np.random.default_rng(0)
    truth, prob = np.arange(N) % 3, rng.dirichlet(np.ones(3), size=N)
    own = {f"prob_{c}": prob[:, k] for k, c in enumerate("abc")}
    table = table_of({"label": np.array(list("abc"))[truth].tolist()}, {"one": own, "two": own})
    assert table["group"].unique(maintain_order=True).to_list() == ["a", "b", "c"]
    found = median(table, method="two", group="b")
    assert found == pytest.approx(np.median(prob[truth == 1, 1]), abs=1e-6)


def test_survival_shows_risk_by_what_happened_until_the_middle_edge():
    rng = np.random.default_rng(1)
    time, event = rng.uniform(0.1, 3.9, size=N), np.arange(N) % 2
    own = {f"hazard_{k}": rng.uniform(0.1, 0.6, size=N) for k in (1, 2)}
    edges = (0.0, 2.0, float("inf"))
    table = table_of(
        {"time": time.tolist(), "event": event.tolist()}, {"one": own, "two": own}, time_edges=edges
    )
    assert set(table["group"]) == {"event by 2", "censored before 2", "no event by 2"}
    early = (time <= 2) & (event == 1)
    found = median(table, method="one", group="event by 2")
    assert found == pytest.approx(np.median(own["hazard_1"][early]), abs=1e-6)
    counts = table.unique(["group", "method"])["n"].sum()
    assert counts == 2 * N


def test_numbers_have_none():
    truth = np.linspace(0, 1, N)
    experts = {m: {"mean_a": truth} for m in ("one", "two")}
    assert table_of({"target_a": truth.tolist()}, experts) is None
