"""Where to compute."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from pathfuse.errors import InputError

_assigned: ContextVar[str | None] = ContextVar("assigned", default=None)
"""What ``auto`` is, where a run has handed its devices out."""


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """What is left to ``auto`` inside the block runs on one device."""
    token = _assigned.set(name)
    try:
        yield
    finally:
        _assigned.reset(token)


def device_of(name: str) -> str:
    """The device of a name; ``auto``: the one that was assigned, or CUDA, then Apple's MPS, then the
    CPU.

    Raises:
        InputError: The device is not there.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return _assigned.get() or next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind, _, number = name.partition(":")
    if not there.get(kind, False):
        raise InputError(f"the device '{name}' is not there; choose auto, cpu, cuda or mps")
    if kind == "cuda" and number and not _is_below(number, torch.cuda.device_count()):
        raise InputError(
            f"the device '{name}' is not there; there are {torch.cuda.device_count()} CUDA devices, "
            "numbered from 0"
        )
    return name


def is_shared(device: str) -> bool:
    """Whether processes share the device as a whole, as they share a GPU, and not core by core."""
    return device != "cpu"


def _is_below(number: str, count: int) -> bool:
    return number.isdecimal() and int(number) < count
