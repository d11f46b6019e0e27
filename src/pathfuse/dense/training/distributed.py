"""The processes that train one network together: one, or as many as ``accelerate launch`` started."""

import os
from typing import Any

import numpy as np
import torch
from torch import nn

from pathfuse.dense.recipe import DenseRecipe
from pathfuse.errors import InputError
from pathfuse.training.device import device_of


class ProcessGroup:
    """A process on its own."""

    rank, world = 0, 1

    def __init__(self, recipe: DenseRecipe) -> None:
        self.device = torch.device(device_of(recipe.device))

    @property
    def main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """The network as the training step calls it, on the device."""
        return net.to(self.device)

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes, in float64 or int64."""
        return values

    def agree(self, net: nn.Module) -> None:
        """Gives running means of all processes the values of the first."""

    def wait(self) -> None:
        """Until all are here."""


class LaunchedProcessGroup(ProcessGroup):
    """One of several processes, on one machine or more; all must see the same files."""

    def __init__(self, recipe: DenseRecipe) -> None:
        try:
            from accelerate import Accelerator, DistributedDataParallelKwargs
        except ImportError as error:
            raise InputError(
                "training with several processes needs the package accelerate"
            ) from error
        # The published CNN adapter has weights that take no part, which torch has to look for.
        sharing = DistributedDataParallelKwargs(find_unused_parameters=recipe.parity == "paper")
        self._all: Any = Accelerator(
            cpu=recipe.device == "cpu", mixed_precision="no", kwargs_handlers=[sharing]
        )
        self.device, self.rank, self.world = (
            self._all.device,
            self._all.process_index,
            self._all.num_processes,
        )

    def wrap(self, net: nn.Module) -> nn.Module:
        """Shares gradients, and on GPUs the statistics of batches."""
        if self.device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return self._all.prepare_model(net)

    def total(self, values: np.ndarray) -> np.ndarray:
        """By gathering, since accelerate's sums may lose integers."""
        whole = self._all.gather(torch.from_numpy(values[None].copy()).to(self.device))
        return whole.sum(dim=0).cpu().numpy()

    def agree(self, net: nn.Module) -> None:
        """By broadcast."""
        from accelerate.utils import broadcast

        with torch.no_grad():
            for buffer in net.buffers():
                buffer.copy_(broadcast(buffer))

    def wait(self) -> None:
        """A barrier."""
        self._all.wait_for_everyone()


def make_process_group(recipe: DenseRecipe) -> ProcessGroup:
    """The processes that a launcher started, or this one alone.

    Raises:
        InputError: The device is not there, or accelerate is not.
    """
    return (
        LaunchedProcessGroup(recipe)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1
        else ProcessGroup(recipe)
    )


def precision_of(recipe: DenseRecipe, device: torch.device) -> torch.dtype:
    """The number format of the network's inner work on a device."""
    if recipe.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            recipe.precision
        ]
    if device.type != "cuda":
        return torch.float32
    return (
        torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    )
