"""``pathfuse score``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.experts import Features, Slides, Strict
from pathfuse.cli.options import Force

if TYPE_CHECKING:
    from pathfuse.workflows.score.run import Scored


def score(
    study: Annotated[Path, Parameter(help="Output folder of 'pathfuse run'.")],
    *,
    features: Features,
    out: Annotated[Path, Parameter(name="--out", help="Table to write, .csv or .parquet.")],
    slides: Slides = None,
    min_experts: Annotated[int, Parameter(help="Leave out samples that fewer experts scored.")] = 1,
    attention: Annotated[
        Path | None,
        Parameter(help="Folder for every tile's attention, of the experts whose head has some."),
    ] = None,
    watch: Annotated[
        float | None,
        Parameter(help="Look for new slides every so many seconds, until Ctrl-C."),
    ] = None,
    strict: Strict = False,
    force: Force = False,
) -> None:
    """Score new slides with a whole study: features, experts, fusion in one command.

    What was scored before is not done again; slides that are new or have changed are.
    """
    import sys

    from pathfuse.cli.console import progress
    from pathfuse.cli.experts import need_torch, parse_named
    from pathfuse.errors import InputError

    if watch is not None and watch <= 0:
        raise InputError(f"--watch {watch:g}: give the seconds between two looks, such as 10")
    need_torch()
    from pathfuse.workflows.score.run import Asked, look, prepare
    from pathfuse.workflows.score.run import score as run
    from pathfuse.workflows.score.study import open_study

    asked = Asked(
        open_study(study),
        parse_named("--features", features),
        out,
        slides,
        min_experts,
        attention,
        strict,
    )
    seen = prepare(asked, force)
    if watch is None:
        with progress() as report:
            found = run(asked, seen, look(asked), report)
        _say(found, out)
        return
    from pathfuse.workflows.score.watch import watch as keep_looking

    def say(why: str) -> None:
        sys.stderr.write(f"pathfuse: {why}\n")

    sys.stdout.write(f"Looking every {watch:g} s; Ctrl-C ends it.\n")
    try:
        for found in keep_looking(asked, seen, watch, say):
            _say(found, out)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stdout.write(f"Stopped; the same command goes on. Scores: {out}\n")


def _say(found: "Scored", out: Path) -> None:
    """What was scored, and what was not."""
    import sys

    from pathfuse.report.content import left_out_lines
    from pathfuse.report.words import several

    for line in (*left_out_lines(found.left_out), *found.notes):
        sys.stderr.write(f"pathfuse: {line}\n")
    if found.lacking:
        sys.stdout.write(f"{found.lacking}\n")
    if found.unread:
        sys.stdout.write(
            f"Not scored: {several(len(found.unread), 'sample')} whose files cannot be read "
            f"({', '.join(found.unread[:5])})\n"
        )
    if found.too_few:
        sys.stdout.write(f"Left out: {several(found.too_few, 'sample')} (--min-experts)\n")
    now = several(len(found.fresh), "sample")
    sys.stdout.write(f"{now} scored now, {found.n_samples} in {out}\n")
