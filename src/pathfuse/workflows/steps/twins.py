"""The same image under two names: judged samples whose predictions are those of a fit sample,
number for number.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl

from pathfuse.study.samples import Partition
from pathfuse.study.study import Study

MANY = 10
"""Predictions that more samples share say that the experts could not tell (a blank tile), not that
one is a copy."""
FINE = 0.9
"""An expert that gives so large a share of all different samples a prediction of their own repeats
none by chance."""
ENOUGH = 10
"""Fewer samples do not show whether predictions are coarse."""
CHANCE = 3
"""Without such an expert there must be so many times more copies than chance explains."""


def twin_warnings(study: Study, parts: Sequence[Partition]) -> list[str]:
    """Warns of judged samples with exactly the predictions of fit samples, all experts taken
    together.

    Equal predictions that are likely by chance (constant ones, coarsely rounded ones) are passed
    over: some expert that scored both samples must hardly ever repeat itself on samples that others
    tell apart. Where there is none such, the copies must outnumber what the samples of one part
    have among themselves.

    Args:
        study: The study, as read.
        parts: Who is fitted on and who is judged.
    """
    mask = np.zeros(len(study.samples.ids), dtype=bool)
    for part in parts:
        mask[part.fit] = mask[part.judged] = True
    used = np.flatnonzero(mask)
    place = np.zeros(
        len(study.samples.ids), dtype=np.int64
    )  # 0: fit rows that are never judged; every judged part has its own
    for number, part in enumerate(parts, start=1):
        place[part.judged] = number
    if place[used].min() == place[used].max():
        return []
    prints = fingerprints(study)
    used = used[prints[used].any(axis=1)]
    prints, place = prints[used], place[used]
    _, first, group, size = np.unique(
        _mixed(prints), return_index=True, return_inverse=True, return_counts=True
    )  # fmt: skip
    if len(first) < max(ENOUGH, len(used) / 2):
        return []
    spread = np.full(len(first), -1), np.full(len(first), np.iinfo(np.int64).max)
    np.maximum.at(spread[0], group, place)
    np.minimum.at(spread[1], group, place)
    copied = ((spread[0] > spread[1]) & (size <= MANY))[group]
    fine = [m for m in range(prints.shape[1]) if prints.shape[1] > 1 and _is_fine(prints[first, m])]
    if fine:
        copied &= prints[:, fine].any(axis=1)
    elif (copied & (place > 0)).sum() <= CHANCE * _by_chance(group, place):
        return []
    return _sentence(study.samples.ids[used], place, group, copied)


def _is_fine(prints: np.ndarray) -> bool:
    """Whether an expert's predictions of samples that differ for all experts together are all but
    unique.
    """
    own = np.sort(prints[prints != 0])
    return int((np.diff(own) != 0).sum()) + 1 > FINE * max(len(own), ENOUGH)


def _by_chance(group: np.ndarray, place: np.ndarray) -> float:
    """How many pairs of samples of two parts would be equal if these were as alike as samples of
    one part are.
    """
    n_in = np.bincount(place).astype(np.float64)
    alike = np.unique(np.stack([place, group]), axis=1, return_counts=True)[1].astype(np.float64)
    inside, equal = (n_in * (n_in - 1)).sum() / 2, (alike * (alike - 1)).sum() / 2
    across = (n_in.sum() ** 2 - (n_in**2).sum()) / 2
    return float(across * (equal + 1) / max(inside, 1.0))


def _sentence(
    ids: np.ndarray, place: np.ndarray, group: np.ndarray, copied: np.ndarray
) -> list[str]:
    judged = np.flatnonzero(copied & (place > 0))
    if not len(judged):
        return []
    one, n = judged[0], len(judged)
    other = np.flatnonzero((group == group[one]) & (place != place[one]))[0]
    has, whose = ("sample has", "a fit sample") if n == 1 else ("samples have", "fit samples")
    names = f"{'' if n == 1 else 'the first: '}'{ids[one]}' and '{ids[other]}'"
    question = "the same images under two names?" if n > 1 else "the same image under two names?"
    return [f"{n} judged {has} exactly the predictions of {whose} ({names}): {question}"]


def fingerprints(study: Study) -> np.ndarray:
    """One number per sample and expert that stands for all that the expert predicted for it.

    0 where it did not score it.

    Returns:
        Unsigned 64-bit integers, (sample, expert).
    """
    ids = study.samples.ids.tolist()
    position = pl.DataFrame({"id": ids}).with_row_index("n")
    rows = np.arange(len(ids))
    result = np.zeros((len(ids), len(study.experts)), dtype=np.uint64)
    for m, expert in enumerate(study.experts):
        if (
            expert.ids != ids
        ):  # those of the expert before; most tables list the same samples in one order
            ids = expert.ids
            found = pl.DataFrame({"id": ids}).join(
                position, on="id", how="left", maintain_order="left"
            )
            rows = found["n"].to_numpy()
        prints = [table for output in expert.outputs.values() for table in _tables(output)]
        result[rows, m] = np.maximum(_hashed(np.concatenate(prints, axis=1)), np.uint64(1))
    return result


def _tables(output: Any) -> list[np.ndarray]:
    """Whatever an endpoint keeps of an expert row by row."""
    parts = [getattr(output, part.name) for part in fields(output)]
    return [part for part in parts if isinstance(part, np.ndarray) and part.ndim == 2]


def _hashed(values: np.ndarray) -> np.ndarray:
    """A number per row of floats; equal rows have equal ones."""
    return _mixed(
        np.ascontiguousarray(np.where(np.isnan(values), np.nan, values + 0.0)).view(np.uint64)
    )


def _mixed(bits: np.ndarray) -> np.ndarray:
    """A number per row.

    Equal rows have equal ones, others hardly ever (splitmix64, column by column).
    """
    total = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        mixed = (total ^ column) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        total = mixed ^ (mixed >> np.uint64(31))
    return total
