"""``pathfuse bins``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force, Samples, with_reading
from pathfuse.errors import InputError
from pathfuse.study.reading import DEFAULT, Reading


@with_reading
def bins(
    *,
    samples: Samples,
    out: Annotated[
        Path,
        Parameter(name="--out", help="File of edges to write, one line, which --time-edges reads."),
    ],
    n_bins: Annotated[
        int, Parameter(name="--bins", help="How many bins; tied event times can leave fewer.")
    ] = 4,
    allow_in_sample: Annotated[
        bool, Parameter(negative="", help="Count 'train' rows too.")
    ] = False,
    force: Force = False,
    reading: Reading = DEFAULT,
) -> None:
    """Propose bin edges for survival from the fit rows' event times, once for a whole study."""
    import shlex
    import sys
    from itertools import pairwise

    from pathfuse.cli.console import Table, console
    from pathfuse.workflows.bins import check_edges_file, propose_bins

    if out.resolve() == samples.resolve():
        raise InputError(f"the output {out} is the samples table itself; write the edges elsewhere")
    check_edges_file(out, force, [samples])
    proposed = propose_bins(samples, n_bins, allow_in_sample, reading)
    proposed.save(out, force)
    table = Table(title=f"{sum(proposed.events) + sum(proposed.censored)} fit rows")
    table.add_column("bin")
    table.add_column("events", justify="right")
    table.add_column("censored", justify="right")
    edges = pairwise(proposed.text.split(","))
    for (start, end), events, censored in zip(
        edges, proposed.events, proposed.censored, strict=True
    ):
        table.add_row(f"({start}, {end}]", str(events), str(censored))
    screen = console()
    screen.print(table)
    if proposed.n_merged:
        sys.stdout.write(f"Event times are tied: {len(proposed.events)} bins, not {n_bins}.\n")
    sys.stdout.write(f'Edges: {out}; use them with --time-edges "$(cat {shlex.quote(str(out))})"\n')
