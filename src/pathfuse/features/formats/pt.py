"""Features in PyTorch files: a tensor, or a list of one tensor per tile.

Nothing that needs pickle is opened.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.formats.base import (
    Header,
    UnusableError,
    as_bag,
    as_stored,
    in_chunks,
    layout,
)
from pathfuse.features.formats.clam import FOLDERS
from pathfuse.types import Bag, Index

SUFFIX = ".pt"


def header(path: Path) -> Header:
    """Shape of one file.

    Raises:
        UnusableError: It is damaged, empty, or needs pickle.
    """
    tensor = _tensor(path)
    n_tiles, dim, granularity = layout(tuple(tensor.shape))
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Header(n_tiles, dim, granularity, dtype, "clam" if path.parent.name in FOLDERS else "pt")


def read(path: Path, rows: Index | None) -> Bag:
    """All rows, or those asked for."""
    tensor = _tensor(path)
    n_tiles, dim, _ = layout(tuple(tensor.shape))
    flat = tensor.reshape(n_tiles, dim)
    return _numbers(flat if rows is None else flat[np.asarray(rows, dtype=np.int64)], dim)


def stored(path: Path) -> Bag:
    """All rows, float16 where the file has it."""
    tensor = _tensor(path)
    _, dim, _ = layout(tuple(tensor.shape))
    if str(tensor.dtype) == "torch.float16":
        return as_stored(tensor.numpy(), dim).copy()  # the file may be mapped into memory
    return _numbers(tensor, dim)


def chunks(path: Path) -> Iterator[Bag]:
    """All rows, a part at a time."""
    tensor = _tensor(path)
    n_tiles, dim, _ = layout(tuple(tensor.shape))
    flat = tensor.reshape(n_tiles, dim)
    return (_numbers(flat[part], dim) for part in in_chunks(n_tiles, dim))


def _numbers(tensor: Any, dim: int) -> Bag:
    return as_bag(tensor.float().numpy(), dim)  # numpy has no bfloat16


def _tensor(path: Path) -> Any:
    """The file's tensor; a list of rows is stacked."""
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} needs PyTorch, which is not installed: pip install 'pathfuse[torch]'"
        ) from error
    content = _load(path, torch)
    if isinstance(content, (list, tuple)) and all(isinstance(row, torch.Tensor) for row in content):
        if not content:
            raise UnusableError("the bag is empty: its list holds no tensor")
        shapes = {tuple(row.shape) for row in content}
        if len(shapes) > 1 or len(next(iter(shapes))) != 1:
            raise UnusableError(
                f"its list holds tensors of the shapes {sorted(shapes)}, not one (dimensions,) per tile"
            )
        content = torch.stack([row.detach() for row in content])
    if not isinstance(content, torch.Tensor):
        raise UnusableError(
            f"it holds a {type(content).__name__}, neither a tensor nor a list of tensors"
        )
    if not content.is_floating_point() or content.layout != torch.strided:
        raise UnusableError(
            f"its features are {content.dtype} ({content.layout}), not plain floating-point numbers"
        )
    layout(tuple(content.shape))
    return content.detach()


def _load(path: Path, torch: Any) -> Any:
    refused = (
        torch.serialization.pickle.UnpicklingError
    )  # our code imports no pickle, not even for its error
    try:
        zipped = zipfile.is_zipfile(path)
        with path.open("rb") as file:
            start = file.read(1)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (FileNotFoundError, PermissionError) as error:
        raise UnusableError(f"it cannot be read: {error.strerror or error}") from error
    except (
        refused,
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        if isinstance(error, refused) and (zipped or start == b"\x80"):
            raise UnusableError(
                "it needs pickle, which can run code, and is not opened: save a plain tensor"
            ) from error
        raise UnusableError(
            "it is not a complete PyTorch file: cut off, damaged, or of another kind"
        ) from error
