"""An expert's table that carries another truth than the samples table."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from pathfuse.endpoints.class_columns import class_names
from pathfuse.endpoints.columns import NO, YES
from pathfuse.files.tables import Table, text_column
from pathfuse.study.carried_truth import CarriedTruth
from pathfuse.study.predictions import Expert
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import Evidence

NEAR = 0.02
"""Relative difference up to which two numbers are one that was rounded, or that is in another unit."""
MOST = 0.8
"""Share of the times that another unit must explain."""


class OtherTruth(Check):
    """Whoever wrote the predictions had other labels: of another target, or of other samples."""

    name: ClassVar[str] = "other truth"
    looks_for: ClassVar[str] = (
        "an expert's table with a column of the truth (STAMP's target, label, y_true, ground_truth, time, event) that "
        "contradicts the samples table"
    )
    threshold: ClassVar[str] = (
        "one row that differs, after spelling; numbers that differ by more than 2 % and than by rounding "
        "(times also after a change of unit). Numbers of classes are not compared with names of classes"
    )
    way_forward: ClassVar[str] = (
        "find out which table is right, and whether the names of samples mean the same in both; a column that is not "
        "the truth should have another name"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and column."""
        samples = evidence.study.samples
        table = Table(samples.source, samples.frame, None)
        for expert in evidence.study.experts:
            for truth in expert.truth:
                own = text_column(table, truth.target)
                of_samples = {i: t for i, t in zip(samples.ids.tolist(), own, strict=True) if t}
                shared, wrong = _compared(
                    expert, truth, of_samples, evidence.study.endpoint.in_time
                )
                if not wrong:
                    continue
                first = wrong[0]
                yield (
                    f"{expert.name}: the column '{truth.column}' of its table contradicts the column '{truth.target}' "
                    f"of the samples in {len(wrong)} of {shared} rows (sample '{first}': '{truth.values[first]}', in "
                    f"the samples table '{of_samples[first]}'); {self.way_forward}"
                )


def _compared(
    expert: Expert, truth: CarriedTruth, of_samples: Mapping[str, str], in_time: bool
) -> tuple[int, list[str]]:
    """How many rows can be compared, and the samples that differ."""
    ids = [i for i in truth.values if i in of_samples]
    if not ids:
        return 0, []
    theirs, ours = [truth.values[i] for i in ids], [of_samples[i] for i in ids]
    if in_time or truth.target.startswith("target_"):
        return _numbers(ids, theirs, ours, times=truth.target == "time")
    return _words(ids, theirs, ours, expert.label_map or {})


def _numbers(
    ids: list[str], theirs: list[str], ours: list[str], *, times: bool
) -> tuple[int, list[str]]:
    a, b = (
        pl.Series(one, dtype=pl.String).cast(pl.Float64, strict=False).to_numpy()
        for one in (theirs, ours)
    )
    there = np.isfinite(a) & np.isfinite(b)
    scale = np.abs(b[there]).mean() if there.any() else 0.0

    def differ(factor: float) -> np.ndarray:
        rounded = 1.001 * max(_half(theirs) * factor, _half(ours))
        near = NEAR * np.maximum(np.abs(b), NEAR * scale)
        return there & ~(np.abs(a * factor - b) <= np.maximum(near, rounded))

    wrong = differ(1.0)
    if times and wrong.any() and (a[there] > 0).any():
        ratio = float(np.median(b[there & (a > 0)] / a[there & (a > 0)]))
        turned = differ(ratio)
        if turned.sum() <= (1 - MOST) * there.sum() and turned.sum() < wrong.sum():
            wrong = turned
    return int(there.sum()), [i for i, bad in zip(ids, wrong, strict=True) if bad]


def _half(numbers: list[str]) -> float:
    """Half a step of the last decimal that a column has, which rounding may have taken away.

    Examples:
        >>> _half(["12", "3.25"]), _half(["12", "7"])
        (0.005, 0.5)
    """
    decimals = max(
        (
            len(text.partition(".")[2].rstrip("0")) if "e" not in text.lower() else 9
            for text in numbers
        ),
        default=0,
    )
    return float(0.5 * 10.0**-decimals)


def _words(
    ids: list[str], theirs: list[str], ours: list[str], label_map: Mapping[str, str]
) -> tuple[int, list[str]]:
    a = [str(word).casefold() for word in class_names(pl.Series(theirs))]
    plain = class_names(pl.Series(ours)).to_list()
    b = [str(word).casefold() for word in plain]
    mapped = [str(label_map.get(word, word)).casefold() for word in plain]
    if set(a) | set(b) <= YES | NO:
        a, b = ([str(word in YES) for word in one] for one in (a, b))
        mapped = b
    known = {*b, *mapped}
    if not set(a) & known or (_counted(a) and not _counted(b)):
        return 0, []  # numbers or other words for the classes
    wrong = [
        i for i, one, own, coarse in zip(ids, a, b, mapped, strict=True) if one not in (own, coarse)
    ]
    return len(ids), wrong


def _counted(words: list[str]) -> bool:
    return all(word.isdecimal() for word in words)
