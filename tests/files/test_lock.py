"""One writer at a time."""

import subprocess
import sys
import threading

import pytest

from pathfuse.errors import InputError
from pathfuse.files.lock import writing


def test_a_second_call_is_refused_while_the_first_writes(tmp_path):
    out = tmp_path / "new" / "out"
    with (
        writing(out),
        pytest.raises(InputError, match=r"another call is writing .*; call again"),
        writing(out),
    ):
        pytest.fail("two are inside")
    with writing(out):
        assert [path.name for path in out.parent.iterdir()] == [".out.lock"]
    assert not list(out.parent.iterdir())


def test_threads_are_never_inside_together(tmp_path):
    inside, most, refused = 0, 0, 0

    def work():
        nonlocal inside, most, refused
        for _ in range(100):
            try:
                with writing(tmp_path / "out"):
                    inside += 1
                    most = max(most, inside)
                    inside -= 1
            except InputError:
                refused += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert refused < 400


def test_a_killed_call_leaves_nothing_locked(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pathfuse.files.lock import writing\n"
        "with writing(Path(sys.argv[1])): os._exit(9)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, tmp_path / "out"], check=False).returncode == 9
    )
    assert (tmp_path / ".out.lock").exists()
    with writing(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())
