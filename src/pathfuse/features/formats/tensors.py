"""Tensors of PyTorch files: numbers that lie in the file, each once. Views that repeat numbers, shapes without
numbers and packed kinds are refused before anything is made of them.
"""

from collections.abc import Sequence
from typing import Any

from pathfuse.features.formats.base import UnusableError

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""Of features."""
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
"""Of coordinates, besides."""
_LACKS_NUMBERS = "write the numbers themselves (tensor.clone())"


def plain(tensor: Any, what: str, kinds: Sequence[str] = FLOATS) -> Any:
    """A tensor that numpy reads as it stands.

    Args:
        tensor: Of torch.
        what: What it is, in sentences: ``features`` or ``coords``.
        kinds: The kinds of numbers that it may have.

    Raises:
        UnusableError: It is of another kind, or claims more numbers than the file holds.
    """
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested or str(tensor.layout) != "torch.strided" or kind not in kinds:
        layout = "nested" if tensor.is_nested else str(tensor.layout)
        usual = "floating-point numbers" if kinds == FLOATS else "numbers"
        raise UnusableError(f"its {what} are {tensor.dtype} ({layout}), not plain {usual}")
    if tensor.device.type != "cpu":
        raise UnusableError(
            f"its {what} are a shape without numbers (device {tensor.device.type}); {_LACKS_NUMBERS}"
        )
    check_stored([tensor], what)
    return tensor.detach().resolve_neg()  # which numpy does not know


def check_stored(tensors: Sequence[Any], what: str) -> None:
    """Refuses views that say more numbers than are stored, such as one row that is expanded.

    Args:
        tensors: Plain ones, each on the CPU.
        what: What they are, in sentences.

    Raises:
        UnusableError: They repeat numbers.
    """
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    claimed = sum(one.numel() * one.element_size() for one in tensors)
    stored = sum(storages.values())
    if claimed > stored:
        shape = " x ".join(f"{side:,}" for side in tensors[0].shape)
        many = f"{len(tensors):,} tensors of {shape}" if len(tensors) > 1 else shape
        raise UnusableError(
            f"its {what} are {many} numbers, {claimed:,} bytes, of which {stored:,} are stored and repeated; "
            f"{_LACKS_NUMBERS}"
        )
