"""From finished parts to an expert's folder: the contract's tables, the models, the history, and
what was left out.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import pathfuse
from pathfuse.costs import Cost, total
from pathfuse.experts.apply import CLUSTERS
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.layout import EXPERT, FIGURES, HISTORY, MANIFEST, SAMPLES
from pathfuse.experts.parts import MODEL, Loaded, Prepared, load_part
from pathfuse.experts.recipe import FuseCPathRecipe
from pathfuse.experts.targets.table import prediction_table
from pathfuse.files.write import new_folder, write_json, write_table

FORMAT = 2
Extra = Callable[[Path], dict[str, Any]]
"""Writes something else into an expert's folder; what it returns goes into the manifest."""


@dataclass(frozen=True)
class UnitOutputs:
    """Outputs of one model for some units."""

    fitted: Fitted
    rows: np.ndarray
    """Sample of each unit."""
    raw: np.ndarray


def assemble(
    prepared: Prepared,
    command: str | None = None,
    force: bool = False,
    extras: Sequence[Extra] = (),
) -> Path:
    """Writes the expert's folder to a temporary name, then renames it; clears the finished parts.

    The folder holds ``predictions/<name>.parquet``, of FuseCPath ``clusters.parquet``,
    ``samples.csv``, ``models/<part>.safetensors``, ``expert.json``,
    ``history.csv``, ``figures/`` with the learning curves and ``manifest.json``.

    Args:
        prepared: The expert; all its parts are done.
        command: How the program was called, for the manifest.
        force: Overwrite the output.
        extras: Write something else into the folder, and say what of it goes into the manifest.

    Raises:
        InputError: The output exists and ``force`` is off.
    """
    from pathfuse.report.learning_curves import save_learning_curves  # prediction does without

    expert = prepared.expert
    loaded = load_parts(prepared)
    predictions = frame_of(prepared, combine_parts(loaded))
    with new_folder(expert.out, force) as folder:
        for name in ("predictions", "models"):
            (folder / name).mkdir()
        write_table(predictions, folder / "predictions" / f"{expert.name}.parquet")
        write_table(samples_frame(prepared), folder / SAMPLES)
        history = history_frame({name: one[2] for name, one in loaded.items()})
        write_table(history, folder / HISTORY)
        save_learning_curves(expert.name, history, folder / FIGURES)
        for part in prepared.plan.parts:
            shutil.copyfile(
                expert.work / part.name / MODEL, folder / "models" / f"{part.name}.safetensors"
            )
        write_json(about(prepared), folder / EXPERT)
        if isinstance(expert.recipe, FuseCPathRecipe):
            from pathfuse.experts.clusters import Clusters, cluster_table

            known = Clusters(prepared.cohort.folder, expert.recipe, expert.work / CLUSTERS)
            write_table(cluster_table(known, prepared.cohort.units), folder / f"{CLUSTERS}.parquet")
        content = manifest(prepared, predictions.height, loaded, command)
        for extra in extras:
            added = extra(folder)
            notes = [*content["notes"], *added.get("notes", ())]
            content |= {**added, "notes": notes}
        write_json(content, folder / MANIFEST)
    shutil.rmtree(expert.work, ignore_errors=True)
    return expert.out


def cost_of(prepared: Prepared, loaded: dict[str, Loaded]) -> Cost:
    """All models of an expert.

    Parameters and operations of a prediction are those of the models that serve.

    The time of an expert that was stopped and went on is not known.
    """
    parts = []
    for name, (_, _, history) in loaded.items():
        cost = Cost.from_dict(history["cost"])
        serves = name in prepared.plan.serving
        parts.append(cost if serves else replace(cost, parameters=0, predict_flops_per_sample=0.0))
    return total(parts)


def load_parts(prepared: Prepared) -> dict[str, Loaded]:
    """Every finished part by name."""
    return {part.name: load_part(prepared.expert.work, part.name) for part in prepared.plan.parts}


Combined = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Rows of the samples, their outputs, and of regression their standard deviations."""


def combine_parts(loaded: dict[str, Loaded]) -> Combined:
    """Every sample by the models that did not see it; see ``combine``."""
    return combine(
        [
            UnitOutputs(fitted, table["row"].to_numpy(), table.drop("row", "slides").to_numpy())
            for fitted, table, _ in loaded.values()
        ]
    )


def frame_of(prepared: Prepared, combined: Combined) -> pl.DataFrame:
    """The contract's prediction table."""
    people, (rows, raw, sd) = prepared.cohort.people, combined
    targets = people.targets
    return prediction_table(targets.way, targets.names, people.samples.ids[rows].tolist(), raw, sd)


