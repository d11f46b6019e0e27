"""``pathfuse dense fuse``, ``apply`` and ``evaluate``: several models' segmentations of the same
images.
"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pathfuse.cli.dense import Data, items_of, need_dense, read_data, show_table
from pathfuse.cli.options import Force, Jobs, Out, Resamples, Seed

Logits = Annotated[
    list[str],
    Parameter(
        name="--logits", consume_multiple=True, negative="",
        help="One folder of logits or probabilities (.npy, nnU-Net's .npz) per model: NAME=DIR NAME=DIR (or DIR).",
    ),
]  # fmt: skip
Probabilities = Annotated[
    bool,
    Parameter(
        name="--probabilities", negative="",
        help="Write the fused probabilities, too: float16 (class, row, column), in probabilities/.",
    ),
]  # fmt: skip


def fuse(
    *,
    data: Data,
    logits: Logits,
    out: Out,
    method: Annotated[
        str,
        Parameter(
            help="majority, mean_logit, mean_probability, staple, static_product, logitprod, logistic or another "
            "fusion; choose: the simplest whose held-out Dice per image is within one standard error of the best."
        ),
    ] = "choose",
    pixels: Annotated[
        int, Parameter(help="Pixels of the validation images that the fusion is fitted on.")
    ] = 20_000,
    balance: Annotated[
        float,
        Parameter(
            help="0: fit pixels of classes as frequent as in the images; 1: equally many of each, so that errors on "
            "rare classes count more. The classes' frequencies in the fused masks stay the natural ones."
        ),
    ] = 0.0,
    pool_px: Annotated[
        int, Parameter(help="Side of the square over which the gate's features are averaged.")
    ] = 1,
    probabilities: Probabilities = False,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    jobs: Jobs = -1,
    force: Force = False,
) -> None:
    """Fuse several models' segmentations pixel by pixel, fitted on the validation images, evaluated
    on the test images.
    """
    import sys

    from pathfuse.cli.console import command_line, progress
    from pathfuse.cli.experts import parse_named
    from pathfuse.files.write import check_out

    need_dense()
    from pathfuse.dense.fusion.fuse import fuse_dense
    from pathfuse.dense.fusion.options import DenseFuseOptions

    split = read_data(data, need_train=False)
    check_out(out, force, [data])
    options = DenseFuseOptions(
        method=method,
        pixels=pixels,
        balance=balance,
        pool_px=pool_px,
        n_resamples=resamples,
        seed=seed,
    )
    with progress() as report:
        done = fuse_dense(
            parse_named("--logits", logits),
            split.val,
            split.test,
            out,
            classes=split.class_names,
            options=options,
            ignore=split.ignore,
            force=force,
            probabilities=probabilities,
            n_jobs=jobs,
            command=command_line(),
            progress=report,
        )
    _show_verdict(done.verdict.metrics, done.manifest)
    sys.stdout.write(f"Worst images: {'; '.join(done.manifest['worst_images'])}.\n")
    sys.stdout.write(f"Fused: {_chosen(done.manifest)}. Masks, metrics, images.csv: {out}\n")


def apply(
    *,
    model: Annotated[Path, Parameter(name="--model", help="Folder that 'dense fuse' wrote.")],
    logits: Logits,
    out: Out,
    probabilities: Probabilities = False,
    jobs: Jobs = -1,
    force: Force = False,
) -> None:
    """Segment new images with a fusion that was fitted before; no mask is needed."""
    import sys

    from pathfuse.cli.console import command_line, progress
    from pathfuse.cli.experts import parse_named

    need_dense()
    from pathfuse.dense.fusion.apply import apply_fusion

    folders = parse_named("--logits", logits)
    with progress() as report:
        done = apply_fusion(
            model,
            folders,
            out,
            force=force,
            probabilities=probabilities,
            n_jobs=jobs,
            command=command_line(),
            progress=report,
        )
    for note in done["understood"]:
        sys.stdout.write(f"Understood: {note}.\n")
    scored = ", ".join(f"{name} {n}" for name, n in done["scored"].items())
    sys.stdout.write(f"{done['images']} images by {done['method']} (scored by {scored}): {out}\n")


def evaluate(
    *,
    data: Data,
    out: Out,
    predictions: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="One folder per model, of masks (<image_id>.png), logits or probabilities (.npy, nnU-Net's .npz): "
            "NAME=DIR NAME=DIR (or DIR).",
        ),
    ] = None,
    instances: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="One folder per model that numbers its instances itself, as HoVer-Net (.mat), StarDist and Cellpose "
            "(.png, .tif, .npy) do: NAME=DIR NAME=DIR (or DIR).",
        ),
    ] = None,
    separation: Annotated[
        str,
        Parameter(
            help="How instances of the other models are told apart: watershed (cut at necks), components (touching "
            "ones are one), or choose: what fits the true masks of the validation images."
        ),
    ] = "choose",
    part: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, negative="", help="train, val, test; default: test."),
    ] = None,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Evaluate and compare segmentations, whoever made them; nothing is fitted."""
    import sys

    from pathfuse.cli.console import command_line, progress
    from pathfuse.cli.experts import parse_named
    from pathfuse.files.write import check_out

    need_dense()
    from pathfuse.dense.evaluation.evaluate import evaluate_dense

    split = read_data(data, need_train=False)
    check_out(out, force, [data])
    items = items_of(split, part or ["test"])
    with progress() as report:
        done = evaluate_dense(
            parse_named("--predictions", predictions or []),
            items,
            out,
            classes=split.class_names,
            ignore=split.ignore,
            instances=parse_named("--instances", instances or []),
            validation=split.val,
            separation=separation,
            n_resamples=resamples,
            seed=seed,
            force=force,
            command=command_line(),
            progress=report,
        )
    _show_verdict(done.verdict.metrics, done.manifest)
    sys.stdout.write(f"Metrics, comparisons: {out}\n")


