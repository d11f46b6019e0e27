"""Where training was: weights, optimiser and best epoch in one safetensors file, written beside and renamed."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pathfuse.experts.heads.base import Head
from pathfuse.files.write import usual_mode

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of every parameter."""


@dataclass
class Progressed:
    """The state after some epochs."""

    epoch: int
    best_epoch: int
    """-1: none yet."""
    best_loss: float
    best: dict[str, Tensor]
    history: list[dict[str, Any]]


def write_checkpoint(file: Path, state: Progressed, head: Head, adam: torch.optim.Adam) -> None:
    """Writes all that the next epoch depends on."""
    tensors = {f"head.{name}": value for name, value in head.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for name, parameter in head.named_parameters():
        tensors |= {f"adam.{name}.{key}": adam.state[parameter][key] for key in MOMENTS if adam.state[parameter]}
    about = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss if math.isfinite(state.best_loss) else None,
        "history": [{k: None if v != v else v for k, v in line.items()} for line in state.history],
    }
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    with usual_mode(partial):
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial, {"state": json.dumps(about)})
    partial.replace(file)


def read_checkpoint(file: Path, head: Head, adam: torch.optim.Adam) -> Progressed:
    """Puts head and optimiser back to where they were."""
    device = str(next(head.parameters()).device)
    with safe_open(file, framework="pt", device=device) as store:
        about = json.loads(store.metadata()["state"])
        tensors = {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118 - no mapping
    head.load_state_dict(_of("head.", tensors))
    for name, parameter in head.named_parameters():
        kept = {key: tensors[f"adam.{name}.{key}"] for key in MOMENTS if f"adam.{name}.{key}" in tensors}
        if kept:
            adam.state[parameter] = kept | {"step": kept["step"].cpu()}
    history = [{k: math.nan if v is None else v for k, v in line.items()} for line in about["history"]]
    loss = math.inf if about["best_loss"] is None else about["best_loss"]
    return Progressed(about["epoch"], about["best_epoch"], loss, _of("best.", tensors), history)


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
