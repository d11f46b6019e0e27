"""The paper's 22 tasks as cards. The facts lie in ``tasks.json``; here is what a card must hold."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.errors import InputError
from pathfuse.files.write import check_file, write_file, write_json_file

Text = Annotated[str, Field(min_length=1)]
FamilyName = Literal["wsi", "mutation", "survival", "tile"]
CardEndpoint = Literal["multiclass", "ordinal", "survival"]

STRICT = ConfigDict(frozen=True, extra="forbid")


class TaskFamily(BaseModel):
    """What the tasks of one family have in common."""

    model_config = STRICT

    title: Text
    endpoint: CardEndpoint
    level: Literal["slide", "tile"]
    metrics: tuple[Text, ...] = Field(min_length=1)
    """What the paper reports; pathfuse always adds its own."""
    experts: tuple[Text, ...] = Field(min_length=2)
    """Encoders whose experts the paper fuses, in its order."""


class Source(BaseModel):
    """Where data come from, and on which terms."""

    model_config = STRICT

    title: Text
    url: Annotated[str, Field(pattern=r"^https://\S+$")]
    licence: Text
    access: Text


class Task(BaseModel):
    """What a task has for itself."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    family: FamilyName
    title: Text
    classes: tuple[Text, ...]
    bins: Annotated[int, Field(ge=2)] | None
    """Time bins of a survival task."""
    cohorts: tuple[Text, ...] = Field(min_length=1)
    source: Text
    """Key of a ``Source``."""
    splits: Annotated[int, Field(ge=1)]
    """Train, validation and test splits in the paper's code."""
    note: Text
    """What was inferred, and what to mind."""


class Card(BaseModel):
    """One task with everything that there is to know before laying it out."""

    model_config = STRICT

    name: str
    family: FamilyName
    title: str
    endpoint: CardEndpoint
    classes: tuple[str, ...]
    bins: int | None
    cohorts: tuple[str, ...]
    level: Literal["slide", "tile"]
    experts: tuple[str, ...]
    metrics: tuple[str, ...]
    splits: int
    source: str
    url: str
    licence: str
    access: str
    note: str

    @property
    def outcomes(self) -> str:
        """Classes or bins, in words."""
        return (
            f"{self.bins} time bins"
            if self.bins
            else f"{len(self.classes)} classes: {', '.join(self.classes)}"
        )

    @property
    def _f1(self) -> str:
        """Which F1 the paper means, where pathfuse's ``f1`` is another one."""
        paired = "f1" in self.metrics and len(self.classes) == 2
        return (
            "; its f1 is that of the positive class, pathfuse's the mean over both classes"
            if paired
            else ""
        )

    @property
    def text(self) -> str:
        """The card for a terminal."""
        encoders = load_suite().encoders
        lines = {
            "task": f"{self.endpoint}, {self.outcomes}; one row per {self.level}",
            "cohorts": ", ".join(self.cohorts),
            "experts": ", ".join(f"{name} ({encoders[name]})" for name in self.experts)
            + "; in brackets the length of the feature vector",
            "metrics": f"{', '.join(self.metrics)}; {self.splits} split{'s' if self.splits > 1 else ''} in the paper"
            + self._f1,
            "data": f"{self.source}, {self.url}",
            "licence": self.licence,
            "access": self.access,
            "note": self.note,
        }
        return "\n".join(
            [
                f"{self.name} ({self.family}): {self.title}",
                *(f"  {k:8} {v}" for k, v in lines.items()),
            ]
        )

    def misfit(self, kind: str, outcomes: Sequence[str]) -> str | None:
        """Why a study with some endpoint and classes cannot be this task; None if it can."""
        if not self.fits(kind):
            return f"the target is of endpoint '{kind}', but the card '{self.name}' is of endpoint '{self.endpoint}'"
        if ENDPOINTS[kind].of_classes and len(outcomes) != len(self.classes):
            return (
                f"the label has {len(outcomes)} classes ({', '.join(outcomes)}), but the card '{self.name}' has "
                f"{len(self.classes)} ({', '.join(self.classes)})"
            )
        return None

    def fits(self, endpoint: str) -> bool:
        """Whether a study of some endpoint can be this task.

        Several genes may share one multilabel table.
        """
        several = endpoint in ENDPOINTS and ENDPOINTS[endpoint].of_labels
        return endpoint == self.endpoint or (self.family == "mutation" and several)


