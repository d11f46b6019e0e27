"""What the commands show: a table, a progress bar on a terminal and plain lines elsewhere."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Table
from rich.text import Text

from pathfuse.unseen import visible

if TYPE_CHECKING:
    from pathfuse.progress import Progress as Report
    from pathfuse.workflows.result import Result

WIDEST = 7
"""Metrics in the terminal's table; the report has all."""


class _AsText(Console):
    """Whatever is shown is text: a name in it moves no cursor and turns no letters round."""

    def render_str(self, text: str, **how: Any) -> Text:
        """See ``rich.console.Console``; everything but its own boxes comes through here."""
        return super().render_str("\n".join(map(visible, text.split("\n"))), **how)


def console() -> Console:
    """Standard output; wide enough for the table when it is not a terminal.

    Everything is shown as it stands: names come from users, and ``[/bold]`` or ``:heart:`` is a
    name like any other. Whatever is shown with rich goes through this console.
    """
    width = None if sys.stdout.isatty() else 140
    return _AsText(width=width, soft_wrap=False, markup=False, emoji=False, highlight=False)


def command_line() -> str:
    """How the program was called, ready to be pasted into a shell."""
    return shlex.join(["pathfuse", *sys.argv[1:]])


@contextmanager
def progress() -> Iterator["Report"]:
    """A bar on a terminal, one line per step elsewhere; both on standard error."""
    screen = _AsText(stderr=True, markup=False, emoji=False, highlight=False)
    if not screen.is_terminal:
        last = ""

        def write_line(message: str, share: float) -> None:
            nonlocal last
            if message == last:  # a log gets one line per step, not one per report
                return
            last = message
            sys.stderr.write(f"{100 * share:3.0f} % {message}\n")

        yield write_line
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda message, share: bar.update(task, description=visible(message), completed=share)


@contextmanager
def cluster(scheduler: str | None, reads: Sequence[Path], out: Path) -> Iterator[None]:
    """The work of the block goes to a Dask cluster, if one is named; see ``on_cluster``."""
    if not scheduler:  # also an environment variable that is empty
        yield
        return
    from pathfuse.scale.cluster import on_cluster

    def say(sentence: str) -> None:
        sys.stderr.write(f"pathfuse: {sentence}\n")

    with on_cluster(scheduler, reads=reads, out=out, say=say):
        yield


def show_result(result: "Result", folder: str) -> None:
    """The method table, best first, the certificate, and where everything is."""
    from pathfuse.report.content import left_out_lines, over_all
    from pathfuse.report.headline import headline
    from pathfuse.report.words import positive_class

    screen, manifest = console(), result.manifest
    screen.print(_method_table(result))
    screen.print(headline(over_all(result.comparisons), manifest))
    positive = positive_class(manifest)
    if positive:
        screen.print(f"{positive[0].upper()}{positive[1:]}.")
    for line in (_sets_line(result), _certificate_line(result)):
        if line:
            screen.print(line)
    for line in manifest["understood"]:
        screen.print(f"Understood: {line}.", soft_wrap=True)
    for line in left_out_lines(manifest["left_out"]):
        screen.print(line + ".", soft_wrap=True)
    for warning in manifest["warnings"]:
        sys.stderr.write(f"pathfuse: warning: {warning}\n")
    sys.stdout.write(f"Report: {folder}/report.html\n")


def _method_table(result: "Result") -> Table:
    """The metrics of every method over the whole study, with the interval of the first metric."""
    import polars as pl

    from pathfuse.evaluation.metrics.prediction_sets import SET_METRICS
    from pathfuse.evaluation.metrics.registry import metric
    from pathfuse.report.content import over_all
    from pathfuse.report.page import ranking
    from pathfuse.report.words import drawn, number

    overall = over_all(result.metrics)
    ranked = overall.filter(~pl.col("metric").is_in(SET_METRICS))
    names = [name for name in dict.fromkeys(ranked["metric"]) if metric(name).brief][:WIDEST]
    sure = overall["ci_low"].is_not_null().any()
    intervals = (
        f"95 % interval by {drawn(result.manifest)}" if sure else "no intervals: see the notes"
    )
    n = result.manifest["rows"]["judged"]
    table = Table(title=f"{n} samples judged, best first ({intervals})")
    table.add_column("method")
    for i, name in enumerate(names):
        table.add_column(f"{name} [interval]" if sure and not i else name, justify="right")
    for row in ranking(ranked):
        first = row[names[0]]
        cells = [number(row[name]["value"]) for name in names]
        if first["ci_low"] is not None:
            cells[0] += f" [{number(first['ci_low'])}, {number(first['ci_high'])}]"
        table.add_row(row["method"], *cells, style="bold" if row["method"] == "fused" else None)
    return table


def _sets_line(result: "Result") -> str:
    """Coverage and size of the prediction sets; empty where there are none."""
    from pathfuse.evaluation.metrics.prediction_sets import SET_METRICS
    from pathfuse.report.content import over_all
    from pathfuse.report.words import number

    rows = over_all(result.metrics).select("metric", "value").iter_rows()
    sets = {name: number(value) for name, value in rows if name in SET_METRICS}
    if not sets:
        return ""
    held, *size = sets.items()
    sizes = ", ".join(f"mean {name.replace('_', ' ')} {value}" for name, value in size)
    promised = f"{result.manifest['coverage']:g}"
    return f"Prediction sets: {held[0]} {held[1]} (promised {promised}), {sizes}"


def _certificate_line(result: "Result") -> str:
    """Whether the certificate holds, and by how much; empty for ``evaluate``."""
    found = result.certificate
    if found is None:
        return ""
    holds, best = "holds" if found["holds"] else "DOES NOT HOLD", found["best_expert"]
    return (
        f"Certificate {holds}: fit-row NLL {found['fused']:.4f}, best expert there "
        f"{found['experts'][best]:.4f} ({best})."
    )
