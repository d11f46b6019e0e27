"""A coarse expert helps where it knows more, and says nothing where it does not."""

import numpy as np
import polars as pl
import pytest

import pathfuse

CLASSES = ["adenoma", "cancer", "fat", "muscle"]
GROUP = {"adenoma": "epithelium", "cancer": "epithelium", "fat": "stroma", "muscle": "stroma"}


def study(with_coarse: bool, seed: int = 0) -> pathfuse.Study:
    """Two fine experts that tell classes apart inside a group but hardly the groups; one that knows
    groups only."""
    rng = np.random.default_rng(seed)
    n = 360
    y = np.arange(n) % 4
    ids = [f"s{i:03d}" for i in range(n)]
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "split": np.where(np.arange(n) < 200, "fit", "test"),
            "label": [CLASSES[c] for c in y],
        }
    )
    group = y // 2
    experts = {}
    for m in range(2):
        inside = (
            2.5 * np.eye(4)[y] + 2.5 * np.eye(4)[(y + 2) % 4]
        )  # the twin in the other group looks alike
        logits = inside + rng.normal(size=(n, 4))
        experts[f"fine_{m}"] = pl.DataFrame(
            {"sample_id": ids, **{f"logit_{c}": logits[:, k] for k, c in enumerate(CLASSES)}}
        )
    if with_coarse:
        logits = 3.0 * np.eye(2)[group] + rng.normal(size=(n, 2))
        names = ["logit_epithelium", "logit_stroma"]
        experts["coarse"] = pl.DataFrame(
            {"sample_id": ids, **{c: logits[:, k] for k, c in enumerate(names)}}
        )
    maps = {"coarse": GROUP} if with_coarse else None
    return pathfuse.read_study(samples, experts, label_maps=maps)


def fused_nll(result: pathfuse.Result) -> float:
    rows = result.metrics.filter((pl.col("method") == "fused") & (pl.col("metric") == "nll"))
    return float(rows["value"][0])


@pytest.mark.usefixtures("quick_inner_folds")
@pytest.mark.slow
def test_a_coarse_expert_helps_where_it_knows_the_group():
    without = pathfuse.fuse(study(False), n_resamples=20)
    with_coarse = pathfuse.fuse(study(True), n_resamples=20)
    assert fused_nll(with_coarse) < 0.6 * fused_nll(without)
    assert with_coarse.certificate["holds"]


def test_a_coarse_expert_needs_its_map():
    tables = study(True)
    samples = tables.samples.frame
    coarse = pl.DataFrame(
        {"sample_id": tables.samples.ids.tolist(), "logit_epithelium": 0.0, "logit_stroma": 1.0}
    )
    with pytest.raises(pathfuse.InputError, match="no sample has the label 'epithelium'"):
        pathfuse.read_study(samples, {"coarse": coarse})
