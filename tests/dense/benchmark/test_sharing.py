"""Pieces of work that several runs share: each is done once, and waited for by the others."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("timm")

from pathfuse.dense.benchmark.cells import failed_since, record_failure
from pathfuse.dense.benchmark.sharing import Outcome, Turn, do_piece, share
from pathfuse.files.claims import claimed, now_there
from pathfuse.training.device import device_of
from pathfuse.training.devices import DevicePool


@dataclass(frozen=True)
class Note:
    """Writes a line into a file; fails where it is told to."""

    name: str
    place: Path
    fails: bool = False
    takes_s: float = 0.0

    @property
    def file(self):
        return self.place / f"{self.name}.txt"

    @property
    def ready(self):
        return self.file.exists() and not self.fails

    def failed_since(self, when):
        return failed_since(self.place / f"{self.name}-failed.json", "s", when)

    def do(self, progress):
        progress("at it", 0.5)
        time.sleep(self.takes_s)
        with self.file.open("a") as file:
            file.write(f"{device_of('auto')}\n")
        if self.fails:
            self.lost("too bad")
            return "too bad"
        return None

    def lost(self, sentence):
        record_failure(self.place / f"{self.name}-failed.json", "s", sentence)


def turn(place):
    return Turn(place / ".claims", now_there(place), poll_s=0.02)


def lines(place):
    return {file.stem: file.read_text().split() for file in place.glob("*.txt")}


def test_two_runs_do_each_piece_once_and_both_know_what_became_of_all(tmp_path):
    pieces = {k: Note(f"p{k}", tmp_path, fails=k == 3, takes_s=0.02) for k in range(8)}
    turns = turn(tmp_path), turn(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda now: share(pieces, now), turns)
    assert {name: len(found) for name, found in lines(tmp_path).items()} == dict.fromkeys(
        (f"p{k}" for k in range(8)), 1
    )
    for found in (one, other):
        assert list(found) == list(range(8))
        assert {k for k, outcome in found.items() if outcome.state == "failed"} == {3}
        assert found[3].sentence == "too bad"
    for k in set(pieces) - {3}:
        assert {one[k].state, other[k].state} == {"done", "elsewhere"}


def test_what_another_run_holds_is_waited_for_and_done_once_it_is_left(tmp_path):
    piece, now, told = Note("p", tmp_path), turn(tmp_path), []
    with ThreadPoolExecutor(1) as pool:
        with claimed(now.file(piece)):
            assert do_piece(piece, now) == Outcome("busy")
            waiting = pool.submit(
                share, {0: piece}, now, progress=lambda message, share: told.append(message)
            )
            time.sleep(0.1)
            assert not waiting.done()
        assert waiting.result()[0].state == "done"
    assert told[0] == "waiting for 1 that other runs are at"


def test_what_a_process_did_is_this_runs_also_if_it_ended_before_it_said_so(tmp_path):
    piece, ours, theirs = Note("p", tmp_path), turn(tmp_path), turn(tmp_path)
    do_piece(piece, ours)
    assert share({0: piece}, theirs)[0] == Outcome("elsewhere")
    assert share({0: piece}, ours)[0] == Outcome("done")
    assert lines(tmp_path) == {"p": ["cpu"]}
    assert list((tmp_path / ".claims").iterdir()) == []


def test_what_a_killed_run_left_is_taken_away(tmp_path):
    piece, now = Note("p", tmp_path), turn(tmp_path)
    do_piece(piece, replace(now, owner=replace(now.owner, started="an hour ago")))
    assert [file.suffix for file in (tmp_path / ".claims").iterdir()] == [".done"]
    assert share({0: piece}, turn(tmp_path))[0] == Outcome("elsewhere")
    assert list((tmp_path / ".claims").iterdir()) == []


def test_a_failure_of_an_earlier_run_is_tried_again(tmp_path):
    piece = Note("p", tmp_path, fails=True, takes_s=0.02)
    assert share({0: piece}, turn(tmp_path))[0] == Outcome("failed", "too bad")
    then = turn(tmp_path)
    assert share({0: piece}, then)[0].state == "failed"
    assert lines(tmp_path) == {"p": ["cpu"] * 2}
    assert share({0: piece}, then)[0].state == "failed"  # of this run: it is known
    assert lines(tmp_path) == {"p": ["cpu"] * 2}


@pytest.mark.slow
def test_each_process_has_a_device_of_its_own(tmp_path):
    (tmp_path / "pool").mkdir()
    pool = DevicePool(("meta:0", "meta:1"), tmp_path / "pool")
    pieces = {k: Note(f"p{k}", tmp_path, takes_s=0.5) for k in range(6)}
    found = share(pieces, turn(tmp_path), devices=pool)
    assert {outcome.state for outcome in found.values()} == {"done"}
    assert {name for (name,) in lines(tmp_path).values()} == {"meta:0", "meta:1"}
