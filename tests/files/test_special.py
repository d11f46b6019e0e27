"""Pipes, sockets and devices are known before they are opened."""

import socket

import pytest

from pathfuse.errors import InputError
from pathfuse.files.special import left_out, refuse_special, special_kind
from pathfuse.files.tables import column_names


def test_every_kind(tmp_path, make_pipe):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/dev/zero")
    make_pipe(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    kinds = {path.name: special_kind(path) for path in tmp_path.iterdir()}
    assert kinds == {
        "file": None,
        "link": "a device",
        "pipe": "a named pipe (FIFO)",
        "socket": "a socket",
    }
    assert special_kind(tmp_path) is special_kind(tmp_path / "absent") is None
    with pytest.raises(InputError, match=r"the mask .*link is a device, not a file"):
        refuse_special(tmp_path / "link", "the mask")
    assert left_out([tmp_path / "file", tmp_path / "pipe"]) == (
        f"{tmp_path / 'pipe'} is a named pipe (FIFO), not a file, and was left out",
    )


def test_a_pipe_among_tables_has_no_columns(tmp_path, make_pipe):
    assert column_names(make_pipe(tmp_path / "t.csv")) == []