def combine(outputs: Sequence[UnitOutputs]) -> Combined:
    """The mean over the models and units that predict each sample.

    Returns:
        The samples' rows, ascending; their outputs; of regression their standard deviations, which
        hold the models' residuals (or the spread that they state of
        a sample) and their disagreement.
    """
    way = outputs[0].fitted.way
    rows = np.concatenate([one.rows for one in outputs])
    n_names = len(outputs[0].fitted.names)
    raw, spread = np.split(np.concatenate([one.raw for one in outputs]), [n_names], axis=1)
    order = np.argsort(rows, kind="stable")
    wanted, first, count = np.unique(rows[order], return_index=True, return_counts=True)
    groups = [order[start : start + n] for start, n in zip(first, count, strict=True)]
    mean = np.concatenate([way.average(list(raw[group][:, None])) for group in groups])
    if not way.scaled:
        return wanted, mean, None
    constant = [np.tile(one.fitted.scales["residual_sd"], (len(one.rows), 1)) for one in outputs]
    residual = spread if spread.shape[1] else np.concatenate(constant)
    sd = np.stack([np.sqrt((residual[g] ** 2).mean(axis=0) + raw[g].var(axis=0)) for g in groups])
    return wanted, mean, sd


def samples_frame(prepared: Prepared) -> pl.DataFrame:
    """The samples table that belongs to the predictions.

    With a column ``fold`` where the folds were made here.
    """
    table = prepared.cohort.people.samples.frame
    fold = prepared.plan.fold
    if fold is None:
        return table
    return table.with_columns(pl.Series("fold", fold)).filter(pl.col("fold") >= 0)


def history_frame(parts: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """``history.csv``: a line per part and epoch."""
    schema = {
        "part": pl.String,
        "network": pl.Int64,
        "epoch": pl.Int64,
        "train_loss": pl.Float64,
        "validation_loss": pl.Float64,
        "rate": pl.Float64,
        "chosen": pl.Boolean,
    }
    lines = [{"part": name, **line} for name, one in parts.items() for line in one["history"]]
    return pl.DataFrame([{key: line.get(key) for key in schema} for line in lines], schema=schema)


def about(prepared: Prepared) -> dict[str, Any]:
    """``expert.json``: what ``experts predict`` needs."""
    folder, people = prepared.cohort.folder, prepared.cohort.people
    return {
        "format": FORMAT,
        "name": prepared.expert.name,
        "endpoint": people.endpoint.as_dict(),
        "outputs": list(people.targets.names),
        "recipe": prepared.expert.recipe.model_dump(),
        "dim": folder.dim,
        "views": folder.views,
        "granularity": folder.granularity,
        "encoder": folder.encoder,
        "serving": list(prepared.plan.serving),
        "stamp": prepared.stamp,
    }


def manifest(
    prepared: Prepared, n_predicted: int, loaded: dict[str, Loaded], command: str | None
) -> dict[str, Any]:
    """``manifest.json``: what was read, how it was folded, and what was left out and why."""
    people, folder = prepared.cohort.people, prepared.cohort.folder
    return {
        "pathfuse": pathfuse.__version__,
        "libraries": {name: version(name) for name in ("numpy", "scikit-learn", "torch")},
        "command": command,
        "inputs": people.inputs,
        "blanks_stripped": people.blanks,
        "features": {
            "source": folder.source,
            "format": folder.format,
            "granularity": folder.granularity,
            "dim": folder.dim,
            "views": folder.views,
            "encoder": folder.encoder,
            "slides": len(folder.slides),
            "tiles": sum(slide.n_tiles for slide in folder.slides.values()),
        },
        "rows": {"read": len(people.samples.ids), "predicted": n_predicted},
        "left_out": list(prepared.cohort.left_out),
        "warnings": [*prepared.cohort.warnings, *people.samples.warnings],
        "scheme": prepared.plan.scheme,
        "parts": {
            p.name: {"train": len(p.train), "predict": len(p.predict)} for p in prepared.plan.parts
        },
        "recipe": prepared.expert.recipe.model_dump(),
        "tiles_read": prepared.expert.recipe.tiles_read,
        "spread_of_draws": {
            name: one[2]["spread"] for name, one in loaded.items() if one[2]["spread"] is not None
        },
        "cost": cost_of(prepared, loaded).as_dict(),
        "teachers": {name: folder.dim for name, folder in prepared.teachers.items()},
        "processors": os.cpu_count(),
        "notes": list(people.notes),
    }
