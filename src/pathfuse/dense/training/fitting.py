"""The training loop: repeatable, resumable, the best epoch kept."""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pathfuse.costs import measured
from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.records import Item, Split
from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.evaluation.metrics import MEAN_DICE, MEAN_IOU, metrics
from pathfuse.dense.memory import enough_memory, memory_for
from pathfuse.dense.network.net import SegmentationNet
from pathfuse.dense.network.segment import How, grown, segment
from pathfuse.dense.network.tiles import autocast
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.cached import CachedTokens, FromTokens, as_input
from pathfuse.dense.training.distributed import ProcessGroup, precision_of
from pathfuse.dense.training.losses import LOSSES
from pathfuse.dense.training.samples import SquareBatch, Squares, plan_epoch
from pathfuse.dense.training.schedule import rate_share
from pathfuse.dense.training.state import DenseState
from pathfuse.dense.training.validating import is_validated, middle, validation_every
from pathfuse.errors import InputError
from pathfuse.progress import OnEpoch
from pathfuse.training.checkpoint import read_checkpoint, write_checkpoint

CHECKPOINT = "checkpoint.safetensors"
NOT_VALIDATED: dict[str, Any] = dict.fromkeys(
    ("validation_loss", "validation_miou", "validation_mdice")
)
CHECKPOINT_SHARE = 0.1
"""Of the time at most goes into checkpoints; those of large networks are large."""


