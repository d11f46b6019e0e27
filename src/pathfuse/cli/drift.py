"""``pathfuse drift``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force, Predictions, Seed

if TYPE_CHECKING:
    from pathfuse.workflows.drift.result import DriftResult

FOUND = 1
"""Exit status where drift was found."""
MOST_LINES = 10
"""Figures in the terminal's table; ``drift.csv`` has all."""


def drift(
    *,
    model: Annotated[Path, Parameter(help="Model folder that fuse wrote (DIR/model, or DIR).")],
    predictions: Predictions,
    samples: Annotated[
        Path | None,
        Parameter(
            help="Table of the new samples: sample_id; where known patient_id, truth, a column to order by."
        ),
    ] = None,
    order: Annotated[
        str | None,
        Parameter(help="Column of --samples that says in which order they came, such as a date."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        Parameter(
            name="--columns",
            consume_multiple=True,
            help="Columns of --samples by what they are: patient=case_id,label=isMSIH.",
        ),
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="Folder to write; must not exist yet. Default: none.")
    ] = None,
    false_alarms: Annotated[
        float, Parameter(help="How often an alarm may be given although nothing has changed.")
    ] = 0.01,
    horizon: Annotated[
        int | None,
        Parameter(
            help="Patients that will be watched in all, where drift is called again and again on a "
            "growing folder; default: those that there are."
        ),
    ] = None,
    seed: Seed = 0,
    force: Force = False,
) -> int:
    """Are new samples like those that the model was fitted on? Exit status 1 if not."""
    from pathfuse.cli.console import command_line
    from pathfuse.files.write import check_out
    from pathfuse.study.reading import Reading, parse_columns
    from pathfuse.workflows.drift.find import find_drift

    read = [model, *predictions, *([samples] if samples is not None else [])]
    if out is not None:
        check_out(out, force, read)
    result = find_drift(
        model,
        list(predictions),
        samples,
        order=order,
        false_alarms=false_alarms,
        horizon=horizon,
        seed=seed,
        reading=Reading(columns=parse_columns(columns or [])),
    )
    result.summary["command"] = command_line()
    if out is not None:
        result.save(out, force)
    _show(result, out)
    return FOUND if result.found else 0


def _show(result: "DriftResult", out: Path | None) -> None:
    """The figures furthest off, what was found, and where it stands."""
    import sys

    from pathfuse.cli.console import Table, console
    from pathfuse.report.words import number

    screen, about = console(), result.summary
    table = Table(
        title=f"{about['samples']} new samples beside {about['fit_patients']} fit patients"
    )
    table.add_column("figure")
    for title in ("chance of more", "z", "p, all figures", "alarm"):
        table.add_column(title, justify="right")
    shown = result.table.unique("figure", keep="first", maintain_order=True).head(MOST_LINES)
    for row in shown.iter_rows(named=True):
        spread = row["probability_higher"] is None
        table.add_row(
            row["figure"] + (" (how much it varies)" if spread else ""),
            "" if spread else f"{row['probability_higher']:.2f}",
            f"{row['z']:.1f}",
            f"{row['p_value']:.4f}",
            "yes" if row["batch_alarm"] else "",
        )
    screen.print(table)
    if result.windows is not None:
        for row in result.windows.iter_rows(named=True):
            if row["figure"] == "nll":
                screen.print(
                    f"Loss, patients up to '{row['last']}': {number(row['value'])} [{number(row['ci_low'])}, "
                    f"{number(row['ci_high'])}], fit rows {number(row['reference'])}",
                    soft_wrap=True,
                )
    if about["samples_not_listed"]:
        screen.print(
            f"Left out: {about['samples_not_listed']} samples that --samples does not list."
        )
    if result.warning is not None:
        sys.stderr.write(f"pathfuse: warning: {result.warning}\n")
    screen.print(result.headline, soft_wrap=True)
    if out is not None:
        sys.stdout.write(f"Report: {out}/drift.html\n")
