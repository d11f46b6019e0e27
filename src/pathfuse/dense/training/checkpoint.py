"""Where training was, and what it left: safetensors with the trained numbers only, never the frozen encoder."""

import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pathfuse.dense.network.net import SegmentationNet
from pathfuse.errors import InputError
from pathfuse.files.write import usual_mode

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of every parameter."""
DIGESTED = 4096
"""Numbers of each tensor that tell one encoder from another."""


@dataclass
class TrainingState:
    """The state after some epochs."""

    best: dict[str, Tensor]
    """What the best epoch learned."""
    epoch: int = 0
    """Finished epochs."""
    best_epoch: int = -1
    """Counted from 0; -1: none yet."""
    best_value: float = -math.inf
    """More is better."""
    history: list[dict[str, Any]] = field(default_factory=list)
    cm: list[list[int]] = field(default_factory=list)
    """Confusion matrix of the validation images in the best epoch."""
    seconds: float = 0.0
    """Over all sittings."""
    peak_mb: float | None = None
    gpu_mb: float | None = None


def write_checkpoint(
    file: Path, of: str, state: TrainingState, net: SegmentationNet, adam: torch.optim.Adam, scaler: Any
) -> None:
    """Writes all that the next epoch depends on, beside and renamed.

    Args:
        file: Where to.
        of: Digest of all that this training is about.
        state: Where it is.
        net: With the weights of the last epoch.
        adam: Its optimiser.
        scaler: Of gradients in float16.
    """
    tensors = {f"net.{name}": value for name, value in net.trainable_state().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for name, parameter in net.named_parameters():
        kept = adam.state[parameter] if parameter.requires_grad and parameter in adam.state else {}
        tensors |= {f"adam.{name}.{key}": kept[key] for key in MOMENTS if kept}
    about = {key: value for key, value in vars(state).items() if key not in ("best", "best_value")}
    about |= {"best_value": _finite(state.best_value), "of": of, "scaler": scaler.state_dict()}
    about["history"] = [{key: _finite(value) for key, value in line.items()} for line in state.history]
    save_tensors(tensors, file, {"state": json.dumps(about)})


def read_checkpoint(
    file: Path, of: str, net: SegmentationNet, adam: torch.optim.Adam, scaler: Any
) -> TrainingState | None:
    """Puts network and optimiser back to where they were; None if the file is of another training, or damaged."""
    device = str(next(net.parameters()).device)
    try:
        with safe_open(file, framework="pt", device=device) as store:
            about = json.loads(store.metadata()["state"])
            if about.pop("of") != of:
                return None
            tensors = {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    net.load_trainable_state(_of("net.", tensors))
    for name, parameter in net.named_parameters():
        kept = {key: tensors[f"adam.{name}.{key}"] for key in MOMENTS if f"adam.{name}.{key}" in tensors}
        if kept:
            adam.state[parameter] = kept | {"step": kept["step"].cpu()}
    scaled = about.pop("scaler")
    if scaled:
        scaler.load_state_dict(scaled)
    value = about.pop("best_value")
    history = [{key: math.nan if cell is None else cell for key, cell in line.items()} for line in about.pop("history")]
    best = -math.inf if value is None else value
    return TrainingState(best=_of("best.", tensors), best_value=best, history=history, **about)


def save_tensors(tensors: dict[str, Tensor], file: Path, about: dict[str, str] | None = None) -> None:
    """Writes safetensors beside and renamed; the same numbers give the same bytes."""
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    with usual_mode(partial):
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, about)
    partial.replace(file)


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Reads safetensors.

    Raises:
        InputError: There is no such file, or it is damaged.
    """
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"the weights {file} cannot be read: {error}") from error


def encoder_digest(encoder: nn.Module) -> str:
    """Tells encoders with other weights or another normalisation apart; hexadecimal.

    Of large tensors evenly spread numbers are looked at, so that it takes no time.
    """
    digest = hashlib.sha256()
    buffers = {f"buffer {name}": value for name, value in encoder.named_buffers()}
    for name, value in sorted((dict(encoder.named_parameters()) | buffers).items()):
        flat = value.detach().flatten()
        some = flat[:: max(1, len(flat) // DIGESTED)].float().cpu().numpy()
        digest.update(f"{name} {tuple(value.shape)} ".encode() + np.ascontiguousarray(some, "<f4").tobytes())
    return digest.hexdigest()


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _finite(value: Any) -> Any:
    """None where JSON has no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
