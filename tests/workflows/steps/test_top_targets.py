"""``--top-genes``: the targets that vary most in the fit rows, whatever the judged rows hold."""

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.errors import InputError

N = 40


def tables(scale_of_judged=1.0):
    rng = np.random.default_rng(6)
    ids = [f"s{k:02d}" for k in range(N)]
    split = np.array(["fit", "test"] * (N // 2))
    targets, means = {}, {}
    for name, scale in (("a", 1.0), ("b", 5.0), ("c", 0.2), ("d", 3.0)):
        y = rng.normal(size=N) * scale
        y[split == "test"] *= scale_of_judged if name == "c" else 1.0
        targets[f"target_{name}"], means[f"mean_{name}"] = y, y + rng.normal(size=N)
    samples = pl.DataFrame({"sample_id": ids, "patient_id": ids, "split": split, **targets})
    other = {name: values + rng.normal(size=N) for name, values in means.items()}
    return samples, {
        name: pl.DataFrame({"sample_id": ids, **columns})
        for name, columns in (("x", means), ("y", other))
    }


@pytest.mark.parametrize("scale_of_judged", [1.0, 1000.0])
def test_the_choice_is_made_on_fit_rows(quick_inner_folds, scale_of_judged):
    study = pathfuse.read_study(*tables(scale_of_judged))
    result = pathfuse.fuse(study, method="static_product", n_resamples=0, top_genes=2)
    assert result.manifest["endpoint"]["targets"] == ["b", "d"]
    assert result.manifest["endpoint"]["left_out"] == ["a", "c"]
    assert result.manifest["notes"][0].startswith("the 2 of 4 targets with the largest variance")
    assert set(result.metrics["output"]) == {"b", "d", "all"}
    assert result.fused["mean_a"].null_count() + result.fused["mean_a"].is_nan().sum() == N // 2


def test_more_than_there_are_keeps_all(quick_inner_folds):
    study = pathfuse.read_study(*tables())
    result = pathfuse.fuse(study, method="static_product", n_resamples=0, top_genes=9)
    assert len(result.manifest["endpoint"]["targets"]) == 4
    assert "all were kept" in result.manifest["notes"][0]


def test_sections_bring_their_metric(quick_inner_folds):
    samples, experts = tables()
    patients = [f"p{k // 4}" for k in range(N)]
    spots = samples.with_columns(
        patient_id=pl.Series(patients),
        split=pl.Series(["fit", "test"])[(np.arange(N) // 4 % 2).tolist()],
        section=pl.Series([f"S{k // 4}" for k in range(N)]),
    )
    study = pathfuse.read_study(spots, experts)
    result = pathfuse.fuse(study, method="static_product", n_resamples=0)
    value = result.metrics.filter(method="x", output="a", metric="pearson_within")["value"].item()
    found = spots.join(experts["x"], on="sample_id").filter(split="test")
    wanted = [
        np.corrcoef(one["target_a"], one["mean_a"])[0, 1] for _, one in found.group_by("patient_id")
    ]
    assert value == pytest.approx(np.mean(wanted), rel=1e-9)
    assert result.gains.filter(method="fused", metric="rmse")["gain_percent"].item() is not None
    plain = pathfuse.fuse(
        pathfuse.read_study(spots.drop("section"), experts), method="static_product", n_resamples=0
    )
    assert "pearson_within" not in set(plain.metrics["metric"])


def test_other_endpoints_have_no_genes(simulate):
    samples, experts = simulate()
    with pytest.raises(InputError, match="--top-genes is for regression"):
        pathfuse.fuse(pathfuse.read_study(samples, experts), top_genes=3)
