"""``pathfuse dense tokens``: what encoders see of the classes before anything is trained."""

from typing import Annotated

from cyclopts import Parameter

from pathfuse.cli.dense import Data, RemoteCode, items_of, need_dense, read_data, show_table
from pathfuse.cli.options import Force, Out, Seed


def tokens(
    *,
    encoder: Annotated[
        list[str],
        Parameter(
            name="--encoder",
            consume_multiple=True,
            negative="",
            help="Keys of 'dense encoders', folders with models, or tiny:...; weights are on this disk.",
        ),
    ],
    data: Data,
    out: Out,
    part: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="train, val, test; default: all."),
    ] = None,
    size_px: Annotated[
        int, Parameter(help="Side of the square that images are resized to, in pixels.")
    ] = 224,
    images: Annotated[int, Parameter(help="At most so many, drawn by the seed.")] = 200,
    remote_code: RemoteCode = False,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Cosine similarity of patch tokens within and across classes, by layer: a table, a figure, a page."""
    import sys

    from pathfuse.cli.console import command_line, progress
    from pathfuse.errors import InputError
    from pathfuse.files.write import check_out

    need_dense()
    import polars as pl

    from pathfuse.dense.analysis.report import write_tokens
    from pathfuse.dense.analysis.run import compare_tokens
    from pathfuse.files.write import new_folder
    from pathfuse.report.words import number

    if images < 1 or not 8 <= size_px <= 16_384:
        raise InputError(
            f"--images {images} --size-px {size_px}: give at least one image and 8 to 16384 pixels"
        )
    split = read_data(data, need_train=False)
    items = items_of(
        split, part or [name for name in ("train", "val", "test") if getattr(split, name)]
    )
    check_out(out, force, [data])
    with progress() as report:
        found, manifest = compare_tokens(
            encoder, split, items, size_px=size_px, n_images=images, remote_code=remote_code,
            device=device, seed=seed, command=command_line(), progress=report,
        )  # fmt: skip
    with new_folder(out, force) as folder:
        table = write_tokens(found, manifest, folder)
    last = table.filter(pl.col("layer") == pl.col("layer").max().over("encoder"))
    show_table(
        ("encoder", "layer", "pairs", "similarity", "95 % interval"),
        [
            (row["encoder"], row["layer"], row["pairs"], number(row["similarity"]),
             "—" if row["ci_low"] is None else f"{number(row['ci_low'])} to {number(row['ci_high'])}")
            for row in last.iter_rows(named=True)
        ],
    )  # fmt: skip
    for note in manifest["left_out"]:
        sys.stdout.write(f"Left out: {note}.\n")
    sys.stdout.write(f"Page: {out}/tokens.html\n")
