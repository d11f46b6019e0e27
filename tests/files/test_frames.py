import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import table_in_memory


class Stream:
    """What a library that nobody knows offers."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


KINDS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy polars": pl.LazyFrame,
    "pyarrow": pa.table,
    "batch": lambda columns: pa.table(columns).to_batches()[0],
    "reader": lambda columns: pa.table(columns).to_reader(),
    "stream": lambda columns: Stream(pa.table(columns)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_data_frames_of_all_kinds_are_the_same_table(kind):
    columns = {"sample_id": ["a ", "NA"], "x": [1.5, None], "event": [True, False]}
    table = table_in_memory("samples", KINDS[kind](columns))
    assert table.frame.equals(pl.DataFrame({**columns, "sample_id": ["a", None]}))
    assert table.source == "samples"
    assert table.sha256 is None
    assert (table.blanks, table.missing) == ({"sample_id": 1}, {"sample_id": 1})


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        ({"a": [1]}, "samples is not a data frame (pandas, polars, pyarrow) but dict"),
        (None, "samples is not a data frame (pandas, polars, pyarrow) but NoneType"),
        (pl.Series([1]), "samples is not a data frame (pandas, polars, pyarrow) but Series"),
        (pl.LazyFrame({"a": []}), "samples has no row"),
        (pl.scan_csv("nowhere.csv"), "samples is not a regular data frame: "),
        (pa.chunked_array([["a"]]), "samples is not a "),
        (pl.DataFrame({"a": []}), "samples has no row"),
        (pd.DataFrame({"a": [1, "x"]}), "samples is not a regular data frame: "),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "samples is not a regular data frame: "),
    ],
)
def test_what_is_no_usable_frame(frame, what):
    with pytest.raises(InputError) as caught:
        table_in_memory("samples", frame)
    assert what in str(caught.value)
