"""Where training was: weights, optimiser and best epoch in one safetensors file, written to a
temporary name, then renamed.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pathfuse.errors import InputError
from pathfuse.files.special import refuse_special
from pathfuse.files.temporary import replacing
from pathfuse.files.write import usual_mode
from pathfuse.training.state import TrainingState

State = TypeVar("State", bound=TrainingState)
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of every parameter."""


def write_checkpoint(
    file: Path,
    of: str,
    state: TrainingState,
    net: nn.Module,
    weights: Mapping[str, Tensor],
    adam: torch.optim.Adam,
    scaler: Any = None,
) -> None:
    """Writes all that the next epoch depends on, to a temporary name that is then renamed.

    Args:
        file: Where to.
        of: Digest of all that this training is about.
        state: Where it is; all but its tensors must be what JSON can say.
        net: With the weights of the last epoch.
        weights: Those of them that are trained.
        adam: Its optimiser.
        scaler: Of gradients in float16, if any.
    """
    tensors = {f"net.{name}": value for name, value in weights.items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for name, parameter in net.named_parameters():
        kept = adam.state[parameter] if parameter.requires_grad and parameter in adam.state else {}
        tensors |= {f"adam.{name}.{key}": kept[key] for key in MOMENTS if kept}
    about = {key: value for key, value in vars(state).items() if key != "best"}
    about["best_value"] = _finite(state.best_value)
    about["history"] = [
        {key: _finite(value) for key, value in line.items()} for line in state.history
    ]
    content = {"of": of, "state": about, "scaler": {} if scaler is None else scaler.state_dict()}
    save_tensors(tensors, file, {"checkpoint": json.dumps(content)})


def read_checkpoint(
    file: Path,
    of: str,
    kind: type[State],
    net: nn.Module,
    load: Callable[[dict[str, Tensor]], Any],
    adam: torch.optim.Adam,
    scaler: Any = None,
) -> State | None:
    """Puts network and optimiser back to where they were.

    Args:
        file: That ``write_checkpoint`` wrote.
        of: Digest of all that this training is about.
        kind: Of the state.
        net: Whose parameters the optimiser knows.
        load: Takes the weights.
        adam: The optimiser.
        scaler: Of gradients in float16, if any.

    Returns:
        The state; None if there is no file, or it is damaged or of another training: then nothing
        was changed.
    """
    device = str(next(net.parameters()).device)
    try:
        with safe_open(file, framework="pt", device=device) as store:
            content = json.loads(store.metadata()["checkpoint"])
            if content["of"] != of:
                return None
            tensors = {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118 - no mapping
            about, scaled = content["state"], content["scaler"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    load(_below("net.", tensors))
    for name, parameter in net.named_parameters():
        kept = {
            key: tensors[f"adam.{name}.{key}"] for key in MOMENTS if f"adam.{name}.{key}" in tensors
        }
        if kept:
            adam.state[parameter] = kept | {"step": kept["step"].cpu()}
    if scaled and scaler is not None:
        scaler.load_state_dict(scaled)
    about["history"] = [
        {k: math.nan if v is None else v for k, v in line.items()} for line in about["history"]
    ]
    about["best_value"] = -math.inf if about["best_value"] is None else about["best_value"]
    return kind(best=_below("best.", tensors), **about)


def save_tensors(
    tensors: Mapping[str, Tensor], file: Path, about: dict[str, str] | None = None
) -> None:
    """Writes safetensors to a temporary name, then renames; the same numbers give the same bytes."""
    with replacing(file) as partial, usual_mode(partial):
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            partial,
            about,
        )


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Reads safetensors.

    Raises:
        InputError: There is no such file, or it is damaged.
    """
    refuse_special(file, "the weights")
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise InputError(f"the weights {file} cannot be read: {error}") from error


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
