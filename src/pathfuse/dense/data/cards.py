"""The data sets of PFM-DenseBench as cards: what they hold and what must be known before trusting a
score on them.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from pathfuse.errors import InputError


class DatasetCard(BaseModel):
    """One data set, from docs/design/densebench.md, section 2, and the data sets' own pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    name: str
    """As in the published leaderboard."""
    level: Literal["nuclei", "gland", "tissue"]
    magnification: str | None
    mpp_um: float | None
    """Micrometres per pixel, as the data set's own page or paper has it; None if it is not said, or
    images differ."""
    organ: str
    size_14_px: int
    """Side of the published input for encoders of patch 14; MUSK always has 384."""
    size_8_16_px: int
    """The same for patch 8 and 16."""
    n_classes: tuple[int, ...]
    """With background, as published or inferred; several where it is not settled, none where it is
    unknown."""
    variants: dict[str, tuple[str, ...]]
    """What can be converted: name of the variant and its classes in order; the first is the card's
    own key."""
    n_images: int | None
    """With masks; None if unknown."""
    parts: dict[Literal["train", "val", "test"], int]
    """Images of the official split; empty where there is none or it is not counted."""
    native: str
    """Files as published."""
    licence: str | None
    """To be confirmed on the page; None if unknown."""
    page: str | None
    citation: str
    """What its authors ask to be cited, in short."""
    overlap: str | None
    """With what encoders were pre-trained on; None if nothing is known."""
    layout_confirmed: bool
    """Whether the converter was run on the downloaded files; else its folders are from general
    knowledge."""
    in_benchmark: bool
    note: str | None


@cache
def _cards() -> dict[str, DatasetCard]:
    text = files("pathfuse.dense.data").joinpath("cards.json").read_text(encoding="utf-8")
    return {card.key: card for card in TypeAdapter(list[DatasetCard]).validate_json(text)}


def dataset_cards() -> dict[str, DatasetCard]:
    """All cards by key: the 18 of the benchmark in the published order, then what was added."""
    return dict(_cards())


def find_dataset(name: str) -> DatasetCard:
    """The card of a data set or of one of its variants, such as ``bcss5``; case does not matter.

    Raises:
        InputError: There is none; the message names the known ones.
    """
    wanted = name.lower()
    for card in _cards().values():
        if wanted in (card.key, card.name.lower()) or wanted in card.variants:
            return card
    known = ", ".join(key for card in _cards().values() for key in card.variants)
    raise InputError(f"there is no data set {name!r}; known are {known}")


def variant_of(name: str) -> str:
    """The variant that a name stands for: itself, or the first of its data set.

    Raises:
        InputError: As in ``find_dataset``.
    """
    card = find_dataset(name)
    return name.lower() if name.lower() in card.variants else card.key
