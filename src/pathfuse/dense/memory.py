"""Running out of memory as one sentence, with what to try instead."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pathfuse.errors import InputError


@contextmanager
def enough_memory(batch: int, px: int, size_name: str) -> Iterator[None]:
    """Turns torch's and numpy's errors of memory into advice.

    Args:
        batch: Images at a time.
        px: Side of each.
        size_name: What the user calls that side, ``size_px`` or ``tile_px``.

    Raises:
        InputError: The memory does not hold a batch; half the batch, or else half the side, is what
            to try.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        advice = f"a batch of {batch // 2}" if batch > 1 else f"a {size_name} of {px // 2}"
        raise InputError(
            f"the memory does not hold a batch of {batch} with {size_name} {px}; try {advice}"
        ) from error


@contextmanager
def memory_for(what: str, instead: str) -> Iterator[None]:
    """The same where no batch is to blame.

    Args:
        what: That does not fit.
        instead: What to try.

    Raises:
        InputError: The memory does not hold it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        raise InputError(f"the memory does not hold {what}; try {instead}") from error


def _is_memory(error: BaseException) -> bool:
    """Torch has a class for GPUs; its allocator of the CPU and some libraries say it in words only."""
    words = str(error).lower()
    known = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "cublas_status_alloc_failed",
    )
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        each in words for each in known
    )
