"""``pathfuse rank``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force, Out, Seed

if TYPE_CHECKING:
    from pathfuse.workflows.ranking.rank import RankResult


def rank(
    *source: Annotated[
        Path, Parameter(help="Result folders, folders of them, or tables of scores.")
    ],
    out: Out,
    metric: Annotated[
        str | None, Parameter(help="What to rank by; default: the first metric of the results.")
    ] = None,
    cohorts: Annotated[
        Path | None,
        Parameter(help="Table study,cohort: studies that share a cohort count once in the tests."),
    ] = None,
    experts: Annotated[
        bool,
        Parameter(negative="", help="Rank single experts too, where all result folders have them."),
    ] = False,
    higher_is_better: Annotated[
        bool | None,
        Parameter(
            negative="--lower-is-better", help="Only for a metric that pathfuse does not know."
        ),
    ] = None,
    models_are: Annotated[
        str | None,
        Parameter(
            help="Which names of nested JSON are models: outer or inner; default: by the names."
        ),
    ] = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Rank methods across studies: mean ranks, unresolved ties, tests that count cohorts."""
    from pathfuse.cli.console import command_line
    from pathfuse.files.write import check_out
    from pathfuse.workflows.ranking.rank import rank as run

    check_out(out, force, [*source, *([cohorts] if cohorts is not None else [])])
    result = run(
        source,
        metric=metric,
        cohorts=cohorts,
        experts=experts,
        higher_is_better=higher_is_better,
        models_are=models_are,
        seed=seed,
    )
    check_out(
        out, force, [Path(file) for file in result.manifest["inputs"]]
    )  # a folder's, known only now
    result.manifest["command"] = command_line()
    result.save(out, force)
    _show(result, out)


def _show(result: "RankResult", out: Path) -> None:
    """The methods, best mean rank first, the headline, and what was left out."""
    import sys

    from pathfuse.cli.console import Table, console
    from pathfuse.report.ranking import headline, p_value
    from pathfuse.report.words import number

    manifest = result.manifest
    against = {row["reference"]: row for row in result.pairs.iter_rows(named=True)
               if row["method"] == result.summary["method"][0]}  # fmt: skip
    table = Table(
        title=f"{manifest['studies']} studies, {manifest['cohorts']} cohorts, by {manifest['metric']}"
    )
    table.add_column("method")
    for title in (
        "mean rank [95 % interval]",
        "wins",
        "mean",
        "studies",
        "first minus this",
        "p, Holm",
    ):
        table.add_column(title, justify="right")
    for row in result.summary.iter_rows(named=True):
        low, high = row["rank_ci_low"], row["rank_ci_high"]
        interval = "" if low is None else f" [{low:.2f}, {high:.2f}]"
        pair = against.get(row["method"])
        tested = (
            (number(pair["median_difference_cohorts"]), p_value(pair["p_holm_cohorts"]))
            if pair
            else ("", "")
        )
        counts = (str(row["wins"]), number(row["mean_value"]), str(row["n_studies"]))
        table.add_row(row["method"], f"{row['mean_rank']:.2f}{interval}", *counts, *tested)
    screen = console()
    screen.print(table)
    screen.print(headline(result.summary, result.pairs, manifest))
    for item in manifest["left_out"]:
        first = ", ".join(item["first"]) + (" and others" if item["n"] > len(item["first"]) else "")
        screen.print(f"Left out: {item['what']} ({item['n']}), {item['reason']}: {first}.")
    for note in manifest["notes"]:
        screen.print(f"Note: {note}.")
    sys.stdout.write(f"Report: {out}/ranking.html\n")
