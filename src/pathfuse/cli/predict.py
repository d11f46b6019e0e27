"""``pathfuse predict``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force, Predictions


def predict(
    *,
    model: Annotated[Path, Parameter(help="Model folder that fuse wrote (DIR/model, or DIR).")],
    predictions: Predictions,
    out: Annotated[Path, Parameter(help="File to write, .csv or .parquet.")],
    force: Force = False,
) -> None:
    """Fuse new predictions with a saved model."""
    import sys

    from pathfuse.runs.model import load
    from pathfuse.tables.predictions import SEEN
    from pathfuse.tables.write import check_table, write_file

    check_table(out, force, [model, *predictions])
    fused = load(model).predict(list(predictions))
    write_file(fused, out, force)
    if SEEN in fused.columns:
        n = int(fused[SEEN].sum())
        sys.stderr.write(
            f"pathfuse: warning: {n} of the {fused.height} samples were among the fit rows of the model: what it says "
            f"of them is better than of new samples (column '{SEEN}')\n"
        )
    sys.stdout.write(f"{fused.height} samples fused: {out}\n")
