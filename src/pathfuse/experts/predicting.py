"""Outputs of a trained head, bag by bag."""

from collections.abc import Sequence

import numpy as np
import torch

from pathfuse.experts.batches import BagReader, batches
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Head
from pathfuse.experts.predicted import Predicted
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.work import forward
from pathfuse.training.device import device_of


def predict(
    head: Head,
    reader: BagReader,
    units: Sequence[Unit],
    recipe: TrainingRecipe,
    keep_attention: bool = False,
) -> Predicted:
    """Outputs of some units, and the attention of their tiles if asked and if the head has any.

    Bags are read one by one: packed with others, a bag's last digits would depend on how many
    tiles those have.
    """
    device = device_of(recipe.device)
    size = 1 if reader.folder.granularity == "tile" else recipe.batch
    head = head.to(device).eval()
    drawn: list[np.ndarray] = []
    attention: list[np.ndarray] = []
    with torch.inference_mode():
        for draw in range(reader.draws):
            outputs: list[np.ndarray] = []
            for batch in batches(
                reader.drawing(draw), units, size, device, batch_tiles=recipe.batch_tiles
            ):
                output = forward(head, batch.packed, recipe, device)
                outputs.append(output.outputs.double().cpu().numpy())
                if keep_attention and output.attention is not None:
                    sizes = torch.bincount(batch.packed.index, minlength=len(batch.units)).tolist()
                    attention += [
                        one.double().cpu().numpy() for one in torch.split(output.attention, sizes)
                    ]
            drawn.append(np.concatenate(outputs))
    spread = np.std(drawn, axis=0) if len(drawn) > 1 else None
    return Predicted(np.mean(drawn, axis=0), attention if attention else None, spread)
