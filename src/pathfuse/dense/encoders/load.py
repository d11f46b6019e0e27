"""Encoders by key, by name or from a folder."""

import json
from pathlib import Path
from typing import Any

from pathfuse.dense.encoders.base import Normalisation, TokenEncoder
from pathfuse.dense.encoders.cards import EncoderCard, encoder_cards, find_card
from pathfuse.dense.encoders.tiny import is_tiny, parse_tiny, tiny_card, tiny_encoder
from pathfuse.dense.encoders.weights import snapshot
from pathfuse.errors import InputError


def _card_of_folder(folder: Path) -> EncoderCard:
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} has no config.json, which says what kind of model it holds.")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON.") from error
    if "architecture" in config:  # as timm writes it
        from pathfuse.dense.encoders.timm import card_of_architecture

        settings = {
            name: value
            for name, value in config.get("pretrained_cfg", config).items()
            if value is not None
        }
        settings.pop("hf_hub_id", None)
        return card_of_architecture(
            folder.name, config["architecture"], config.get("model_args") or {}, settings
        )
    from pathfuse.dense.encoders.hugging_face import card_of_folder

    return card_of_folder(folder.name, folder, config)


def _find(
    key_or_path: str,
    cache: Path | None,
    offline: bool,
    revision: str | None,
    remote_code: bool = False,
) -> tuple[EncoderCard, Path | None]:
    """The card, and the folder of weights where that is known already."""
    if key_or_path in encoder_cards():
        card = find_card(key_or_path)
        return card.model_copy(update={"revision": revision or card.revision}), None
    path = Path(key_or_path)
    if path.is_dir():
        return _card_of_folder(path), path
    if path.is_file():
        return _card_of_folder(path.parent), path
    if key_or_path.count("/") == 1 and key_or_path.strip("./~") == key_or_path:
        draft = find_card("uni_v1").model_copy(update={
            "key": key_or_path, "hub_id": key_or_path, "revision": revision, "access": "open",
            "remote_code": remote_code,  # decides whether files of code are fetched
            "page": f"https://huggingface.co/{key_or_path}",
        })  # fmt: skip
        folder = snapshot(draft, cache, offline)
        return _card_of_folder(folder).model_copy(
            update={"key": key_or_path, "page": draft.page}
        ), folder
    import timm

    if timm.is_model(key_or_path.split(".")[0]):
        from pathfuse.dense.encoders.timm import card_of_architecture

        return card_of_architecture(key_or_path, key_or_path, {}, {}), None
    raise InputError(
        f"No encoder is called {key_or_path!r}: give one of {', '.join(encoder_cards())}, a name of timm, "
        "owner/name on the hub, or a folder."
    )


def check_encoder(key_or_path: str, revision: str | None = None) -> EncoderCard:
    """The card of what ``load_encoder`` would load; weights are not opened.

    Args:
        key_or_path: As of ``load_encoder``.
        revision: As of ``load_encoder``.

    Raises:
        InputError: No such encoder, or a folder or the hub's cache does not hold it.
    """
    if is_tiny(key_or_path) and not Path(key_or_path).exists():
        return tiny_card(**parse_tiny(key_or_path))
    return _find(key_or_path, None, offline=True, revision=revision)[0]


def load_encoder(
    key_or_path: str,
    *,
    weights: Path | None = None,
    cache: Path | None = None,
    pretrained: bool = True,
    offline: bool = True,
    remote_code: bool = False,
    revision: str | None = None,
    normalisation: Normalisation = "fixed",
) -> TokenEncoder:
    """Load an encoder, in evaluation mode and with frozen weights.

    Args:
        key_or_path: Key of a card, folder with config.json and weights (of timm or transformers),
            name of a vision transformer of timm, owner/name on the Hugging Face hub, or
            ``tiny:patch=8,dim=96``: a small one with random weights.
        weights: File or folder of weights to use instead of the hub's.
        cache: Folder of the hub's cache; None is the usual one.
        pretrained: False builds the network with random weights from torch's global generator.
        offline: Use only what is on this machine. The environment's HF_HUB_OFFLINE has the same
            effect.
        remote_code: Allow Python code from the model's repository.
        revision: Commit of the hub, in place of the card's.
        normalisation: ``paper`` uses the benchmark's mean and sd, which are wrong for Lunit and
            MUSK.

    Raises:
        InputError: No such encoder, or its weights are missing, gated, damaged or of another model.
    """
    if is_tiny(key_or_path) and not Path(key_or_path).exists():
        encoder = tiny_encoder(**parse_tiny(key_or_path), weights=weights)
        encoder.normalise_as(normalisation)
        return encoder
    card, found = _find(key_or_path, cache, offline, revision, remote_code)
    source = weights if weights is not None else found
    if not pretrained:
        source = None
    elif source is None and not card.hub_id:
        raise InputError(
            f"No pretrained weights are known for {card.key}; give a file or folder of weights."
        )
    elif source is None and not (card.remote_code and not remote_code):
        source = snapshot(card, cache, offline)
    if source is not None and not source.exists():
        raise InputError(f"The weights {source} of {card.key} do not exist.")
    encoder = _build(card, source, pretrained, remote_code)
    encoder.normalise_as(normalisation)
    encoder.requires_grad_(False)
    return encoder.eval()


def _build(
    card: EncoderCard, source: Path | None, pretrained: bool, remote_code: bool
) -> TokenEncoder:
    if card.loader == "transformers":
        from pathfuse.dense.encoders.hugging_face import load_transformers

        # A path that cannot be: code that is not allowed is refused before anything is looked for.
        return load_transformers(
            card, source or (Path(card.hub_id) if pretrained else None), remote_code
        )
    if card.loader == "musk":
        from pathfuse.dense.encoders.musk import load_musk

        return load_musk(card, source)
    from pathfuse.dense.encoders.timm import load_timm

    return load_timm(card, source)
