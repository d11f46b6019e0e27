"""Options that several commands share, declared once."""

import inspect
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_origin

from cyclopts import Parameter
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pathfuse.errors import InputError, first_problem
from pathfuse.files.kinds import IN_WORDS
from pathfuse.study.reading import OF_PREDICTIONS, Reading, parse_columns
from pathfuse.workflows.options import Function, FuseOptions, option_name, shows_options


def parameter(name: str) -> Parameter:
    """One of ``FuseOptions`` as an option of the command line."""
    return Parameter(
        name=option_name(name), help=FuseOptions.model_fields[name].description, negative=""
    )


def _annotated(name: str, field: FieldInfo) -> Any:
    """A choice arrives as text, since ``fuse`` says in a sentence what may be chosen."""
    kind = str if get_origin(field.annotation) is Literal else field.annotation
    return Annotated[kind, parameter(name)]


with_options = partial(shows_options, annotation=_annotated)
"""A command's ``**options`` as options of the command line."""

Samples = Annotated[
    Path,
    Parameter(
        name="--samples", help=f"Samples table ({IN_WORDS}): sample_id, truth, split or fold."
    ),
]
Predictions = Annotated[
    list[Path],
    Parameter(
        name="--predictions",
        consume_multiple=True,
        help="One file per expert, folders of them or of CLAM, STAMP and other tools, or one long table.",
    ),
]


def _reading_parameters() -> list[inspect.Parameter]:
    """The fields of ``Reading`` as options of the command line."""
    found = []
    for name, field in Reading.model_fields.items():
        of_columns = name == "columns"
        kind = (list[str] | None) if of_columns else (field.annotation or str)
        kind = (
            kind
            if kind in (bool, int) or of_columns
            else (int | None if name == "id_length" else str | None)
        )
        how = Parameter(
            name=f"--{name.replace('_', '-')}",
            help=field.description,
            negative="",
            consume_multiple=of_columns or None,
        )
        default = None if of_columns else field.default
        found.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, how],
            )
        )
    return found


def with_reading(function: Function) -> Function:
    """A command's parameter ``reading`` becomes one option for each field of ``Reading``.

    A field that the command has an option for already gets the value of that option. A command that
    reads no predictions has no option about them.
    """
    own = inspect.signature(function)
    listed = [one for one in own.parameters.values() if one.name != "reading"]
    there = {one.name for one in listed}
    without = there if "predictions" in there else there | set(OF_PREDICTIONS)
    fields = [one for one in _reading_parameters() if one.name not in without]
    shared = there & set(Reading.model_fields)
    public = own.replace(parameters=[*listed, *fields])

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        given = {one.name: keywords.pop(one.name) for one in fields if one.name in keywords}
        given |= {name: keywords[name] for name in shared if name in keywords}
        return function(*args, reading=reading_of(**given), **keywords)

    call.__signature__ = public  # type: ignore[attr-defined]  # help() and cyclopts read it
    call.__annotations__ = {one.name: one.annotation for one in public.parameters.values()}
    call.__annotations__["return"] = own.return_annotation
    return cast("Function", call)


def reading_of(columns: list[str] | None = None, **given: Any) -> Reading:
    """What the command line says of the tables.

    Raises:
        InputError: A value is not allowed.
    """
    try:
        return Reading(columns=parse_columns(columns or []), **given)
    except ValidationError as error:
        raise InputError(f"reading the tables: {first_problem(error)}") from None


LabelMaps = Annotated[
    list[str] | None,
    Parameter(
        name="--label-map",
        consume_multiple=True,
        help="EXPERT=map.csv with the columns label,expert_label.",
    ),
]
Out = Annotated[Path, Parameter(name="--out", help="Folder to write; must not exist yet.")]
Force = Annotated[
    bool,
    Parameter(name="--force", negative="", help="Replace the output if pathfuse wrote all of it."),
]
DryRun = Annotated[
    bool,
    Parameter(
        name="--dry-run",
        negative="",
        help="Only read and check: all faults at once; write nothing.",
    ),
]
Seed = Annotated[int, parameter("seed")]
Resamples = Annotated[int, parameter("n_resamples")]
EndpointName = Annotated[
    str | None,
    Parameter(name="--endpoint", help="Needed only if the samples table has targets of several."),
]
Jobs = Annotated[
    int | None,
    Parameter(name="--jobs", help="Processes, -1: all cores; results do not depend on it."),
]

ShardText = Annotated[
    str | None,
    Parameter(
        name="--shard",
        help="I/N: do every N-th model or study from the I-th on, as one of N jobs that share the output.",
    ),
]
Scheduler = Annotated[
    str | None,
    Parameter(
        name="--scheduler",
        env_var="PATHFUSE_SCHEDULER",
        help="A Dask scheduler, tcp://HOST:8786, or its file: its workers do the work (extra 'distributed').",
    ),
]
"""Where ``on_cluster`` sends the work."""

TimeEdges = Annotated[
    str | None,
    Parameter(
        name="--time-edges",
        help="Survival: bin edges such as 0,12,24,inf, or the file that 'pathfuse bins' wrote.",
    ),
]
LONGEST_EDGES = 10_000
"""Characters of a file of edges that are read."""
CensoringRule = Annotated[
    str,
    Parameter(
        name="--censoring",
        help="Survival: 'later', or 'half': a censored case says half of its bin.",
    ),
]


def parse_time_edges(text: str | None) -> tuple[float, ...] | None:
    """``0,12,24,inf`` as numbers, or a file that holds such a line, as ``pathfuse bins`` writes it.

    Raises:
        InputError: It is neither.
    """
    from pathfuse.study.study import parse_edges

    if text is None:
        return None
    try:
        return parse_edges(text, "--time-edges")
    except InputError:
        line = _line_in(Path(text))
    if line is None:
        raise InputError(
            f"--time-edges '{text}' is neither a list of numbers such as 0,12,24,inf nor a file"
        )
    try:
        return parse_edges(line, "--time-edges")
    except InputError:
        raise InputError(
            f"--time-edges {text}: the file holds no list of numbers such as 0,12,24,inf"
        ) from None


def _line_in(file: Path) -> str | None:
    """The text of a short file; None if there is no such file."""
    try:
        if not file.is_file():
            return None
        with file.open(encoding="utf-8", errors="replace") as content:
            return content.read(LONGEST_EDGES).strip()
    except OSError:  # also a list of edges that is too long for a file name
        return None


def parse_label_maps(items: list[str] | None) -> dict[str, Path]:
    """``EXPERT=FILE`` items as a mapping.

    Raises:
        InputError: An item has no ``=``, or an expert has two maps.
    """
    maps: dict[str, Path] = {}
    for item in items or []:
        expert, mark, file = item.partition("=")
        if not (expert and mark and file):
            raise InputError(f"--label-map '{item}' must read EXPERT=map.csv")
        if expert in maps:
            raise InputError(f"--label-map gives the expert '{expert}' two maps")
        maps[expert] = Path(file)
    return maps
