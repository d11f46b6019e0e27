"""Expression of 50 genes from H&E spots of her2st: fusion of features and of predictions, next to
linear models.

Data: ``her2st_data``. Three protocols: leave one patient out (B: one section with few counts, C:
five sections with many, so that each is trained on the other's depth); leave one section out of all
six, so that both depths are trained on; and leave one section of patient C out, without B. The last
came after a look at the second, where the fusion of
predictions falls behind its singles: the two tell whether the other depth is to blame.

Score: Pearson per gene inside a test section, mean over genes, then over sections; a constant
prediction or target gives a missing value, which is counted. Two patients allow no interval by
patient. The intervals draw blocks of 4 x 4
neighbouring spots again inside each section, with the models as they are: they speak of other spots
of these sections, not of other patients. Differences to the linear reference are paired on the same
draws.

Recipes are defaults, and no test spot has a say in anything but its own score. What inner folds
(penalties) and early stopping keep whole is a block of neighbours, the column ``patient_id``.
Predictions that are fused are out of fold by section; where patient B is trained on, which has one
section, by block. "best single" is chosen on the test score, which favours it. ``seconds`` are
those of all models that a method needs, one core each; ``gain_percent`` is the gain over the mean
of the single models, the paper's headline; "without linear path" is the Meta-Encoder as it was
before; FuseCPath clusters tiles, and a spot is a vector; ``dropped`` are spots of the images that the
count tables lack.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.feature_fusion import (
    FUSECPATH,
    MEAN_SINGLE,
    PCA_RIDGE,
    Row,
    feature_fusions,
    further_rivals,
    fused,
    gain_in_percent,
    linear,
    on_one_core,
    trained,
)
from benchmarks.her2st_data import ENCODERS, PLACE, SECTIONS, Spots, her2st_spots
from benchmarks.spatial_pearson import Score, Sections, draw_blocks, spatial_pearson
from pathfuse.costs import Cost, total

N_RESAMPLES, SEED, JOBS = 1000, 0, 2
FUSED = "fusion of predictions"


@dataclass
class HeldOutPredictions:
    """What every method says of all spots, each by a model that did not see the spot."""

    mean: dict[str, np.ndarray] = field(default_factory=dict)
    """(spot, gene), by method."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of training, by method."""

    def add(self, name: str, spots: Spots, table: pl.DataFrame, cost: Cost) -> None:
        """Puts a method's rows where their spots are."""
        place = {spot: n for n, spot in enumerate(spots.table["sample_id"])}
        whole = self.mean.setdefault(name, np.full(spots.expression.shape, np.nan))
        rows = [place[spot] for spot in table["sample_id"]]
        whole[rows] = table.select(f"mean_{gene}" for gene in spots.genes).to_numpy()
        self.seconds[name] = self.seconds.get(name, 0.0) + (cost.wall_s or 0.0)


@on_one_core
def her2st() -> list[Row]:
    """Pearson by protocol and method, with the difference to the linear reference."""
    if not PLACE.is_dir():
        return [{"protocol": f"not run: {PLACE} is absent"}]
    spots = her2st_spots()
    sections = draw_blocks(spots.section, spots.block, N_RESAMPLES, SEED)
    protocols = {
        "patient out": _patients_out(spots),
        "section out": _sections_out(spots, np.arange(len(spots.table))),
        "section of C out": _sections_out(spots, np.flatnonzero(spots.section != SECTIONS[0])),
    }
    return [
        row
        for protocol, held_out in protocols.items()
        for row in _score(protocol, held_out, spots, sections)
    ]


def _sections_out(spots: Spots, inside: np.ndarray) -> HeldOutPredictions:
    """A fold for each section of some spots."""
    held_out = HeldOutPredictions()
    fold = pl.Series("fold", np.searchsorted(SECTIONS, spots.section[inside]))
    samples = spots.samples(inside).with_columns(fold)
    _study(spots, samples, samples, "site", held_out)
    return held_out


def _patients_out(spots: Spots) -> HeldOutPredictions:
    """Two studies: a fusion inside two folds would be fitted on what models say that were trained
    on its test rows."""
    held_out = HeldOutPredictions()
    for patient, group in (("B", "site"), ("C", "patient")):
        test = (spots.table["patient"] == patient).to_numpy()
        crossed, alone = (
            spots.samples().with_columns(pl.Series("split", np.where(test, "test", role)))
            for role in ("fit", "train")
        )
        _study(spots, crossed, alone, group, held_out)
    return held_out


