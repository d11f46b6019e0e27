"""Which image trains, validates and tests, without tearing a patient where the choice is ours."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

TEST = 0.25
"""Share of images to test on where there is no official split."""
VAL = 0.2
"""Share of the others to validate on: 60 / 15 / 25 in all."""


def draw_parts(
    groups: Sequence[str], official: Sequence[str | None], seed: int
) -> tuple[list[str], list[str]]:
    """Completes an official split, or draws one.

    Args:
        groups: Patient, or source image, of each image.
        official: ``train``, ``val``, ``test``, or None where nothing is official.
        seed: Of the draw.

    Returns:
        The part of each image, and sentences on what was drawn.
    """
    rng = np.random.default_rng(seed)
    parts = list(official)
    notes = []
    open_rows = [i for i, part in enumerate(parts) if part is None]
    if open_rows:
        if "test" not in parts:
            for i in _draw(groups, open_rows, TEST, rng):
                parts[i] = "test"
            notes.append(
                f"There is no official test part: {TEST:.0%} of the images were drawn with seed {seed}."
            )
        parts = [part or "train" for part in parts]
    if "val" not in parts:
        train = [i for i, part in enumerate(parts) if part == "train"]
        drawn = _draw(groups, train, VAL, rng)
        for i in drawn:
            parts[i] = "val"
        if drawn:
            notes.append(
                f"{len(drawn)} of {len(train)} training images were drawn to validate on, with seed {seed}."
            )
        else:
            notes.append("The training images are one group, so there is none to validate on.")
    return [str(part) for part in parts], notes


def _draw(
    groups: Sequence[str], rows: Sequence[int], share: float, rng: np.random.Generator
) -> list[int]:
    """Rows of whole groups, close to a share of the rows, never all of them and at least one group
    if there are two.
    """
    sizes = Counter(groups[i] for i in rows)
    if len(sizes) < 2:
        return []
    names = sorted(sizes)
    order = [names[i] for i in rng.permutation(len(names))]
    target = share * len(rows)
    taken: set[str] = set()
    n = 0
    for name in order:
        if len(taken) + 1 < len(names) and n + sizes[name] <= target + 0.5:
            taken.add(name)
            n += sizes[name]
    if not taken:
        taken = {min(order, key=lambda name: sizes[name])}
    return [i for i in rows if groups[i] in taken]
