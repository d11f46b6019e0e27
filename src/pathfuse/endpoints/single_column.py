"""Which column of a table holds the one probability per sample, and of which of two classes it is."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pathfuse.endpoints.columns import NO
from pathfuse.errors import InputError

SINGLE = ("probability", "prob", "proba", "prediction", "pred", "score", "label", "target", "y_prob",
          "y_score", "y_pred", "p")  # fmt: skip
"""What the one column of a table with a single probability per sample is called."""
DECISIONS = ("prediction", "pred", "y_pred")
"""Of these, what may also hold the class that was decided on."""
OF_DECIDED = "probability"
"""Of these, what next to a decision may be of the class that was decided on."""
TRUTH = ("label", "target")
"""Of these, what next to another one is the truth."""
POSITIVE_WORDS = ("1", "True", "positive", "Positive", "yes")
"""Of two classes the one that such a probability is of, if nothing else is said."""
NEGATIVE_WORDS = NO | {"-1"}
"""What the class next to ``1`` is called, in small letters: of 1 and 2 neither is plainly positive."""


def numbers(frame: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Float64, (row, column); NaN where a cell is no number."""
    found = frame.select(pl.col(name).cast(pl.Float64, strict=False) for name in names)
    return found.fill_null(float("nan")).to_numpy()


def only_0_and_1(values: np.ndarray) -> bool:
    """Whether there is no other number, as among decisions; NaN does not count."""
    return bool(np.isin(values[~np.isnan(values)], (0, 1)).all())


def plainly_positive(classes: Sequence[str]) -> str | None:
    """Of two classes the one that a single probability is of, unless the other leaves that open.

    Examples:
        >>> plainly_positive(["0", "1"]), plainly_positive(["no", "yes"])
        ('1', 'yes')
        >>> plainly_positive(["1", "2"])
    """
    word = next((word for word in POSITIVE_WORDS if word in classes), None)
    if word != "1":
        return word
    others = [one.lower() for one in classes if one != word]
    return word if set(others) <= NEGATIVE_WORDS else None


def only_column(source: str, frame: pl.DataFrame, classes: Sequence[str]) -> str | None:
    """The column of a single probability; one that holds decisions only if there is no other.

    Args:
        source: The table, for messages.
        frame: Its columns.
        classes: The two classes.

    Raises:
        InputError: Next to decisions there is a probability, and its class is not plain.
    """
    there = [name for name in SINGLE if name in frame.columns]
    found = [name for name in there if name not in TRUTH] or there
    decided = [
        name for name in found if _decides(frame[name], classes if name in DECISIONS else None)
    ]
    others = [
        name for name in found if name not in decided and not only_0_and_1(numbers(frame, [name]))
    ]
    if not decided or not others:
        return found[0] if found else None
    name, values = others[0], numbers(frame, others[:1])
    decision = numbers(frame, decided[:1])
    never_low = np.nanmin(values) >= np.nanmax(values) / 2 and len(np.unique(decision)) > 1
    if OF_DECIDED in others or np.isnan(decision).any() or not only_0_and_1(decision) or never_low:
        raise InputError(
            f"{source}: '{decided[0]}' holds decisions, and whether '{name}' is the probability of one class or of "
            f"the class that was decided on cannot be told; give that of one class in a column prob_{classes[1]}"
        )
    return name


def _decides(cells: pl.Series, classes: Sequence[str] | None) -> bool:
    """Whether all cells are 0 and 1; where classes are given, also their numbers, or any word."""
    known = cells.drop_nulls()
    number = known.cast(pl.Float64, strict=False)
    if not len(known) or number.null_count():
        return classes is not None and len(known) > 0
    own = pl.Series(list(classes or ()), dtype=pl.String).cast(pl.Float64, strict=False)
    return bool(number.is_in([0.0, 1.0, *own.drop_nulls().to_list()]).all())
