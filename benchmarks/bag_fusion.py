"""Fusion of features and of predictions on bags of tiles: Meta-Encoder and FuseCPath next to single
heads, their fusion and the pooled reference.

A made-up cohort (``pathfuse.testing.cohort``: the signal sits in a few tiles of a slide, and each of
three encoders sees a part of it) of ``PATIENTS`` patients with about two slides each, as a user would
run it: ``study.yaml`` with defaults, here with one network per part so that it takes minutes.
Two fifths of the patients are judged. ``gain_percent`` is that of the NLL over the mean of the three
attention-MIL experts, the single models; ``cpu_s`` and ``parameters`` are those of the model of all
fit rows and its folds together, as the manifests have them.

    python -m benchmarks bag_fusion
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.feature_fusion import gain_in_percent, on_one_core
from pathfuse.testing.cohort import CohortPlan, write_cohort
from pathfuse.testing.latent import UM_PER_PX
from pathfuse.workflows.study_file.config import read_config
from pathfuse.workflows.study_file.run import run_study

PATIENTS, SEED = 240, 0
SINGLE = "abmil"
ONE = {"networks": 1}
HEADS = ("abmil", "pooled_linear", "pooled_kernel", "pooled_forest")
FUSED = ("meta_encoder", "fusecpath", "pooled_linear", "pooled_forest")
Row = dict[str, object]


@on_one_core
def bag_fusion() -> list[Row]:
    """One row per expert and for the fusions of predictions, best NLL first."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cohort = write_cohort(place, CohortPlan(n_patients=PATIENTS, seed=SEED))
        study = {
            "samples": str(cohort.labels),
            "slides": str(cohort.slides),
            "features": {name: str(files) for name, files in cohort.features.items()},
            "experts": [_planned(head) for head in HEADS],
            "fused": [
                {"name": f"all_{head}", "um_per_px": UM_PER_PX, **_planned(head)} for head in FUSED
            ],
            "out": "result",
        }
        file = place / "study.yaml"
        file.write_text(json.dumps(study), encoding="utf-8")  # JSON is YAML
        run_study(read_config(file), n_jobs=1)
        return _rows(place / "result")


def _planned(head: str) -> dict[str, object]:
    return {"head": head} if head.startswith("pooled") else {"head": head, **ONE}


def _rows(result: Path) -> list[Row]:
    metrics = pl.read_csv(result / "fused" / "metrics.csv")
    table = metrics.pivot("metric", index="method", values="value")
    single = table.filter(pl.col("method").str.ends_with(f"_{SINGLE}"))
    single = single.filter(~pl.col("method").str.starts_with("all_"))
    mean = float(np.mean(single["nll"].to_numpy()))
    return [
        {
            "method": row["method"],
            "nll": round(row["nll"], 4),
            "auroc": round(row["auroc"], 4),
            "gain_percent": -gain_in_percent(row["nll"], mean),
            **_cost(result / "experts" / row["method"] / "manifest.json"),
        }
        for row in table.sort("nll").to_dicts()
    ]


def _cost(manifest: Path) -> Row:
    if not manifest.is_file():
        return {"cpu_s": None, "parameters": None}
    cost = json.loads(manifest.read_text())["cost"]
    return {"cpu_s": round(cost["cpu_s"], 1), "parameters": cost["parameters"]}
