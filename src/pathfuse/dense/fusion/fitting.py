"""Every method fitted on the fit pixels, and the choice of the one behind the fused mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import Item
from pathfuse.dense.fusion.choosing import HeldOutDice, choose, folds_of, held_out_dice
from pathfuse.dense.fusion.fused_model import DenseFusion
from pathfuse.dense.fusion.methods.base import DenseMethod, FitData
from pathfuse.dense.fusion.methods.registered import Registered
from pathfuse.dense.fusion.methods.registry import METHODS
from pathfuse.dense.fusion.options import CHOOSE, DenseFuseOptions
from pathfuse.dense.fusion.pixel_sample import FitPixels
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.inner_cv import inner_folds, strata_of
from pathfuse.fusion.method import Method

TRUSTED = 2
"""The richest method that is chosen without having been seen on another patient."""


@dataclass(frozen=True)
class Scores:
    """How the methods did on patients that they were not fitted on; empty where there is one patient."""

    nll: dict[str, float]
    """Mean held-out negative log-likelihood of the fit pixels, of methods that give probabilities
    and are fitted by it."""
    dice: dict[str, HeldOutDice]


def fit_fusion(
    pixels: FitPixels,
    files: LogitFiles,
    items: Sequence[Item],
    classes: Sequence[str],
    options: DenseFuseOptions,
    ignore: int,
    *,
    probabilities: bool,
    n_jobs: int | None,
) -> tuple[DenseFusion, Scores]:
    """Every method on the fit pixels; ``fused`` is the one that was asked for, or the one chosen.

    Args:
        pixels: The fit pixels.
        files: The models' logits.
        items: The fit images.
        classes: Names of the classes.
        options: How to fuse.
        ignore: Value of the masks where pixels do not count.
        probabilities: Whether ``fused`` must give probabilities.
        n_jobs: Processes, as in joblib; nothing depends on it.

    Raises:
        InputError: Probabilities are wanted, and no method gives any.
    """
    candidates = _candidates(options, probabilities=probabilities)
    methods, nll = _fitted(options, pixels.data(), n_jobs)
    folds, dice = folds_of(pixels.patients, options.seed), {}
    if folds is not None:
        with threadpool_limits(1):
            dice = held_out_dice(
                methods, pixels, files, items, folds, options.pool_px, options.seed, ignore, n_jobs
            )
    richness = {name: METHODS[name].richness for name in methods}
    known: dict[str, HeldOutDice] = {}
    if dice and not np.isnan(next(iter(dice.values()))).all():
        judged = {name: dice[name] for name in candidates}
        chosen, _ = choose(judged, pixels.patients, richness)
        _, known = choose(dice, pixels.patients, richness)
    else:
        chosen = _unchecked(candidates, methods)
    if options.method != CHOOSE:
        chosen = options.method
    model = DenseFusion(
        tuple(classes), tuple(files.folders), methods, chosen, pixels.order(), options.pool_px
    )
    return model, Scores(nll, known)


def _unchecked(candidates: Sequence[str], methods: Mapping[str, DenseMethod]) -> str:
    """The choice where nothing can be held out: by the likelihood of the fit pixels, which favours
    rich methods, so not among the richest; else the simplest.
    """
    richness = {name: METHODS[name].richness for name in candidates}
    fits = {
        name: own.certificate.fused
        for name in candidates
        if (own := methods[name]).certificate is not None and richness[name] <= TRUSTED
    }
    ranked: Mapping[str, float] = fits or richness
    return min(ranked, key=lambda name: ranked[name])


def _candidates(options: DenseFuseOptions, *, probabilities: bool) -> list[str]:
    """The methods that ``fused`` may be.

    Raises:
        InputError: There is none.
    """
    asked = options.methods if options.method == CHOOSE else (options.method,)
    found = [name for name in asked if not probabilities or METHODS[name].gives_probabilities]
    if not found:
        raise InputError(no_probabilities(asked[0]))
    return found


def no_probabilities(name: str) -> str:
    """The sentence for a method that gives none."""
    giving = ", ".join(name for name, method in METHODS.items() if method.gives_probabilities)
    return f"'{name}' gives classes and no probabilities; methods that give them are {giving}"


def _fitted(
    options: DenseFuseOptions, data: FitData, n_jobs: int | None
) -> tuple[dict[str, DenseMethod], dict[str, float]]:
    """All methods in their order; those that are fusions of class probabilities on the same folds."""
    unfitted = {name: METHODS[name]() for name in options.methods}
    pooling = {name: one for name, one in unfitted.items() if isinstance(one, Registered)}
    scores: dict[str, float] = {}
    done: dict[str, DenseMethod] = {}
    with threadpool_limits(1):  # small matrices: threads cost time, and must not change a bit
        one_patient = inner_folds(strata_of(data.observed), data.groups, options.seed) is None
        if pooling and not one_patient:
            fusions: list[Method[Experts]] = [one.of(seed=options.seed) for one in pooling.values()]
            fitted = fit_methods(
                fusions, data.experts, data.observed, data.groups, options.seed, n_jobs
            )
            for name, one in pooling.items():
                done[name] = one.taking(fitted.members[one.of.name], data)  # type: ignore[arg-type]
                scores[name] = fitted.scores[one.of.name]
        for name, method in unfitted.items():
            if name not in done:
                done[name] = method.fit(data, options.seed)
    return {name: done[name] for name in unfitted}, scores
