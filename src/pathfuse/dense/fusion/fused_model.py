"""A fitted fusion of segmentations: the methods, the order of trust, and what it takes to apply
them to strips.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from threadpoolctl import threadpool_limits

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles
from pathfuse.dense.fusion.local_gate import experts_of
from pathfuse.files.model_folder import read_model, write_model
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.store import dump, restore

SCHEMA = 1
NAME = "dense"
"""Of the model's two files, without their endings."""
BEST, FUSED = "best_expert", "fused"


@dataclass(frozen=True)
class DenseFusion:
    """Several ways to make one mask of several models' logits."""

    classes: tuple[str, ...]
    models: tuple[str, ...]
    methods: Mapping[str, Fusion[Any]]
    chosen: str
    """The method behind ``fused``."""
    order: tuple[str, ...]
    """Models from best to worst on the fit images; ``best_expert`` is the first that scored an
    image."""
    pool_px: int = 1

    def strips(
        self, files: LogitFiles, image_id: str, cells: int = CHUNK_CELLS
    ) -> Iterator[tuple[slice, dict[str, UInt8[np.ndarray, "row column"]]]]:
        """Masks of one image, from top to bottom.

        Args:
            files: Logits of the models, in the order of ``models``.
            image_id: An image that some model scored.
            cells: Numbers of one strip; memory grows with it, the masks do not depend on it (but
                for rounding in averaged gate features).

        Yields:
            Rows, and their classes by every model that scored the image, ``best_expert``, every
            method and ``fused``.
        """
        width, there = files.shape(image_id)[1], files.models(image_id)
        best = next(name for name in self.order if name in there)
        for rows, experts, logits in experts_of(files, image_id, self.pool_px, cells):
            masks = {
                name: logits[:, m].argmax(axis=1)
                for m, name in enumerate(files.folders)
                if name in there
            }
            masks[BEST] = masks[best]
            with threadpool_limits(1):
                masks |= {
                    name: fusion.combine(experts).argmax(axis=1)
                    for name, fusion in self.methods.items()
                }
            masks[FUSED] = masks[self.chosen]
            yield (
                rows,
                {name: flat.astype(np.uint8).reshape(-1, width) for name, flat in masks.items()},
            )

    def save(self, folder: Path) -> None:
        """Writes ``dense.json`` and ``dense.safetensors``."""
        methods: dict[str, Any] = {}
        tensors: dict[str, np.ndarray] = {}
        for name, fusion in self.methods.items():
            methods[name], arrays = dump(fusion)
            tensors |= {
                f"{name}/{key}": np.array(array, order="C") for key, array in arrays.items()
            }
        content = {
            "schema": SCHEMA,
            "classes": list(self.classes),
            "models": list(self.models),
            "order": list(self.order),
            "chosen": self.chosen,
            "pool_px": self.pool_px,
            "methods": methods,
        }
        write_model(folder, NAME, content, tensors)


def load_fusion(folder: str | Path) -> DenseFusion:
    """Loads the model folder of ``fuse_dense``, or the output folder that holds it.

    Raises:
        InputError: There is no model, its files are damaged, or a newer pathfuse wrote it.
    """
    with read_model(Path(folder), NAME, SCHEMA, "fusion of segmentations") as (content, tensors):
        methods = {
            name: restore(part, _below(tensors, name)) for name, part in content["methods"].items()
        }
        texts = {
            key: tuple(str(name) for name in content[key]) for key in ("classes", "models", "order")
        }
        return DenseFusion(
            **texts, methods=methods, chosen=str(content["chosen"]), pool_px=int(content["pool_px"])
        )


def _below(tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {
        key.removeprefix(f"{name}/"): value
        for key, value in tensors.items()
        if key.startswith(f"{name}/")
    }