def _study(
    spots: Spots,
    crossed: pl.DataFrame,
    alone: pl.DataFrame,
    group: str,
    held_out: HeldOutPredictions,
) -> None:
    """Trains everything and keeps the predictions of the test rows.

    Args:
        spots: The spots.
        crossed: Samples table for models whose predictions are fused: out of fold where they are
            trained on.
        alone: Samples table for the others, which need one model.
        group: What the folds of ``crossed`` keep whole, ``patient`` (the block) or ``site`` (the
            section).
        held_out: Takes the predictions.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        crossed.write_csv(place / "crossed.csv")
        alone.write_csv(place / "alone.csv")
        predictions: dict[str, Path] = {}
        costs: list[Cost] = []
        for name in ENCODERS:
            one = trained(
                name, spots.features[name], place / "crossed.csv", place, linear(group=group), JOBS
            )
            predictions[name] = one.predictions
            costs.append(one.cost)
            held_out.add(name, spots, _judged(alone, pl.read_parquet(one.predictions)), one.cost)
        rivals = feature_fusions(group=group) | further_rivals(group=group)
        for name, recipe in rivals.items():
            one = trained(name, spots.features, place / "alone.csv", place, recipe, JOBS)
            held_out.add(name, spots, _judged(alone, pl.read_parquet(one.predictions)), one.cost)
        whole = fused(crossed.drop("site"), predictions, seed=SEED)
        held_out.add(FUSED, spots, _judged(alone, whole.table), total([*costs, whole.cost]))


def _judged(samples: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The rows of a table that no model of theirs was trained on."""
    test = samples if "fold" in samples.columns else samples.filter(pl.col("split") == "test")
    return table.filter(pl.col("sample_id").is_in(test["sample_id"].to_list()))


def _score(
    protocol: str, held_out: HeldOutPredictions, spots: Spots, sections: Sections
) -> list[Row]:
    inside = [
        k
        for k, rows in enumerate(sections.rows)
        if not np.isnan(next(iter(held_out.mean.values()))[rows]).any()
    ]
    judged = Sections(
        tuple(sections.rows[k] for k in inside), tuple(sections.draws[k] for k in inside)
    )
    scores = {
        name: spatial_pearson(mean, spots.expression, judged)
        for name, mean in held_out.mean.items()
    }
    best = max(ENCODERS, key=lambda name: scores[name].mean[0])
    middle = np.mean([scores[name].by_section for name in ENCODERS], axis=0)
    scores = {
        **{name: scores.pop(name) for name in ENCODERS},
        f"best single ({best})": spatial_pearson(held_out.mean[best], spots.expression, judged),
        MEAN_SINGLE: Score(middle, 0),
        **scores,
    }
    names = tuple(str(spots.section[rows[0]]) for rows in judged.rows)
    rows = [_row(protocol, name, scores, held_out.seconds, names, spots) for name in scores]
    return [*rows, {"protocol": protocol, "method": f"{FUSECPATH}: for bags of tiles only"}]


def _row(
    protocol: str, name: str, scores: Mapping[str, Score], seconds: Mapping[str, float], inside: Sequence[str],
    spots: Spots,
) -> Row:  # fmt: skip
    score = scores[name]
    gain = score.mean - scores[PCA_RIDGE].mean
    by_section = dict(zip(inside, score.by_section[:, 0].round(3).tolist(), strict=True))
    return {
        "protocol": protocol,
        "method": name,
        "pearson": round(float(score.mean[0]), 4),
        "interval": _interval(score.mean),
        "gain_percent": gain_in_percent(float(score.mean[0]), float(scores[MEAN_SINGLE].mean[0])),
        "less_pca": round(float(gain[0]), 4),
        "less_pca_interval": _interval(gain) if name != PCA_RIDGE else None,
        **{section: by_section.get(section) for section in SECTIONS},
        "missing": score.missing,
        "seconds": round(seconds[name], 1) if name in seconds else None,
        "spots": int(np.isin(spots.section, inside).sum()),
        "dropped": sum(spots.dropped[section] for section in inside),
    }


def _interval(values: np.ndarray) -> str:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{low:.3f} to {high:.3f}"
