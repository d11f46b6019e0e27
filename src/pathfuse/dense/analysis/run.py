"""Several encoders on the same drawn images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pathfuse.dense.analysis.token_similarity import TokenSimilarity, token_similarity
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.encoders.load import load_encoder
from pathfuse.files.manifest import software
from pathfuse.progress import Progress, silent, within


def compare_tokens(
    encoders: Sequence[str],
    split: Split,
    items: Sequence[Item],
    *,
    size_px: int,
    n_images: int,
    remote_code: bool = False,
    device: str = "auto",
    seed: int = 0,
    command: str | None = None,
    progress: Progress = silent,
) -> tuple[list[TokenSimilarity], dict[str, Any]]:
    """Compares the tokens of several encoders on the same images.

    Args:
        encoders: As ``load_encoder`` takes them.
        split: Says which classes there are.
        items: Images to draw from; those without a mask are never drawn.
        size_px: Side of the square that images are resized to.
        n_images: How many are drawn at most.
        remote_code: Whether an encoder may run Python code from its repository.
        device: ``auto``: CUDA, then Apple's MPS, then the CPU.
        seed: Of the draw of images.
        command: How the program was called, for the manifest.
        progress: Called as the work goes on.

    Returns:
        One result per encoder, and the manifest.

    Raises:
        InputError: An encoder cannot be loaded, or no image has tokens of two classes.
    """
    masked = [item for item in items if item.mask is not None]
    order = np.random.default_rng(seed).permutation(len(masked))
    drawn = [masked[k] for k in sorted(order[:n_images])]
    found = []
    for k, name in enumerate(dict.fromkeys(encoders)):
        own = within(progress, k / len(encoders), (k + 1) / len(encoders), "")
        loaded = load_encoder(name, remote_code=remote_code)
        one = token_similarity(loaded, split, drawn, size_px=size_px, device=device, progress=own)
        found.append(replace(one, encoder=name))
    left_out = [
        f"{one.n_left_out} of {len(drawn)} images have no tokens of two classes for {one.encoder}"
        for one in found
        if one.n_left_out
    ]
    if len(masked) < len(items):
        left_out.append(f"{len(items) - len(masked)} images have no mask")
    manifest = {
        "kind": "token similarity",
        **software(),
        "dataset": split.name,
        "encoders": [one.encoder for one in found],
        "images": len(drawn),
        "size_px": size_px,
        "seed": seed,
        "left_out": left_out,
        "command": command,
    }
    return found, manifest
