"""``images.csv``: image by image what every model and method made of it, the worst ones first, and
which model was right where the fused mask is wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pathfuse.dense.evaluation.confusion import ConfusionTable
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.fusion.fused_model import BEST, FUSED

SHOWN = 3
"""Images that the terminal names."""
DICE = "dice_"
"""Before the name of a model or method: its column."""


def image_table(
    table: ConfusionTable, patient_of: Mapping[str, str], models: Sequence[str]
) -> pl.DataFrame:
    """One row per judged image, that with the lowest Dice of the fused mask first.

    Args:
        table: What was counted.
        patient_of: Patient of each image.
        models: The single models.

    Returns:
        ``sample_id``, ``patient_id``, ``best_model`` (the single model with the highest Dice of
        this image, known only with its mask), ``best_model_dice``, ``gain`` (Dice of ``fused`` less
        that of ``best_expert``), and ``dice_<name>`` of every model and method: the mean over the
        classes that are there or predicted; empty where a model did not score the image or no
        pixel counts.
    """
    dice = {
        name: np.where(table.scored[name], metrics(cms)[MEAN_DICE.name], np.nan)
        for name, cms in table.cms.items()
    }
    singles = np.stack([np.nan_to_num(dice[name], nan=-1.0) for name in models])
    top, highest = singles.argmax(axis=0), singles.max(axis=0)
    frame = pl.DataFrame(
        {
            "sample_id": table.image_ids,
            "patient_id": [patient_of[image_id] for image_id in table.image_ids],
            "best_model": [
                models[m] if value >= 0 else None for m, value in zip(top, highest, strict=True)
            ],
            "best_model_dice": np.where(highest >= 0, highest, np.nan),
            "gain": dice[FUSED] - dice[BEST],
            **{f"{DICE}{name}": own for name, own in dice.items()},
        }
    )
    return frame.fill_nan(None).sort(f"{DICE}{FUSED}", "sample_id", nulls_last=True)


def worst_images(images: pl.DataFrame) -> list[str]:
    """The images with the lowest Dice of the fused mask, and who was right, in words.

    Examples:
        >>> row = {"sample_id": "a", "best_model": "uni", "best_model_dice": 0.8, "dice_fused": 0.61}
        >>> worst_images(pl.DataFrame([row]))
        ['a: fused 0.610, best model uni 0.800']
    """
    rows: list[dict[str, Any]] = images.drop_nulls(f"{DICE}{FUSED}").head(SHOWN).to_dicts()
    return [
        f"{row['sample_id']}: fused {row[f'{DICE}{FUSED}']:.3f}, best model {row['best_model']} "
        f"{row['best_model_dice']:.3f}"
        for row in rows
    ]
