import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import id_column, read_table, table_in_memory, text_column


def csv(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


BLANK = "\u00a0"


def test_blanks_around_text_and_names_of_columns_are_stripped_and_counted(tmp_path):
    text = f" sample_id,n ,free\n a,1 ,x y\n{BLANK}b\u3000,2,{BLANK}\n\u200bc\t,3,z\n"
    table = read_table(csv(tmp_path, text))
    assert table.frame.to_dict(as_series=False) == {
        "sample_id": ["a", "b", "c"], "n": ["1", "2", "3"], "free": ["x y", None, "z"]
    }  # fmt: skip
    assert table.blanks == {"": 2, "sample_id": 3, "n": 1, "free": 1}
    place = str(tmp_path / "table.csv")
    assert table.counted_blanks()[f"{place}, column 'sample_id'"] == 3
    assert table.counted_blanks()[f"{place}, names of columns"] == 2
    assert read_table(csv(tmp_path, "sample_id,n\na b,1\n")).counted_blanks() == {}


def test_blanks_are_stripped_from_parquet_and_frames_alike(tmp_path):
    frame = pl.DataFrame(
        {
            "sample_id": ["a ", "b"],
            "site": pl.Series([" x", "x"], dtype=pl.Categorical),
            "x": [1, 2],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (
        read_table(tmp_path / "t.parquet"),
        table_in_memory("t", frame),
        table_in_memory("t", frame.to_pandas(use_pyarrow_extension_array=False)),
    ):
        assert table.frame["sample_id"].to_list() == ["a", "b"]
        assert text_column(table, "site") == ["x", "x"]
        assert table.blanks == {"sample_id": 1, "site": 1}


def test_what_becomes_equal_without_blanks_is_said(tmp_path):
    with pytest.raises(
        InputError, match=r"'a' occurs twice \(blanks were stripped from 1 of its values\)"
    ):
        id_column(read_table(csv(tmp_path, "sample_id\na\na \n")))
    with pytest.raises(
        InputError, match="has two columns named 'n', but for blanks around the name"
    ):
        read_table(csv(tmp_path, "sample_id,n,n \na,1,2\n"))


@pytest.mark.parametrize("word", ["NA", "n/a", "NaN", "null", "NULL", "-", "#N/A", "<NA>", " NA "])
def test_words_for_a_missing_value_are_none(tmp_path, word):
    table = read_table(csv(tmp_path, f"sample_id,label,n\na,{word},1\nb,NAT,{word}\n"))
    assert table.frame.to_dict(as_series=False) == {
        "sample_id": ["a", "b"], "label": [None, "NAT"], "n": ["1", None]
    }  # fmt: skip
    assert table.missing == {"label": 1, "n": 1}
