"""A fitted model of one part, and its file: safetensors with everything else as JSON inside."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pathfuse.errors import InputError, clipped
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.stored import StoredFitted, recipe_from
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.registry import target_kind
from pathfuse.files.json import parse_json
from pathfuse.files.schema import checked
from pathfuse.files.special import refuse_special
from pathfuse.files.write import usual_mode

Arrays = dict[str, np.ndarray]
NETWORK = "network_"
"""Before the number of one of several networks, in the names of their weights."""


@dataclass(frozen=True)
class Fitted:
    """Weights and what is needed to use them."""

    recipe: TrainingRecipe
    inputs: Inputs
    names: tuple[str, ...]
    """Of the outputs."""
    kind: str
    """Name of the way of being trained, whatever the likelihood."""
    weights: Arrays
    """Of the head by PyTorch's names, or those of a ``PooledModel``; see ``networks``."""
    scales: Arrays
    """``feature_mean``, ``feature_sd``; of regression ``target_mean``, ``target_sd`` and
    ``residual_sd``."""

    @property
    def way(self) -> TargetKind:
        """The way of being trained, with the recipe's likelihood."""
        return target_kind(self.kind, self.recipe.likelihood)

    @property
    def networks(self) -> list[Arrays]:
        """The weights of each network, of which one is stored as it is and several with a number."""
        if self.recipe.networks == 1:
            return [self.weights]
        heads = [f"{NETWORK}{k}." for k in range(self.recipe.networks)]
        return [
            {name[len(head) :]: w for name, w in self.weights.items() if name.startswith(head)}
            for head in heads
        ]

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(array.size for array in self.weights.values())


def save_fitted(fitted: Fitted, file: Path) -> None:
    """Writes one safetensors file."""
    about = {
        "recipe": fitted.recipe.model_dump(), "inputs": asdict(fitted.inputs), "names": list(fitted.names),
        "kind": fitted.kind,
    }  # fmt: skip
    arrays = {f"weights.{k}": v for k, v in fitted.weights.items()} | {
        f"scales.{k}": v for k, v in fitted.scales.items()
    }
    with usual_mode(file):
        save_file(
            {k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())},
            file,
            {"pathfuse": json.dumps(about)},
        )


def load_fitted(file: Path) -> Fitted:
    """Reads what ``save_fitted`` wrote.

    Raises:
        InputError: The file is missing, broken, or of something else.
    """
    refuse_special(file)
    try:
        with safe_open(file, framework="numpy") as store:
            about = parse_json((store.metadata() or {}).get("pathfuse", "{}"))
            arrays = {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118 - no mapping
        stored = checked(StoredFitted, about)
        parts: dict[str, Arrays] = {"weights": {}, "scales": {}}
        for name, array in arrays.items():
            group, _, rest = name.partition(".")
            if group not in parts:
                raise ValueError(f"nothing needs the numbers '{name}'")
            parts[group][rest] = array
        target_kind(stored.kind)
        return Fitted(
            recipe_from(stored.recipe),
            stored.inputs.restored(),
            tuple(stored.names),
            stored.kind,
            parts["weights"],
            parts["scales"],
        )
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{file} is not a fitted expert of pathfuse: {clipped(error)}") from error
