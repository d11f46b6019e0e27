"""``expression`` in ``study.yaml``: counts of genes are brought to one library size, and their
logarithms taken, before anything is trained.

What it does to a sample depends on that sample's counts alone, so that held-out rows steer nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pathfuse.endpoints.regression import PREFIX
from pathfuse.errors import InputError
from pathfuse.experts.cohort import People
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.registry import target_kind


class ExpressionOptions(BaseModel):
    """How counts become what experts predict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    library_size: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Counts of a sample are multiplied so that its total becomes this; None: they stay."""
    total: str | None = None
    """Column of the samples table with the total of all genes of a sample; None: the sum over the
    targets that are known of it."""
    log1p: bool = False
    """Then ``log(1 + x)``."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.library_size is None and self.total is not None:
            raise ValueError("'total' is for 'library_size', which is not given")
        if self.library_size is None and not self.log1p:
            raise ValueError("'expression' does nothing; give library_size, log1p or both")
        return self

    @property
    def in_words(self) -> str:
        """What was done, for manifest and report."""
        over = "of the given targets" if self.total is None else f"in column '{self.total}'"
        steps = []
        if self.library_size is not None:
            steps.append(f"counts were scaled to {self.library_size:g} per sample (total {over})")
        if self.log1p:
            steps.append("log(1 + x) was taken")
        return f"expression: {', then '.join(steps)}; predictions and metrics are in that scale"


def normalised(
    people: People, options: ExpressionOptions, recipes: Mapping[str, TrainingRecipe]
) -> pl.DataFrame:
    """The samples table with other target columns; what is missing stays missing.

    Args:
        people: The samples.
        options: What to do.
        recipes: Of the experts that are planned, by name.

    Raises:
        InputError: The targets are not counts, an expert wants counts, or a total cannot be right.
    """
    check_wanted(people, recipes)
    counts = known_counts(people)
    if options.library_size is not None:
        total = totals(people, counts, options.total)
        counts = counts * (options.library_size / np.where(total > 0, total, 1.0))[:, None]
    if options.log1p:
        counts = np.log1p(counts)
    columns = [
        pl.Series(PREFIX + name, counts[:, k]).fill_nan(None)
        for k, name in enumerate(people.targets.names)
    ]
    return people.samples.frame.with_columns(columns)


def check_wanted(people: People, recipes: Mapping[str, TrainingRecipe]) -> None:
    """Refuses what wants no such targets.

    Raises:
        InputError: The endpoint has no numbers, or the likelihood of an expert is one of counts.
    """
    if not people.endpoint.of_numbers:
        raise InputError(
            f"'expression' is for regression, but the endpoint is {people.endpoint.kind}"
        )
    for name, recipe in recipes.items():
        if target_kind(people.targets.kind, recipe.likelihood).of_counts:
            raise InputError(
                f"the expert '{name}' has likelihood={recipe.likelihood}, which wants counts, and "
                "'expression' leaves none; leave one of the two out"
            )


def known_counts(people: People) -> Float[np.ndarray, "sample target"]:
    """The counts; NaN where nothing is known.

    Raises:
        InputError: One of them is negative.
    """
    counts = np.where(people.targets.known, people.targets.values, np.nan)
    wrong = np.argwhere(counts < 0)
    if len(wrong):
        row, k = wrong[0]
        raise people.samples.columns([]).wrong(
            PREFIX + people.targets.names[k],
            int(row),
            f"{counts[row, k]:g} is negative, and 'expression' wants counts",
        )
    return counts


def totals(
    people: People, counts: Float[np.ndarray, "sample target"], column: str | None
) -> Float[np.ndarray, " sample"]:
    """The total count of each sample; 1 where none of its counts is known.

    Raises:
        InputError: A stated total is missing, not a number, or less than the counts that it is of.
    """
    there, least = ~np.isnan(counts).all(axis=1), np.nansum(counts, axis=1)
    if column is None:
        return np.where(there, least, 1.0)
    given, found = people.samples.columns([column]), np.ones(len(counts))
    for row in np.flatnonzero(there).tolist():
        found[row] = given.number(column, row)
        if not np.isfinite(found[row]):
            raise given.wrong(column, row, "the total is missing or not finite")
        if found[row] < least[row] * (1 - 1e-9):
            what = f"the total is {found[row]:g}, but the counts of the targets add up to"
            raise given.wrong(column, row, f"{what} {least[row]:g}")
    return found


def as_manifest(options: ExpressionOptions | None) -> dict[str, Any] | None:
    """What the manifest says; None if nothing was done."""
    return None if options is None else options.model_dump() | {"done": options.in_words}
