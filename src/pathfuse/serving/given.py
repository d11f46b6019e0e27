"""What a request says, as arrays: the same for JSON, for tables and for tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.endpoints.base import Endpoint
from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS

SOURCE = "the request"
"""Stands for the file in sentences."""
LONGEST_NAME = 512
"""Characters of a sample's name."""


@dataclass(frozen=True)
class ExpertRows:
    """One expert's rows, as the endpoint reads them."""

    position: Int[np.ndarray, " row"]
    """Where each stands among the samples."""
    columns: tuple[str, ...]
    values: Float[np.ndarray, "row column"]


@dataclass(frozen=True)
class Given:
    """Samples with every expert's rows of them."""

    ids: Sequence[str]
    experts: Mapping[str, ExpertRows]
    """By name; an expert that scored none of them is not in it."""

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.ids)


def plain_ids(names: Sequence[str]) -> list[str]:
    """Samples' names without blanks around them, as those of files are read.

    Raises:
        InputError: A name is nothing but blanks, or is there twice.
    """
    ids = [name.strip(BLANKS) for name in names]
    if "" in ids:
        raise InputError(f"{SOURCE}: the name of sample {ids.index('') + 1} is empty")
    if len(set(ids)) < len(ids):
        seen = set[str]()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise InputError(f"{SOURCE}: the sample '{twice}' is there twice")
    return ids


def check_known(endpoint: Endpoint, expert: str | None, columns: Sequence[str]) -> None:
    """Refuses a column that carries no prediction: one that is spelled wrong would be missing.

    Args:
        endpoint: What is predicted.
        expert: Whose columns they are; None: nobody's.
        columns: Their names.

    Raises:
        InputError: Naming it.
    """
    known = set(endpoint.prediction_columns(columns))
    unknown = next((name for name in columns if name not in known), None)
    if unknown is not None:
        shown = unknown if len(unknown) < 60 else f"{unknown[:60]}..."
        where = SOURCE if expert is None else f"{SOURCE}, expert '{expert}'"
        raise InputError(
            f"{where}: '{shown}' is no column of predictions, whose names begin "
            f"with {' or '.join(endpoint.prefixes)}"
        )
