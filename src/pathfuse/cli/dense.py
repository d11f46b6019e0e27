"""``pathfuse dense ...``: what there is, converting, training, predicting."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pathfuse.cli.options import Force, Out, Seed
from pathfuse.dense.strategies.registry import STRATEGIES
from pathfuse.errors import InputError

if TYPE_CHECKING:
    from pathfuse.dense.data.records import Item, Split

Data = Annotated[
    Path,
    Parameter(
        name="--data",
        help="split.json of a converted data set, or a folder train|val|test/images,masks.",
    ),
]
Encoder = Annotated[
    str,
    Parameter(
        name="--encoder",
        help="A key of 'dense encoders', a name of timm, or a folder with the model.",
    ),
]
Weights = Annotated[
    Path | None, Parameter(name="--weights", help="File or folder of the encoder's weights.")
]
RemoteCode = Annotated[
    bool,
    Parameter(
        name="--remote-code", negative="", help="Allow Python code from the model's repository."
    ),
]
Download = Annotated[
    bool,
    Parameter(
        name="--download",
        negative="",
        help="Allow the encoder's weights to be fetched from the hub.",
    ),
]


def encoders() -> None:
    """The 17 models of PFM-DenseBench: patch, width, parameters, access, licence."""
    from pathfuse.dense.encoders.cards import encoder_cards

    show_table(
        ("key", "hub", "patch", "dim", "prefix", "parameters", "size", "access", "licence"),
        [
            (c.key, c.hub_id, c.patch, c.dim, c.num_prefix, f"{c.parameters_m:g} M", f"{c.size_px} {c.size_policy}",
             c.access, c.licence)
            for c in encoder_cards().values()
        ],
    )  # fmt: skip


def datasets(
    *,
    cards: Annotated[
        Path | None,
        Parameter(name="--cards", help="Write a page of Markdown per data set into this folder."),
    ] = None,
    force: Force = False,
) -> None:
    """The 18 data sets of PFM-DenseBench, and what was added: level, organ, size, classes."""
    import sys

    from pathfuse.dense.data.card_text import card_text
    from pathfuse.dense.data.cards import dataset_cards
    from pathfuse.files.write import new_folder

    if cards is not None:
        with new_folder(cards, force) as folder:
            for card in dataset_cards().values():
                (folder / f"{card.key}.md").write_text(card_text(card), encoding="utf-8")
        sys.stdout.write(f"{len(dataset_cards())} cards: {cards}\n")
        return
    show_table(
        ("key", "level", "organ", "size 14 / 16", "classes", "convert as", "licence"),
        [
            (c.key, c.level, c.organ, f"{c.size_14_px} / {c.size_8_16_px}", " or ".join(map(str, c.n_classes)),
             ", ".join(c.variants), c.licence or "see its page")
            for c in dataset_cards().values()
        ],
    )  # fmt: skip


def convert(
    name: Annotated[str, Parameter(help="As 'dense datasets' lists it.")],
    source: Annotated[Path, Parameter(help="The folder that you downloaded.")],
    /,
    *,
    out: Out,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """A downloaded data set into images, masks and split.json."""
    import sys

    need_dense()
    from pathfuse.dense.data.converters.registry import convert as convert_as

    split = convert_as(name, source, out, seed=seed, force=force)
    counts = ", ".join(f"{len(getattr(split, part))} {part}" for part in ("train", "val", "test"))
    sys.stdout.write(f"{split.n_classes} classes; {counts} images: {out}/split.json\n")
    for note in split.notes:
        sys.stderr.write(f"pathfuse: {note}\n")


def train(
    *,
    encoder: Encoder,
    data: Data,
    out: Out,
    strategy: Annotated[
        str, Parameter(help=" or ".join(", ".join(STRATEGIES).rsplit(", ", 1)) + ".")
    ] = "frozen",
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            consume_multiple=True,
            negative="",
            help="Values of the recipe: epochs=50 size_px=448",
        ),
    ] = None,
    weights: Weights = None,
    seed: Seed = 0,
    remote_code: RemoteCode = False,
    download: Download = False,
    force: Force = False,
) -> None:
    """Train a segmentation network on one encoder; a stopped run goes on."""
    import os
    import sys

    from pathfuse.cli.console import progress
    from pathfuse.cli.experts import parse_settings
    from pathfuse.files.at_work import claim_output
    from pathfuse.files.write import check_place

    need_dense()
    from pathfuse.dense.data.records import files_of
    from pathfuse.dense.encoders.load import load_encoder
    from pathfuse.dense.recipe import DenseRecipe
    from pathfuse.dense.training.train import train_dense

    settings = parse_settings(set_)
    twice = next((name for name in ("strategy", "seed") if name in settings), None)
    if twice is not None:
        raise InputError(f"--set {twice}={settings[twice]}: write --{twice} {settings[twice]}")
    recipe = DenseRecipe.of(strategy, seed=seed, **settings)
    split = read_data(data)
    if os.environ.get("WORLD_SIZE", "1") != "1":  # the processes that a launcher started share it
        claim_output(out, f"process-{os.environ.get('RANK', '0')}")
    check_place(out, [data, *_paths(encoder, weights), *files_of(split.items)])
    loaded = load_encoder(encoder, weights=weights, remote_code=remote_code, offline=not download)
    with progress() as report:
        done = train_dense(
            loaded,
            split,
            recipe,
            out,
            force=force,
            on_epoch=lambda line: report(*_epoch(line, recipe.epochs)),
        )
    if os.environ.get("RANK", "0") != "0":  # one of several processes speaks
        return
    manifest = done.manifest
    sys.stdout.write(
        f"{len(manifest['matched_modules'])} adapted modules, {manifest['trainable_parameters']:,} trained parameters, "
        f"{manifest['seconds']:.0f} s: {out}\n"
    )
    for warning in manifest["warnings"]:
        sys.stderr.write(f"pathfuse: {warning}\n")


def _paths(encoder: str | None, weights: Path | None) -> list[Path]:
    """What of an encoder lies on disk."""
    return [
        path
        for path in (weights, None if encoder is None else Path(encoder))
        if path is not None and path.exists()
    ]


def _epoch(line: dict[str, Any], epochs: int) -> tuple[str, float]:
    """What is shown of an epoch, and its share of the training."""
    return f"epoch {line['epoch']}: loss {line['train_loss']:.3f}", line["epoch"] / epochs


def predict(
    *,
    model: Annotated[Path, Parameter(name="--model", help="Folder that 'dense train' wrote.")],
    data: Data,
    out: Out,
    part: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="train, val, test; default: val test, for 'dense fuse'.",
        ),
    ] = None,
    encoder: Annotated[str | None, Parameter(help="Default: the one it was trained on.")] = None,
    weights: Weights = None,
    remote_code: RemoteCode = False,
    download: Download = False,
    tile_px: Annotated[
        int | None,
        Parameter(
            help="Overlapping tiles of this side at the image's own scale; default: as in training."
        ),
    ] = None,
    overlap: Annotated[
        float | None, Parameter(help="Share of a tile that the next covers too, 0 to 0.75.")
    ] = None,
    batch: Annotated[
        int | None, Parameter(help="Tiles at a time; default: as in training.")
    ] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    force: Force = False,
) -> None:
    """Logits of every image, one .npy file each, as 'dense fuse' reads them."""
    import sys

    from pathfuse.cli.console import progress
    from pathfuse.files.write import check_out

    need_dense()
    from pathfuse.dense.encoders.load import load_encoder
    from pathfuse.dense.predict import predict_dense
    from pathfuse.dense.training.about import read_about

    split = read_data(data, need_train=False)
    items = items_of(split, part or ["val", "test"])
    about = read_about(model)
    check_out(out, force, [data, model, *_paths(encoder, weights)])
    loaded = load_encoder(
        encoder or about.encoder, weights=weights, remote_code=remote_code, offline=not download
    )
    with progress() as report:
        predict_dense(
            model, split, items, out, encoder=loaded, tile_px=tile_px, overlap=overlap, batch=batch, device=device,
            force=force, progress=report,
        )  # fmt: skip
    sys.stdout.write(f"{len(items)} images: {out}\n")


def read_data(data: Path, *, need_train: bool = True) -> "Split":
    """A data set; what stands among its images and is no file is said on standard error.

    Raises:
        InputError: See ``read_split``.
    """
    import sys

    from pathfuse.dense.data.split_files import read_split

    split = read_split(data, need_train=need_train)
    for note in split.left_out:
        sys.stderr.write(f"pathfuse: warning: {note}\n")
    return split


def items_of(split: "Split", parts: list[str]) -> list["Item"]:
    """The images of some parts.

    Raises:
        InputError: There is no such part, or no image in them.
    """
    for part in parts:
        if part not in ("train", "val", "test"):
            raise InputError(f"--part {part}: choose train, val or test, or several of them")
    items = [
        item for part in ("train", "val", "test") if part in parts for item in getattr(split, part)
    ]
    if not items:
        raise InputError(f"--part {' '.join(parts)}: the data set {split.name} has no image there")
    return items


def show_table(names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """A table on the terminal.

    Args:
        names: Of the columns.
        rows: One cell per column.
    """
    from pathfuse.cli.console import Table, console

    table = Table(*names)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def need_dense() -> None:
    """Refuses in a sentence where the extra is not installed.

    Raises:
        InputError: A library is missing.
    """
    from importlib.util import find_spec

    missing = next(
        (
            name
            for name in ("torch", "torchvision", "timm", "peft", "PIL", "skimage")
            if find_spec(name) is None
        ),
        None,
    )
    if missing is not None:
        raise InputError(
            f"dense needs {missing}, which is not installed: pip install 'pathfuse[dense]'"
        )
