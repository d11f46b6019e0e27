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
    min_experts: Annotated[int, Parameter(help="Leave out samples that fewer experts scored.")] = 1,
    require_all: Annotated[
        bool, Parameter(negative="", help="Refuse samples that lack an expert.")
    ] = False,
    force: Force = False,
) -> None:
    """Fuse new predictions with a saved model."""
    import sys

    from pathfuse.files.write import check_table, write_file
    from pathfuse.study.predictions import SEEN
    from pathfuse.workflows.model import load

    check_table(out, force, [model, *predictions], "sample_id")
    fusion = load(model)
    new = fusion.read(list(predictions))
    fused = fusion.predict(new, min_experts=min_experts, require_all=require_all)
    write_file(fused, out, force, alike=True)
    if new.summary():
        sys.stdout.write(f"{new.summary()}\n")
    if fused.height < len(new.ids):
        n = len(new.ids) - fused.height
        sys.stdout.write(
            f"Left out: {n} samples that fewer than {min_experts} experts scored (--min-experts).\n"
        )
    if SEEN in fused.columns:
        n = int(fused[SEEN].sum())
        sys.stderr.write(
            f"pathfuse: warning: {n} of the {fused.height} samples were among the fit rows of the model: what it says "
            f"of them is better than of new samples (column '{SEEN}')\n"
        )
    sys.stdout.write(f"{fused.height} samples fused: {out}\n")
