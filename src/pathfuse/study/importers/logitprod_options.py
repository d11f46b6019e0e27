"""What the files of a LogitProd dump do not say, and the user must."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pathfuse.errors import InputError
from pathfuse.study.importers.importer import OnCommandLine


def class_names(text: str) -> tuple[str, ...]:
    """``A,B,C`` as names.

    Raises:
        InputError: A name is empty, or occurs twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise InputError(f"--classes '{text}' has an empty name")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--classes '{text}' names '{twice}' twice")
    return names


def edges_from(text: str) -> tuple[float, ...]:
    """``0,12,24,inf`` as numbers.

    Raises:
        InputError: A part is not a number.
    """
    try:
        return tuple(float(edge) for edge in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--time-edges '{text}' must be numbers with commas between them, such as 0,12,24,inf"
        ) from error


class LogitProdOptions(BaseModel):
    """Options of the importer of LogitProd's dumps.

    A field's description is the help of its option.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: Annotated[
        tuple[str, ...] | None,
        OnCommandLine(parse=class_names),
        Field(description="Class names in the order of the columns: A,B,C."),
    ] = None
    split: Annotated[int | None, Field(description="Which of several splits to import.")] = None
    folds: Annotated[
        bool,
        Field(description="Instead: the test rows of all splits, as folds of one study."),
    ] = False
    ids: Annotated[
        Path | None,
        Field(
            description="Table that names the rows: split, part, row (from 0), sample_id; "
            "patient_id, expert optional."
        ),
    ] = None
    confirm_row_order: Annotated[
        bool,
        Field(description="Rows have no ids, but row i is the same sample for every expert."),
    ] = False
    time_edges: Annotated[
        tuple[float, ...] | None,
        OnCommandLine(parse=edges_from),
        Field(description="Survival: the experts' time bins, such as 0,12,24,inf."),
    ] = None
    left_closed: Annotated[
        bool,
        OnCommandLine(negative="--right-closed"),
        Field(description="The experts' time bins are [a, b), or (a, b]."),
    ] = True
    trust_time_edges: Annotated[
        bool,
        Field(description="Bin numbers of val and test rows may disagree with --time-edges."),
    ] = False
    skip_incomplete: Annotated[bool, Field(description="Leave out experts that lack a file.")] = (
        False
    )
