"""Folders that a command makes, goes on in, and finishes."""

from pathlib import Path

import pytest

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.output_folder import OutputFolder

ROOT = Path(pathfuse.__file__).parent


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path / "out")


def test_a_claimed_folder_says_whose_it_is_and_keeps_what_it_said(folder):
    folder.claim("suite")
    assert folder.recorded == {"kind": "suite", "pathfuse": pathfuse.__version__, "finished": False}
    folder.finish({"kind": "suite", "finished": True})
    folder.claim("suite")
    assert folder.recorded == {"kind": "suite", "finished": True}
    folder.check("suite", "a suite")


@pytest.mark.parametrize("record", [None, '{"kind": "study"}', "{", "[1]", "7"])
def test_a_folder_of_something_else_is_not_claimed(folder, record):
    folder.place.mkdir()
    (folder.place / "mine.txt").touch()
    if record is not None:
        (folder.place / "manifest.json").write_text(record)
    with pytest.raises(
        InputError, match=r"out holds something else than a suite's results; choose another folder"
    ):
        folder.check("suite", "a suite")
    assert sorted(path.name for path in folder.place.iterdir())[-1] == "mine.txt"


def test_an_empty_folder_one_with_hidden_files_and_none_may_be_claimed(folder):
    folder.check("suite", "a suite")
    assert not folder.place.exists()
    folder.place.mkdir()
    folder.check("suite", "a suite")
    (folder.place / ".DS_Store").touch()
    folder.check("suite", "a suite")


def test_a_folder_with_inputs_and_a_file_are_refused(folder, tmp_path):
    folder.claim("suite")
    with pytest.raises(InputError, match="it holds"):
        folder.check("suite", "a suite", [folder.place / "samples.csv"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        OutputFolder(tmp_path / "file/out").make()


def test_up_to_date_is_the_same_stamp_and_all_files(folder):
    one = OutputFolder(folder.place, "done.json", "made_of", needs=("a.csv", "b/c.csv"))
    assert not one.up_to_date("x")
    one.make()
    one.finish({"made_of": "x"})
    assert not one.up_to_date("x")
    (one.place / "b").mkdir()
    for name in one.needs:
        (one.place / name).touch()
    assert one.up_to_date("x")
    assert not one.up_to_date("y")
    assert not OutputFolder(folder.place, "done.json").up_to_date("x")
    (one.place / "b/c.csv").unlink()
    assert not one.up_to_date("x")


@pytest.mark.parametrize(
    ("stamp", "fresh", "kept"), [("x", False, True), ("x", True, False), ("y", False, False)]
)
def test_what_is_of_the_same_inputs_is_kept(folder, stamp, fresh, kept):
    folder.resume("x")
    (folder.place / "part").mkdir()
    folder.resume(stamp, fresh)
    assert (folder.place / "part").exists() is kept
    assert folder.recorded == {"stamp": stamp}


def test_a_damaged_record_keeps_nothing(folder):
    folder.resume("x")
    (folder.place / "part").touch()
    (folder.place / "manifest.json").write_text('{"stamp": ')
    folder.resume("x")
    assert [path.name for path in folder.place.iterdir()] == ["manifest.json"]


def test_discard(folder):
    folder.discard()  # none there
    folder.claim("study")
    (folder.place / "other").touch()
    folder.discard(only=["manifest.json"])
    assert folder.place.exists()
    folder.discard(only=["manifest.json", "other"])
    assert not folder.place.exists()
    folder.claim("study")
    folder.discard()
    assert not folder.place.exists()


def test_nobody_else_claims_folders():
    words = "s results; choose another folder"
    users = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py") if words in p.read_text()]
    assert users == ["files/output_folder.py"]
