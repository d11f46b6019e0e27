"""Who is at a piece of work, and what becomes of a claim whose owner is gone."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from threading import Barrier

import pytest

from pathfuse.errors import InputError
from pathfuse.files.claims import claimed, forget, is_claimed, now_there
from pathfuse.files.owner import Owner

CHILD = """
import sys, time
from pathlib import Path
from pathfuse.files.claims import claimed
with claimed(Path(sys.argv[1])) as held:
    print(held.token, flush=True)
    time.sleep(60)
"""


def left_behind(file, owner, age_s=0.0):
    file.write_text(json.dumps({**asdict(owner), "token": "theirs"}))
    when = time.time() - age_s
    os.utime(file, (when, when))


def test_one_has_it_and_then_it_is_free(tmp_path):
    file = tmp_path / "of" / "a" / "cell.json"
    with claimed(file) as held:
        assert held.note is None
        assert is_claimed(file)
        with claimed(file) as other:
            assert other is None
        assert is_claimed(file)  # who got none takes none away
    assert not is_claimed(file)
    assert not list(file.parent.iterdir())


def test_a_killed_owner_is_known_at_once_even_before_his_parent_looks(tmp_path):
    file = tmp_path / "cell.json"
    child = subprocess.Popen([sys.executable, "-c", CHILD, file], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline().strip()
        assert is_claimed(file)
        with claimed(file) as held:
            assert held is None
        child.send_signal(signal.SIGKILL)
        for _ in range(100):  # it is a zombie, for nobody has waited for it
            if not is_claimed(file):
                break
            time.sleep(0.02)
        with claimed(file) as held:
            assert (
                held.note
                == f"taken over from process {child.pid} on {Owner.here().host.split()[0]}, which has ended"
            )
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_another_process_of_the_same_number_is_not_the_owner(tmp_path):
    here = Owner.here()
    assert not here.ended
    assert replace(here, started="an earlier boot").ended
    file = tmp_path / "cell.json"
    left_behind(file, replace(here, started="an earlier boot"))
    with claimed(file) as held:
        assert "which has ended" in held.note


def test_of_another_machine_only_silence_says_that_it_is_gone(tmp_path):
    file, far = tmp_path / "cell.json", Owner("node7", 1, "x")
    assert not far.ended
    left_behind(file, far, age_s=100)
    with claimed(file) as held:
        assert held is None
    left_behind(file, far, age_s=130)
    with claimed(file) as held:
        assert (
            held.note == "taken over from process 1 on node7, which gave no sign of life for 130 s"
        )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"host": "a"}', '{"host": 1, "pid": "x", "started": 1}']
)
def test_a_claim_that_is_just_being_written_counts(tmp_path, text):
    file = tmp_path / "cell.json"
    file.write_text(text)
    assert is_claimed(file)
    os.utime(file, (time.time() - 500,) * 2)
    with claimed(file) as held:
        assert "taken over from another run" in held.note


def test_an_owner_gives_signs_of_life(tmp_path):
    file = tmp_path / "cell.json"
    with claimed(file, stale_s=0.4):
        left_behind_as = json.loads(file.read_text())
        first = file.stat().st_mtime_ns
        time.sleep(0.6)
        assert file.stat().st_mtime_ns > first
        assert is_claimed(file, stale_s=0.4)
    assert left_behind_as["pid"] == os.getpid()


def test_a_claim_that_was_taken_over_stays_with_the_other(tmp_path):
    file = tmp_path / "cell.json"
    with claimed(file, stale_s=0.4) as held:
        left_behind(file, Owner("node7", 1, "x"))
        then = file.stat().st_mtime_ns
        assert not held.ours
        time.sleep(0.2)
        assert file.stat().st_mtime_ns == then
    assert "theirs" in file.read_text()


def test_of_many_that_find_it_left_one_gets_it(tmp_path):
    for n in range(20):
        file, n_threads = tmp_path / f"{n}.json", 6
        left_behind(file, Owner("node7", 1, "x"), age_s=500)
        start, end = Barrier(n_threads), Barrier(n_threads)

        def take(_, file=file, start=start, end=end):
            start.wait()
            with claimed(file) as held:
                end.wait()
                return held

        with ThreadPoolExecutor(n_threads) as pool:
            found = list(pool.map(take, range(n_threads)))
        assert sum(one is not None for one in found) == 1


def test_what_is_done_is_forgotten_unless_somebody_is_still_there(tmp_path):
    file = tmp_path / "cell.json"
    forget(file)
    with claimed(file):
        forget(file)
        assert is_claimed(file)
    left_behind(file, replace(Owner.here(), started="an earlier boot"))
    forget(file)
    assert not list(tmp_path.iterdir())


def test_the_clock_is_that_of_the_files(tmp_path):
    file = tmp_path / "new" / "x"
    before = now_there(file.parent)
    file.touch()
    assert before <= file.stat().st_mtime <= now_there(file.parent)
    assert [path.name for path in file.parent.iterdir()] == ["x"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"the claim .* cannot be written"),
        claimed(tmp_path / "file" / "cell.json"),
    ):
        pass
    with pytest.raises(InputError, match=r"the output .* cannot be written"):
        now_there(tmp_path / "file" / "folder")
