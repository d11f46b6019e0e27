"""``pathfuse check``, and ``--dry-run`` of ``fuse`` and ``evaluate``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pathfuse.cli.options import (
    CensoringRule,
    EndpointName,
    LabelMaps,
    Predictions,
    Samples,
    TimeEdges,
    parse_label_maps,
    parse_time_edges,
    with_reading,
)
from pathfuse.study.reading import DEFAULT, Reading

if TYPE_CHECKING:
    from pathfuse.study.study import Study
    from pathfuse.workflows.checks.check import CheckResult

REFUSED = 2
ALARMED = 1


@with_reading
def check(
    *,
    samples: Samples,
    predictions: Predictions,
    label_map: LabelMaps = None,
    endpoint: EndpointName = None,
    time_edges: TimeEdges = None,
    censoring: CensoringRule = "later",
    positive: Annotated[
        str | None, Parameter(name="--positive", help="Of two classes the positive one.")
    ] = None,
    unit: Annotated[
        Literal["sample", "patient"],
        Parameter(name="--unit", help="patient: experts of patients speak for their samples."),
    ] = "sample",
    fail_on_alarm: Annotated[
        bool,
        Parameter(name="--fail-on-alarm", negative="", help="Exit status 1 if there is an alarm."),
    ] = False,
    reading: Reading = DEFAULT,
) -> int:
    """Read everything, show what was read, and say what is wrong with it; fit and write nothing."""
    from pathfuse.study.study import read_study

    maps, edges = parse_label_maps(label_map), parse_time_edges(time_edges)
    return looked_through(
        lambda: read_study(
            samples, predictions, maps, endpoint, edges, censoring, reading, positive, unit
        ),
        lambda _: [],
        positive,
        fail_on_alarm=fail_on_alarm,
        would_refuse=lambda study: _would_refuse(study, unit, positive),
    )


def _would_refuse(study: "Study", unit: str, positive: str | None) -> list[str]:
    """What the run that the samples' roles or folds are for would refuse; nobody has asked for it yet."""
    from pathfuse.workflows.evaluate import faults_of_evaluate
    from pathfuse.workflows.fuse import faults_of_fuse

    to_fit = study.samples.roles is not None or study.samples.folds is not None
    command, faults_of_run = (
        ("fuse", faults_of_fuse) if to_fit else ("evaluate", faults_of_evaluate)
    )
    found = faults_of_run(study, unit=unit, positive=positive)
    return [f"{command} would refuse: {fault}" for fault in found]


def looked_through(
    read: "Callable[[], Study]",
    faults_of_run: "Callable[[Study], list[str]]",
    positive: str | None,
    *,
    fitting: bool = True,
    fail_on_alarm: bool = False,
    would_refuse: "Callable[[Study], list[str]] | None" = None,
) -> int:
    """Shows a study, all faults and all alarms.

    Args:
        read: Reads it.
        faults_of_run: What a run of it would refuse.
        positive: Of two classes the positive one.
        fitting: Whether a fusion is to be fitted on the fit rows.
        fail_on_alarm: Whether an alarm makes the exit status 1.
        would_refuse: What a run that was not asked for would refuse.

    Returns:
        The exit status.
    """
    import sys

    from pathfuse.errors import InputError, faults_of
    from pathfuse.workflows.checks.check import check as run

    try:
        study = read()
        faults = faults_of_run(study)
        found = run(study, positive if not faults else None, fitting=fitting)
        refused = would_refuse(study) if would_refuse is not None else []
    except InputError as error:
        _show_faults(faults_of(error))
        return REFUSED
    _show(study, found)
    _show_faults(faults)
    for alarm in found.alarms:
        sys.stderr.write(f"pathfuse: warning: {alarm.sentence}\n")
    for sentence in refused:
        sys.stderr.write(f"pathfuse: {' '.join(sentence.split())}\n")
    sys.stdout.write(_last_line(len(found.alarms), len(faults), len(refused)))
    n = len(found.alarms)
    return REFUSED if faults else ALARMED if n and fail_on_alarm else 0


def _last_line(n_alarms: int, n_faults: int, n_refused: int) -> str:
    """What the whole comes to."""
    if n_alarms:
        return (
            f"{n_alarms} warning{'s' if n_alarms != 1 else ''}: settle {'them' if n_alarms != 1 else 'it'} before you "
            "trust a result (docs/howto/check.md).\n"
        )
    if n_faults:
        return f"{n_faults} fault{'s' if n_faults != 1 else ''}: the run would be refused.\n"
    return (
        "The tables can be read; see above what would be refused.\n"
        if n_refused
        else "No warning.\n"
    )


def _show_faults(faults: "list[str] | tuple[str, ...]") -> None:
    import sys

    for fault in faults:
        sys.stderr.write(f"pathfuse: {' '.join(fault.split())}\n")


def _show(study: "Study", found: "CheckResult") -> None:
    """The table of experts, how the files were understood, and what is left out."""
    from pathfuse.cli.console import Table, console
    from pathfuse.evaluation.metrics.registry import metric
    from pathfuse.report.content import left_out_lines
    from pathfuse.report.words import number

    names = found.table["metric"].drop_nulls().to_list()
    label = metric(names[0]).label if names else "AUROC"
    what = study.endpoint.kind
    table = Table(title=f"{found.samples} samples, {what}, {len(found.outcomes)} outcomes")
    table.add_column("expert")
    for name in ("rows", "outcomes", "of fit rows", "of judged rows", "lowest", "highest"):
        table.add_column(name, justify="right")
    table.add_column(f"{label}, {found.rows_in_words}", justify="right")
    for row in found.table.iter_rows(named=True):
        shares = (row["coverage_fit"], row["coverage_judged"])
        table.add_row(
            row["expert"],
            str(row["rows"]),
            str(row["outcomes"]),
            *("—" if share is None else f"{100 * share:.1f} %" for share in shares),
            *("—" if end is None else f"{end:.4g}" for end in (row["lowest"], row["highest"])),
            number(row["value"]),
        )
    screen = console()
    screen.print(table)
    for line in study.understood:
        screen.print(f"Understood: {line}.", soft_wrap=True)
    for line in left_out_lines(study.left_out):
        screen.print(line + ".", soft_wrap=True)
