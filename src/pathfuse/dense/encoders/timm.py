"""Vision transformers of timm, and CONCH's visual trunk, which is one."""

from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers import SwiGLUPacked, resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.dense.encoders.weights import fill, read_weights, without_prefix
from pathfuse.errors import InputError

_LAYERS: dict[str, Any] = {"SwiGLUPacked": SwiGLUPacked}  # cards hold plain values only


class TimmEncoder(TokenEncoder):
    """A vision transformer of timm."""

    def run(self, image: Tensor) -> Tensor:
        """All tokens after the last norm."""
        return self.trunk.forward_features(image)


def build_trunk(card: EncoderCard) -> VisionTransformer:
    """The untrained network of a card, for images of any size.

    Raises:
        InputError: timm does not know the architecture, or it is not a plain vision transformer.
    """
    arguments = {name: _LAYERS.get(value, value) if isinstance(value, str) else value
                 for name, value in card.arguments.items()}  # fmt: skip
    try:
        trunk = timm.create_model(
            card.architecture,
            pretrained=False,
            **{"num_classes": 0, "dynamic_img_size": True, **arguments},
        )
    except TypeError as error:  # what every vision transformer takes was not taken
        raise InputError(
            f"{card.architecture} of timm is not a plain vision transformer."
        ) from error
    except RuntimeError as error:
        raise InputError(
            f"timm {timm.__version__} cannot build {card.architecture} for {card.key}: {error}."
        ) from error
    if not isinstance(trunk, VisionTransformer):
        raise InputError(f"{card.architecture} of timm is not a plain vision transformer.")
    return trunk


def card_of_architecture(
    key: str, architecture: str, arguments: dict[str, Any], settings: dict[str, Any]
) -> EncoderCard:
    """The card of any vision transformer of timm, read off the network itself.

    Args:
        key: The name to give it.
        architecture: timm's name.
        arguments: Of the architecture.
        settings: ``mean``, ``std``, ``input_size`` and the like from a file; what is missing comes
            from timm.

    Raises:
        InputError: timm does not know the architecture, or it is not a plain vision transformer.
    """
    draft = EncoderCard(
        key=key, hub_id="", loader="timm", architecture=architecture, arguments=arguments, patch=1, dim=1, num_prefix=0,
        mean=(0.5, 0.5, 0.5), sd=(0.5, 0.5, 0.5), size_px=1, parameters_m=0,
    )  # fmt: skip
    with torch.device("meta"):  # only the shapes are looked at
        trunk: Any = build_trunk(draft)
    known = {**trunk.pretrained_cfg, **settings}
    size, hub_id = trunk.patch_embed.img_size, str(known.get("hf_hub_id") or "").strip("/")
    if hub_id and hub_id.endswith("timm"):
        hub_id = f"timm/{known['architecture']}.{known.get('tag', '')}".rstrip(".")
    return draft.model_copy(update={
        "hub_id": hub_id, "page": f"https://huggingface.co/{hub_id}" if hub_id else "",
        "patch": trunk.patch_embed.patch_size[0], "dim": trunk.embed_dim, "num_prefix": trunk.num_prefix_tokens,
        "mean": tuple(known["mean"]), "sd": tuple(known["std"]), "size_px": size[0] if size else 224,
        "licence": str(known.get("license") or ""),
        "parameters_m": sum(parameter.numel() for parameter in trunk.parameters()) / 1e6,
    })  # fmt: skip


def load_timm(card: EncoderCard, weights: Path | None) -> TimmEncoder:
    """The encoder of a card, with the weights of a file or folder, else untrained.

    Raises:
        InputError: The network cannot be built, or the weights do not fit it.
    """
    trunk: Any = build_trunk(card)
    if weights is not None:
        state = (
            without_prefix(read_weights(weights), card.weights_prefix)
            if card.weights_prefix
            else read_weights(weights)
        )
        positions = state.get("pos_embed")
        if positions is not None and positions.shape != trunk.pos_embed.shape:
            prefix = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
            state["pos_embed"] = resample_abs_pos_embed(
                positions, new_size=list(trunk.patch_embed.grid_size), num_prefix_tokens=prefix
            )
        fill(trunk, state, card, weights)
    return TimmEncoder(card, trunk)
