"""``pathfuse import``: its options are those of the importers in the registry."""

import inspect
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic.fields import FieldInfo

from pathfuse.cli.options import Force, Out
from pathfuse.errors import InputError
from pathfuse.study.importers.imported import Imported, edges_text
from pathfuse.study.importers.importer import on_command_line
from pathfuse.study.importers.registry import IMPORTERS, importer
from pathfuse.workflows.options import with_parameters

FORMAT_HELP = " ".join(f"{one.name}: {one.summary}." for one in IMPORTERS.values())
SOURCE_HELP = " ".join(dict.fromkeys(one.source for one in IMPORTERS.values()))
FIELDS = {name: field for one in IMPORTERS.values() for name, field in one.fields.items()}
"""The options of all importers."""


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    how = on_command_line(field)
    kind = field.annotation if how.parse is None else str | None
    shown = Parameter(help=field.description, negative=how.negative)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[kind, shown],
    )


@with_parameters([_parameter(name, field) for name, field in FIELDS.items()])
def import_(
    format_: Annotated[str, Parameter(name="FORMAT", help=FORMAT_HELP)],
    source: Annotated[Path, Parameter(name="SOURCE", help=SOURCE_HELP)],
    /,
    *,
    out: Out,
    force: Force = False,
    **options: Any,
) -> None:
    """Turn the files of another tool into pathfuse's tables."""
    from pathfuse.files.write import check_out

    chosen = importer(format_)
    files = [value for value in options.values() if isinstance(value, Path)]
    check_out(out, force, [source, *files])
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"the output {out} lies inside the source {source}; write it elsewhere")
    foreign = next((name for name in options if name not in chosen.fields), None)
    if foreign is not None:
        option = f"--{foreign.replace('_', '-')}"
        raise InputError(f"{option} is not an option of the format '{format_}'")
    values = {name: _value(FIELDS[name], given) for name, given in options.items()}
    imported = chosen.read(source, chosen.options(**values))
    imported.save(out, force)
    _show(imported, out)


def _value(field: FieldInfo, given: Any) -> Any:
    """An option's value from what the command line gives."""
    parse = on_command_line(field).parse
    return given if parse is None or given is None else parse(given)


def _show(imported: Imported, out: Path) -> None:
    """Rows by role, experts, what was left out, and the command to run next."""
    import shlex
    import sys

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
