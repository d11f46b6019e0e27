"""One cell of a benchmark: a model is trained on a data set by one strategy, and predicts its held-out
images.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from polars.exceptions import PolarsError
from safetensors import SafetensorError

import pathfuse
from pathfuse.costs import Cost, measured
from pathfuse.dense.benchmark.config import BenchmarkModel, Cell
from pathfuse.dense.data.records import Split
from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.load import load_encoder
from pathfuse.dense.evaluation.confusion import ConfusionTable, write_confusions
from pathfuse.dense.evaluation.instance_table import InstanceTable, write_instances
from pathfuse.dense.predict import PredictedDense, predict_dense
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.strategies.registry import STRATEGIES
from pathfuse.dense.training.train import train_dense
from pathfuse.errors import PathfuseError, full_disk
from pathfuse.files.digests import digest_of
from pathfuse.files.json import read_object
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.write import remove_folder, write_json_file
from pathfuse.progress import Progress, silent

DONE, FAILED = "cell.json", "failed.json"
MODEL, LOGITS, CONFUSION, INSTANCES = "model", "logits", "confusion.parquet", "instances.parquet"
EXPECTED = (
    PathfuseError, RuntimeError, MemoryError, OSError, ValueError, PolarsError, SafetensorError,
)  # fmt: skip
"""What may go wrong in a cell without being a fault of pathfuse: libraries say so in these ways."""
FUSED = "fused"
"""Folder of the benchmark's fusions."""


@dataclass(frozen=True)
class CellTask:
    """What a cell needs; it travels to worker processes."""

    cell: Cell
    model: BenchmarkModel
    split: Split
    recipe: DenseRecipe
    place: Path
    stamp: str

    @property
    def output(self) -> OutputFolder:
        """Its folder."""
        return OutputFolder(self.place, DONE, needs=(CONFUSION,))

    @property
    def done(self) -> bool:
        """Whether it was trained and evaluated from the same inputs."""
        return self.output.up_to_date(self.stamp)

    @property
    def predicted(self) -> bool:
        """Whether the logits that a fusion reads are there."""
        return self.done and (self.place / LOGITS).is_dir()

    def drop_logits(self) -> None:
        """Frees the disk; they can be predicted again from the saved model."""
        remove_folder(self.place / LOGITS)


def task_of(
    cell: Cell, model: BenchmarkModel, split: Split, recipe: DenseRecipe, place: Path, inputs: Any
) -> CellTask:
    """A task with its stamp.

    Args:
        cell: Its place in the benchmark.
        model: The encoder.
        split: The data set.
        recipe: How to train.
        place: Its folder.
        inputs: Digest of the files of model and data set.
    """
    what = [
        pathfuse.__version__,
        model.model_dump(mode="json", exclude={"size_px", "recipe"}),  # they are in the recipe
        recipe.model_dump(mode="json", exclude={"device", "workers"}),
        inputs,
    ]
    return CellTask(cell, model, split, recipe, place, digest_of(what))


@dataclass(frozen=True)
class CellWork:
    """A cell as a piece of shared work."""

    task: CellTask
    logits: bool
    """Whether its logits are wanted, too."""
    until: tuple[OutputFolder, str] | None = None
    """The fusion that they are wanted for, and its stamp: once that is done they may be gone."""

    @property
    def name(self) -> str:
        """Its place below the claims."""
        return f"cells/{self.task.cell.place.as_posix()}"

    @property
    def ready(self) -> bool:
        """Whether it is done, with its logits while they are wanted."""
        task = self.task
        if not self.logits or (
            task.done and self.until and self.until[0].up_to_date(self.until[1])
        ):
            return task.done
        return task.predicted

    def failed_since(self, when: float) -> str | None:
        """Why it failed, if it did after some time."""
        return failed_since(self.task.place / FAILED, self.task.stamp, when)

    def do(self, progress: Progress) -> str | None:
        """Trains it."""
        return run_task(self.task, self.logits, progress)

    def lost(self, sentence: str) -> None:
        """Records that its process was ended."""
        failure(self.task, sentence)

    def __str__(self) -> str:
        return str(self.task.cell)


def run_task(task: CellTask, keep_logits: bool, progress: Progress = silent) -> str | None:
    """Trains, predicts and counts, unless that is done; a failure is recorded.

    Args:
        task: The cell.
        keep_logits: Whether a fusion will need them; if only they are missing, they are predicted
            again.
        progress: Called after every epoch of the training.

    Returns:
        None, or a sentence that says why the cell failed.
    """
    if task.predicted or (task.done and not keep_logits):
        return None
    failed = task.place / FAILED
    try:
        failed.unlink(missing_ok=True)
        if task.done:
            _predict(task, _encoder(task), keep_logits)
        else:
            _train(task, keep_logits, progress)
    except EXPECTED as error:
        return failure(task, reason(error))
    return None


def failure(task: CellTask, sentence: str) -> str:
    """Records why a cell failed, and says it."""
    record_failure(task.place / FAILED, task.stamp, sentence)
    return sentence


def record_failure(file: Path, stamp: str, sentence: str) -> None:
    """Says in a file why some work failed; where the disk is full it stays unsaid."""
    with suppress(PathfuseError):
        write_json_file({"stamp": stamp, "sentence": sentence}, file)


