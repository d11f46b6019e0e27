"""Licences of the foundation models that experts are named after."""

import re
from collections.abc import Iterable


def licences_of(experts: Iterable[str]) -> dict[str, str]:
    """The licence of the weights, by expert; experts of other names have none here.

    An expert is named after a model where its name is the model's, as a whole or before an
    underscore: ``uni_v2``, ``UNI_v2_abmil``, ``uni2-h_pooled_forest``. Of several that fit, the
    longest name counts.
    """
    from pathfuse.dense.encoders.cards import encoder_cards  # facts alone: needs no torch

    known = {}
    for card in encoder_cards().values():
        for name in (card.key, card.hub_id.rpartition("/")[2]):
            known[_plain(name)] = f"{card.licence} ({card.hub_id or card.key})"
    found = {}
    for expert in experts:
        words = expert.split("_")
        starts = [_plain("_".join(words[:n])) for n in range(len(words), 0, -1)]
        named = next((start for start in starts if start in known), None)
        if named is not None:
            found[expert] = known[named]
    return found


def _plain(name: str) -> str:
    """Without case and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