class DenseTraining:
    """One training, from start or checkpoint to its last epoch."""

    def __init__(
        self,
        net: SegmentationNet,
        split: Split,
        recipe: DenseRecipe,
        distributed: ProcessGroup,
        place: Path,
    ) -> None:
        """Makes ready; ``place`` is a folder for the checkpoint and for kept tokens."""
        with memory_for(
            f"this network on {distributed.device}", "a smaller encoder, or device=cpu"
        ):
            self.net = net.to(distributed.device)
        self.split, self.recipe, self.distributed, self.place = split, recipe, distributed, place
        self.precision = precision_of(recipe, distributed.device)
        groups = net.parameter_groups(recipe.learning_rate, recipe.decoder_rate)
        self.rates = [float(group["lr"]) for group in groups]
        self.adam = torch.optim.Adam(groups, weight_decay=recipe.weight_decay)
        half = distributed.device.type == "cuda" and self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(distributed.device.type, enabled=half)
        self.model: nn.Module = distributed.wrap(FromTokens(net, recipe.size_px))
        self.train = Squares(split.train, split, recipe)
        self.validation = Squares(split.val, split, recipe)
        self.every = validation_every(split, recipe)
        self._next_save = 0.0
        self._train_tokens: CachedTokens | None = None
        self._validation_tokens: CachedTokens | None = None

    def run(self, of: str, on_epoch: OnEpoch | None = None) -> DenseState:
        """Trains from where the checkpoint is to the last epoch.

        Args:
            of: Digest of all that this training is about; a checkpoint of another one is
                overwritten.
            on_epoch: Called after every epoch, in the main process.

        Raises:
            InputError: An image or mask is wrong, memory runs out, or training diverges.
        """
        file = self.place / CHECKPOINT
        load = self.net.load_trainable_state
        found = read_checkpoint(file, of, DenseState, self.net, load, self.adam, self.scaler)
        state = found or DenseState(best=_copy(self.net.trainable_state()))
        self.distributed.wait()  # nobody writes before all have read
        if state.epoch < self.recipe.epochs:
            self._keep_tokens()
        while state.epoch < self.recipe.epochs:
            start = time.perf_counter()
            with measured() as meter:
                line = self._one_epoch(state)
            state.seconds += time.perf_counter() - start
            state.peak_mb = _larger(state.peak_mb, meter.cost.peak_memory_mb)
            state.gpu_mb = _larger(state.gpu_mb, _gpu_mb(self.distributed.device))
            if self.distributed.main:
                self._save(file, of, state)
                if on_epoch is not None:
                    on_epoch(line)
        self.net.load_trainable_state(state.best)
        self.net.eval()
        return state

    def _save(self, file: Path, of: str, state: DenseState) -> None:
        """Writes a checkpoint if the last one is long enough ago."""
        start = time.perf_counter()
        if start >= self._next_save:
            write_checkpoint(
                file, of, state, self.net, self.net.trainable_state(), self.adam, self.scaler
            )
            took = time.perf_counter() - start
            self._next_save = start + took / CHECKPOINT_SHARE

    def _one_epoch(self, state: DenseState) -> dict[str, Any]:
        """Trains, validates, and records both in the state."""
        share = rate_share(state.epoch, self.recipe.epochs, self.recipe.warmup, self.recipe.parity)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        train_loss = self._steps(state.epoch)
        self.distributed.agree(self.net)
        line = {"epoch": state.epoch + 1, "train_loss": train_loss, **NOT_VALIDATED}
        finite = all(bool(p.isfinite().all()) for p in self.net.parameters() if p.requires_grad)
        if is_validated(state.epoch, self.every, self.recipe.epochs):
            loss, cm = self._validate()
            finite = finite and (math.isfinite(loss) or not self.split.val)
            found = metrics(cm)
            line |= {
                "validation_loss": loss,
                "validation_miou": float(found[MEAN_IOU.name]),
                "validation_mdice": float(found[MEAN_DICE.name]),
            }
            if finite:
                self._keep_best(state, line, cm)
        if not (math.isfinite(train_loss) and finite):
            raise InputError(
                f"training diverged in epoch {state.epoch + 1}; lower learning_rate and decoder_rate"
            )
        line["rate_share"] = share
        state.history.append(line)
        state.epoch += 1
        return line

    def _keep_best(self, state: DenseState, line: dict[str, Any], cm: np.ndarray) -> None:
        """Keeps the weights if no validated epoch before was better."""
        by_iou = self.recipe.chosen_by == "miou"
        value = line["validation_miou"] if by_iou else -line["validation_loss"]
        # Without validation images, or with nothing but ignored pixels in them, the last epoch is
        # the one.
        if math.isnan(value) or value > state.best_value:
            state.best_epoch, state.best, state.cm = (
                state.epoch,
                _copy(self.net.trainable_state()),
                cm.tolist(),
            )
            state.best_value = -math.inf if math.isnan(value) else value

    def _steps(self, epoch: int) -> float:
        """One pass over the training images; the mean loss on the way."""
        recipe, distributed = self.recipe, self.distributed
        self.net.train()
        plan = plan_epoch(
            len(self.split.train),
            recipe.batch,
            recipe.seed,
            epoch,
            distributed.rank,
            distributed.world,
        )
        total, n = torch.zeros((), dtype=torch.float64), 0
        with torch.random.fork_rng(
            devices=[distributed.device] if distributed.device.type == "cuda" else []
        ):
            seeds = np.random.SeedSequence([recipe.seed, epoch, distributed.rank])
            torch.manual_seed(int(seeds.generate_state(1)[0]))  # dropped paths
            for batch in self.train.batches(plan, epoch):
                with enough_memory(recipe.batch, recipe.size_px, "size_px"):
                    loss = self._step(batch)
                total += loss.detach().double().cpu() * len(batch.rows)
                n += len(batch.rows)
        both = distributed.total(np.array([float(total), float(n)]))
        return float(both[0] / both[1])

    def _step(self, batch: SquareBatch) -> Tensor:
        recipe, device = self.recipe, self.distributed.device
        with autocast(device, self.precision):
            if self._train_tokens is None:
                logits = self.model(as_input(batch.images, device))
            else:
                logits = self.model(None, self._train_tokens.of(batch.rows, device))
        loss = LOSSES[recipe.loss](logits, batch.masks.to(device), self.split.ignore, recipe.parity)
        self.adam.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if recipe.clip_norm is not None:
            self.scaler.unscale_(self.adam)
            torch.nn.utils.clip_grad_norm_(
                [p for g in self.adam.param_groups for p in g["params"]], recipe.clip_norm
            )
        self.scaler.step(self.adam)
        self.scaler.update()
        return loss

    def _validate(self) -> tuple[float, np.ndarray]:
        """Mean loss and pooled confusion matrix of the validation images, at their own size.

        Loss NaN without any.
        """
        k, distributed = self.split.n_classes, self.distributed
        cm, sums = np.zeros((k, k), dtype=np.int64), np.zeros(2)
        self.net.eval()
        for row in range(distributed.rank, len(self.split.val), distributed.world):
            loss, counts = self._validate_one(row, self.split.val[row])
            cm += counts
            sums += (loss, 1.0)
        cm, sums = distributed.total(cm), distributed.total(sums)
        return float(sums[0] / sums[1]) if sums[1] else math.nan, cm

    def _validate_one(self, row: int, item: Item) -> tuple[float, np.ndarray]:
        image, mask = read_item(item, self.split)
        truth = (
            np.full(image.shape[:2], self.split.ignore, dtype=np.uint8) if mask is None else mask
        )
        image, truth = (middle(one, self.recipe.validate_px) for one in (image, truth))
        logits = self._logits_of(row, image)
        with torch.inference_mode():
            labels = torch.from_numpy(truth)[None].to(logits.device)
            loss = LOSSES[self.recipe.loss](
                logits[None], labels, self.split.ignore, self.recipe.parity
            )
        # max, not argmax: the same class at a tenth of the time, on the CPU
        predicted = logits.max(dim=0).indices.to(torch.uint8).cpu().numpy()
        return float(loss), confusion(truth, predicted, self.split.n_classes, self.split.ignore)

    def _logits_of(self, row: int, image: np.ndarray) -> Tensor:
        """Float32, (K, H, W), of one validation image at its own size."""
        device = self.distributed.device
        if self._validation_tokens is None:
            how = How.of(self.recipe, device, self.precision)
            return torch.from_numpy(
                np.concatenate([band.logits for band in segment(self.net, image, how)], axis=1)
            )
        with torch.inference_mode():
            with autocast(device, self.precision):
                size = (self.recipe.size_px, self.recipe.size_px)
                logits = self.net.decode(self._validation_tokens.of([row], device), size)
            return grown(logits.float(), *image.shape[:2])[0]

    def pooled(self, state: DenseState) -> np.ndarray:
        """Confusion matrix of the validation images in the chosen epoch, (K, K); all 0 without any."""
        k = self.split.n_classes
        return (
            np.array(state.cm, dtype=np.int64).reshape(k, k)
            if state.cm
            else np.zeros((k, k), dtype=np.int64)
        )

    def _keep_tokens(self) -> None:
        """The encoder's output, of training images only if nothing random touches them."""
        recipe = self.recipe
        if not (recipe.cache and recipe.fit == "resize" and self.net.cacheable):
            return
        self.net.eval()

        def make(name: str, squares: Squares) -> CachedTokens:
            file = self.place / f"{name}-{self.distributed.rank}.npy"
            return CachedTokens.make(
                file, self.net, squares, recipe.batch, self.distributed.device, self.precision
            )

        if recipe.cacheable:
            self._train_tokens = make("train", self.train)
        if self.split.val:
            self._validation_tokens = make("validation", self.validation)


def tidy(place: Path) -> None:
    """Removes what a training that failed need not keep: kept tokens, and the folder if no epoch
    was saved.
    """
    for tokens in place.glob("*.npy"):
        tokens.unlink(missing_ok=True)
    if not (place / CHECKPOINT).exists():
        shutil.rmtree(place, ignore_errors=True)


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}


def _larger(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None


def _gpu_mb(device: torch.device) -> float | None:
    """Largest memory of this process's tensors on the GPU so far, in 10^6 bytes."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
