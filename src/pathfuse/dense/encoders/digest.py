"""A digest that differs between encoders."""

import hashlib

import numpy as np
from torch import nn

DIGESTED = 4096
"""Numbers of each tensor that enter the digest."""


def encoder_digest(encoder: nn.Module) -> str:
    """Differs between encoders of other weights or another normalisation; hexadecimal.

    Of large tensors evenly spread numbers are looked at, so that it takes no time.
    """
    digest = hashlib.sha256()
    buffers = {f"buffer {name}": value for name, value in encoder.named_buffers()}
    for name, value in sorted((dict(encoder.named_parameters()) | buffers).items()):
        flat = value.detach().flatten()
        some = flat[:: max(1, len(flat) // DIGESTED)].float().cpu().numpy()
        digest.update(
            f"{name} {tuple(value.shape)} ".encode() + np.ascontiguousarray(some, "<f4").tobytes()
        )
    return digest.hexdigest()
