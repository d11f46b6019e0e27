"""One run at a time on an output, unless runs share the work."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, replace
from threading import Barrier

import pytest

from pathfuse.errors import InputError
from pathfuse.files.at_work import ALONE, AT_WORK, claim_output
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.owner import Owner, tag_ended
from pathfuse.files.temporary import sweep_claims
from pathfuse.files.write import check_out, check_place, new_folder, write_text_file

CHILD = """
import sys, time
from pathlib import Path
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.write import {name}
with outputs_claimed():
    out = Path(sys.argv[1])
    {work}
    print("there", flush=True)
    time.sleep(60)
"""
IN_A_FOLDER = """check_out(out, False)
    with new_folder(out) as partial:
        (partial / "half.csv").write_text("half")
        print("there", flush=True)
        time.sleep(60)"""
IN_A_FILE = """def fill(partial):
        partial.write_text("half")
        print("there", flush=True)
        time.sleep(60)
    fill_file(out, False, fill)"""


@pytest.fixture
def child(tmp_path):
    """``child(name, work)``: another process that is at work in ``tmp_path/out``."""
    started = []

    def start(name, work):
        code = CHILD.format(name=name, work=work)
        process = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "out"], stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline().strip() == b"there"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def claims(out):
    place = out.with_name(f".{out.name}{AT_WORK}")
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def left_by(out, owner, name=ALONE, age_s=0.0):
    file = out.with_name(f".{out.name}{AT_WORK}") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({**asdict(owner), "token": "theirs", "since": "2026-01-02 03:04:05"})
    )
    when = time.time() - age_s
    os.utime(file, (when, when))


def stopped(out, trouble):
    with outputs_claimed():
        check_out(out, force=False)
        raise trouble


def test_a_claim_lasts_as_long_as_the_command_and_leaves_nothing(tmp_path):
    out = tmp_path / "deep" / "er" / "out"
    with outputs_claimed():
        check_out(out, force=False)
        assert claims(out) == [ALONE]
        check_out(out, force=False)
        with new_folder(out) as partial:
            write_text_file("x", partial / "inside.txt")
            assert list(partial.iterdir()) == [partial / "inside.txt"]
        assert claims(out) == [ALONE]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    for trouble in (InputError("wrong"), KeyboardInterrupt()):
        with pytest.raises(type(trouble)):
            stopped(tmp_path / "new" / "place", trouble)
        assert not (tmp_path / "new").exists()


def test_outside_of_a_command_nothing_is_claimed(tmp_path):
    check_out(tmp_path / "out", force=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "work"), [("check_out, new_folder", IN_A_FOLDER), ("fill_file", IN_A_FILE)]
)
def test_the_next_run_clears_away_what_a_killed_one_left(tmp_path, child, name, work):
    process, out = child(name, work), tmp_path / "out"
    before = {path.name for path in tmp_path.iterdir()}
    assert len(before) == 2  # the claim, and what is not whole yet
    with (
        pytest.raises(InputError, match=rf"process {process.pid} on \S+ is at work in {out} since"),
        outputs_claimed(),
    ):
        check_place(out)
    assert {path.name for path in tmp_path.iterdir()} == before
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {path.name for path in tmp_path.iterdir()} == before
    with outputs_claimed():
        write_text_file("whole", out)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out": "whole"}


def test_what_lies_in_an_output_belongs_to_who_is_at_work_there(tmp_path):
    out = tmp_path / "out"
    left_by(out, Owner.here())
    for place in (out, out / "a", out / "a" / "b.csv"):
        with (
            pytest.raises(InputError, match=rf"is at work in {out} since 2026-01-02 03:04:05 UTC"),
            outputs_claimed(),
        ):
            claim_output(place)
    with outputs_claimed():
        claim_output(tmp_path / "outer")
        claim_output(tmp_path / "outer" / "inner")
        assert claims(tmp_path / "outer") == [ALONE]
        assert not (tmp_path / "outer").exists()


def test_shares_go_together_and_none_with_a_run_of_all(tmp_path):
    out, here = tmp_path / "out", Owner.here()
    left_by(out, here, "1-of-2")
    with outputs_claimed():
        claim_output(out, "2-of-2")
        check_place(out)
        assert claims(out) == ["1-of-2", "2-of-2"]
    for share in (None, "1-of-2"):
        with pytest.raises(InputError, match="is at work in"), outputs_claimed():
            claim_output(out, share)
        assert claims(out) == ["1-of-2"]
    left_by(out, here)
    with pytest.raises(InputError, match="is at work in"), outputs_claimed():
        claim_output(out, "2-of-2")
    assert claims(out) == ["1-of-2", ALONE]


def test_of_another_machine_silence_tells_and_its_partial_goes_with_its_claim(tmp_path):
    out = tmp_path / "out"
    far, other = Owner("node7 pid:[1]", 1, "x"), Owner("node8", 2, "x")
    for owner in (far, other):
        (tmp_path / f".out.partial-{owner.tag}-0").mkdir()
    left_by(out, far, age_s=100)
    words = rf"process 1 on node7 is at work in {out} .* \(a run that was killed counts as ended after 120 s\)"
    with pytest.raises(InputError, match=words), outputs_claimed():
        check_out(out, force=False)
    left_by(out, far, age_s=130)
    with outputs_claimed():
        check_out(out, force=False)
    assert [path.name for path in tmp_path.iterdir()] == [f".out.partial-{other.tag}-0"]


def test_of_many_that_begin_at_once_one_works(tmp_path):
    for n in range(10):
        out, n_threads = tmp_path / f"{n}", 5
        start, end = Barrier(n_threads), Barrier(n_threads)

        def work(_, out=out, start=start, end=end):
            start.wait()
            try:
                with outputs_claimed():
                    try:
                        check_out(out, force=False)
                    finally:
                        end.wait()
            except InputError as error:
                return str(error)
            return None

        with ThreadPoolExecutor(n_threads) as pool:
            said = list(
                pool.map(lambda k, work=work: copy_context().run(work, k), range(n_threads))
            )
        assert said.count(None) == 1
        assert all("is at work in" in one for one in said if one is not None)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_gone_on_in_are_cleared_inside(tmp_path):
    dead, here = replace(Owner.here(), started="an earlier boot"), Owner.here()
    out = tmp_path / "out"
    for name in ("a/.x.csv.partial-{}-0", ".result.old-{}-1", ".a.work-{}-2", "a/.old.old-{}-3"):
        for owner in (dead, here):
            place = out / name.format(owner.tag)
            place.mkdir(parents=True)
            (place / "inside").write_text("x")
    (out / "a" / "old").mkdir()
    for lock in (out / ".x.lock", out / ".lock"):
        lock.touch()  # of others, for all that is known
    OutputFolder(out).make()
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_dir()}
    assert found == {
        "a", "a/old", "result", f"a/.x.csv.partial-{here.tag}-0", f".result.old-{here.tag}-1",
        f".a.work-{here.tag}-2", f"a/.old.old-{here.tag}-3",
    }  # fmt: skip
    assert (out / "result" / "inside").exists()  # killed between two renames
    assert sorted(path.name for path in out.glob("*lock")) == [".lock", ".x.lock"]
    sweep_claims(out)
    assert sorted(path.name for path in out.glob("*lock")) == [".lock"]


def test_a_folder_of_others_is_left_as_it_is(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in (".lock", ".x.lock", "thesis.docx"):
        (mine / name).touch()
    left_by(mine, replace(Owner.here(), started="an earlier boot"))
    with (
        pytest.raises(InputError, match=r"it holds \.lock, which pathfuse did not write"),
        outputs_claimed(),
    ):
        check_out(mine, force=True)
    assert sorted(path.name for path in mine.iterdir()) == [".lock", ".x.lock", "thesis.docx"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_cannot_be_written_is_said_as_without_a_claim(tmp_path):
    (tmp_path / "file").write_text("")
    for place, words in ((tmp_path / "file" / "out", "is a file, not a folder"),
                         (tmp_path / ("x" * 300), "File name too long")):  # fmt: skip
        with pytest.raises(InputError, match=words), outputs_claimed():
            check_out(place, force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_tags_say_who_has_ended():
    here = Owner.here()
    assert not tag_ended(here.tag)
    assert tag_ended(replace(here, started="an earlier boot").tag)
    assert tag_ended(replace(here, pid=2**22 + 5).tag)
    assert not tag_ended(replace(here, host="node7", pid=2**22 + 5).tag)
    assert not tag_ended("4711")
