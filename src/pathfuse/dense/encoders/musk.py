"""MUSK, whose architecture is in a package of its own."""

from importlib import import_module
from pathlib import Path

import timm
from torch import Tensor

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.dense.encoders.weights import fill, read_weights
from pathfuse.errors import InputError


class MuskEncoder(TokenEncoder):
    """The vision branch of MUSK: tokens without head, global output or several scales."""

    def run(self, image: Tensor) -> Tensor:
        """All tokens of the last layer, class token first."""
        return self.trunk(
            image=image, with_head=False, out_norm=False, ms_aug=False, return_global=False
        )[0]


def load_musk(card: EncoderCard, weights: Path | None) -> MuskEncoder:
    """MUSK with the weights of a file or folder, else untrained.

    Raises:
        InputError: Its package is missing, or the weights do not fit.
    """
    try:
        import_module("musk.modeling")  # registers the architecture with timm
    except ImportError as error:
        raise InputError(
            f"{card.key} needs the Python package musk; see {card.page} for how to install it."
        ) from error
    trunk = timm.create_model(card.architecture, pretrained=False)
    if weights is not None:
        fill(trunk, read_weights(weights), card, weights)
    return MuskEncoder(card, trunk)
