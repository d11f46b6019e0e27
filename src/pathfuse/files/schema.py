"""Schemas of the files that pathfuse writes and reads again: what fits none is damaged, or was edited
by hand.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pathfuse.errors import first_problem

MAX_NAME = 1000
"""Characters of a name."""


def _different(names: list[str]) -> list[str]:
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        raise ValueError(f"'{twice[:MAX_NAME]}' stands there twice")
    return names


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_different)]
Count = Annotated[int, Field(ge=0)]


class Stored(BaseModel):
    """Base of the schemas: nothing is converted, no number is infinite, no key is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


Content = TypeVar("Content", bound=Stored)


def checked(kind: type[Content], content: Mapping[str, Any]) -> Content:
    """What a file says, if it fits its schema.

    Raises:
        ValueError: It does not; the message is half a sentence.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ValueError(first_problem(error, kind.model_fields)) from None
