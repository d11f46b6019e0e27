"""``experts tune``: recipes are drawn, trained on inner folds, and the best one is written.

Only rows that are not judged take part: the ``train`` rows of the samples table, or else its
``fit`` rows, in folds of their own with patients whole. Every trial is held out on the same folds,
and the first trial is the recipe as it stands.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from joblib import delayed

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.assemble import combine_parts
from pathfuse.experts.folds import FoldPart
from pathfuse.experts.parts import ExpertSetup, Prepared, load_part, open_work, prepare
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.reference import held_out_loss
from pathfuse.experts.train import run_part
from pathfuse.experts.tuning.recipe_file import recipe_text
from pathfuse.experts.tuning.space import Space, draw_trials
from pathfuse.files.digests import digest_of
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.tables import read_table
from pathfuse.files.write import check_out, new_folder, write_file, write_json, write_table
from pathfuse.progress import Progress, silent, within
from pathfuse.study.intake import samples_table
from pathfuse.study.samples import read_samples
from pathfuse.study.study import edges_in_metadata
from pathfuse.training.threads import one_thread
from pathfuse.workers import file_to_file

Search = Literal["random", "halving"]
TUNED, TRIALS, MANIFEST = "tuned.yaml", "trials.csv", "manifest.json"
FAILED = ".{}.failed"
"""Says why a part of a trial could not be trained."""
OF_SEARCH = ("folds", "cache_mb", "device")
"""Values of the recipe that are about the search, and are not written into ``tuned.yaml``."""
INNER, SLIDES = "inner.parquet", "inner-slides.parquet"


@dataclass(frozen=True)
class Trial:
    """One recipe of the search."""

    number: int
    values: dict[str, Any]
    """What it changes of the recipe as it stands."""
    prepared: Prepared


@dataclass(frozen=True)
class Score:
    """How a trial did on the folds that it was trained on."""

    folds: int
    loss: float
    """Mean over the held-out samples; infinite where a training failed."""
    note: str = ""


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    folder: Path
    trials: pl.DataFrame
    """``trials.csv``."""
    verdict: str


@outputs_claimed()
def tune(
    expert: ExpertSetup,
    chosen: dict[str, Any],
    space: Space,
    *,
    trials: int = 20,
    search: Search = "halving",
    seed: int = 0,
    n_jobs: int | None = None,
    force: bool = False,
    command: str | None = None,
    progress: Progress = silent,
) -> Tuned:
    """Searches the recipe of an expert, and writes ``tuned.yaml`` and ``trials.csv``.

    A search that was stopped goes on: parts that are trained are kept. With ``halving`` all trials
    are trained on one inner fold, the better half of them on two, the better half of these on four,
    and so on to all folds; with ``random`` all of them on all folds.

    Args:
        expert: Features, samples, output, and the recipe as it stands.
        chosen: What of that recipe was chosen by hand.
        space: What to draw from.
        trials: How many recipes, with the one that stands.
        search: How they are compared.
        seed: Of the draws.
        n_jobs: Models at a time, as in joblib; results do not depend on it.
        force: Overwrite the output.
        command: How the program was called, for the manifest.
        progress: Called as models end.

    Raises:
        InputError: Tables or features are wrong, no row may be tuned on, or a drawn recipe is not
            allowed.
    """
    check_out(expert.out, force, expert.read)
    if trials < 2:
        raise InputError(
            f"--trials is {trials}, but must be at least 2: the first is the recipe as it stands"
        )
    progress("tune: reading", 0.0)
    drawn = [chosen | values for values in draw_trials(space, trials, seed)]
    recipes = [TrainingRecipe.of(expert.recipe.head, **values) for values in drawn]
    work = expert.out.resolve().parent / f".{expert.out.name}.tune"
    base = _prepared(expert, work)
    found = [
        Trial(n, values, _of_trial(base, recipe, work / f"trial_{n}"))
        for n, (values, recipe) in enumerate(zip(drawn, recipes, strict=True))
    ]
    budgets = _budgets(len(base.plan.parts), search)
    scores = _search(found, budgets, n_jobs, progress)
    best = min(scores, key=lambda n: (-scores[n].folds, scores[n].loss, n))
    table, verdict = _table(found, scores, space, best), _verdict(base, scores, best)
    if math.isinf(scores[best].loss):
        raise InputError(f"no trial could be trained; the first: {scores[0].note}")
    with new_folder(expert.out, force) as folder:
        text = recipe_text(
            expert.recipe.head, _kept(found[best].values), f"pathfuse experts tune: {verdict}"
        )
        (folder / TUNED).write_text(text, encoding="utf-8")
        write_table(table, folder / TRIALS)
        write_json(
            _manifest(base, found[best], space, search, seed, verdict, command), folder / MANIFEST
        )
    shutil.rmtree(work, ignore_errors=True)
    return Tuned(expert.out, table, verdict)


def _prepared(expert: ExpertSetup, work: Path) -> Prepared:
    """The expert on its inner folds; nothing is left of a search that cannot begin."""
    fresh = not work.exists()
    try:
        return prepare(_inner(expert, work))
    except InputError:
        if fresh:
            shutil.rmtree(work, ignore_errors=True)
        raise


def _inner(expert: ExpertSetup, work: Path) -> ExpertSetup:
    """The expert on the rows that may be tuned on, which it divides into folds of its own.

    Raises:
        InputError: The samples have no roles, so that every row is judged.
    """
    table = samples_table(expert.samples)
    samples = read_samples(table)
    if samples.roles is None:
        raise InputError(
            f"{expert.samples} has no column 'split': without it every row is judged in turn, and a recipe that was "
            "tuned on judged rows would look better than it is; give fit and test rows"
        )
    role = "train" if (samples.roles == "train").any() else "fit"
    kept = np.flatnonzero(samples.roles == role)
    work.mkdir(parents=True, exist_ok=True)
    frame = samples.frame[kept].drop("split")
    write_file(frame, work / INNER, force=True)
    slides = None
    if expert.slides is not None:
        listed = read_table(expert.slides).frame
        owner = "sample_id" if "sample_id" in listed.columns else "PATIENT"
        slides = work / SLIDES
        known = pl.Series("sample_id", samples.ids[kept].tolist())
        write_file(
            listed.filter(pl.col(owner).cast(pl.String).is_in(known.implode())), slides, force=True
        )
    edges = expert.time_edges if expert.time_edges is not None else edges_in_metadata([table])
    return replace(
        expert,
        samples=work / INNER,
        slides=slides,
        time_edges=edges,
        out=work / "inner",
        strict=False,
    )


def _kept(values: dict[str, Any]) -> dict[str, Any]:
    """What of a trial's values is of use in another training."""
    return {name: value for name, value in values.items() if name not in OF_SEARCH}


