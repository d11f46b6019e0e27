"""``pathfuse adapt``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.options import reading_of
from pathfuse.files.kinds import IN_WORDS

if TYPE_CHECKING:
    from pathfuse.workflows.adapting.figures import Stream
    from pathfuse.workflows.adapting.run import Adapted

SHOWN = 5
"""Candidates whose weights the terminal shows, if they are not below ``LEAST``."""
LEAST = 0.005


def adapt(
    *,
    model: Annotated[Path, Parameter(help="Model folder that fuse wrote (DIR/model, or DIR).")],
    out: Annotated[Path, Parameter(help="Folder of the stream; called again, it goes on there.")],
    predictions: Annotated[
        list[Path] | None,
        Parameter(consume_multiple=True, help="As of predict; samples of earlier calls are known."),
    ] = None,
    samples: Annotated[
        Path | None,
        Parameter(
            help=f"Samples table ({IN_WORDS}) in the order of the stream; labels may be blank."
        ),
    ] = None,
    delay: Annotated[
        int, Parameter(help="Labels come so many samples late; 0: before the next sample.")
    ] = 0,
    order: Annotated[
        str | None, Parameter(help="Column with the time or number of each sample.")
    ] = None,
    labelled_at: Annotated[
        str | None, Parameter(help="Column with the time when each label came; needs --order.")
    ] = None,
    by: Annotated[
        str, Parameter(help="How weights follow labels: fixed_share, bayes or boa.")
    ] = "fixed_share",
    label_shift: Annotated[
        bool,
        Parameter(help="Try a correction for outcomes that have become more or less frequent."),
    ] = True,
    undo: Annotated[
        int | None, Parameter(help="Take back the last N updates; nothing else is done.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, help="Columns by what they are: patient=case_id."),
    ] = None,
) -> None:
    """Predict samples as they come, with weights that follow the labels of earlier ones."""
    import sys

    from pathfuse.errors import InputError
    from pathfuse.workflows.adapting.incoming import Timing
    from pathfuse.workflows.adapting.run import adapt as run
    from pathfuse.workflows.adapting.run import take_back

    if undo is not None:
        if predictions is not None or samples is not None:
            raise InputError("--undo takes back what was done; give no --predictions and --samples")
        _show(take_back(model, out, undo), out)
        return
    found = run(
        model,
        out,
        predictions,
        samples,
        timing=Timing(delay, order, labelled_at),
        by=by,
        label_shift=label_shift,
        reading=reading_of(columns),
    )
    for sentence in _remarks(found):
        sys.stderr.write(f"pathfuse: warning: {sentence}\n")
    _show(found.stream, out)
    if not (found.n_samples or found.n_labels):
        sys.stdout.write("Nothing to predict or to learn was new.\n")


def _remarks(found: "Adapted") -> list[str]:
    """What a person should know of what was passed over."""
    said = []
    if found.n_fitted:
        said.append(
            f"{found.n_fitted} samples were among the fit rows of the model and take no part: what it says of "
            "them is better than of new ones"
        )
    if found.changed:
        n = len(found.changed)
        said.append(
            f"the label of '{found.changed[0]}'{f' and {n - 1} more' if n > 1 else ''} is another than before; the "
            "first one is kept (--undo takes it back)"
        )
    if found.unknown:
        said.append(
            f"{found.unknown} labels are of samples without predictions, and are not used"
            if found.unknown > 1
            else "1 label is of a sample without predictions, and is not used"
        )
    return said


def _show(stream: "Stream", out: Path) -> None:
    """Losses, weights, and where everything is."""
    import sys

    from pathfuse.cli.console import Table, console
    from pathfuse.report.words import number, people
    from pathfuse.workflows.adapting.figures import n_waiting

    screen, journal = console(), stream.journal
    waiting = n_waiting(journal)
    sys.stdout.write(
        f"{len(journal.ids)} samples predicted, {journal.n_learned} labels learned"
        f"{f', {waiting} more not due yet' if waiting else ''}, {journal.n_updates} "
        f"update{'' if journal.n_updates == 1 else 's'}\n"
    )
    if stream.nll.height:
        most = stream.nll.row(int(stream.nll["n"].arg_max() or 0), named=True)
        rows = {
            "fit": most["n"],
            "patients_fit": most["n_patients"],
            "fit_without_patient": most["n_without_patient"],
        }
        table = Table(title=f"NLL where labels are known: {people(rows, 'fit')} (95 % interval)")
        for name in ("output", "what", "NLL [interval]"):
            table.add_column(name, justify="right" if name.startswith("NLL") else "left")
        for row in stream.nll.iter_rows(named=True):
            shown = number(row["nll"])
            if row["ci_low"] is not None:
                shown += f" [{number(row['ci_low'])}, {number(row['ci_high'])}]"
            table.add_row(row["output"], row["what"], shown)
        screen.print(table)
    for task, weights in stream.latest.items():
        heavy = ", ".join(f"{name} {w:.2f}" for name, w in weights[:SHOWN] if w >= LEAST)
        screen.print(f"Weights for the next sample ({task}): {heavy}", soft_wrap=True)
        looks = stream.tasks[task].looks
        if len(looks):
            screen.print(
                f"Outcomes ({task}) have other frequencies than on the fit rows: found from sample "
                f"{looks[0]} on, in {len(looks)} looks",
                soft_wrap=True,
            )
    sys.stdout.write(f"Adapted predictions: {out}/adapted.parquet\n")
