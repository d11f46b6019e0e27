"""Tile experts on frozen features that are computed here, and their fusion, on lung tiles of
LC25000.

Fit and test rows are those of ``studies/lc25000_lung``, or else half of the groups each; a group
holds the turned and flipped copies of one tile, so it is the patient. Every expert is cross-fitted
on the fit rows by group and refitted for the test rows; the fusion is fitted on the cross-fitted
rows. Recipes are the defaults with ``standardize``: nothing was tuned, and no choice looks at a
test row. Tiles are read at half size; features are kept in ``results/cache``.
"""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

import pathfuse
from benchmarks.descriptors import colour, random_encoder, texture
from benchmarks.feature_files import SHARED, write_vectors
from pathfuse.experts.parts import ExpertSetup
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import train_expert

TILES, STUDY = SHARED / "lc25000_lung", SHARED / "studies" / "lc25000_lung" / "samples.csv"
CACHE = Path(__file__).parent / "results" / "cache" / "lc25000"
RECIPES = {
    "tile_mlp": TrainingRecipe.of("tile_mlp", standardize=True, device="cpu"),
}
HALF, SEED = 2, 0
Row = dict[str, object]


def lc25000() -> list[Row]:
    """Accuracy and NLL on the test rows by expert and fused."""
    if not TILES.is_dir():
        return [{"head": f"not run: {TILES} is absent"}]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        features, samples = tile_features(), tile_samples()
        rows: list[Row] = []
        for head, recipe in RECIPES.items():
            rows += _study(head, recipe, features, samples)
    finally:
        torch.set_num_threads(before)
    return rows


def tile_features() -> dict[str, Path]:
    """One table of vectors per encoder, computed once."""
    encoders = {"colour": colour, "texture": texture, "random_convolutions": random_encoder()}
    places = {name: CACHE / f"{name}.parquet" for name in encoders}
    if all(place.is_file() for place in places.values()):
        return places
    found: dict[str, list[np.ndarray]] = {name: [] for name in encoders}
    paths = pl.read_csv(TILES / "manifest.csv")["path"].to_list()
    for path in paths:
        with Image.open(TILES / path) as file:
            image = np.asarray(file.convert("RGB").reduce(HALF))
        for name, encode in encoders.items():
            found[name].append(encode(image))
    ids = [Path(path).stem for path in paths]
    for name, vectors in found.items():
        write_vectors(ids, np.stack(vectors), places[name])
    return places


def tile_samples() -> pl.DataFrame:
    """``sample_id, patient_id, split, label``."""
    manifest = pl.read_csv(TILES / "manifest.csv")
    ids = [Path(path).stem for path in manifest["path"]]
    if STUDY.is_file():
        study = pl.read_csv(STUDY)
        if set(study["sample_id"]) == set(ids):
            return study
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=SEED)
    _, test = next(folds.split(ids, manifest["label"].to_list(), manifest["group"].to_list()))
    split = np.full(len(ids), "fit", dtype=object)
    split[test] = "test"
    return pl.DataFrame(
        {
            "sample_id": ids,
            "patient_id": manifest["group"],
            "split": split.tolist(),
            "label": manifest["label"],
        }
    )


def _study(
    head: str, recipe: TrainingRecipe, features: dict[str, Path], samples: pl.DataFrame
) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        samples.write_csv(place / "samples.csv")
        predictions, width = {}, {}
        for name, table in features.items():
            out = train_expert(
                ExpertSetup(name, table, place / "samples.csv", place / name, recipe)
            )
            predictions[name] = out / "predictions" / f"{name}.parquet"
            width[name] = len(pl.read_parquet_schema(table)) - 1
        result = pathfuse.fuse(pathfuse.read_study(place / "samples.csv", predictions), seed=SEED)
    rows: list[Row] = []
    for method in (*features, "mean_probability", "fused"):
        row: Row = {"head": head, "method": method, "dim": width.get(method)}
        for metric in ("accuracy", "nll"):
            of = result.metrics.filter(pl.col("method") == method, pl.col("metric") == metric)
            row |= {
                metric: of["value"].item(),
                f"{metric}_ci": f"{of['ci_low'].item():.4f} to {of['ci_high'].item():.4f}",
            }
        rows.append(row | {"n": of["n"].item(), "n_groups": of["n_patients"].item()})
    return rows + _goal(head, rows, tuple(features))


def _goal(head: str, rows: list[Row], experts: tuple[str, ...]) -> list[Row]:
    """Fused minus best expert; the best is chosen on the test rows, which favours it."""
    value = {
        metric: {row["method"]: float(str(row[metric])) for row in rows}
        for metric in ("accuracy", "nll")
    }
    best = {
        "accuracy": max(value["accuracy"][e] for e in experts),
        "nll": min(value["nll"][e] for e in experts),
    }
    gain = {metric: value[metric]["fused"] - best[metric] for metric in best}
    return [{"head": head, "method": "fused less best expert", **gain}]