def _of_trial(base: Prepared, recipe: TrainingRecipe, out: Path) -> Prepared:
    """The expert with another recipe, on the same features and folds."""
    stamp = digest_of([base.stamp, recipe.model_dump(exclude={"cache_mb", "device"})])
    expert = replace(base.expert, recipe=recipe, name=out.name, out=out)
    return replace(base, expert=expert, stamp=stamp)


def _budgets(n_folds: int, search: Search) -> list[int]:
    """How many folds the trials of each round are trained on.

    Examples:
        >>> _budgets(5, "halving"), _budgets(5, "random")
        ([1, 2, 4, 5], [5])
    """
    if search == "random":
        return [n_folds]
    doubled = [2**k for k in range(n_folds.bit_length()) if 2**k < n_folds]
    return [*doubled, n_folds]


def _search(
    trials: Sequence[Trial], budgets: Sequence[int], n_jobs: int | None, progress: Progress
) -> dict[int, Score]:
    """Trains and compares, round by round.

    Returns:
        The last score of every trial by its number. The first trial, the recipe as it stands, is
        kept to the end, so that the best can be compared with it.
    """
    kept, scores = list(trials), dict[int, Score]()
    for turn, n_folds in enumerate(budgets):
        before = f"round {turn + 1} of {len(budgets)}, {len(kept)} trials on {n_folds} folds: "
        step = within(progress, turn / len(budgets), (turn + 1) / len(budgets), before)
        _run(kept, n_folds, n_jobs, step)
        scores |= {one.number: _score(one, n_folds) for one in kept}
        ranked = sorted(kept, key=lambda one: (scores[one.number].loss, one.number))
        kept = ranked[: -(-len(ranked) // 2)]
        if trials[0] not in kept:
            kept.append(trials[0])
    return scores


def _run(trials: Sequence[Trial], n_folds: int, n_jobs: int | None, progress: Progress) -> None:
    """Trains what the first folds of some trials lack."""
    todo: list[tuple[Prepared, FoldPart]] = []
    for one in trials:
        open_work(one.prepared)
        parts = one.prepared.plan.parts[:n_folds]
        todo += [(one.prepared, part) for part in parts if not _ended(one.prepared, part)]
    tasks = (delayed(_train)(one, part) for one, part in todo)
    for n, name in enumerate(file_to_file(n_jobs, tasks, _lost)):
        progress(f"{name} done", (n + 1) / len(todo))


def _ended(one: Prepared, part: FoldPart) -> bool:
    """Whether a part was trained, or could not be."""
    return one.done(part) or (one.expert.work / FAILED.format(part.name)).exists()


def _train(one: Prepared, part: FoldPart) -> str:
    """One part in a process of its own; a recipe that diverges is a bad recipe and no error."""
    try:
        with one_thread():
            run_part(one, part)
    except InputError as error:
        return _lost(str(error), one, part)
    return f"{one.expert.name} {part.name}"


def _lost(reason: str, one: Prepared, part: FoldPart) -> str:
    """A part that could not be trained: its trial is out."""
    (one.expert.work / FAILED.format(part.name)).write_text(reason, encoding="utf-8")
    return f"{one.expert.name} {part.name}"


def _score(trial: Trial, n_folds: int) -> Score:
    """The loss of a trial on the held-out rows of its first folds."""
    one = trial.prepared
    parts = one.plan.parts[:n_folds]
    for part in parts:
        failed = one.expert.work / FAILED.format(part.name)
        if failed.exists():
            return Score(n_folds, math.inf, failed.read_text(encoding="utf-8"))
    rows, raw, _ = combine_parts({p.name: load_part(one.expert.work, p.name) for p in parts})
    loss = held_out_loss(one, rows, raw)
    return Score(n_folds, loss if math.isfinite(loss) else math.inf)


def _table(
    trials: Sequence[Trial], scores: dict[int, Score], space: Space, best: int
) -> pl.DataFrame:
    """``trials.csv``: a line per trial, as far as it came."""
    lines = []
    for one in trials:
        score, recipe = scores[one.number], one.prepared.expert.recipe
        values = {name: getattr(recipe, name) for name in space}
        loss = None if math.isinf(score.loss) else score.loss
        lines.append(
            {"trial": one.number, "folds": score.folds, "loss": loss, "best": one.number == best}
            | values | {"note": score.note}
        )  # fmt: skip
    return pl.DataFrame(lines, infer_schema_length=None, strict=False)


def _verdict(base: Prepared, scores: dict[int, Score], best: int) -> str:
    """The best trial against the recipe as it stands, in words."""
    people, usable = base.cohort.people, base.cohort.people.targets.usable & base.cohort.having
    patients = len(set(people.samples.patients[usable].tolist()))
    where = (
        f"on {scores[best].folds} inner folds of {int(usable.sum())} samples of {patients} patients"
    )
    own, first = scores[best], scores[0]
    measure = people.targets.way.measure
    if best == 0:
        return f"of {len(scores)} trials none beats the recipe as it stands ({measure} {own.loss:.4f} {where})"
    stands = "could not be trained" if math.isinf(first.loss) else f"has {first.loss:.4f}"
    return (
        f"trial {best} of {len(scores)} has a {measure} of {own.loss:.4f} {where}; the recipe as it stands {stands} "
        "(the best of many looks better than it is)"
    )


def _manifest(
    base: Prepared,
    best: Trial,
    space: Space,
    search: Search,
    seed: int,
    verdict: str,
    command: str | None,
) -> dict[str, Any]:
    """``manifest.json``: what was searched, on which rows."""
    return {
        "pathfuse": pathfuse.__version__,
        "command": command,
        "search": search,
        "seed": seed,
        "space": {name: repr(one) for name, one in space.items()},
        "head": base.expert.recipe.head,
        "features": base.cohort.folder.source,
        "left_out": list(base.cohort.left_out),
        "warnings": list(base.cohort.warnings),
        "rows": {"read": len(base.cohort.people.samples.ids)},
        "parts": {
            p.name: {"train": len(p.train), "predict": len(p.predict)} for p in base.plan.parts
        },
        "best": best.number,
        "recipe": best.prepared.expert.recipe.model_dump(),
        "verdict": verdict,
    }
