"""Outputs of a trained head, bag by bag."""

from collections.abc import Sequence

import numpy as np
import torch

from pathfuse.experts.batches import BagReader, Batch, batches, evenly
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Head
from pathfuse.experts.predicted import Predicted
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.work import corrected, forward
from pathfuse.training.device import device_of


def predict(
    head: Head,
    reader: BagReader,
    units: Sequence[Unit],
    recipe: TrainingRecipe,
    keep_attention: bool = False,
    way: TargetKind | None = None,
) -> Predicted:
    """Outputs of some units, and the attention of their tiles if asked and if the head has any.

    Bags are read one by one: packed with others, a bag's last digits would depend on how many
    tiles those have.

    Args:
        head: Trained.
        reader: Where bags come from.
        units: What to predict.
        recipe: Of the head.
        keep_attention: Give the attention of every tile.
        way: The way in which the head was trained; None: outputs as training left them.
    """
    device = device_of(recipe.device)
    size = 1 if reader.folder.granularity == "tile" else recipe.batch
    head = head.to(device).eval()
    drawn: list[np.ndarray] = []
    attention: list[np.ndarray] = []
    with torch.inference_mode():
        for draw in range(reader.draws):
            outputs: list[np.ndarray] = []
            waiting = batches(
                reader.drawing(draw),
                units,
                size,
                device,
                max_tiles=recipe.max_tiles_predict,
                batch_tiles=recipe.batch_tiles,
            )
            for batch in waiting:
                output = forward(head, batch.packed, recipe, device)
                predicted = output.outputs if way is None else corrected(head, output, way, recipe)
                outputs.append(predicted.double().cpu().numpy())
                if keep_attention and output.attention is not None:
                    attention += _by_unit(output.attention, batch, reader)
                del (
                    batch,
                    output,
                    predicted,
                )  # else two large bags would be held while the next one is read
            drawn.append(np.concatenate(outputs))
    spread = np.std(drawn, axis=0) if len(drawn) > 1 else None
    return Predicted(np.mean(drawn, axis=0), attention if attention else None, spread)


def _by_unit(attention: torch.Tensor, batch: Batch, reader: BagReader) -> list[np.ndarray]:
    """Attention of all tiles of each unit of a batch; 0 where a tile was not read."""
    sizes = torch.bincount(batch.packed.index, minlength=len(batch.units)).tolist()
    found = []
    for unit, read in zip(batch.units, torch.split(attention, sizes), strict=True):
        whole = np.zeros(sum(reader.sizes(unit)))
        whole[evenly(len(whole), len(read))] = read.double().cpu().numpy()
        found.append(whole)
    return found
