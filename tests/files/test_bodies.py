"""Tables from bytes: whole, or cut short where they are too long, or refused."""

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.bodies import READERS, bytes_of_table, table_of_bytes

FRAME = pl.DataFrame({"sample_id": ["a", "b", "c"], "x": [1.0, None, 3.0]})


@pytest.mark.parametrize("media_type", READERS)
def test_a_table_comes_back(media_type):
    raw = bytes_of_table(FRAME, media_type)
    assert table_of_bytes("it", media_type, raw, most_rows=3).equals(FRAME)
    assert table_of_bytes("it", media_type, raw, most_rows=1).equals(FRAME.head(2))


@pytest.mark.parametrize("media_type", READERS)
def test_no_byte_may_be_missing(media_type):
    raw = bytes_of_table(FRAME, media_type)
    for size in (0, 1, 8, len(raw) // 2):
        with pytest.raises(InputError, match="it is not a complete"):
            table_of_bytes("it", media_type, raw[:size], most_rows=3)
