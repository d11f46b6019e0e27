"""Who should predict new samples: a refit, the mean of the folds' models, or something between?

Bag sets (attention MIL) and TCGA cases (an MLP on expression: survival, mutation flags, expression
of four genes), features cut into three parts as if three encoders had made them. 70 % of the
samples are fitted, in five folds, 30 % are new; ``SPLITS`` such splits. The fusion
(``static_product``) learns from out-of-fold predictions and is applied to what each candidate
predicts of the new samples.

Recipes are the defaults but for half the epochs at twice the rate, attention MIL is narrower, and
sets have at most 110 samples, so that it all takes about 15 minutes of one core. One run with
``networks: 3`` gives every candidate but the refit that holds rows back: the first network of each
part is the model of ``networks: 1``, but that all 15 networks of the folds choose the epochs of the
refit. With ``networks: 3`` the fusion learns from folds of three networks too. Of regression the
fusion sees the means alone, and learns the spreads.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

import pathfuse
from benchmarks.feature_fusion import on_one_core
from benchmarks.refit_sets import SmallCohort, small_cohorts
from pathfuse.experts.apply import apply
from pathfuse.experts.assemble import UnitOutputs, combine, combine_parts, frame_of, load_parts
from pathfuse.experts.fitted import Fitted
from pathfuse.experts.folds import WHOLE
from pathfuse.experts.parts import ExpertSetup, Prepared, open_work, prepare
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import run_parts
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.gaussian.experts import GaussianExperts, as_moments, mean_nll
from pathfuse.fusion.gaussian.static_product import GaussianStaticProduct
from pathfuse.study.study import Study

SPLITS, NETWORKS = 3, 3
SHORT = {"epochs": 20, "learning_rate": 4e-4, "device": "cpu"}
ONE = "refit on all rows for the folds' epochs, one network"
HELD = "refit that holds rows back"
MEAN = "mean of the folds' models"
THREE = "networks: 3 (default)"
BOTH = "folds' models and refit averaged"
CANDIDATES = (ONE, HELD, MEAN, BOTH, THREE)
Row = dict[str, object]


@dataclass(frozen=True)
class Cell:
    """Fused negative log-likelihood of the new samples of one split."""

    cohort: str
    endpoint: str
    split: int
    nll: dict[str, float]
    """By candidate."""


@on_one_core
def refit() -> list[Row]:
    """Fused NLL on new samples and its ratio to one network, paired over splits."""
    found = list(cells())
    return table(found) if found else [{"set": "not run: no public data next to the repository"}]


def cells(splits: Sequence[int] = range(SPLITS)) -> Iterator[Cell]:
    """Every cohort for one split after the other."""
    for split in splits:
        for name, read in small_cohorts().items():
            cohort = read()
            with tempfile.TemporaryDirectory() as place:
                yield Cell(name, cohort.endpoint, split, _of_split(cohort, split, Path(place)))


def table(found: Sequence[Cell]) -> list[Row]:
    """Means over the splits of each cohort, then over cohorts."""
    rows: list[Row] = []
    ratios: dict[str, list[float]] = {who: [] for who in CANDIDATES}
    for name in dict.fromkeys(cell.cohort for cell in found):
        own = [cell for cell in found if cell.cohort == name]
        for who in CANDIDATES:
            nll, usual = _over(own, who), _over(own, ONE)
            ratios[who].append(float(nll.mean() / usual.mean()))
            rows.append(
                {
                    "set": name,
                    "endpoint": own[0].endpoint,
                    "who": who,
                    "fused_nll": float(nll.mean()),
                    "to_one": ratios[who][-1],
                    "less_one": float((nll - usual).mean()),
                    "sd_of_splits": float((nll - usual).std(ddof=1)) if len(own) > 1 else None,
                    "better_than_one": int((nll < usual).sum()),
                    "best": _times_best(own, who),
                    "splits": len(own),
                }
            )
    for who in CANDIDATES:
        better = _over(found, who) < _over(found, ONE)
        rows.append(
            {
                "set": "all",
                "who": who,
                "to_one": float(np.exp(np.mean(np.log(ratios[who])))),
                "better_than_one": int(better.sum()),
                "best": _times_best(found, who),
                "splits": len(found),
            }
        )
    return rows


def _over(found: Sequence[Cell], who: str) -> np.ndarray:
    return np.array([cell.nll[who] for cell in found])


def _times_best(found: Sequence[Cell], who: str) -> int:
    return sum(min(cell.nll, key=cell.nll.__getitem__) == who for cell in found)


def _of_split(cohort: SmallCohort, split: int, place: Path) -> dict[str, float]:
    """Fused NLL of every candidate."""
    kind = StratifiedShuffleSplit if len(set(cohort.strata.tolist())) > 1 else ShuffleSplit
    splitter = kind(1, test_size=0.3, random_state=split)
    _, new = next(splitter.split(cohort.strata, cohort.strata))
    is_new = np.isin(np.arange(len(cohort.truth)), new)
    samples = {}
    for role in ("fit", "train"):
        roles = pl.Series("split", np.where(is_new, "test", role))
        samples[role] = place / f"{role}.csv"
        cohort.truth.with_columns(roles).write_csv(samples[role])
    predicted: dict[str, dict[str, pl.DataFrame]] = {who: {} for who in CANDIDATES}
    for name, features in cohort.write(place / "features").items():
        for who, frame in _of_view(name, features, samples, cohort, place).items():
            predicted[who][name] = frame
    fitted: dict[tuple[str, bool], Any] = {}
    found = {}
    for who, views in predicted.items():
        study = pathfuse.read_study(samples["fit"], views, time_edges=cohort.edges)
        found[who] = _fused_nll(study, views, fitted, who == THREE)
    return found


def _of_view(
    name: str, features: Path, samples: dict[str, Path], cohort: SmallCohort, place: Path
) -> dict[str, pl.DataFrame]:
    """Predictions of fit rows, out of fold, and of new rows, by each candidate."""

    def trained(role: str, networks: int) -> Prepared:
        chosen = {**cohort.recipe, **SHORT, "networks": networks}
        recipe = TrainingRecipe.of(cohort.head, **chosen)
        out = place / f"{name}_{role}"
        given = ExpertSetup(name, features, samples[role], out, recipe, time_edges=cohort.edges)
        prepared = prepare(given)
        open_work(prepared)
        run_parts([prepared], 1)
        return prepared

    several, alone = trained("fit", NETWORKS), trained("train", 1)
    loaded = load_parts(several)
    rows = {part.name: part.predict for part in several.plan.parts}
    models = {part: _first(one[0]) for part, one in loaded.items()}
    folds = [part for part in rows if part != WHOLE]
    held_out = [_outputs(several, models[part], rows[part]) for part in folds]
    new = {part: _outputs(several, model, rows[WHOLE]) for part, model in models.items()}
    of_folds = [new[part] for part in folds]
    candidates = {
        ONE: [new[WHOLE]],
        MEAN: of_folds,
        BOTH: [*of_folds, *[new[WHOLE]] * len(folds)],
    }
    found = {
        who: frame_of(several, combine([*held_out, *parts])) for who, parts in candidates.items()
    }
    found[THREE] = frame_of(several, combine_parts(loaded))
    known = found[ONE].filter(~pl.col("sample_id").is_in(_ids(several, rows[WHOLE])))
    found[HELD] = pl.concat([known, frame_of(alone, combine_parts(load_parts(alone)))])
    return {who: frame.select(pl.exclude("^sd_.*$")) for who, frame in found.items()}


def _first(fitted: Fitted) -> Fitted:
    """The first of several networks, as a model of its own."""
    one = fitted.recipe.model_copy(update={"networks": 1})
    return replace(fitted, recipe=one, weights=fitted.networks[0])


def _outputs(prepared: Prepared, model: Fitted, rows: np.ndarray) -> UnitOutputs:
    """What one model says of some samples."""
    units = prepared.cohort.units_of(rows)
    raw = apply(model, prepared.cohort.folder, units).outputs
    return UnitOutputs(model, np.array([unit.sample for unit in units]), raw)


def _ids(prepared: Prepared, rows: np.ndarray) -> list[str]:
    return list(prepared.cohort.people.samples.ids[rows])


def _fused_nll(
    study: Study,
    views: dict[str, pl.DataFrame],
    fitted: dict[tuple[str, bool], Any],
    averaged: bool,
) -> float:
    """Of the new samples, mean over labels.

    Args:
        study: Truth and predictions.
        views: The predictions.
        fitted: Fusions by task and ``averaged``, which are added to: most candidates share the
            predictions that a fusion learns from.
        averaged: Whether these are of several networks.
    """
    roles = study.samples.roles
    fit, new = np.flatnonzero(roles == "fit"), np.flatnonzero(roles == "test")
    found = []
    for task in study.endpoint.tasks:
        truth, key = study.truth[task].observed, (task, averaged)
        if study.endpoint.of_numbers:
            experts = _means(study, views)
            if key not in fitted:
                groups = np.arange(len(fit))
                fitted[key] = GaussianStaticProduct().fit_experts(
                    experts.rows(fit), truth[fit], groups
                )
            fused = as_moments(fitted[key].combine(experts.rows(new)))
            found.append(mean_nll(fused, truth[new]))
            continue
        table = study.logits(task, study.frequency(task, fit))
        if key not in fitted:
            fitted[key] = StaticProduct().fit(table[fit], truth[fit])
        log_prob = np.where(truth[new], fitted[key].predict_log_proba(table[new]), -np.inf)
        found.append(-np.logaddexp.reduce(log_prob, axis=1).mean())
    return float(np.mean(found))


def _means(study: Study, views: dict[str, pl.DataFrame]) -> GaussianExperts:
    """Experts without standard deviations."""
    ids = pl.DataFrame({"sample_id": list(study.samples.ids)})
    tables = [
        ids.join(frame, on="sample_id", how="left", maintain_order="left")
        .select(f"mean_{name}" for name in study.endpoint.outcomes)
        .to_numpy()
        for frame in views.values()
    ]
    mean = np.stack(tables, axis=1)
    return GaussianExperts(mean, np.full_like(mean, np.nan))
