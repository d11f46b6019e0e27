"""A file that is written while it is read is refused."""

import io
import os
from pathlib import Path

import pytest

from pathfuse.errors import InputError
from pathfuse.files.steady import read_steady, refuse_changed, states
from pathfuse.files.tables import read_table

TEXT = "sample_id,x\na,1\nb,2\n"
CHANGES = {
    "longer": lambda file: file.write_text(TEXT + "c,3\n"),
    "other values": lambda file: file.write_text(TEXT.replace("2", "5")),
    "cut off": lambda file: os.truncate(file, 5),
    "replaced": lambda file: (file.with_name("new").write_text(TEXT), file.with_name("new").replace(file)),
}  # fmt: skip


@pytest.fixture
def table(tmp_path):
    (tmp_path / "samples.csv").write_text(TEXT)
    os.utime(tmp_path / "samples.csv", (1, 1))
    return tmp_path / "samples.csv"


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_changes_while_it_is_read_is_refused(table, monkeypatch, change):
    usual = Path.open

    def opened(path, *words, **options):
        file = usual(path, *words, **options)
        if path != table or words != ("rb",):
            return file
        content = io.BufferedReader(file.detach())

        class Slow:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                content.close()

            def __getattr__(self, name):
                return getattr(content, name)

            def read(self, size=-1):
                if size >= 0:  # a look at the first bytes
                    return content.read(size)
                first = content.read(4)
                CHANGES[change](table)
                return first + content.read()

        return Slow()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(InputError, match=rf"^{table} was changed while it was read; run it"):
            read_table(table)
    if change != "cut off":
        assert read_table(table).frame.height in (2, 3)


def test_what_nobody_writes_is_read_as_it_is(table):
    before = states([table])
    assert read_steady(table) == TEXT.encode()
    refuse_changed(before)
    table.touch()
    with pytest.raises(InputError, match="was changed while it was read"):
        refuse_changed(before)
    table.unlink()
    with pytest.raises(InputError, match=r"samples\.csv cannot be read: No such file"):
        refuse_changed(before)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        states([table])
    assert read_steady(Path("/dev/null")) == b""
