"""The parameters of a weighted product of experts, of classes or of Gaussians."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Product:
    """The parameters of a weighted product."""

    bias: Float[np.ndarray, " expert"]
    log_sharpness: float
    gate: Float[np.ndarray, "expert feature"]
    """Zero columns: constant weights."""


def equal_product(n_experts: int, n_features: int = 0) -> Product:
    """Equal weights, sharpness 1: the uniform product, where every fit starts."""
    return Product(np.zeros(n_experts), 0.0, np.zeros((n_experts, n_features)))
