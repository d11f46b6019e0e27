"""Data frames of other libraries as polars frames."""

from collections.abc import Collection
from typing import Any

import polars as pl

from pathfuse.errors import InputError

STREAM = "__arrow_c_stream__"
"""What every library of Arrow offers for its tables."""


NUMBERS = "biuf"
"""Kinds of numpy: truth values, whole numbers with and without a sign, and floats."""


def polars_frame(name: str, frame: Any) -> pl.DataFrame:
    """A data frame of pandas, polars (also lazy), pyarrow, or anything with
    ``__arrow_c_stream__``.

    Raises:
        InputError: It is not a data frame, or not a regular one.
    """
    import narwhals as nw  # not at the top: predict does without

    try:
        if nw.dependencies.is_into_dataframe(frame):
            return nw.from_native(frame, eager_only=True).to_polars()
        if _is_lazy(frame):
            return nw.from_native(frame).collect(backend="polars").to_native()
        if hasattr(frame, STREAM) and not nw.dependencies.is_into_series(frame):
            return pl.DataFrame(frame)
    except (
        TypeError,
        ValueError,
        OSError,
        nw.exceptions.NarwhalsError,
        pl.exceptions.PolarsError,
    ) as error:  # two columns of one name, mixed types, a lazy frame whose file is missing
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name} is not a regular data frame: {reason}") from error
    raise InputError(
        f"{name} is not a data frame (pandas, polars, pyarrow) but {type(frame).__name__}"
    )


def with_index(frame: Any, ids: Collection[str]) -> tuple[Any, list[str]]:
    """A data frame of pandas with its index as a column, where that says something, and a note.

    An index with a name is a column like the others. One without a name is ``sample_id`` where no
    column names samples or patients, unless it holds numbers, which pandas gives to rows itself
    and keeps where some are left out.

    Args:
        frame: Any object.
        ids: What a column of samples or patients is called, in small letters; empty: the index
            says nothing.
    """
    import narwhals as nw  # not at the top: predict does without

    if not ids or not nw.dependencies.is_pandas_dataframe(frame) or frame.index.nlevels > 1:
        return frame, []
    columns = [str(name).strip().lower() for name in frame.columns]
    known, name = any(column in ids for column in columns), frame.index.name
    if name is not None and str(name).strip().lower() in columns:
        return frame, []
    if name is not None and (known or str(name).strip().lower() in ids):
        return frame.reset_index(), []
    if known or (name is None and frame.index.dtype.kind in NUMBERS):
        return frame, []
    own = f"the index '{name}'" if name is not None else "the index, which has no name,"
    return frame.rename_axis("sample_id").reset_index(), [f"{own} is taken as sample_id"]


def _is_lazy(frame: Any) -> bool:
    import narwhals as nw  # not at the top: predict does without

    return isinstance(nw.from_native(frame, pass_through=True), nw.LazyFrame)
