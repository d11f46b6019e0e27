"""How tables are understood where they do not have our names: one declaration for Python and the
command line.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pathfuse.errors import InputError


class Reading(BaseModel):
    """What a person says about the tables; a field's sentence is the help of its option."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Annotated[
        dict[str, str],
        Field(description="Columns by what they are: patient=case_id,label=isMSIH."),
    ] = {}
    id_pattern: Annotated[
        str | None,
        Field(description="Part of a name that identifies a sample: tcga-case, tcga-slide, cptac-case, or a "
                          "regular expression with a group."),
    ] = None  # fmt: skip
    id_length: Annotated[
        int | None, Field(ge=1, description="So many first characters of a name identify a sample.")
    ] = None
    zero_time: Annotated[
        Literal["half-day", "drop"] | None,
        Field(description="Survival: times of 0 become half a day, or are left out."),
    ] = None
    classes: Annotated[
        str | None,
        Field(description="Classes in the order of numbered columns (p_0, p_1, ...): endometrioid,high_grade."),
    ] = None  # fmt: skip
    splits: Annotated[
        str | None,
        Field(description="Folder of CLAM's splits_<k>.csv, for folds; or one of the files, for roles."),
    ] = None  # fmt: skip
    percent: Annotated[
        bool, Field(description="Probabilities are in per cent: divide them by 100.")
    ] = False
    drop_absent_classes: Annotated[
        bool,
        Field(description="Classes that experts know and no sample has are left out of their predictions."),
    ] = False  # fmt: skip
    strict: Annotated[
        bool,
        Field(description="Refuse samples without truth and predictions of samples that are not listed."),
    ] = False  # fmt: skip
    allow_partial: Annotated[
        bool,
        Field(description="Go on although more than half of the samples or rows are left out."),
    ] = False

    @property
    def class_names(self) -> tuple[str, ...]:
        """``classes`` one by one."""
        return tuple(one for part in (self.classes or "").split(",") if (one := part.strip()))


DEFAULT = Reading()
OF_PREDICTIONS = ("classes", "percent", "drop_absent_classes")
"""Fields about tables of predictions, which mean nothing where only samples are read."""


def parse_columns(items: Sequence[str]) -> dict[str, str]:
    """``patient=case_id`` items, also several in one with commas, as a mapping.

    Raises:
        InputError: An item has no ``=``, or a word is given twice.
    """
    chosen: dict[str, str] = {}
    for item in (part for text in items for part in text.split(",")):
        word, mark, column = (part.strip() for part in item.partition("="))
        if not (word and mark and column):
            raise InputError(f"--columns '{item}' must read patient=NAME_OF_COLUMN")
        if chosen.setdefault(word, column) != column:
            raise InputError(f"--columns names two columns for '{word}'")
    return chosen
