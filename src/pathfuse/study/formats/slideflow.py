"""slideflow: tables of slide or patient predictions, ``<outcome>-y_true0``, ``<outcome>-y_pred0`` ..."""

import re

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Numbered, Predicted, numbered_columns
from pathfuse.study.reading import Reading

PREDICTED = r"(?:(.*)-)?y_pred([0-9]+)"


def understand(table: Table, reading: Reading) -> Predicted | None:
    """See ``Format``.

    Raises:
        InputError: The table is about several outcomes, and none was chosen.
    """
    header = table.frame.columns
    found = [match[1] for name in header if (match := re.fullmatch(PREDICTED, name))]
    outcomes = list(dict.fromkeys(found))
    if not outcomes:
        return None
    chosen = outcomes[0] if len(outcomes) == 1 else reading.columns.get("label")
    if chosen not in outcomes:
        names = ", ".join(sorted(str(one) for one in outcomes))
        raise InputError(
            f"{table.source} predicts several outcomes ({names}); say which one the study is about: "
            f"--columns label={min(str(one) for one in outcomes)}"
        )
    start = "" if chosen is None else f"{chosen}-"
    columns = numbered_columns(header, f"{re.escape(start)}y_pred([0-9]+)")
    if not columns:
        return None
    truth = next((n for n in (f"{start}y_true", f"{start}y_true0") if n in header), None)
    targets = {} if chosen is None else {"label": chosen}
    return Predicted(table, (), Numbered(columns, "prob_", truth), targets)


SLIDEFLOW = Format(
    "slideflow",
    "slideflow: predictions of slides or patients (.csv, .parquet), <outcome>-y_true0, <outcome>-y_pred0, ...",
    "docs/howto/from-other-tools.md",
    understand=understand,
)
