"""An untrained network of an encoder and a strategy."""

import torch

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.network.decoder import WIDTH
from pathfuse.dense.network.net import SegmentationNet
from pathfuse.dense.strategies.base import Parity
from pathfuse.dense.strategies.capacity import Capacity, rank_of
from pathfuse.dense.strategies.registry import STRATEGIES
from pathfuse.errors import InputError


def make_network(
    encoder: TokenEncoder,
    strategy: str,
    n_classes: int,
    *,
    rank: int = 16,
    parity: Parity = "fixed",
    seed: int = 0,
    decoder_width: int = WIDTH,
    capacity: Capacity = "rank",
) -> SegmentationNet:
    """An untrained network for segmentation.

    The encoder becomes part of the network, and LoRA, DoRA and full fine-tuning change it: load it
    anew for each.

    Args:
        encoder: From ``load_encoder`` or ``tiny_encoder``.
        strategy: One of ``STRATEGIES``.
        n_classes: K, at least 2.
        rank: Of LoRA and DoRA, at least 1.
        parity: ``paper`` repeats the benchmark's faults, ``fixed`` does not. The encoder's
            normalisation is its own (``TokenEncoder.normalise_as``).
        seed: Of the new weights; torch's global generator is left as it was.
        decoder_width: Channels before the decoder's first step, at least 16.
        capacity: ``equal`` scales the rank so that encoders train alike numbers of weights per
            block (``rank_of``).

    Raises:
        InputError: No such strategy, a number out of range, an encoder that is already adapted, or
            one in which the strategy finds nothing to adapt.
    """
    if strategy not in STRATEGIES:
        raise InputError(
            f"No strategy is called {strategy!r}; the known ones are {', '.join(STRATEGIES)}."
        )
    if n_classes < 2 or rank < 1:
        raise InputError(
            f"At least 2 classes and rank 1 are needed, not {n_classes} classes and rank {rank}."
        )
    if encoder.adapted_by is not None:
        raise InputError(
            f"This {encoder.card.key} was already changed by {encoder.adapted_by}; load the encoder anew."
        )
    encoder.requires_grad_(False)
    rank = rank_of(encoder, rank, capacity) if STRATEGIES[strategy].low_rank else rank
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapter = STRATEGIES[strategy].load()(encoder, rank=rank, parity=parity)
        encoder.adapted_by = strategy if STRATEGIES[strategy].trains_trunk else None
        net = SegmentationNet(encoder, adapter, n_classes, decoder_width)
        net.rank = rank if STRATEGIES[strategy].low_rank else None
        return net
