"""``pathfuse import``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pathfuse.cli.options import Force, Out
from pathfuse.errors import InputError

if TYPE_CHECKING:
    from pathfuse.study.importers.imported import Imported

FORMATS = {
    "logitprod": "pathfuse.study.importers.logitprod",
}
"""Format to the module whose ``read(source, options)`` gives the tables."""


def import_(
    format_: Annotated[
        str, Parameter(name="FORMAT", help="logitprod: the expert dumps of the LogitProd authors.")
    ],
    source: Annotated[
        Path, Parameter(name="SOURCE", help="Folder that holds one folder per expert.")
    ],
    /,
    *,
    out: Out,
    classes: Annotated[
        str | None, Parameter(help="Class names in the order of the columns: A,B,C.")
    ] = None,
    split: Annotated[int | None, Parameter(help="Which of several splits to import.")] = None,
    folds: Annotated[
        bool,
        Parameter(negative="", help="Instead: the test rows of all splits, as folds of one study."),
    ] = False,
    ids: Annotated[
        Path | None,
        Parameter(
            help="Table that names the rows: split, part, row (from 0), sample_id; patient_id, expert optional."
        ),
    ] = None,
    confirm_row_order: Annotated[
        bool,
        Parameter(
            negative="", help="Rows have no ids, but row i is the same sample for every expert."
        ),
    ] = False,
    time_edges: Annotated[
        str | None, Parameter(help="Survival: the experts' time bins, such as 0,12,24,inf.")
    ] = None,
    left_closed: Annotated[
        bool,
        Parameter(negative="--right-closed", help="The experts' time bins are [a, b), or (a, b]."),
    ] = True,
    trust_time_edges: Annotated[
        bool,
        Parameter(
            negative="", help="Bin numbers of val and test rows may disagree with --time-edges."
        ),
    ] = False,
    skip_incomplete: Annotated[
        bool, Parameter(negative="", help="Leave out experts that lack a file.")
    ] = False,
    force: Force = False,
) -> None:
    """Turn the files of another tool into pathfuse's tables."""
    from importlib import import_module

    from pathfuse.files.write import check_out
    from pathfuse.study.importers.imported import ImportOptions

    if format_ not in FORMATS:
        raise InputError(f"the format '{format_}' is unknown; known: {', '.join(FORMATS)}")
    check_out(out, force, [source, *([ids] if ids is not None else [])])
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"the output {out} lies inside the source {source}; write it elsewhere")
    options = ImportOptions(
        classes=_names(classes),
        split=split,
        folds=folds,
        ids=ids,
        confirm_row_order=confirm_row_order,
        time_edges=_edges(time_edges),
        left_closed=left_closed,
        trust_time_edges=trust_time_edges,
        skip_incomplete=skip_incomplete,
    )
    imported: Imported = import_module(FORMATS[format_]).read(source, options)
    imported.save(out, force)
    _show(imported, out)


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise InputError(f"--classes '{text}' has an empty name")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--classes '{text}' names '{twice}' twice")
    return names


def _edges(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(edge) for edge in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--time-edges '{text}' must be numbers with commas between them, such as 0,12,24,inf"
        ) from error


def _show(imported: "Imported", out: Path) -> None:
    """Rows by role, experts, what was left out, and the command to run next."""
    import shlex
    import sys

    from pathfuse.study.importers.imported import edges_text

    manifest: dict[str, Any] = imported.manifest
    rows = dict(manifest["rows"])
    lines = [f"{rows.pop('samples')} samples"]
    for column, counts in rows.items():
        lines[0] += "".join(f", {n} in {column} '{role}'" for role, n in counts.items())
    lines += [f"Expert {name}: {frame.height} rows" for name, frame in imported.predictions.items()]
    for item in manifest["left_out"]:
        lines.append(
            f"Left out: {item['n']} rows of {item['rows']}, {len(item['experts'])} experts ({item['reason']})."
        )
    lines += [f"Note: {note}." for note in manifest["notes"]]
    command = [
        "pathfuse",
        "fuse",
        "--samples",
        str(out / "samples.csv"),
        "--predictions",
        str(out / "predictions"),
    ]
    if imported.time_edges is not None:
        command += ["--time-edges", edges_text(imported.time_edges)]
    command += ["--out", f"{out}-fused"]
    sys.stdout.write("\n".join([*lines, f"Next: {shlex.join(command)}"]) + "\n")
