"""Where to compute."""

import torch

from pathfuse.errors import InputError


def device_of(name: str) -> str:
    """The device of a name; ``auto``: CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: The device is not there.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name.partition(":")[0], False):
        raise InputError(f"the device '{name}' is not there; choose auto, cpu, cuda or mps")
    return name
