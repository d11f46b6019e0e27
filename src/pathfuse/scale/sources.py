"""Each expert's Parquet files and their columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pathfuse.errors import InputError
from pathfuse.scale.parquet_files import ID, column_types

LONG = "expert"
"""The column of a table that holds several experts."""


@dataclass(frozen=True)
class ExpertFiles:
    """The files that hold one expert's predictions, all with the same columns."""

    name: str
    files: tuple[Path, ...]
    types: Mapping[str, pa.DataType]
    """The columns without ``sample_id``."""


def _types(file: Path) -> dict[str, pa.DataType]:
    """The columns of a file; text is text, however it is stored."""
    return {
        name: pa.string() if _is_text(kind) else kind for name, kind in column_types(file).items()
    }


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def expert_files(name: str, files: Sequence[Path]) -> ExpertFiles:
    """One expert's files, all with the same columns.

    Raises:
        InputError: One is damaged, has no ``sample_id``, or has other columns than the first.
    """
    first = _types(files[0])
    if ID not in first:
        raise InputError(f"{files[0]} has no column '{ID}'; its columns are {', '.join(first)}")
    if LONG in first:
        raise InputError(
            f"{files[0]} has a column '{LONG}': a long table is not read in blocks; --no-stream "
            "reads it as a whole"
        )
    for file in files[1:]:
        types = _types(file)
        only = sorted(set(first) ^ set(types))
        if only:
            where = "has no" if only[0] in first else "has a"
            raise InputError(
                f"{file} {where} column '{only[0]}', unlike {files[0]}: all files of '{name}' must "
                "have the same columns"
            )
        for column, kind in types.items():
            if kind != first[column]:
                raise InputError(
                    f"{file}, column '{column}': {kind}, but {first[column]} in {files[0]}: all "
                    f"files of '{name}' must have the same columns"
                )
    return ExpertFiles(name, tuple(files), {k: v for k, v in first.items() if k != ID})
