"""Gate features may be averaged over a square around each pixel.

A single pixel's confidence is noisy; where a model is good is a matter of regions. Averaging the
gate's features over a few pixels (a box filter) lets the weights follow the region while the
distributions stay those of the pixel.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter


def pooled(
    features: Float[np.ndarray, "row column feature"], pool_px: int, inside: slice
) -> Float[np.ndarray, "pixel feature"]:
    """Features averaged over squares, of some rows.

    At the image's border the last pixel is repeated.
    """
    smooth = uniform_filter(features, size=(pool_px, pool_px, 1), mode="nearest")[inside]
    return np.ascontiguousarray(smooth.reshape(-1, features.shape[2]))
