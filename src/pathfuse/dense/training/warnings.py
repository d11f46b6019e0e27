"""Warnings about a finished training, in sentences.

See docs/design/densebench.md, section 7, defects 5 and 12.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pathfuse.dense.evaluation.confusion import Confusion

FELL = 0.02
"""Smallest share by which the training loss has to fall."""
ROSE = 1.25
"""Times its lowest value that the training loss may end at."""
LAST = 5
"""Part of the epochs (one in five) at the end that is looked at."""


def warnings_of(
    history: Sequence[Mapping[str, Any]], cm: Confusion, class_names: Sequence[str]
) -> list[str]:
    """Signs of a collapse in the training loss, and of classes that were not learned.

    Args:
        history: A line per epoch, with ``train_loss``.
        cm: Of the validation images in the chosen epoch; all 0 without any.
        class_names: K names.
    """
    return [
        *_of_loss([float(line["train_loss"]) for line in history]),
        *_of_classes(cm, class_names),
    ]


def _of_loss(losses: Sequence[float]) -> list[str]:
    if len(losses) < 3:
        return []
    low, end = min(losses), min(losses[-max(1, len(losses) // LAST) :])
    if low > losses[0] * (1 - FELL):
        return [
            f"the training loss did not fall: {losses[0]:.3g} in the first epoch, {low:.3g} at its lowest"
        ]
    if end > ROSE * low and end - low > FELL:
        lowest = f"{low:.3g} in epoch {losses.index(low) + 1}"
        return [
            f"training collapsed: its loss was {lowest} and is {end:.3g} at the end; lower the learning rates"
        ]
    return []


def _of_classes(cm: Confusion, class_names: Sequence[str]) -> list[str]:
    true, predicted = cm.sum(axis=1), cm.sum(axis=0)
    if (predicted > 0).sum() == 1 and (true > 0).sum() > 1:
        return [
            f"every pixel of the validation images is given to the class '{class_names[int(predicted.argmax())]}'"
        ]
    missed = [
        name
        for name, n, hit in zip(class_names, true, cm.diagonal(), strict=True)
        if n > 0 and hit == 0
    ]
    unseen = (
        [name for name, n in zip(class_names, true, strict=True) if n == 0] if true.any() else []
    )
    never_found = [
        f"no pixel of the class '{name}' was found in the validation images" for name in missed
    ]
    return [
        *never_found,
        *(f"the validation images have no pixel of the class '{name}'" for name in unseen),
    ]
