"""Each expert's Parquet files and their columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pathfuse.errors import InputError
from pathfuse.scale.parquet_files import ID, column_types


@dataclass(frozen=True)
class ExpertFiles:
    """The files that hold one expert's predictions, all with the same columns."""

    name: str
    files: tuple[Path, ...]
    types: Mapping[str, pa.DataType]
    """The columns without ``sample_id``."""


def expert_files(name: str, files: Sequence[Path]) -> ExpertFiles:
    """One expert's files, all with the same columns.

    Raises:
        InputError: One is damaged, has no ``sample_id``, or has other columns than the first.
    """
    first = column_types(files[0])
    if ID not in first:
        raise InputError(f"{files[0]} has no column '{ID}'; its columns are {', '.join(first)}")
    for file in files[1:]:
        types = column_types(file)
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
