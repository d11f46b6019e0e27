"""``pathfuse suite list``, ``pathfuse suite run`` and ``pathfuse suite script``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from cyclopts import Parameter

from pathfuse.cli.options import Force, Scheduler, ShardText, with_options
from pathfuse.errors import InputError
from pathfuse.workflows.options import SUITE, SuiteKeywords

if TYPE_CHECKING:
    from pathfuse.workflows.suite.run import SuiteResult


def list_(
    *,
    family: Annotated[str | None, Parameter(help="Only wsi, mutation, survival or tile.")] = None,
    out: Annotated[
        Path | None, Parameter(help="Write the cards to FILE.csv or FILE.json instead.")
    ] = None,
    force: Force = False,
) -> None:
    """The paper's tasks: data, classes, experts, licence."""
    import sys

    from pathfuse.workflows.suite.cards import read_cards, save_cards

    cards = read_cards(family)
    if out is not None:
        save_cards(cards, out, force)
        sys.stdout.write(f"{len(cards)} cards: {out}\n")
        return
    sys.stdout.write("\n\n".join(card.text for card in cards) + "\n")


Folder = Annotated[
    Path,
    Parameter(
        help="One sub-folder per study: samples.csv, predictions/, optional time_edges.txt, label_map_*.csv."
    ),
]
SuiteOut = Annotated[
    Path, Parameter(name="--out", help="Folder for the results; an earlier run in it goes on.")
]
Cohorts = Annotated[
    Path | None,
    Parameter(help="Table study,cohort: which studies share patients, for the ranking."),
]


@with_options(only=SUITE)
def run(
    folder: Folder,
    /,
    *,
    out: SuiteOut,
    jobs: Annotated[
        int | None, Parameter(help="Studies at a time; results do not depend on it.")
    ] = None,
    only: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="Fit only these studies."),
    ] = None,
    cohorts: Cohorts = None,
    shard: ShardText = None,
    scheduler: Scheduler = None,
    force: Annotated[bool, Parameter(negative="", help="Fit again what is done already.")] = False,
    **options: Unpack[SuiteKeywords],
) -> int:
    """Fuse every study under a folder, then rank over them."""
    import sys

    from pathfuse.cli import INTERRUPTED
    from pathfuse.cli.console import cluster, command_line, progress
    from pathfuse.shard import Shard
    from pathfuse.workflows.suite.run import run_suite

    part = Shard.parse(shard)
    reads = [folder, *([cohorts] if cohorts is not None else [])]
    try:
        with cluster(scheduler, reads=reads, out=out), progress() as report:
            result = run_suite(
                folder,
                out,
                only=only,
                cohorts=cohorts,
                n_jobs=jobs,
                shard=part,
                force=force,
                command=command_line(),
                progress=report,
                **options,
            )
    except KeyboardInterrupt:
        sys.stderr.write(
            "pathfuse: stopped; what is done is kept, and the same command goes on from there\n"
        )
        return INTERRUPTED
    _show(result)
    return 0 if result.whole else 1


@with_options(only=SUITE)
def script(
    folder: Folder,
    /,
    *,
    out: SuiteOut,
    slurm: Annotated[
        bool, Parameter(negative="", help="A script for SLURM, the one system that is known.")
    ] = False,
    tasks: Annotated[
        int, Parameter(help="At most so many tasks of the array, below 1,000; each takes a share.")
    ] = 500,
    memory: Annotated[str, Parameter(help="Of each task, as sbatch has it.")] = "4G",
    time: Annotated[str, Parameter(help="Of each task, as sbatch has it.")] = "04:00:00",
    cohorts: Cohorts = None,
    **options: Unpack[SuiteKeywords],
) -> None:
    """Print a job script that runs the suite as an array of jobs, then writes the joint tables."""
    import sys

    from pathfuse.workflows.suite.slurm import slurm_script

    if not slurm:
        raise InputError("say which system the script is for: --slurm")
    sys.stdout.write(
        slurm_script(folder, out, tasks=tasks, memory=memory, time=time, cohorts=cohorts, **options)
    )


def _show(result: "SuiteResult") -> None:
    """One line per study, what failed and why, and where everything is."""
    import sys

    from pathfuse.cli.console import Table, console
    from pathfuse.report.words import number

    table = Table()
    for name in ("study", "task", "endpoint"):
        table.add_column(name)
    for name in ("n", "fused nll", "best expert nll", "certificate", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for row in result.table.iter_rows(named=True):
        holds = {True: "holds", False: "DOES NOT HOLD", None: ""}[row["certificate_holds"]]
        figures = (
            "" if row[key] is None else number(row[key]) for key in ("fused_nll", "best_expert_nll")
        )
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        status = "unchanged" if row["study"] in result.unchanged else row["status"]
        count = "" if row["n"] is None else str(row["n"])
        names = (row["study"], row["task"] or "", row["endpoint"] or "")
        table.add_row(*names, count, *figures, holds, seconds, status)
    console().print(table)
    for row in result.table.filter(result.table["status"] == "failed").iter_rows(named=True):
        sys.stderr.write(f"pathfuse: {row['study']} failed: {row['error']}\n")
    unchanged = f" ({len(result.unchanged)} unchanged)" if result.unchanged else ""
    failed, skipped = result.count("failed"), result.count("skipped")
    counts = f"{result.count('done')} done{unchanged}, {failed} failed, {skipped} skipped"
    if result.shard is not None:
        sys.stdout.write(
            f"Shard {result.shard}: {counts}. Once all shards have ended, the same command without "
            "--shard writes the joint tables.\n"
        )
        return
    sys.stdout.write(f"Studies: {counts}. Table: {result.folder}/suite.csv\n")
    if result.ranking is not None:
        sys.stdout.write(f"Ranking: {result.ranking}\n")
    else:
        sys.stderr.write(f"pathfuse: no ranking: {result.ranking_note}\n")
