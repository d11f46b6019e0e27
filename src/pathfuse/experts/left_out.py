"""What takes no part in an expert: counted in samples and patients, and refused where it is most of
a study.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from pathfuse.errors import InputError
from pathfuse.experts.cohort import NO_FILE, Cohort, People, line, slides_of
from pathfuse.features.bank import FeatureBank

NO_SLIDE = "the slide table names no slide of the sample"
SINGLE = 2
"""A fusion of features needs at least so many encoders of a sample."""


def without_truth(cohort: Cohort) -> list[dict[str, Any]]:
    """Samples with features and without a truth, which train nobody; ``test`` rows need none."""
    samples = cohort.people.samples
    silent = cohort.having & ~cohort.people.targets.usable
    if samples.roles is not None:
        silent &= samples.roles != "test"
    rows = np.flatnonzero(silent).tolist()
    names = samples.ids[rows].tolist()
    reason = "sample without a truth: no model is fitted on it"
    return [line(cohort.people, reason, len(rows), names, rows)] if rows else []


def absences(cohort: Cohort) -> dict[int, str]:
    """Why samples take no part in an expert, by row of the samples table.

    A fusion of features needs two encoders of a sample: with one of them it is not a fusion,
    whatever is masked.
    """
    people, folder = cohort.people, cohort.folder
    broken = {item.name: item.reason for item in folder.broken}
    hidden = (
        _hidden(folder)
        if isinstance(folder, FeatureBank) and len(folder.encoders) >= SINGLE
        else None
    )
    having, found = cohort.having, {}
    for row, slides in enumerate(slides_of(people)):
        if not having[row]:
            found[row] = next(
                (broken[s] for s in slides if s in broken), NO_FILE if slides else NO_SLIDE
            )
        elif hidden is not None:
            masks = [hidden.get(slide, {}) for slide in slides if slide in folder.slides]
            if len(set.union(*(set(folder.views) - set(one) for one in masks))) < SINGLE:
                found[row] = next(why for one in masks for why in one.values())
    return found


def _hidden(bank: FeatureBank) -> dict[str, dict[str, str]]:
    """Slide to the encoders that have no row of it, and why."""
    found: dict[str, dict[str, str]] = {}
    for item in bank.masked:
        if item.n_tiles == item.of:
            found.setdefault(item.slide, {})[item.encoder] = item.reason
    return found


def check_enough(cohort: Cohort, name: str, allow_partial: bool) -> tuple[str, ...]:
    """Refuses an expert that most of a study takes no part in: its samples, those of one role, or
    its slides.

    Args:
        cohort: Samples and features.
        name: Of the expert.
        allow_partial: Warn instead.

    Returns:
        Warnings.

    Raises:
        InputError: More than half of the samples with a truth, of their patients or of their
            slides drop out, and ``allow_partial`` is off.
    """
    people, why = cohort.people, absences(cohort)
    usable, roles = people.targets.usable, people.samples.roles
    groups: dict[str, Bool[np.ndarray, " sample"]] = {"": usable}
    for role in [] if roles is None else np.unique(roles.astype(str)).tolist():
        groups[f" of the {role} rows"] = usable & (roles == role)
    losses = [_loss(people, why, inside, where, name) for where, inside in groups.items()]
    for sentence in [*losses, _slides_lost(cohort, name)]:
        if sentence is not None and not allow_partial:
            raise InputError(
                f"{cohort.folder.source}: {sentence}; mend that, or go on with what is left: --allow-partial "
                "(allow_partial: true in study.yaml)"
            )
        if sentence is not None:
            return (sentence,)
    return ()


def _slides_lost(cohort: Cohort, name: str) -> str | None:
    """What is lost of the slides of samples with a truth, in words; None if at least half of them
    are there.

    In a fusion of features a slide counts that at least two encoders have.
    """
    folder, usable = cohort.folder, cohort.people.targets.usable
    wanted = {
        slide
        for row, slides in enumerate(slides_of(cohort.people))
        if usable[row]
        for slide in slides
    }
    why = {item.name: item.reason for item in folder.broken}
    lost = {slide: why.get(slide, NO_FILE) for slide in wanted if slide not in folder.slides}
    if isinstance(folder, FeatureBank) and len(folder.encoders) >= SINGLE:
        for slide, masks in _hidden(folder).items():
            if slide in wanted and len(folder.views) - len(masks) < SINGLE:
                lost[slide] = next(iter(masks.values()))
    if 2 * len(lost) <= len(wanted):
        return None
    reason, most = Counter(lost[slide] for slide in sorted(lost)).most_common(1)[0]
    return (
        f"{len(lost)} of {len(wanted)} slides of samples with a truth drop out of '{name}', "
        f"{'all' if most == len(lost) else most} of them because: {reason}"
    )


def _loss(
    people: People,
    why: Mapping[int, str],
    inside: Bool[np.ndarray, " sample"],
    where: str,
    name: str,
) -> str | None:
    """What is lost of some samples, in words.

    None if at least half of samples and patients are there.
    """
    lost = np.array([row in why for row in range(len(inside))]) & inside
    patients = people.samples.patients
    n, everyone = int(inside.sum()), set(patients[inside].tolist())
    gone = everyone - set(patients[inside & ~lost].tolist())
    if 2 * lost.sum() <= n and 2 * len(gone) <= len(everyone):
        return None
    reason, most = Counter(why[row] for row in np.flatnonzero(lost).tolist()).most_common(1)[0]
    of_patients = (
        f" ({len(gone)} of {len(everyone)} patients)" if people.samples.has_patient.any() else ""
    )
    return (
        f"{int(lost.sum())} of {n} samples with a truth{where}{of_patients} drop out of "
        f"'{name}', {'all' if most == lost.sum() else most} of them because: {reason}"
    )
