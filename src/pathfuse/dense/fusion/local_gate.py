"""Strips of an image as experts, pixels as samples.

Gate features may be averaged over a square around each pixel.

A single pixel's confidence is noisy; where a model is good is a matter of regions. Averaging the
gate's features over a few pixels (a box filter) lets the weights follow the region while the
distributions stay those of the pixel.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import uniform_filter

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.gating import gate_features


def experts_of(
    files: LogitFiles, image_id: str, pool_px: int = 1, cells: int = CHUNK_CELLS
) -> Iterator[tuple[slice, Experts, Float32[np.ndarray, "pixel expert outcome"]]]:
    """One image in strips, from top to bottom.

    Args:
        files: The models' logits.
        image_id: An image that some model scored.
        pool_px: Side of the square in pixels, odd; 1: each pixel by itself.
        cells: Numbers of one strip, at most (but at least one row).

    Yields:
        Rows of the image; the models' log-probabilities of their pixels, row by row; their logits.
    """
    for strip in files.strips(image_id, context=pool_px // 2, cells=cells):
        rows, (_, width, m, k) = slice(strip.start, strip.stop), strip.logits.shape
        logits = strip.logits[strip.inside].reshape(-1, m, k)
        experts = Experts.from_logits(logits)
        if pool_px > 1:
            whole = Experts.from_logits(strip.logits.reshape(-1, m, k))
            features = gate_features(whole)[0].reshape(len(strip.logits), width, -1)
            experts = Experts(
                experts.log_prob, experts.present, pooled(features, pool_px, strip.inside)
            )
        yield rows, experts, logits


def pooled(
    features: Float[np.ndarray, "row column feature"], pool_px: int, inside: slice
) -> Float[np.ndarray, "pixel feature"]:
    """Features averaged over squares, of some rows.

    At the image's border the last pixel is repeated.
    """
    smooth = uniform_filter(features, size=(pool_px, pool_px, 1), mode="nearest")[inside]
    return np.ascontiguousarray(smooth.reshape(-1, features.shape[2]))