def failed_since(file: Path, stamp: str, when: float) -> str | None:
    """What a file of ``record_failure`` says of work of some stamp, if it is younger than that."""
    try:
        young = file.stat().st_mtime > when
    except OSError:
        return None
    said = read_object(file)
    return str(said["sentence"]) if young and said.get("stamp") == stamp else None


def reason(error: BaseException) -> str:
    """Why a cell failed, in one sentence."""
    sentence = " ".join(str(error).split()) or type(error).__name__
    full = full_disk(error)
    if full is not None:
        return full
    if isinstance(error, PathfuseError):
        return sentence
    if isinstance(error, MemoryError) or "out of memory" in sentence.lower():
        return f"the memory is too small for this cell; try a smaller batch or size in its recipe ({sentence[:120]})"
    return f"{type(error).__name__}: {sentence[:300]}"


def facts(task: CellTask) -> dict[str, Any]:
    """What is known of a finished cell: its strategy, rank and size; and as recorded its matched
    modules, parameters, memory, seconds, size policy, warnings.
    """
    return {**task.output.recorded, **variant_facts(task)}


def variant_facts(task: CellTask) -> dict[str, Any]:
    """What the label of a strategy stands for, as columns: the rank is None where there is none."""
    recipe = task.recipe
    low_rank = STRATEGIES[recipe.strategy].low_rank
    return {
        "base_strategy": recipe.strategy,
        "rank": recipe.rank if low_rank else None,
        "size_px": recipe.size_px,
    }


def _encoder(task: CellTask) -> TokenEncoder:
    model = task.model
    return load_encoder(
        model.encoder,
        weights=model.weights,
        remote_code=model.remote_code,
        revision=model.revision,
    )


def _train(task: CellTask, keep_logits: bool, progress: Progress) -> None:
    (task.place / DONE).unlink(missing_ok=True)
    encoder = _encoder(task)

    def show(line: dict[str, Any]) -> None:
        progress(
            f"epoch {line['epoch']}, loss {line['train_loss']:.3f}",
            line["epoch"] / task.recipe.epochs,
        )

    # A model of the same training images stays, whatever became of the test images; another one is
    # replaced.
    manifest = train_dense(
        encoder, task.split, task.recipe, task.place / MODEL, force=True, on_epoch=show
    ).manifest
    with measured() as meter:
        predicted = _predict(task, encoder, keep_logits)
    _write_tables(task, predicted)
    if not keep_logits:
        task.drop_logits()
    task.output.finish(
        {"stamp": task.stamp, **asdict(task.cell), **_facts(encoder, manifest, meter.cost)}
    )


def _write_tables(task: CellTask, predicted: PredictedDense) -> None:
    """Matrices of the test images with masks, and AJI and PQ of those with instances."""
    with_mask = {item.image_id: item for item in task.split.test if item.mask is not None}
    rows = [k for k, image in enumerate(predicted.image_ids) if image in with_mask]
    ids, name = tuple(predicted.image_ids[k] for k in rows), task.cell.model
    table = ConfusionTable(
        ids, {name: predicted.confusions[rows]}, {name: np.ones(len(rows), dtype=bool)}
    )
    write_confusions(table, task.place / CONFUSION, force=True)
    (task.place / INSTANCES).unlink(missing_ok=True)
    rows = [k for k in rows if with_mask[predicted.image_ids[k]].instances is not None]
    if rows:
        ids, values = (
            tuple(predicted.image_ids[k] for k in rows),
            {m: own[rows] for m, own in predicted.instances.items()},
        )
        instances = InstanceTable(ids, {name: values}, {name: np.ones(len(rows), dtype=bool)})
        write_instances(instances, task.place / INSTANCES, force=True)


def _predict(task: CellTask, encoder: TokenEncoder, fuse: bool) -> PredictedDense:
    """Logits of the test images, and of the validation images if a fusion is to be fitted on them."""
    split = task.split
    items = (*split.val, *split.test) if fuse else split.test
    return predict_dense(
        task.place / MODEL,
        split,
        items,
        task.place / LOGITS,
        encoder=encoder,
        device=task.recipe.device,
        force=True,
    )


def _facts(encoder: TokenEncoder, manifest: dict[str, Any], predicting: Cost) -> dict[str, Any]:
    """What is recorded of a finished cell."""
    card = encoder.card
    resident = [
        mb for mb in (manifest["peak_memory_mb"], predicting.peak_memory_mb) if mb is not None
    ]
    return {
        "matched_modules": len(manifest["matched_modules"]),
        "rank_used": manifest["rank"],
        "adapter_parameters": manifest["adapter_parameters"],
        "trainable_parameters": manifest["trainable_parameters"],
        "encoder_parameters": sum(one.numel() for one in encoder.trunk.parameters()),
        "memory_mb": manifest["peak_gpu_memory_mb"] or max(resident, default=None),
        "seconds": round(manifest["seconds"] + (predicting.wall_s or 0.0), 3),
        "size_policy": manifest["size_policy"],
        "pretraining": card.pretraining,
        "warnings": manifest["warnings"],
    }
