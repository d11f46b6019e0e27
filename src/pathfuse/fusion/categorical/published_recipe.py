"""The hyper-parameters of the published LogitProd, and the accidents of its code as switches.

See docs/design/logitprod.md, section 1.7, and for the accidents section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi

from pathfuse.errors import InputError

FIRST_RESTART, GROWTH = 10, 2
"""Epochs of the first cosine, and how much longer each one is than the one before."""


@dataclass(frozen=True)
class PublishedRecipe:
    """Hyper-parameters of one family of tasks (docs/design/logitprod.md, section 1.7)."""

    weight_decay: float = 1e-4
    rate: float = 1e-5
    lowest_rate: float = 1e-6
    """Where each cosine ends; for tiles it lies above ``rate``, which therefore rises."""
    epochs: int = 600
    patience: int = 100
    survival: bool = False
    """One gate per outcome, the discrete survival loss, and the epoch with the highest C-index."""


RECIPES: dict[str, PublishedRecipe] = {
    "classification": PublishedRecipe(),
    "mutation": PublishedRecipe(patience=50),
    "survival": PublishedRecipe(weight_decay=1e-3, lowest_rate=1e-7, survival=True),
    "tile": PublishedRecipe(rate=1e-7, epochs=100, patience=10),
}

QUIRKS: dict[str, tuple[str, ...]] = {
    "no_survival_gradient": ("survival",),
    "last_epoch": tuple(RECIPES),
    "unnormalised_mutation": ("mutation",),
    "dropped_rows": ("classification", "mutation", "tile"),
}
"""Accidents of the released code that can be switched on, and the recipes that have them.

``no_survival_gradient`` (defect 1): hazards are cut off from the gradient, so the survival gate
learns from the penalty alone and prefers experts whose errors are unlike the others', skilled or
not.

``last_epoch`` (defect 2): the "best" state is an alias of the live one, so the last epoch is
returned, up to ``patience`` epochs after the best.

``unnormalised_mutation`` (defect 3): the loss is ``-z_y = sum_m w_m NLL_m``, linear in the weights;
its minimum is one expert, and combining earns nothing. (Predictions are normalised here all the
same.)

``dropped_rows`` (defect 9): the last partial batch is dropped, in training and in validation. Below
16 training rows nothing is trained and the weights stay uniform; below 16 validation rows every
epoch scores 0, so the first one wins.
"""


def checked_recipe(recipe: str, quirks: Sequence[str]) -> PublishedRecipe:
    """The recipe of this name, if it has these quirks.

    Raises:
        InputError: It does not.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe '{recipe}' is unknown; choose one of {', '.join(RECIPES)}")
    for quirk in quirks:
        if quirk not in QUIRKS:
            raise InputError(f"quirk '{quirk}' is unknown; choose from {', '.join(QUIRKS)}")
        if recipe not in QUIRKS[quirk]:
            raise InputError(
                f"quirk '{quirk}' belongs to the recipe {' or '.join(QUIRKS[quirk])}, not to '{recipe}'"
            )
    return RECIPES[recipe]


def learning_rate(recipe: PublishedRecipe, epoch: int) -> float:
    """Rate of an epoch counted from 1: cosine annealing, restarting at epochs 11, 31, 71, 151, 311."""
    since, length = epoch - 1, FIRST_RESTART
    while since >= length:
        since -= length
        length *= GROWTH
    return (
        recipe.lowest_rate + (recipe.rate - recipe.lowest_rate) * (1 + cos(pi * since / length)) / 2
    )
