"""Data frames of other libraries as polars frames."""

from typing import Any

import narwhals as nw
import polars as pl

from pathfuse.errors import InputError

STREAM = "__arrow_c_stream__"
"""What every library of Arrow offers for its tables."""


def polars_frame(name: str, frame: Any) -> pl.DataFrame:
    """A data frame of pandas, polars (also lazy), pyarrow, or anything with
    ``__arrow_c_stream__``.

    Raises:
        InputError: It is not a data frame, or not a regular one.
    """
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


def _is_lazy(frame: Any) -> bool:
    return isinstance(nw.from_native(frame, pass_through=True), nw.LazyFrame)
