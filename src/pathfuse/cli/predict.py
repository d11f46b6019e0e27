"""``pathfuse predict``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.options import Force, Predictions, Scheduler

if TYPE_CHECKING:
    from pathfuse.workflows.drift.look import Look
    from pathfuse.workflows.model import FusedModel


def predict(
    *,
    model: Annotated[Path, Parameter(help="Model folder that fuse wrote (DIR/model, or DIR).")],
    predictions: Predictions,
    out: Annotated[
        Path,
        Parameter(help="File to write, .csv or .parquet; of large tables also a folder for parts."),
    ],
    min_experts: Annotated[int, Parameter(help="Leave out samples that fewer experts scored.")] = 1,
    require_all: Annotated[
        bool, Parameter(negative="", help="Refuse samples that lack an expert.")
    ] = False,
    stream: Annotated[
        bool | None,
        Parameter(
            help="Read Parquet files in blocks, in bounded memory. Default: where an expert has "
            "several files, all have more than 256 MB together, or --out is a folder."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        Parameter(help="I/N: score the I-th of N shares of the samples, for jobs into one folder."),
    ] = None,
    jobs: Annotated[
        int, Parameter(help="Processes where Parquet files are read in blocks; -1: all cores.")
    ] = -1,
    scheduler: Scheduler = None,
    force: Force = False,
) -> None:
    """Fuse new predictions with a saved model."""
    import sys

    from pathfuse.files.write import check_table
    from pathfuse.workflows.model_file import load

    if out.suffix:
        check_table(out, force, [model, *predictions], "sample_id")
    fusion = load(model)
    if _in_blocks(fusion, list(predictions), out, stream, shard, scheduler):
        from pathfuse.cli.console import cluster, progress
        from pathfuse.shard import Shard
        from pathfuse.workflows.scoring.run import predict_files

        with cluster(scheduler, reads=predictions, out=out), progress() as report:
            found = predict_files(
                fusion,
                list(predictions),
                out,
                min_experts=min_experts,
                require_all=require_all,
                shard=Shard.parse(shard),
                n_jobs=jobs,
                force=force,
                progress=report,
            )
        if not found.samples:
            sys.stdout.write(
                f"Share {shard} is empty: there are fewer ranges of samples than shares\n"
            )
        _say(found.summary(len(fusion.experts)), found.samples - found.fused, min_experts)
        _say_fused(found.fused, found.seen, out)
        _say_drift(fusion, found.look)
    else:
        if scheduler:
            sys.stderr.write(
                "pathfuse: these tables are read as a whole on this machine: only Parquet files go to "
                "the workers of --scheduler\n"
            )
        _score_tables(fusion, list(predictions), out, min_experts, require_all, force)


def _in_blocks(
    fusion: "FusedModel",
    predictions: list[Path],
    out: Path,
    stream: bool | None,
    shard: str | None,
    scheduler: str | None,
) -> bool:
    """Whether the predictions are read in blocks rather than as a whole."""
    from pathfuse.errors import InputError

    if stream is not None:
        if shard is not None and not stream:
            raise InputError("--shard is for what is read in blocks: leave out --no-stream")
        return stream
    if shard is not None or not out.suffix:
        return True
    if not any(place.is_dir() or place.suffix.lower() == ".parquet" for place in predictions):
        return False
    from pathfuse.workflows.scoring.choice import may_be_blocks, needs_blocks

    if scheduler:
        return may_be_blocks(fusion, predictions)
    return needs_blocks(fusion, predictions)


def _score_tables(
    fusion: "FusedModel",
    predictions: list[Path],
    out: Path,
    min_experts: int,
    require_all: bool,
    force: bool,
) -> None:
    import sys

    from pathfuse.files.special import left_out
    from pathfuse.files.write import write_file
    from pathfuse.study.predictions import SEEN
    from pathfuse.workflows.drift.look import predict_and_look

    new = fusion.read(predictions)
    for note in left_out(
        file for place in predictions if place.is_dir() for file in place.iterdir()
    ):
        sys.stderr.write(f"pathfuse: warning: {note}\n")
    fused, look = predict_and_look(fusion, new, min_experts=min_experts, require_all=require_all)
    write_file(fused, out, force, alike=True)
    _say(new.summary(), len(new.ids) - fused.height, min_experts)
    _say_fused(fused.height, int(fused[SEEN].sum()) if SEEN in fused.columns else 0, out)
    _say_drift(fusion, look)


def _say(lacking: str, n_left_out: int, min_experts: int) -> None:
    """Who lacks an expert, and who was left out for that."""
    import sys

    if lacking:
        sys.stdout.write(f"{lacking}\n")
    if n_left_out:
        sys.stdout.write(
            f"Left out: {n_left_out} samples that fewer than {min_experts} experts scored (--min-experts).\n"
        )


def _say_fused(n_fused: int, n_seen: int, out: Path) -> None:
    import sys

    from pathfuse.study.predictions import SEEN

    if n_seen:
        sys.stderr.write(
            f"pathfuse: warning: {n_seen} of the {n_fused} samples were among the fit rows of the model: what it says "
            f"of them is better than of new samples (column '{SEEN}')\n"
        )
    sys.stdout.write(f"{n_fused} samples fused: {out}\n")


def _say_drift(fusion: "FusedModel", look: "Look") -> None:
    """Whether the samples are like the fit rows; a model of an older version cannot tell."""
    import sys

    from pathfuse.errors import InputError
    from pathfuse.workflows.drift.look import RATE_IN_WORDS, alarm

    if fusion.reference is None:
        return
    try:
        found = alarm(fusion, look)
    except InputError as error:
        sys.stdout.write(f"Drift: not checked: {error}\n")
        return
    if found is None:
        sys.stdout.write(f"Drift: none found ({RATE_IN_WORDS})\n")
    else:
        sys.stderr.write(
            f"pathfuse: warning: drift: these samples are unlike the fit rows: {found}; see pathfuse drift\n"
        )
