"""What a head is trained on, and one pass of a head over a batch of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pathfuse.experts.batches import BagReader, Batch, batches
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Head, HeadOutput, Packed, Truths
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.base import TargetKind
from pathfuse.experts.targets.registry import target_kind
from pathfuse.experts.targets.table import Targets


@dataclass(frozen=True)
class Work:
    """What one head is trained on."""

    reader: BagReader
    fitted: Sequence[Unit]
    validation: Sequence[Unit]
    targets: Targets
    """Regression: standardised, but for counts."""
    inputs: Inputs | None = None
    """None: those of the reader's folder, without teachers."""
    patients: np.ndarray | None = None
    """Int, (sample,): equal for samples of one patient; None: each is a patient."""
    teachers: Mapping[tuple[str, ...], np.ndarray] | None = None
    """Float, (sum of teacher lengths,), standardised, by the slides of a unit; NaN where a teacher
    is missing."""


def forward_batch(
    head: Head, batch: Batch, work: Work, recipe: TrainingRecipe, device: str
) -> tuple[HeadOutput, Packed]:
    """A head on a batch with its patients and teachers.

    Returns:
        Its output, and the batch as it was read.
    """
    patients = batch.samples if work.patients is None else work.patients[batch.samples]
    teachers = None
    if work.teachers is not None:
        teachers = (
            torch.from_numpy(np.stack([work.teachers[unit.slides] for unit in batch.units]))
            .float()
            .to(device)
        )
    packed = replace(
        batch.packed, patients=torch.from_numpy(patients).to(device), teachers=teachers
    )
    return forward(head, packed, recipe, device), packed


def forward(head: Head, packed: Packed, recipe: TrainingRecipe, device: str) -> HeadOutput:
    """A head on a packed batch, in the recipe's precision."""
    with torch.autocast(
        device.partition(":")[0], torch.bfloat16, enabled=recipe.precision == "bfloat16"
    ):
        output = head.forward_packed(packed)
    return output._replace(outputs=head.with_shared(output.outputs))


def corrected(head: Head, output: HeadOutput, way: TargetKind, recipe: TrainingRecipe) -> Tensor:
    """Float, (bag, output): what a head predicts, without what its training added on purpose."""
    return way.corrected(output.outputs, head.offset, recipe.focal)


def truths_of(batch: Batch, work: Work, recipe: TrainingRecipe, device: str) -> Truths:
    """What is known of a batch's samples."""
    values = torch.from_numpy(work.targets.values[batch.samples]).float().to(device)
    known = torch.from_numpy(work.targets.known[batch.samples]).to(device)
    return Truths(target_kind(work.targets.kind, recipe.likelihood), values, known)


def unit_losses(
    head: Head, work: Work, units: Sequence[Unit], recipe: TrainingRecipe, device: str
) -> Iterator[torch.Tensor]:
    """Loss of the endpoint of some units, batch by batch, the tiles of a prediction, no dropout."""
    head.eval()
    with torch.inference_mode():
        waiting = batches(
            work.reader,
            units,
            recipe.batch,
            device,
            max_tiles=recipe.max_tiles_predict,
            batch_tiles=recipe.batch_tiles,
        )
        for batch in waiting:
            output, _ = forward_batch(head, batch, work, recipe, device)
            truths = truths_of(batch, work, recipe, device)
            yield truths.loss(corrected(head, output, truths.way, recipe))
