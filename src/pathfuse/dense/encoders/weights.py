"""Weights from local files and from the hub's cache, read without executing anything in them."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathfuse.dense.encoders.cards import EncoderCard
from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special

# In this order: safetensors hold nothing but numbers.
FILES = (
    "model.safetensors",
    "pytorch_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model_vision.bin",
)
_CODE = ("*.json", "*.safetensors", "*.bin", "*.py")
_HEADS = (
    "head.",
    "fc_norm.",
    "attn_pool.",
    "pooler.",
    "mask_token",
    "embeddings.mask_token",
    "head_drist.",
)


def snapshot(card: EncoderCard, cache: Path | None, offline: bool) -> Path:
    """The folder of the model's files in the cache of the hub, downloaded first unless ``offline``.

    Raises:
        InputError: The files are not there, or may not be fetched; one sentence with the page to
            ask at.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    offline = offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    patterns = _CODE if card.remote_code else _CODE[:3]
    try:
        found = snapshot_download(
            card.hub_id,
            revision=card.revision,
            cache_dir=cache,
            local_files_only=offline,
            allow_patterns=list(patterns),
        )
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise InputError(
            f"The weights of {card.key} must be asked for at {card.page}, with your hub account."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        ask = "ask for them" if card.access == "gated" else "get them"
        raise InputError(
            f"The weights of {card.key} are not on this machine; {ask} at {card.page} and give the file or "
            "folder (--weights), or allow the download (--download)."
        ) from error
    return Path(found)


def weights_file(folder: Path) -> Path:
    """The file of weights in a folder.

    Raises:
        InputError: There is none, or several and none of the usual names.
    """
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(
        path for path in folder.glob("*") if path.suffix in {".safetensors", ".bin", ".pt", ".pth"}
    )
    if len(others) != 1:
        found = ", ".join(path.name for path in others) or "none"
        raise InputError(
            f"{folder} should hold one file of weights such as model.safetensors; found: {found}."
        )
    return others[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file of weights (.safetensors, or torch's formats read with
    ``weights_only``).

    Raises:
        InputError: The file is missing, damaged, or holds more than numbers.
    """
    path = weights_file(path) if path.is_dir() else path
    refuse_special(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise InputError(
            f"{path} could not be read as weights ({type(error).__name__})."
        ) from error
    for name in ("state_dict", "model"):
        state = (
            state[name] if isinstance(state, dict) and isinstance(state.get(name), dict) else state
        )
    if not isinstance(state, dict) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise InputError(f"{path} does not hold named tensors.")
    return state


def without_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with ``prefix``, without it; all of them if none does."""
    inner = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
    return inner or state


def fill(trunk: nn.Module, state: dict[str, Tensor], card: EncoderCard, source: Path) -> None:
    """Put weights into a trunk; heads that segmentation does not use may be missing or left over.

    Raises:
        InputError: Other weights are missing, left over or of another shape: the file is of another
            model.
    """
    try:
        result = trunk.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise InputError(
            f"{source} does not fit {card.key}: a tensor has another shape."
        ) from error
    check_fit(list(result.missing_keys), list(result.unexpected_keys), card, source)


def check_fit(missing: list[str], left_over: list[str], card: EncoderCard, source: Path) -> None:
    """Refuse weights that are incomplete or of another model.

    Raises:
        InputError: Tensors besides heads are missing or left over; the first is named.
    """
    for names, what in ((missing, "lacks"), (left_over, "has, besides what the model needs,")):
        wrong = [name for name in names if not name.startswith(_HEADS)]
        if wrong:
            raise InputError(
                f"{source} does not fit {card.key}: it {what} {wrong[0]!r} ({len(wrong)} in all)."
            )
