"""What is known of each foundation model, as data: where it is, how it is built, how its images are
normalised.

The facts are those of docs/design/densebench.md, section 1. Licence and access change: the model's
page has the last word.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from pathfuse.errors import InputError

Channels = tuple[float, float, float]


class EncoderCard(BaseModel):
    """One encoder.

    Attributes:
        key: The name in commands and tables.
        hub_id: Owner and name on the Hugging Face hub; empty for a model that exists only here.
        loader: Who builds the network.
        architecture: timm's name of the architecture, or the class of transformers.
        arguments: What the architecture needs besides, in plain values.
        patch: Side of a patch, in pixels.
        dim: Values per token.
        num_prefix: Class and register tokens before the grid.
        mpp_um: Micrometres per pixel of the images it was trained on, several where it saw several;
            empty where that is not known.
        mean: Of the three channels of images in [0, 1].
        sd: As ``mean``.
        paper_mean: What the benchmark used where that was wrong, else None.
        paper_sd: As ``paper_mean``.
        size_policy: ``multiple``: any multiple of the patch; ``fixed``: images are resized to
            ``size_px``.
        size_px: Side of the images it was trained on.
        parameters_m: Millions of parameters, as published.
        access: Whether the weights must be asked for.
        licence: Of the weights.
        revision: Commit of the hub that is loaded; None where none is known for sure.
        page: Where to ask for the weights.
        remote_code: Whether the weights load only through code from the model's repository.
        config_from: Where the sizes of the network stand: ``folder``: in the config.json beside the
            weights, if they come with one; ``card``: here, since that file is of other code.
        pretraining: What its training images share with public data sets; None where nothing is
            known.
        weights_prefix: Of the names of the encoder's weights within the checkpoint.
        note: For people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    hub_id: str
    loader: Literal["timm", "transformers", "conch", "musk"]
    architecture: str
    arguments: dict[str, Any] = {}
    patch: int
    dim: int
    num_prefix: int
    mpp_um: tuple[float, ...] = ()
    mean: Channels
    sd: Channels
    paper_mean: Channels | None = None
    paper_sd: Channels | None = None
    size_policy: Literal["multiple", "fixed"] = "multiple"
    size_px: int
    parameters_m: float
    access: Literal["open", "gated"] = "open"
    licence: str = ""
    revision: str | None = None
    page: str = ""
    remote_code: bool = False
    config_from: Literal["folder", "card"] = "folder"
    pretraining: str | None = None
    weights_prefix: str = ""
    note: str = ""

    def size_said(self, size_px: int) -> str:
        """What becomes of a square of some side before the encoder sees it."""
        if self.size_policy == "fixed":
            resized = "" if size_px == self.size_px else f", resized from {size_px} px"
            return f"{self.size_px} px{resized}"
        padded = -(-size_px // self.patch) * self.patch
        more = "" if padded == size_px else f", padded from {size_px} to {padded} px"
        return f"multiple of {self.patch}{more}"


@cache
def _cards() -> tuple[EncoderCard, ...]:
    text = files("pathfuse.dense.encoders").joinpath("cards.json").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[EncoderCard]).validate_json(text))


def encoder_cards() -> dict[str, EncoderCard]:
    """The 17 models of the benchmark by key, in its order."""
    return {card.key: card for card in _cards()}


def find_card(key: str) -> EncoderCard:
    """The card of one model.

    Raises:
        InputError: No model has this key; the known keys are named.
    """
    cards = encoder_cards()
    if key not in cards:
        raise InputError(f"No encoder is called {key!r}; the known ones are {', '.join(cards)}.")
    return cards[key]


def check_size(card: EncoderCard, size_px: int) -> None:
    """Refuses a square that is a single patch to an encoder: nothing in it could be told apart.

    Raises:
        InputError: The side is no longer than a patch. Any other is possible: it is padded to the
            multiple of the patch. An encoder of one size takes any, resized.
    """
    if card.size_policy == "multiple" and size_px <= card.patch:
        raise InputError(
            f"the encoder '{card.key}' sees patches of {card.patch} pixels; a square of {size_px} is "
            "no more than one"
        )
