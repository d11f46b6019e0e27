"""The JSON body of ``/predict``: samples, each with what the experts said of it."""

from typing import (
    Annotated,  # pydantic asks for these before Python 3.12
)

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from pathfuse.endpoints.base import Endpoint
from pathfuse.serving.given import LONGEST_NAME, ExpertRows, Given, check_known, plain_ids
from pathfuse.serving.json_body import checked

Number = Annotated[float, Field(strict=True)]


@with_config(ConfigDict(extra="forbid"))
class Sample(TypedDict):
    """One sample, and what each expert said of it."""

    sample_id: Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_NAME)]
    experts: dict[str, dict[str, Number] | None]
    """By the expert's name, the columns of its prediction table; an expert that is null or not there
    did not score the sample."""


@with_config(ConfigDict(extra="forbid"))
class Samples(TypedDict):
    """The body of ``/predict``."""

    samples: Annotated[list[Sample], Field(min_length=1)]


SAMPLES = TypeAdapter(Samples)


def given_samples(endpoint: Endpoint, raw: bytes) -> Given:
    """The samples of a JSON body, in its order.

    Raises:
        RefusedError: It is not JSON, or has another form.
        InputError: A sample is there twice or has no name, or a column is none.
    """
    samples: list[Sample] = checked(SAMPLES, raw)["samples"]  # type: ignore[index]
    ids = plain_ids([sample["sample_id"] for sample in samples])
    rows: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for n, sample in enumerate(samples):
        for name, said in sample["experts"].items():
            if said is not None:
                rows.setdefault(name, []).append((n, said))
    return Given(ids, {name: _rows(endpoint, name, own) for name, own in rows.items()})


def _rows(endpoint: Endpoint, name: str, rows: list[tuple[int, dict[str, float]]]) -> ExpertRows:
    """One expert's rows as a matrix; NaN where a sample lacks a column that another has."""
    columns = tuple(dict.fromkeys(column for _, said in rows for column in said))
    check_known(endpoint, name, columns)
    values = np.array([[said.get(column, np.nan) for column in columns] for _, said in rows])
    position = np.array([n for n, _ in rows], dtype=np.int64)
    return ExpertRows(position, columns, values.reshape(len(rows), len(columns)))
