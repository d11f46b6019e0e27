"""Vision transformers of the transformers library: ViT, Dinov2, Dinov2 with registers."""

import inspect
import json
from pathlib import Path
from typing import Any

import transformers
from torch import Tensor, nn

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.dense.encoders.weights import check_fit, read_weights
from pathfuse.errors import InputError

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class TransformersEncoder(TokenEncoder):
    """A vision transformer of the transformers library."""

    def run(self, image: Tensor) -> Tensor:
        """All tokens after the last norm."""
        # Dinov2 interpolates its positions always, ViT on request only.
        ask = "interpolate_pos_encoding" in inspect.signature(self.trunk.forward).parameters
        options = {"interpolate_pos_encoding": True} if ask else {}
        return self.trunk(pixel_values=image, **options).last_hidden_state


def _options(kind: Any) -> dict[str, Any]:
    return (
        {"add_pooling_layer": False}
        if "add_pooling_layer" in inspect.signature(kind.__init__).parameters
        else {}
    )


def _untrained(card: EncoderCard) -> nn.Module:
    kind = getattr(transformers, card.architecture)
    return kind(kind.config_class(**card.arguments), **_options(kind))


def load_transformers(
    card: EncoderCard, weights: Path | None, remote_code: bool = False
) -> TransformersEncoder:
    """The encoder of a card, with the weights of a folder (with config.json) or file, else
    untrained.

    Args:
        card: What to load.
        weights: Folder or file; None builds the network with random weights.
        remote_code: Allow the model's own Python code to run, which some models need.

    Raises:
        InputError: The weights do not fit, or need code that was not allowed.
    """
    if weights is None:
        return TransformersEncoder(card, _untrained(card))
    if card.remote_code and not remote_code:
        raise InputError(
            f"{card.key} loads only through Python code from {card.page or weights}; read that code, then allow it "
            "(remote_code)."
        )
    kind: Any = (
        transformers.AutoModel if card.remote_code else getattr(transformers, card.architecture)
    )
    options: dict[str, Any] = {} if card.remote_code else _options(kind)
    if weights.is_dir() and card.config_from == "folder":
        options |= {"pretrained_model_name_or_path": str(weights), "local_files_only": True}
        options |= {"trust_remote_code": True} if card.remote_code else {}
    else:
        config = kind.config_class(**card.arguments)
        options |= {
            "pretrained_model_name_or_path": None,
            "config": config,
            "state_dict": read_weights(weights),
        }
    try:
        trunk, report = kind.from_pretrained(**options, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        first = str(error).strip().split("\n")[0]
        raise InputError(f"{weights} could not be loaded as {card.key}: {first}") from error
    check_fit(sorted(report["missing_keys"]), sorted(report["unexpected_keys"]), card, weights)
    return TransformersEncoder(card, trunk)


def card_of_folder(key: str, folder: Path, config: dict[str, Any]) -> EncoderCard:
    """The card of a ViT or Dinov2 that transformers saved in a folder, or of a vision transformer
    with code of its own.

    Raises:
        InputError: The folder holds another kind of model.
    """
    names = {
        "vit": "ViTModel",
        "dinov2": "Dinov2Model",
        "dinov2_with_registers": "Dinov2WithRegistersModel",
    }
    model = config.get("model_type", "")
    own_code = model not in names and "AutoModel" in (config.get("auto_map") or {})
    if own_code and not {"patch_size", "hidden_size", "image_size"} <= set(config):
        raise InputError(
            f"{folder} holds a model with code of its own whose config.json does not say patch_size, "
            "hidden_size and image_size, as those of vision transformers do"
        )
    if model not in names and not own_code:
        raise InputError(
            f"{folder} holds a model of type {model!r}; {', '.join(names)} and timm's can be loaded."
        )
    processor = folder / "preprocessor_config.json"
    settings: dict[str, Any] = (
        json.loads(processor.read_text(encoding="utf-8")) if processor.is_file() else {}
    )
    architecture = "AutoModel" if own_code else names[model]
    known = (
        config if own_code else getattr(transformers, architecture).config_class(**config).to_dict()
    )
    return EncoderCard(
        key=key, hub_id="", loader="transformers", architecture=architecture, arguments=config, remote_code=own_code,
        patch=known["patch_size"], dim=known["hidden_size"], num_prefix=1 + known.get("num_register_tokens", 0),
        mean=tuple(settings.get("image_mean", _IMAGENET[0])), sd=tuple(settings.get("image_std", _IMAGENET[1])),
        size_px=known["image_size"], parameters_m=0.0,
        note="" if settings else "No preprocessor_config.json: ImageNet's mean and sd are assumed.",
    )  # fmt: skip
