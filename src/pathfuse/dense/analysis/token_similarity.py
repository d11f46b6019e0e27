"""How alike the tokens of one class are, and those of different classes, layer by layer.

PFM-DenseBench explains its results by the cosine similarity of patch tokens within and across
classes (arXiv 2602.03887): where tokens of different classes are nearly as alike as those
of one class, a frozen encoder leaves little for a decoder. The mean over all pairs follows from
sums of unit tokens, so no pair is looked at by itself:

    within = Σ_c (|S_c|² - n_c) / Σ_c n_c (n_c - 1),   across = (|S|² - Σ_c |S_c|²) / (n² - Σ_c n_c²)

with S_c the sum of the n_c unit tokens of class c in an image, S and n over all classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from pathfuse.dense.data.augment import resize
from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.memory import enough_memory
from pathfuse.errors import InputError
from pathfuse.progress import Progress, silent
from pathfuse.training.device import device_of

WITHIN, ACROSS, GAP = "within", "across", "within less across"


@dataclass(frozen=True)
class TokenSimilarity:
    """One encoder on some images."""

    encoder: str
    """As the user calls it."""
    image_ids: tuple[str, ...]
    """Images with tokens of two classes, at least two of one of them."""
    patients: tuple[str, ...]
    within: Float64[np.ndarray, "image layer"]
    """Mean cosine similarity of two tokens of the same class."""
    across: Float64[np.ndarray, "image layer"]
    """Of two tokens of different classes."""
    n_left_out: int
    """Images without a mask, or without two classes."""


def token_similarity(
    encoder: TokenEncoder,
    split: Split,
    items: Sequence[Item],
    *,
    size_px: int,
    device: str = "auto",
    progress: Progress = silent,
) -> TokenSimilarity:
    """Runs images through an encoder and compares their tokens.

    Args:
        encoder: Not adapted.
        split: Says which classes there are.
        items: Images; those without a mask are left out.
        size_px: Side of the square that an image is resized to, rounded to the patch; an encoder
            of one fixed size takes that.
        device: ``auto``: CUDA, then Apple's MPS, then the CPU.
        progress: Called whenever an image is done.

    Raises:
        InputError: No image has tokens of two classes, or the encoder's layers are not found.
    """
    where = torch.device(device_of(device))
    encoder = encoder.to(where).eval()
    fixed = encoder.card.size_policy == "fixed"
    side = encoder.card.size_px if fixed else max(1, round(size_px / encoder.patch)) * encoder.patch
    kept: list[Item] = []
    values: list[tuple[Float64[np.ndarray, " layer"], Float64[np.ndarray, " layer"]]] = []
    for done, item in enumerate(items):
        if item.mask is not None:
            image, mask = read_item(item, split)
            if mask is not None:
                square, small = resize(image, mask, side)
                grid = encoder.grid(side, side)
                found = similarities(
                    _layers(encoder, square, where, side),
                    token_classes(small, grid, split.n_classes, split.ignore),
                )
                if found is not None:
                    kept.append(item)
                    values.append(found)
        progress(f"{encoder.card.key}: {item.image_id}", (done + 1) / len(items))
    if not kept:
        raise InputError(
            f"no image has tokens of two classes at {side} px ({len(items)} images, patches of "
            f"{encoder.patch} px): try a larger size or other images"
        )
    return TokenSimilarity(
        encoder.card.key,
        tuple(item.image_id for item in kept),
        tuple(item.patient_id for item in kept),
        np.stack([within for within, _ in values]),
        np.stack([across for _, across in values]),
        len(items) - len(kept),
    )


def token_classes(
    mask: UInt8[np.ndarray, "side side"],
    grid: tuple[int, int],
    n_classes: int,
    ignore: int,
) -> Int[np.ndarray, " token"]:
    """The most frequent class under each token, row by row; -1 where no pixel counts.

    Examples:
        >>> mask = np.array([[0, 0, 1, 1], [0, 1, 1, 1]], dtype=np.uint8)
        >>> token_classes(np.repeat(mask, 2, axis=0), (2, 2), 2, 255).tolist()
        [0, 1, 0, 1]
    """
    rows = np.arange(mask.shape[0]) * grid[0] // mask.shape[0]
    columns = np.arange(mask.shape[1]) * grid[1] // mask.shape[1]
    token = (rows[:, None] * grid[1] + columns[None]).ravel()
    flat = mask.ravel().astype(np.int64)
    counts_here = (flat != ignore) & (flat < n_classes)
    cells = token[counts_here] * n_classes + flat[counts_here]
    counts = np.bincount(cells, minlength=grid[0] * grid[1] * n_classes).reshape(-1, n_classes)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def similarities(
    layers: Sequence[Float[Tensor, "token dim"]], classes: Int[np.ndarray, " token"]
) -> tuple[Float64[np.ndarray, " layer"], Float64[np.ndarray, " layer"]] | None:
    """Mean cosine similarity within and across classes, per layer.

    None where the image has tokens of one class only, or no two of the same.
    """
    present = np.unique(classes[classes >= 0])
    n = np.array([(classes == c).sum() for c in present], dtype=np.float64)
    if len(present) < 2 or not (n > 1).any():
        return None
    member = torch.from_numpy((classes[None] == present[:, None]).astype(np.float64))
    within, across = [], []
    for tokens in layers:
        unit = functional.normalize(tokens.double(), dim=1)
        sums = (member.to(unit.device) @ unit).cpu().numpy()
        own = (sums**2).sum(axis=1)
        total = (sums.sum(axis=0) ** 2).sum()
        within.append((own - n).sum() / (n * (n - 1)).sum())
        across.append((total - own.sum()) / (n.sum() ** 2 - (n**2).sum()))
    return np.array(within), np.array(across)


def _layers(
    encoder: TokenEncoder, square: UInt8[np.ndarray, "side side 3"], device: torch.device, side: int
) -> list[Float[Tensor, "token dim"]]:
    """The patch tokens after every block."""
    image = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode(), enough_memory(1, side, "size_px"), _watched(encoder) as seen:
        _, rows, columns = encoder.sequence(image)
    wanted = encoder.card.num_prefix + rows * columns
    for tokens in seen:
        if tokens.ndim != 3 or tokens.shape[1] != wanted:
            raise InputError(
                f"the blocks of {encoder.card.key} give {tuple(tokens.shape)} instead of {wanted} "
                "tokens: its layers cannot be compared"
            )
    return [tokens[0, encoder.card.num_prefix :] for tokens in seen]


@contextmanager
def _watched(encoder: TokenEncoder) -> Iterator[list[Tensor]]:
    """While this is open, the output of every block of the trunk is kept.

    The blocks are the longest list of modules of one class, whatever the library calls it.
    """
    lists = [one for one in encoder.trunk.modules() if _is_list_of_blocks(one)]
    if not lists:
        raise InputError(f"{encoder.card.key} has no list of blocks: its layers cannot be compared")
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _given: object, output: object) -> None:
        first = output[0] if isinstance(output, tuple | list) else output
        if isinstance(first, Tensor):
            seen.append(first)

    hooks = [
        block.register_forward_hook(keep)
        for block in max(lists, key=lambda one: len(list(one.children()))).children()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _is_list_of_blocks(module: nn.Module) -> bool:
    kinds = {type(child) for child in module.children()}
    return (
        isinstance(module, nn.ModuleList | nn.Sequential)
        and len(kinds) == 1
        and bool(list(next(module.children()).children()))
    )
