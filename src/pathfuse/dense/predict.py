"""Predicting images into a folder of logits, one file per image, and their confusion matrices where
masks exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import nn

from pathfuse.dense.data.images import WindowReader, check_same_size, open_image
from pathfuse.dense.data.records import Item, Split, files_of
from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.evaluation.choice import choose_separation
from pathfuse.dense.evaluation.counting import ImageCount, classes_with_instances, open_count
from pathfuse.dense.evaluation.instances import INSTANCE_METRICS
from pathfuse.dense.memory import memory_for
from pathfuse.dense.network.segment import How, segment
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.about import read_about
from pathfuse.dense.training.distributed import ProcessGroup, precision_of
from pathfuse.dense.training.train import load_dense
from pathfuse.errors import InputError
from pathfuse.files.write import check_out, new_folder
from pathfuse.progress import Progress, silent

LARGEST = 6e4
"""Logits are cut to what float16 holds."""
NETWORK = "network"
"""The name that counts are kept under."""


@dataclass(frozen=True)
class PredictedDense:
    """Logits on disk, and their confusion matrices."""

    folder: Path
    """``<image_id>.npy``, float16, (K, H, W) at the image's own size."""
    image_ids: tuple[str, ...]
    confusions: Int64[np.ndarray, "image klass klass"]
    """Rows are true, columns predicted classes; 0 where there is no mask."""
    has_mask: Bool[np.ndarray, " image"]
    """Whether the image has a mask."""
    instances: dict[str, Float64[np.ndarray, " image"]]
    """Per name of ``INSTANCE_METRICS``; NaN where the true instances are not known."""


def predict_dense(
    model: Path | nn.Module,
    split: Split,
    items: Sequence[Item],
    out: Path,
    *,
    encoder: TokenEncoder | None = None,
    recipe: DenseRecipe | None = None,
    tile_px: int | None = None,
    overlap: float | None = None,
    batch: int | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = silent,
) -> PredictedDense:
    """Segments images and writes their logits.

    Args:
        model: A folder of ``train_dense``, or a network.
        split: Says which classes there are.
        items: The images, such as ``split.test``.
        out: Folder to write.
        encoder: Of the folder's network; see ``load_dense``.
        recipe: How images go through the network; of a folder its own, unless given.
        tile_px: Tiles of this side at the image's own scale, whatever the recipe says.
        overlap: Of tiles; default: the recipe's.
        batch: Tiles at a time; default: the recipe's.
        device: ``auto``: CUDA, then Apple's MPS, then the CPU.
        force: Overwrite ``out``.
        progress: Called whenever an image is done.

    Raises:
        InputError: The folder holds no network, its classes are not the split's, an image or mask
            is wrong, memory runs out, or ``out`` cannot be written.
    """
    if isinstance(model, Path):
        recipe = _recipe_of(model, split, recipe)
    check_out(out, force, [*([model] if isinstance(model, Path) else []), *files_of(items)])
    recipe = (recipe or DenseRecipe.of()).model_copy(update={"device": device})
    place = ProcessGroup(recipe).device
    net = load_dense(model, encoder) if isinstance(model, Path) else model
    with memory_for(f"this network on {place}", "--device cpu"):
        net = net.to(place).eval()
    how = _how(recipe, place, tile_px, overlap, batch)
    matrices = np.zeros((len(items), split.n_classes, split.n_classes), dtype=np.int64)
    has_mask = np.array([item.mask is not None for item in items], dtype=bool)
    instances = {metric.name: np.full(len(items), np.nan) for metric in INSTANCE_METRICS}
    things = classes_with_instances(items, split.n_classes, split.ignore)
    known = split.val if things else ()
    apart = choose_separation(known, split.n_classes, split.ignore).separation
    with new_folder(out, force) as folder:
        for row, item in enumerate(items):
            count = open_count(item, split.n_classes, split.ignore, things, apart)
            with open_image(item.image) as image, (folder / file_name(item)).open("wb") as file:
                if item.mask is not None and count is not None:
                    check_same_size(item.mask, count.truth.shape, item.image, image.shape)
                _predict_one(net, image, count, split, how, file)
            if count is not None:
                matrices[row] = count.cms[NETWORK]
                for metric, value in count.instance_metrics().get(NETWORK, {}).items():
                    instances[metric][row] = value
            progress(f"{item.image_id} segmented", (row + 1) / len(items))
    return PredictedDense(
        out.resolve(), tuple(item.image_id for item in items), matrices, has_mask, instances
    )


def _recipe_of(folder: Path, split: Split, recipe: DenseRecipe | None) -> DenseRecipe:
    """The recipe that was given, or else the folder's own.

    Raises:
        InputError: The folder holds no network, or its classes are not the split's.
    """
    about = read_about(folder)
    if about.class_names != split.class_names:
        raise InputError(
            f"the network in {folder} knows the classes {', '.join(about.class_names)}, "
            f"but {split.name} has {', '.join(split.class_names)}"
        )
    return recipe or about.recipe


def file_name(item: Item) -> str:
    """The file of an image's logits.

    Raises:
        InputError: The id cannot name a file.
    """
    if (
        Path(item.image_id).name != item.image_id
        or item.image_id.startswith(".")
        or "\\" in item.image_id
    ):
        raise InputError(
            f"the image_id '{item.image_id}' cannot name a file; write ids without slashes"
        )
    return f"{item.image_id}.npy"


def _how(
    recipe: DenseRecipe,
    device: torch.device,
    tile_px: int | None,
    overlap: float | None,
    batch: int | None,
) -> How:
    return How(
        fit=recipe.fit if tile_px is None else "crop",
        size_px=recipe.size_px if tile_px is None else tile_px,
        overlap=recipe.tile_overlap if overlap is None else overlap,
        batch=recipe.batch if batch is None else batch,
        device=device,
        precision=precision_of(recipe, device),
        size_name="tile_px",
    )


def _predict_one(
    net: nn.Module,
    image: WindowReader,
    count: ImageCount | None,
    split: Split,
    how: How,
    file: BinaryIO,
) -> None:
    """Writes band by band, and counts the numbers as they are written."""
    k, (height, width) = split.n_classes, image.shape[:2]
    header = {"descr": "<f2", "fortran_order": False, "shape": (k, height, width)}
    np.lib.format.write_array_header_1_0(file, header)
    start = file.tell()
    for band in segment(net, image, how):
        if len(band.logits) != k:
            raise InputError(
                f"the network knows {len(band.logits)} classes, but {split.name} has {k}"
            )
        half = _half(band.logits)
        if np.isnan(half).any():
            raise InputError(
                "the network gives logits that are no numbers: it is damaged, or its training diverged"
            )
        for klass in range(k):  # a class lies in one piece, its rows of this band within it
            file.seek(start + 2 * width * (klass * height + band.top))
            file.write(half[klass].tobytes())
        if count is not None:
            count.add(
                NETWORK,
                slice(band.top, band.top + half.shape[1]),
                half.argmax(axis=0).astype(np.uint8),
            )


def _half(logits: Float32[np.ndarray, "klass row width"]) -> np.ndarray:
    return np.clip(logits, -LARGEST, LARGEST).astype("<f2")
