import errno
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.tables import write
from pathfuse.tables.write import check_out, new_folder, write_file, write_json, write_json_file, write_table

FRAME = pl.DataFrame({"sample_id": ["007", "a, b"], "x": [0.1, None]})


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_appears_when_it_is_complete(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_folder(out) as partial:
        assert partial.parent == out.parent
        assert partial.name.startswith(".out.partial-")
        (partial / "a.txt").write_text("a")
        assert not out.exists()
    assert [p.name for p in out.iterdir()] == ["a.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


class BoomError(Exception):
    """Something went wrong in the middle."""


@pytest.mark.parametrize("trouble", [BoomError, KeyboardInterrupt, OSError(errno.ENOSPC, "disk full")])
def test_a_folder_that_fails_leaves_nothing(tmp_path, trouble):
    def fill():
        with new_folder(tmp_path / "out") as partial:
            (partial / "a.txt").write_text("a")
            raise trouble

    with pytest.raises((BoomError, KeyboardInterrupt, OSError)):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_before_anything_happens(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="out exists already; --force overwrites it"), new_folder(out):
        pytest.fail("the block must not run")
    assert (out / "precious.txt").read_text() == "x"


def test_force_replaces_the_whole_folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("x")
    with new_folder(out, force=True) as partial:
        (partial / "new.txt").write_text("y")
    assert [p.name for p in out.iterdir()] == ["new.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_force_keeps_the_old_folder_when_the_new_one_fails(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("x")
    with pytest.raises(BoomError), new_folder(out, force=True):
        raise BoomError
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "old.txt"]


def test_leftovers_of_dead_runs_go_and_those_of_living_ones_stay(tmp_path, dead_pid):
    for name in (f".out.partial-{dead_pid}", f".out.partial-{os.getppid()}", ".out.notes-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("half")
    (tmp_path / f".other.partial-{dead_pid}").mkdir()
    with new_folder(tmp_path / "out"):
        pass
    assert {p.name for p in tmp_path.iterdir()} == {
        "out",
        f".out.partial-{os.getppid()}",
        ".out.notes-1",
        f".other.partial-{dead_pid}",
    }


def test_an_old_result_comes_back_after_a_kill_between_two_renames(tmp_path, dead_pid):
    old = tmp_path / f".out.old-{dead_pid}"
    old.mkdir()
    (old / "metrics.csv").write_text("complete")
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "metrics.csv").read_text() == "complete"
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize("force", [False, True])
def test_inputs_are_never_overwritten(tmp_path, force):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "uni.csv").write_text("x")
    for out in (folder / "uni.csv", folder):
        with pytest.raises(InputError, match="cannot be overwritten" if force else "exists already"):
            check_out(out, force, [folder])
    check_out(folder / "new", force, [folder])


def test_an_output_below_a_file_or_without_permission(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"the output .* cannot be written: .*file is a file, not a folder"):
        check_out(tmp_path / "file" / "deep" / "out", force=False)
    monkeypatch.setattr(write.os, "access", lambda *_: False)
    with pytest.raises(InputError, match=f"the output .* cannot be written: no permission in {tmp_path}"):
        check_out(tmp_path / "deep" / "out", force=False)


def test_a_disk_that_refuses_a_new_folder(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="cannot be written: Read-only file system"), new_folder(tmp_path / "out"):
        pytest.fail("the block must not run")


def test_a_name_too_long_for_the_disk(tmp_path):
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        check_out(tmp_path / ("x" * 300), force=False)


@pytest.mark.parametrize("below", ["samples.csv", "predictions/uni.csv"])
def test_force_does_not_overwrite_a_folder_that_holds_an_input(tmp_path, below):
    (tmp_path / "predictions").mkdir()
    (tmp_path / below).write_text("x")
    with pytest.raises(InputError, match="cannot be overwritten: it holds .*" + below):
        check_out(tmp_path, True, [tmp_path / below])


def test_force_does_not_overwrite_the_folder_one_stands_in(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    with pytest.raises(InputError, match="cannot be overwritten"):
        check_out(Path(".."), force=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_one_file(tmp_path, suffix):
    out = tmp_path / "deep" / f"fused{suffix}"
    write_file(FRAME, out)
    read = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out, schema_overrides={"sample_id": pl.String})
    assert read.equals(FRAME)
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    with pytest.raises(InputError, match="exists already"):
        write_file(FRAME.head(1), out)
    write_file(FRAME.head(1), out, force=True)
    assert out.read_bytes() != b""


def test_one_file_of_an_other_format(tmp_path):
    with pytest.raises(InputError, match=r"fused.xlsx must end in .csv or .parquet"):
        write_file(FRAME, tmp_path / "fused.xlsx")


def test_one_file_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def half(_frame, path, _suffix):
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write, "write_table", half)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        write_file(FRAME, tmp_path / "fused.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_same_frame_gives_the_same_bytes(tmp_path, suffix):
    for name in ("one", "other"):
        write_table(FRAME.clone(), tmp_path / (name + suffix))
    assert (tmp_path / ("one" + suffix)).read_bytes() == (tmp_path / ("other" + suffix)).read_bytes()


def test_json_is_readable_and_strict(tmp_path):
    write_json({"klasse": "Tumor über allem", "x": 0.1}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "klasse": "Tumor über allem",\n  "x": 0.1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"x": float("nan")}, tmp_path / "b.json")


def test_one_json_file_is_written_beside_and_renamed(tmp_path):
    file = tmp_path / "deep/a.json"
    for content in ({"a": 1}, {"a": 2}):
        write_json_file(content, file)
        assert file.read_text() == f'{{\n  "a": {content["a"]}\n}}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_file({"a": float("nan")}, file)
    assert '"a": 2' in file.read_text()
    assert [p.name for p in file.parent.iterdir()] == ["a.json"]
    with pytest.raises(InputError, match="cannot be written"):
        write_json_file({}, file / "b.json")
