"""Rows that a model was fitted on: remembered without their names, and reported wherever they
are predicted or judged.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from pathfuse.study.samples import Partition
from pathfuse.study.study import Study


def digests(ids: Iterable[str]) -> np.ndarray:
    """The first 8 bytes of the SHA-256 of each identifier, as sorted unsigned 64-bit integers
    without repeats.
    """
    return np.unique(_digests(ids))


def among(ids: Iterable[str], known: np.ndarray) -> np.ndarray:
    """Which identifiers have their digest among some.

    Args:
        ids: The identifiers.
        known: From ``digests``.

    Returns:
        Bool, (identifier,).
    """
    asked = _digests(ids)
    if not len(known):
        return np.zeros(len(asked), dtype=bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, asked), len(known) - 1)] == asked)


def _digests(ids: Iterable[str]) -> np.ndarray:
    joined = b"".join(hashlib.sha256(name.encode()).digest()[:8] for name in ids)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def seen_warnings(study: Study, parts: Sequence[Partition], *, fitting: bool = False) -> list[str]:
    """Warns of experts whose predictions come from a model that was fitted on these very samples.

    Args:
        study: The study.
        parts: Who is fitted on and who is judged.
        fitting: Whether a fusion is fitted on the fit rows.
    """
    judged = {str(i) for part in parts for i in study.samples.ids[part.judged]}
    fit = {str(i) for part in parts for i in study.samples.ids[part.fit]} if fitting else set()
    found = []
    for expert in study.experts:
        if not expert.seen:
            continue
        known = set(expert.ids)
        in_judged, in_fit = len(judged & expert.seen), len((fit - judged) & expert.seen)
        if in_judged:
            found.append(
                f"expert '{expert.name}': {in_judged} of the {len(judged & known)} judged samples were among the fit "
                "rows of the model that predicted them: its figures are too good"
            )
        if in_fit:
            found.append(
                f"expert '{expert.name}': {in_fit} of the {len((fit - judged) & known)} fit samples were among the fit "
                "rows of the model that predicted them: the fusion will trust it too much"
            )
    return found
