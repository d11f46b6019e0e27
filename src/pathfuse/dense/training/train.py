"""Training a segmentation network into a folder, and loading it from there.

The folder holds ``model.safetensors`` (what was trained), ``model.json`` (what it was trained on),
``history.csv`` and ``manifest.json`` (what came of it and at what cost).
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

import pathfuse
from pathfuse.dense.data.items import check_item
from pathfuse.dense.data.records import Split, files_of
from pathfuse.dense.data.scale import scale_warnings
from pathfuse.dense.encoders.base import TokenEncoder
from pathfuse.dense.encoders.cards import check_size
from pathfuse.dense.encoders.digest import encoder_digest
from pathfuse.dense.encoders.load import load_encoder
from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.dense.memory import memory_for
from pathfuse.dense.network.make import make_network
from pathfuse.dense.network.net import SegmentationNet
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.strategies.registry import STRATEGIES
from pathfuse.dense.training.distributed import ProcessGroup, make_process_group
from pathfuse.dense.training.fitting import DenseTraining, tidy
from pathfuse.dense.training.state import DenseState
from pathfuse.dense.training.validating import is_validated, once_warning
from pathfuse.dense.training.warnings import warnings_of
from pathfuse.errors import InputError
from pathfuse.files.digests import digest_of, state_of
from pathfuse.files.json import read_json
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.write import check_out, new_folder, refuse_link, write_json, write_table
from pathfuse.progress import OnEpoch
from pathfuse.training.checkpoint import load_tensors, save_tensors

KIND = "pathfuse.dense"
MODEL, ABOUT, HISTORY, MANIFEST = "model.safetensors", "model.json", "history.csv", "manifest.json"


@dataclass(frozen=True)
class TrainedDense:
    """A finished training."""

    folder: Path
    manifest: dict[str, Any]
    """Matched modules, trainable parameters, seed, size, tokens per image, seconds, memory,
    warnings."""


@dataclass(frozen=True)
class DenseModel:
    """What a folder says of its network."""

    encoder: str
    """Key of its card, or what it was loaded by."""
    encoder_digest: str
    """Of its weights and its normalisation before training."""
    n_classes: int
    class_names: tuple[str, ...]
    ignore: int
    recipe: DenseRecipe
    data: str
    """Digest of the images and masks trained on, by name and place."""

    def as_dict(self) -> dict[str, Any]:
        """For ``model.json``."""
        plain = {key: value for key, value in vars(self).items() if key != "recipe"}
        return {
            "kind": KIND,
            **plain,
            "class_names": list(self.class_names),
            "recipe": self.recipe.model_dump(),
        }

    @property
    def digest(self) -> str:
        """Of all that decides what is trained; device and workers do not."""
        content = self.as_dict()
        content["recipe"] = {
            k: v for k, v in content["recipe"].items() if k not in ("device", "workers")
        }
        return digest_of(content)


def train_dense(
    encoder: TokenEncoder,
    split: Split,
    recipe: DenseRecipe,
    out: Path,
    *,
    resume: bool = True,
    force: bool = False,
    on_epoch: OnEpoch | None = None,
) -> TrainedDense:
    """Trains one strategy on one encoder and writes a folder.

    On the CPU the same arguments give the same bytes of ``model.safetensors`` and ``history.csv``,
    also when a killed
    training is called again: it goes on after the epoch that was saved last, from
    ``.<out>.training`` next to ``out``, unless images or masks have changed since. Several processes
    that ``accelerate launch`` started train together; each takes ``recipe.batch`` images per step,
    and all must see the same files.

    Args:
        encoder: Not adapted yet. A strategy that changes it works on a copy.
        split: Images and masks; those of ``val`` choose the epoch, without them the last one is
            kept.
        recipe: Everything else; its ``parity`` also decides how the encoder normalises.
        out: Folder to write. If it holds the same training already and ``resume`` is on, nothing is
            trained.
        resume: Off: starts anew, and refuses a folder that exists.
        force: Replaces a folder that exists, once the training is done; one that holds this very
            training stays.
        on_epoch: Called in the main process with the line of ``history.csv`` after every epoch.

    Raises:
        InputError: There is no training image, an image or mask is wrong, the strategy matches no
            module, the square is a single patch, memory runs out, training diverges, or ``out``
            holds something else.
    """
    if not split.train:
        raise InputError(f"the data set {split.name} has no training image")
    check_size(encoder.card, recipe.size_px)
    distributed = make_process_group(recipe)
    encoder = _own(encoder, recipe)
    about = _about(encoder, split, recipe)
    refuse_link(out)
    out = out.resolve()
    done = _finished(out, about.digest, force) if resume else None
    if done is not None:
        return done
    check_out(out, force, files_of(split.items))
    for item in (*split.train, *split.val):
        check_item(item, split)
    with memory_for("this network", "a smaller encoder or decoder_width"):
        net = _network(encoder, recipe, split.n_classes)
    work = _work_folder(out, distributed, resume)
    try:
        training = DenseTraining(net, split, recipe, distributed, work.place)
        state = training.run(about.digest, on_epoch)
    except BaseException:
        tidy(work.place)
        raise
    manifest = _manifest(net, split, recipe, state, training, about.digest)
    manifest["warnings"] += once_warning(training.every, state.epoch, recipe)
    if distributed.main:
        _write(out, net, about, state, manifest, force)
        work.discard()
    distributed.wait()
    return TrainedDense(out, manifest)


def load_dense(
    folder: Path, encoder: TokenEncoder | None = None, *, device: str | torch.device = "cpu"
) -> SegmentationNet:
    """The network of a folder, in evaluation.

    Args:
        folder: That ``train_dense`` wrote.
        encoder: As it was before training; a strategy that changes it gets a copy. None: loaded by
            its key, from what is on this machine.
        device: Where to put it.

    Raises:
        InputError: The folder holds no such network, or the encoder is another one.
    """
    about = read_about(folder)
    normalisation = about.recipe.parity
    encoder = (
        load_encoder(about.encoder, normalisation=normalisation) if encoder is None else encoder
    )
    encoder = _own(encoder, about.recipe)
    if encoder_digest(encoder) != about.encoder_digest:
        raise InputError(
            f"the network in {folder} was trained on the encoder '{about.encoder}' with other weights than those of "
            f"this '{encoder.card.key}'"
        )
    net = _network(encoder, about.recipe, about.n_classes)
    net.load_trainable_state(load_tensors(folder / MODEL))
    return net.to(device).eval()


def read_about(folder: Path) -> DenseModel:
    """What a folder says of its network.

    Raises:
        InputError: It is not a folder of ``train_dense``.
    """
    try:
        content = read_json(folder / ABOUT)
        if content.pop("kind") != KIND:
            raise ValueError(KIND)
        recipe = content.pop("recipe")
        names = tuple(content.pop("class_names"))
        return DenseModel(**content, class_names=names, recipe=DenseRecipe.of(**recipe))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder} holds no trained segmentation: its {ABOUT} is missing or damaged"
        ) from error


def _about(encoder: TokenEncoder, split: Split, recipe: DenseRecipe) -> DenseModel:
    """All that decides what is trained."""
    return DenseModel(
        encoder.card.key,
        encoder_digest(encoder),
        split.n_classes,
        split.class_names,
        split.ignore,
        recipe,
        _data(split),
    )


def _network(encoder: TokenEncoder, recipe: DenseRecipe, n_classes: int) -> SegmentationNet:
    """An untrained network, as the recipe has it."""
    return make_network(
        encoder,
        recipe.strategy,
        n_classes,
        rank=recipe.rank,
        parity=recipe.parity,
        seed=recipe.seed,
        decoder_width=recipe.decoder_width,
        capacity=recipe.capacity,
    )


def _work_folder(out: Path, distributed: ProcessGroup, resume: bool) -> OutputFolder:
    """The folder of checkpoint and kept tokens, emptied unless the training goes on."""
    work = OutputFolder(out.parent / f".{out.name}.training")
    distributed.wait()  # all processes have looked at ``out`` before any of them writes
    if distributed.main and not resume:
        work.discard()
    distributed.wait()
    work.make()
    return work


def _own(encoder: TokenEncoder, recipe: DenseRecipe) -> TokenEncoder:
    """A copy if the strategy changes it, else the caller's.

    Normalising as the recipe's parity says.
    """
    if STRATEGIES[recipe.strategy].trains_trunk or encoder.normalisation != recipe.parity:
        encoder = copy.deepcopy(encoder)
        encoder.normalise_as(recipe.parity)
    return encoder


def _data(split: Split) -> str:
    """Digest of names, order, sizes and times of change; files are not opened."""
    items = [
        [part, item.image_id, item.patient_id, *item.mask_values]
        for part in ("train", "val")
        for item in getattr(split, part)
    ]
    files = [
        path
        for item in (*split.train, *split.val)
        for path in (item.image, item.mask)
        if path is not None
    ]
    return digest_of([items, state_of(files)])


def _finished(out: Path, of: str, force: bool) -> TrainedDense | None:
    """The same training, if it is there.

    Raises:
        InputError: Another one is, and it is not to be replaced.
    """
    there = OutputFolder(out, MANIFEST, "training")
    if there.up_to_date(of):
        return TrainedDense(out, there.recorded)
    if force or not (out / MANIFEST).is_file():
        return None
    raise InputError(
        f"the output {out} exists already, with another training than this one (other files, recipe or encoder); "
        "choose another folder, or --force to replace it"
    )


def _manifest(
    net: SegmentationNet,
    split: Split,
    recipe: DenseRecipe,
    state: DenseState,
    training: DenseTraining,
    of: str,
) -> dict[str, Any]:
    distributed: ProcessGroup = training.distributed
    rows, columns = net.encoder.grid(recipe.size_px, recipe.size_px)
    chosen = metrics(training.pooled(state)) if split.val else {}
    validated = sum(is_validated(k, training.every, state.epoch) for k in range(state.epoch))
    return {
        "kind": KIND,
        "training": of,
        "encoder": net.encoder.card.key,
        "strategy": recipe.strategy,
        "parity": recipe.parity,
        "data_set": split.name,
        "images": {part: len(getattr(split, part)) for part in ("train", "val")},
        "seed": recipe.seed,
        "size_px": recipe.size_px,
        "size_policy": net.encoder.card.size_said(recipe.size_px),
        "tokens_per_image": rows * columns + net.encoder.card.num_prefix,
        "matched_modules": net.matched,
        "rank": net.rank,
        "trainable_parameters": net.n_trainable,
        "adapter_parameters": net.n_adapter,
        "parameters": sum(p.numel() for p in net.parameters()),
        "epochs": state.epoch,
        "chosen_epoch": state.best_epoch + 1,
        "validate_every": training.every if split.val else None,
        "validated_epochs": validated if split.val else None,
        "validation": {
            name: None if value != value else float(value) for name, value in chosen.items()
        },
        "seconds": round(state.seconds, 3),
        "peak_memory_mb": state.peak_mb,
        "peak_gpu_memory_mb": state.gpu_mb,
        "device": str(distributed.device),
        "processes": distributed.world,
        "precision": str(training.precision).removeprefix("torch."),
        "pathfuse": pathfuse.__version__,
        "torch": torch.__version__,
        "warnings": [
            *warnings_of(state.history, training.pooled(state), split.class_names),
            *scale_warnings(
                split.train,
                encoder=net.encoder.card.key,
                trained_um=net.encoder.card.mpp_um,
                size_px=recipe.size_px,
                resized=recipe.fit == "resize",
            ),
        ],
    }


def _write(
    out: Path,
    net: SegmentationNet,
    about: DenseModel,
    state: DenseState,
    manifest: dict[str, Any],
    force: bool,
) -> None:
    lines = [line | {"chosen": line["epoch"] == state.best_epoch + 1} for line in state.history]
    with new_folder(out, force) as folder:
        save_tensors(net.trainable_state(), folder / MODEL, {"kind": KIND})
        write_json(about.as_dict(), folder / ABOUT)
        write_table(
            pl.DataFrame(lines, infer_schema_length=None).with_columns(
                pl.selectors.float().fill_nan(None)
            ),
            folder / HISTORY,
        )
        write_json(manifest, folder / MANIFEST)
