"""What the report draws, from a study: curves, sites, and which rows they speak of."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import pathfuse
from pathfuse.workflows.steps.curves import MAX_OUTPUTS, MAX_POINTS

SITES = {"Bern": 30, "Basel": 12, "Chur": 3}


def binary(seed=0, n=90, **columns):
    rng = np.random.default_rng(seed)
    ids, label = [f"s{i:03d}" for i in range(n)], rng.integers(2, size=n)
    label[: n // 2][:2] = label[n // 2 :][:2] = [0, 1]
    samples = pl.DataFrame({
        "sample_id": ids, "label": np.array(["benign", "tumor"])[label],
        "split": np.repeat(["fit", "test"], [n // 2, n - n // 2]), **columns,
    })  # fmt: skip
    experts = {
        f"expert_{m}": pl.DataFrame({
            "sample_id": ids, "logit_benign": np.zeros(n), "logit_tumor": rng.normal(size=n) + 2 * label - 1,
        })
        for m in range(2)
    }  # fmt: skip
    return samples, experts


@pytest.fixture(scope="module")
def sited():
    """45 fit and 45 test rows; the test rows come from three sites and one has none."""
    places = [name for name, n in SITES.items() for _ in range(n)]
    places[0] = None
    samples, experts = binary(site=["Bern"] * 45 + places)
    return samples, pathfuse.fuse(
        pathfuse.read_study(samples=samples, predictions=experts), n_resamples=0
    )


def test_roc_curves_have_the_area_of_the_metrics(sited):
    _, result = sited
    table = result.curves.filter(pl.col("figure") == "roc")
    areas = dict(
        result.metrics.filter(pl.col("metric") == "auroc").select("method", "value").iter_rows()
    )
    assert set(table["group"]) == {"tumor"}
    assert set(table["method"]) == set(areas) - {"null_model"}  # its curve is the diagonal
    for (method,), own in table.group_by("method"):
        assert np.trapezoid(own["y"], own["x"]) == pytest.approx(areas[method])


def test_disagreement_speaks_of_all_judged_rows(sited):
    _, result = sited
    table = result.curves.filter(pl.col("figure") == "disagreement")
    assert table["n"].sum() == 45
    nll = result.metrics.filter((pl.col("method") == "fused") & (pl.col("metric") == "nll"))[
        "value"
    ][0]
    assert np.average(table["y"], weights=table["n"]) == pytest.approx(nll)
    assert table["x"].is_sorted()


def test_sites_are_judged_on_their_own_rows(sited):
    samples, result = sited
    rows = samples.join(result.fused, on="sample_id").filter(pl.col("site") == "Bern")
    said = dict(
        result.sites.filter((pl.col("site") == "Bern") & (pl.col("method") == "fused"))
        .select("metric", "value")
        .iter_rows()
    )
    truth = (rows["label"] == "tumor").to_numpy()
    assert said["auroc"] == pytest.approx(roc_auc_score(truth, rows["prob_tumor"]))
    assert said["nll"] == pytest.approx(log_loss(truth, rows["prob_tumor"]))
    assert set(result.sites["method"]) == {"fused", "best_expert"}


def test_small_sites_say_so(sited):
    _, result = sited
    found = {row["site"]: row for row in result.sites.iter_rows(named=True)}
    assert {site: row["n"] for site, row in found.items()} == {
        "Bern": 29,
        "Basel": 12,
        "Chur": 3,
        "(none)": 1,
    }
    assert found["Chur"]["value"] is None
    assert found["Chur"]["note"] == "3 samples, fewer than 10"
    assert found["(none)"]["note"] == "1 sample, fewer than 10"
    assert found["Bern"]["note"] == ""


@pytest.mark.slow
def test_sites_follow_patients_that_are_averaged():
    samples, experts = binary(seed=3, n=120, site=["east"] * 60 + ["east"] * 30 + ["west"] * 30)
    twice = pl.concat([samples, samples.with_columns(sample_id=pl.col("sample_id") + "b")])
    twice = twice.with_columns(patient_id=pl.col("sample_id").str.head(4))
    both = {
        name: pl.concat([e, e.with_columns(sample_id=pl.col("sample_id") + "b")])
        for name, e in experts.items()
    }
    study = pathfuse.read_study(samples=twice, predictions=both)
    result = pathfuse.fuse(study, method="uniform_product", n_resamples=0, unit="patient")
    once = pathfuse.read_study(samples=samples, predictions=experts)
    plain = pathfuse.fuse(once, method="uniform_product", n_resamples=0)
    assert result.sites.equals(plain.sites)


def test_without_sites_there_is_no_table(sited):
    samples, experts = binary()
    result = pathfuse.fuse(pathfuse.read_study(samples=samples, predictions=experts), n_resamples=0)
    assert result.sites is None
    assert result.manifest["risk_groups"] is None


def test_evaluate_shows_what_it_can():
    samples, experts = binary(site=["a"] * 45 + ["a"] * 20 + ["b"] * 25)
    result = pathfuse.evaluate(
        pathfuse.read_study(samples=samples.drop("split"), predictions=experts), n_resamples=0
    )
    assert set(result.curves["figure"]) == {"roc", "disagreement"}
    assert set(result.sites["method"]) == {"uniform_product"}


def followed_up(copies=1):
    """160 patients and two experts; with copies, as many equal slides of every patient."""
    rng = np.random.default_rng(1)
    n = 160
    ids, time = [f"s{i:03d}" for i in range(n)], rng.exponential(30, size=n) + 0.1
    samples = pl.DataFrame({
        "sample_id": ids, "time": time, "event": rng.integers(2, size=n), "split": ["fit", "test"] * 80,
        "site": ["a"] * 100 + ["b"] * 60,
    })  # fmt: skip
    experts = {
        f"e{m}": pl.DataFrame({
            "sample_id": ids,
            **{f"hazard_logit_{k}": -1.0 - 0.05 * (time - 30) + rng.normal(size=n) for k in (1, 2, 3)},
        })
        for m in range(2)
    }  # fmt: skip

    def slides(table):
        return pl.concat(
            table.with_columns(sample_id=pl.format("{}_{}", "sample_id", pl.lit(c)))
            for c in range(copies)
        )

    samples = slides(samples.with_columns(patient_id="sample_id"))
    experts = {name: slides(table) for name, table in experts.items()}
    return pathfuse.read_study(samples=samples, predictions=experts, time_edges=[0, 12, 36, np.inf])


@pytest.fixture(scope="module")
def survival():
    return pathfuse.fuse(followed_up(), n_resamples=0)


def test_survival_by_risk_group(survival):
    table = survival.curves.filter(pl.col("figure") == "kaplan_meier")
    first = table.group_by("group", maintain_order=True).first()
    assert first["group"].to_list() == ["low risk", "middle risk", "high risk"]
    assert (first["x"].to_list(), first["y"].to_list()) == ([0] * 3, [1] * 3)
    assert first["n"].sum() == 80
    assert max(first["n"]) - min(first["n"]) <= 1
    test = survival.manifest["risk_groups"]
    assert 0 < test["p_value"] < 0.05
    assert (test["groups"], test["degrees"], test["method"]) == (3, 2, "fused")
    assert set(survival.sites["metric"]) == {"nll", "c_index"}


def test_risk_groups_count_patients_not_slides():
    """Every slide five times: the same patients, so the same groups, curves and test."""
    once, again = (pathfuse.evaluate(followed_up(copies), n_resamples=0) for copies in (1, 5))
    for key in ("statistic", "p_value"):
        assert again.manifest["risk_groups"][key] == pytest.approx(
            once.manifest["risk_groups"][key]
        )
    curves = [one.curves.filter(pl.col("figure") == "kaplan_meier") for one in (again, once)]
    assert curves[0].equals(curves[1])


@pytest.mark.slow
def test_many_targets_stay_small():
    rng = np.random.default_rng(2)
    n, g = 60, 40
    ids, truth = [f"s{i:03d}" for i in range(n)], rng.normal(size=(n, g))
    samples = pl.DataFrame({
        "sample_id": ids, "split": ["fit", "test"] * 30, **{f"target_g{k:02d}": truth[:, k] for k in range(g)},
    })  # fmt: skip
    experts = {
        f"e{m}": pl.DataFrame({
            "sample_id": ids, **{f"mean_g{k:02d}": truth[:, k] + rng.normal(size=n) for k in range(g)},
        })
        for m in range(2)
    }  # fmt: skip
    result = pathfuse.fuse(pathfuse.read_study(samples=samples, predictions=experts), n_resamples=0)
    for _, own in result.curves.group_by("figure"):
        assert own["output"].n_unique() == MAX_OUTPUTS
    assert result.curves.filter(pl.col("figure") == "predicted").height <= MAX_POINTS
