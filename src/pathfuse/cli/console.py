"""What the commands show: a table, a progress bar on a terminal and plain lines elsewhere."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Table

if TYPE_CHECKING:
    from pathfuse.progress import Progress as Report
    from pathfuse.workflows.result import Result

WIDEST = 7
"""Metrics in the terminal's table; the report has all."""


def console() -> Console:
    """Standard output; wide enough for the table when it is not a terminal.

    Everything is shown as it stands: names come from users, and ``[/bold]`` or ``:heart:`` is a
    name like any other. Whatever is shown with rich goes through this console.
    """
    width = None if sys.stdout.isatty() else 140
    return Console(width=width, soft_wrap=False, markup=False, emoji=False, highlight=False)


def command_line() -> str:
    """How the program was called, ready to be pasted into a shell."""
    return shlex.join(["pathfuse", *sys.argv[1:]])


@contextmanager
def progress() -> Iterator["Report"]:
    """A bar on a terminal, one line per step elsewhere; both on standard error."""
    screen = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not screen.is_terminal:
        said = ""

        def say(message: str, share: float) -> None:
            nonlocal said
            if message == said:  # a log wants one line per step, not one per tick
                return
            said = message
            sys.stderr.write(f"{100 * share:3.0f} % {message}\n")

        yield say
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda message, share: bar.update(task, description=message, completed=share)


def show_result(result: "Result", folder: str) -> None:
    """The method table, best first, the certificate, and where everything is."""
    import polars as pl

    from pathfuse.evaluation.metrics.prediction_sets import SET_METRICS
    from pathfuse.evaluation.metrics.registry import metric
    from pathfuse.report.content import left_out_line, over_all
    from pathfuse.report.headline import headline
    from pathfuse.report.page import ranking
    from pathfuse.report.words import drawn, number, positive_class

    screen = console()
    overall = over_all(result.metrics)
    ranked = overall.filter(~pl.col("metric").is_in(SET_METRICS))
    rows = ranking(ranked)
    names = [name for name in dict.fromkeys(ranked["metric"]) if metric(name).brief][:WIDEST]
    sure = overall["ci_low"].is_not_null().any()
    title = f"{result.manifest['rows']['judged']} samples judged, best first"
    table = Table(
        title=f"{title} ({f'95 % interval by {drawn(result.manifest)}' if sure else 'no intervals: see the notes'})"
    )
    table.add_column("method")
    for i, name in enumerate(names):
        table.add_column(f"{name} [interval]" if sure and not i else name, justify="right")
    for row in rows:
        first = row[names[0]]
        interval = (
            ""
            if first["ci_low"] is None
            else f" [{number(first['ci_low'])}, {number(first['ci_high'])}]"
        )
        style = "bold" if row["method"] == "fused" else None
        table.add_row(
            row["method"],
            number(first["value"]) + interval,
            *(number(row[name]["value"]) for name in names[1:]),
            style=style,
        )
    screen.print(table)
    screen.print(headline(over_all(result.comparisons), result.manifest))
    positive = positive_class(result.manifest)
    if positive:
        screen.print(f"{positive[0].upper()}{positive[1:]}.")
    sets = {
        m: number(v) for m, v in overall.select("metric", "value").iter_rows() if m in SET_METRICS
    }
    if sets:
        held, *size = sets.items()
        screen.print(
            f"Prediction sets: {held[0]} {held[1]} (promised {result.manifest['coverage']:g}), "
            + ", ".join(f"mean {name.replace('_', ' ')} {value}" for name, value in size),
        )
    if result.certificate is not None:
        holds = "holds" if result.certificate["holds"] else "DOES NOT HOLD"
        screen.print(
            f"Certificate {holds}: fit-row NLL {result.certificate['fused']:.4f}, best expert there "
            f"{result.certificate['experts'][result.certificate['best_expert']]:.4f} "
            f"({result.certificate['best_expert']}).",
        )
    for item in result.manifest["left_out"]:
        screen.print(left_out_line(item) + ".", soft_wrap=True)
    for warning in result.manifest["warnings"]:
        sys.stderr.write(f"pathfuse: warning: {warning}\n")
    sys.stdout.write(f"Report: {folder}/report.html\n")