class Suite(BaseModel):
    """``tasks.json``."""

    model_config = STRICT

    about: Text
    encoders: dict[str, Annotated[int, Field(ge=1)]]
    """Length of each encoder's feature vector."""
    families: dict[FamilyName, TaskFamily]
    sources: dict[str, Source]
    tasks: tuple[Task, ...]

    @model_validator(mode="after")
    def _consistent(self) -> "Suite":
        names = [task.name for task in self.tasks]
        if len(names) != len(set(names)):
            raise ValueError("two tasks have one name")
        for name, family in self.families.items():
            if strangers := set(family.experts) - set(self.encoders):
                raise ValueError(f"family '{name}': no encoder '{min(strangers)}'")
        for task in self.tasks:
            if task.source not in self.sources:
                raise ValueError(f"task '{task.name}': no source '{task.source}'")
            survival = ENDPOINTS[self.families[task.family].endpoint].in_time
            if survival != (task.bins is not None) or survival != (not task.classes):
                raise ValueError(
                    f"task '{task.name}': a survival task has bins, every other has classes"
                )
            if not survival and len(set(task.classes)) < max(2, len(task.classes)):
                raise ValueError(f"task '{task.name}': it needs two classes, and each once")
        return self

    def card(self, task: Task) -> Card:
        """A task with what it shares with its family and its source."""
        source = self.sources[task.source]
        shared = self.families[task.family].model_dump(exclude={"title"}) | source.model_dump(
            exclude={"title"}
        )
        return Card(**(task.model_dump() | shared | {"source": source.title}))


@cache
def load_suite() -> Suite:
    """The suite as it ships with pathfuse."""
    return Suite.model_validate_json(
        files("pathfuse.workflows.suite").joinpath("tasks.json").read_text(encoding="utf-8")
    )


def read_cards(family: str | None = None) -> list[Card]:
    """The paper's tasks.

    Args:
        family: Only this family: ``wsi``, ``mutation``, ``survival`` or ``tile``.

    Raises:
        InputError: There is no such family.
    """
    suite = load_suite()
    if family is not None and family not in suite.families:
        raise InputError(
            f"--family '{family}' is unknown; choose one of {', '.join(suite.families)}"
        )
    return [suite.card(task) for task in suite.tasks if family in (None, task.family)]


def find_card(name: str) -> Card | None:
    """The card of a task, or None if there is no task of that name."""
    return next((card for card in read_cards() if card.name == name), None)


def save_cards(cards: list[Card], file: Path, force: bool = False) -> None:
    """Writes cards as a table or as JSON, by suffix.

    Raises:
        InputError: The suffix is neither, the file exists and ``force`` is off, or it cannot be
            written.
    """
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise InputError(f"the output {file} must end in .csv or .json")
    if suffix == ".csv":
        write_file(cards_frame(cards), file, force, alike=True)
        return
    check_file(file, force, suffixes=[suffix])
    write_json_file([card.model_dump() for card in cards], file, force)


def cards_frame(cards: list[Card]) -> pl.DataFrame:
    """One row per card; lists stay lists."""
    lists = {name: pl.List(pl.String) for name in ("classes", "cohorts", "experts", "metrics")}
    schema: dict[str, Any] = {
        name: lists.get(name, pl.Int64 if name in ("bins", "splits") else pl.String)
        for name in Card.model_fields
    }
    return pl.DataFrame([card.model_dump() for card in cards], schema=schema)