def _chosen(manifest: dict[str, Any]) -> str:
    """The method behind the fused masks, and how it did on images that it was not fitted on."""
    name, held_out = manifest["fused"], manifest["held_out_dice"]
    if name not in held_out:
        return str(name)
    best = max(held_out, key=lambda one: float(held_out[one]["mean"]))
    others = "" if best == name else f", {best} {held_out[best]['mean']:.3f}"
    return f"{name} (held-out Dice per image {held_out[name]['mean']:.3f}{others})"


def _show_verdict(metrics: Any, manifest: dict[str, Any]) -> None:
    """The brief metrics of every method with their intervals: Dice; AJI and PQ where there are any.

    What was left out, and warnings.
    """
    import sys

    from pathfuse.dense.evaluation.registry import ALL, PRINCIPAL
    from pathfuse.report.words import number

    whole = metrics.filter(metrics["output"] == "all")
    shown = {metric.name: metric.label for metric in ALL if metric.brief}
    of = {metric: {row["method"]: row for row in whole.filter(whole["metric"] == metric).iter_rows(named=True)}
          for metric in shown}  # fmt: skip
    names = [metric for metric in shown if of[metric]]

    def cell(row: dict[str, Any]) -> str:
        return number(row["value"]) + (
            ""
            if row["ci_low"] is None
            else f" ({number(row['ci_low'])} to {number(row['ci_high'])})"
        )

    order = sorted(
        of[PRINCIPAL.name].values(), key=lambda row: 1.0 if row["value"] is None else -row["value"]
    )
    rows = [
        (row["method"], *(cell(of[metric][row["method"]]) for metric in names), str(row["n"]))
        for row in order
    ]
    show_table(("method", *(f"{shown[metric]} (95 %)" for metric in names), "images"), rows)
    for item in manifest["left_out"]:
        sys.stdout.write(f"Left out: {item['n']} ({item['reason']}: {', '.join(item['first'])}).\n")
    for note in manifest["understood"]:
        sys.stdout.write(f"Understood: {note}.\n")
    for warning in manifest["warnings"]:
        sys.stderr.write(f"pathfuse: {warning}\n")
