"""Fusion of features and of predictions on six texture families of 5,000 colorectal tiles (Kather
et al. 2016).

Half of the tiles of each class, drawn with seed 0, are fitted on, the other half is judged. Blank
values (co-occurrence of 40 blank tiles, perceptual of 2) become the mean of the fit rows. No
patient is known, so that intervals are of tiles, and all figures are optimistic alike. Nothing is
tuned: every recipe is the default of its head. Known, 2,500 fit rows (column ``known``): accuracy
of a logistic regression on all six 0.868, of stacking six of them 0.886. ``less_pca`` is the
difference to principal components and logistic regression of all six, paired on the same tiles.
"""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks.class_fusion import FUSED, STACKED, Outcome, class_study, figures, judged_rows
from benchmarks.feature_files import SHARED, write_vectors
from benchmarks.feature_fusion import SELF_ATTENTION, Row, on_one_core
from pathfuse.costs import ratios

FILE = SHARED / "kather2016_texture_features" / "kather2016_texture_features.npz"
FAMILIES = ("gabor", "glcm", "hist_higher", "hist_lower", "lbp", "perceptual")
KNOWN = {"concat, linear": 0.868, STACKED: 0.886}
SEED, JOBS = 0, 2


@on_one_core
def kather_features() -> list[Row]:
    """Accuracy and NLL by method, with what it costs."""
    if not FILE.is_file():
        return [{"method": f"not run: {FILE} is absent"}]
    rows = judged_rows(_run())
    return [row | {"known": KNOWN.get(str(row["method"]))} for row in rows]


@on_one_core
def fusion_cost() -> list[Row]:
    """What fusion of features costs next to fusion of predictions, in the run of
    ``kather_features``."""
    if not FILE.is_file():
        return [{"what": f"not run: {FILE} is absent"}]
    found = _run()
    whole, own, given = found.cost[FUSED], found.cost[SELF_ATTENTION], found.fusing
    parts = {
        f"{SELF_ATTENTION}, one model": own,
        "fusion of predictions, singles given": given,
        f"singles out of fold ({found.models[FUSED]} models) and fusion of predictions": whole,
    }
    rows: list[Row] = [{"what": what, **figures(cost)} for what, cost in parts.items()]
    for what, other in (
        ("fusion of predictions, singles given", given),
        ("singles and their fusion", whole),
    ):
        times = ratios(own, other)
        rows.append(
            {
                "what": f"ratio {SELF_ATTENTION} : {what}",
                "seconds": times["wall_s"] and round(times["wall_s"], 2),
                "gflops": times["fit_flops"] and round(times["fit_flops"], 2),
            }
        )
    return rows


@cache
def _run() -> Outcome:
    with np.load(FILE) as data:
        families = {name: data[name].astype(np.float64) for name in FAMILIES}
        label = data["classes"][data["y"]]
    fit, _ = next(StratifiedShuffleSplit(1, train_size=0.5, random_state=SEED).split(label, label))
    ids = [f"{n:04d}" for n in range(len(label))]
    split = np.full(len(label), "test")
    split[fit] = "fit"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        features = {}
        for name, table in families.items():
            filled = np.where(np.isnan(table), np.nanmean(table[fit], axis=0), table)
            features[name] = write_vectors(ids, filled, place / "features" / f"{name}.parquet")
        samples = pl.DataFrame({"sample_id": ids, "split": split, "label": label})
        return class_study(features, samples, place, together=True, n_jobs=JOBS)
