"""A fitted fusion of segmentations: the methods, the order of trust, and what it takes to apply
them to strips.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import Field

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles
from pathfuse.dense.fusion.methods.base import DenseMethod
from pathfuse.dense.fusion.methods.registry import method_named
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.strips import PixelStrip, pixel_strips
from pathfuse.files.model_folder import EMPTY, read_model, write_model
from pathfuse.files.schema import Names, Stored, checked

SCHEMA = 2
"""2: methods of segmentation (``dense.fusion.methods``), which 1 does not know; 1 is read."""
NAME = "dense"
"""Of the model's two files, without their endings."""
BEST, FUSED = "best_expert", "fused"
MAX_POOL_PX = 4096
"""Side of the squares that gate features are averaged over."""


class Segmented(NamedTuple):
    """Some rows of one image."""

    rows: slice
    masks: dict[str, UInt8[np.ndarray, "row column"]]
    """Classes by every model that scored the image, ``best_expert``, every method and ``fused``, or
    those that were asked for."""
    probabilities: Float32[np.ndarray, "outcome row column"] | None
    """Of ``fused``, where asked for."""


@dataclass(frozen=True)
class DenseFusion:
    """Several ways to make one mask of several models' logits."""

    classes: tuple[str, ...]
    models: tuple[str, ...]
    methods: Mapping[str, DenseMethod]
    chosen: str
    """The method behind ``fused``."""
    order: tuple[str, ...]
    """Models from best to worst on the fit images; ``best_expert`` is the first that scored an
    image."""
    pool_px: int = 1

    def strips(
        self,
        files: LogitFiles,
        image_id: str,
        cells: int = CHUNK_CELLS,
        *,
        names: Collection[str] | None = None,
        probabilities: bool = False,
    ) -> Iterator[Segmented]:
        """Masks of one image, from top to bottom.

        Args:
            files: Logits of the models, in the order of ``models``.
            image_id: An image that some model scored.
            cells: Numbers of one strip; memory grows with it, the masks do not depend on it (but
                for rounding in averaged gate features).
            names: Of the masks to make; None: all.
            probabilities: Whether to give those of ``fused``, too.
        """
        there = files.models(image_id)
        best = next(name for name in self.order if name in there)
        wanted = {*there, BEST, *self.methods, FUSED} if names is None else {*names}
        needed = [
            name
            for name in self.methods
            if name in wanted or (FUSED in wanted and name == self.chosen)
        ]
        strips, patterns = self._read(
            files, image_id, cells, any(self.methods[name].reads_patterns for name in needed)
        )
        ready = {name: self.methods[name].of_image(patterns) for name in needed}
        for strip in strips:
            masks = {
                name: strip.decisions[m]
                for m, name in enumerate(files.folders)
                if name in there and (name in wanted or (name == best and BEST in wanted))
            }
            if BEST in wanted:
                masks[BEST] = masks[best]
            masks |= {name: segmenter.classes(strip) for name, segmenter in ready.items()}
            if FUSED in wanted:
                masks[FUSED] = masks[self.chosen]
            shares = ready[self.chosen].probabilities(strip) if probabilities else None
            yield Segmented(
                strip.rows,
                {name: flat.reshape(-1, strip.width) for name, flat in masks.items() if name in wanted},
                None
                if shares is None
                else shares.T.astype(np.float32).reshape(shares.shape[1], -1, strip.width),
            )  # fmt: skip

    def _read(
        self, files: LogitFiles, image_id: str, cells: int, reads_patterns: bool
    ) -> tuple[Iterator[PixelStrip], Patterns | None]:
        """The strips, and the combinations of the whole image where they are needed: these are
        counted before, in strips that are read twice unless there is only one.
        """
        strips = pixel_strips(files, image_id, self.pool_px, cells)
        if not reads_patterns:
            return strips, None
        patterns = Patterns(files.n_classes)
        height, width = files.shape(image_id)
        if height * width * len(files.folders) * files.n_classes <= cells:
            kept = list(strips)
            strips = iter(kept)
        else:
            kept = []
        for strip in kept or pixel_strips(files, image_id, 1, cells):
            patterns.add(strip.decisions[strip.present])
        return strips, patterns

    def save(self, folder: Path) -> None:
        """Writes ``dense.json`` and ``dense.safetensors``."""
        methods: dict[str, Any] = {}
        tensors: dict[str, np.ndarray] = {}
        for name, method in self.methods.items():
            methods[name], arrays = method.dump()
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
        stored = checked(StoredFusion, content)
        if sorted(stored.order) != sorted(stored.models):
            raise ValueError("'order' does not name the models")
        if stored.chosen not in stored.methods:
            raise ValueError(f"the chosen method '{stored.chosen}' is not among its methods")
        methods = {
            name: method_named(name).restore(part, _below(tensors, name))
            for name, part in stored.methods.items()
        }
        for method in methods.values():
            method.check_fitted(len(stored.models), len(stored.classes))
        _check_all_used(methods, tensors)
        return DenseFusion(
            tuple(stored.classes),
            tuple(stored.models),
            methods,
            stored.chosen,
            tuple(stored.order),
            stored.pool_px,
        )


class StoredFusion(Stored):
    """As ``DenseFusion.save`` writes it."""

    version: Annotated[int, Field(alias="schema")]
    classes: Annotated[Names, Field(min_length=2, max_length=255)]
    models: Names
    order: Names
    chosen: str
    pool_px: Annotated[int, Field(ge=1, le=MAX_POOL_PX)]
    methods: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]


def _check_all_used(methods: Mapping[str, DenseMethod], tensors: Mapping[str, np.ndarray]) -> None:
    held = {id(array) for method in methods.values() for array in method.dump()[1].values()}
    unknown = [name for name, array in tensors.items() if id(array) not in held]
    if set(unknown) - {EMPTY}:
        raise ValueError(f"nothing needs the numbers '{min(unknown)}'")


def _below(tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {
        key.removeprefix(f"{name}/"): value
        for key, value in tensors.items()
        if key.startswith(f"{name}/")
    }
