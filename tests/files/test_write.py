import errno
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files import write
from pathfuse.files.owner import Owner
from pathfuse.files.places import LIST
from pathfuse.files.write import (
    add_to_list,
    check_out,
    check_table,
    fill_file,
    new_folder,
    remove_folder,
    write_file,
    write_json,
    write_json_file,
    write_table,
    write_text_file,
)

FRAME = pl.DataFrame({"sample_id": ["007", "a, b"], "x": [0.1, None]})


@pytest.fixture
def dead():
    """The tag of a process that has ended."""
    said = "from pathfuse.files.owner import Owner; print(Owner.here().tag)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_folder_appears_when_it_is_complete(tmp_path):
    out = tmp_path / "deep" / "out"
    with new_folder(out) as partial:
        assert partial.parent == out.parent
        assert partial.name.startswith(".out.partial-")
        (partial / "a.txt").write_text("a")
        assert not out.exists()
    assert sorted(p.name for p in out.iterdir()) == [LIST, "a.txt"]
    assert json.loads((out / LIST).read_text())["written"] == ["a.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


class BoomError(Exception):
    """Something went wrong in the middle."""


@pytest.mark.parametrize(
    "trouble", [BoomError, KeyboardInterrupt, OSError(errno.ENOSPC, "disk full")]
)
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
    refused = "out exists already; --force would not overwrite it: it holds precious.txt, which pathfuse did not write"
    with pytest.raises(InputError, match=refused), new_folder(out):
        pytest.fail("the block must not run")
    assert (out / "precious.txt").read_text() == "x"


@pytest.fixture
def own(tmp_path):
    """A folder that pathfuse wrote."""
    with new_folder(tmp_path / "out") as partial:
        (partial / "old.txt").write_text("x")
        (partial / "model").mkdir()
        (partial / "model/model.json").write_text("{}")
    return tmp_path / "out"


def test_force_replaces_the_whole_folder(tmp_path, own):
    with (
        pytest.raises(InputError, match="out exists already; --force overwrites it"),
        new_folder(own),
    ):
        pytest.fail("the block must not run")
    with new_folder(own, force=True) as partial:
        (partial / "new.txt").write_text("y")
    assert sorted(p.name for p in own.iterdir()) == [LIST, "new.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_force_keeps_the_old_folder_when_the_new_one_fails(tmp_path, own):
    before = contents(own)
    with pytest.raises(BoomError), new_folder(own, force=True):
        raise BoomError
    assert contents(own) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_force_keeps_the_old_folder_when_the_new_one_cannot_be_renamed(tmp_path, own, monkeypatch):
    before, rename = contents(own), Path.rename

    def full(self, target):
        if self.name.startswith(".out.partial") and not target.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with (
        pytest.raises(InputError, match="cannot be written: the disk is full"),
        new_folder(own, force=True),
    ):
        pass
    assert contents(own) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_folder_that_another_run_wrote_meanwhile_stays(tmp_path):
    out = tmp_path / "deep/out"
    with new_folder(out) as first:
        (first / "first.txt").write_text("1")
        second = new_folder(out)
        partial = second.__enter__()
        (partial / "second.txt").write_text("2")
    with pytest.raises(
        InputError, match="out was written by another run in the meantime and stays"
    ):
        second.__exit__(None, None, None)
    assert sorted(p.name for p in out.iterdir()) == [LIST, "first.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_of_two_runs_with_force_the_last_one_stands(tmp_path):
    out = tmp_path / "out"
    with new_folder(out, force=True) as first:
        (first / "first.txt").write_text("1")
        with new_folder(out, force=True) as second:
            (second / "second.txt").write_text("2")
    assert sorted(p.name for p in out.iterdir()) == [LIST, "first.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("force", [False, True])
def test_many_runs_at_once_leave_one_whole_folder(tmp_path, force):
    out, start = tmp_path / "deep/er/out", threading.Barrier(6, timeout=60)

    def run(name):
        start.wait()
        try:
            with new_folder(out, force) as partial:
                for part in "abc":
                    (partial / f"{part}.txt").write_text(name)
                start.wait()
        except InputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(run, "123456"))
    assert len({(out / f"{part}.txt").read_text() for part in "abc"}) == 1
    assert sorted(p.name for p in out.iterdir()) == [LIST, "a.txt", "b.txt", "c.txt"]
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    refused = [one for one in said if one is not None]
    assert len(refused) == (0 if force else 5)
    assert all("was written by another run in the meantime and stays" in one for one in refused)


def test_a_file_that_another_run_wrote_meanwhile_stays(tmp_path, monkeypatch):
    out, whole = tmp_path / "fused.csv", write.write_table

    def late(frame, path, suffix):
        whole(frame, path, suffix)
        out.write_text("first")

    monkeypatch.setattr(write, "write_table", late)
    with pytest.raises(
        InputError, match=r"fused\.csv was written by another run in the meantime and stays"
    ):
        write_file(FRAME, out)
    assert out.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["fused.csv"]


def test_a_file_system_without_links_still_replaces_nothing(tmp_path, monkeypatch):
    def unable(self, target):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", unable)
    write_file(FRAME, tmp_path / "a.csv")
    assert pl.read_csv(tmp_path / "a.csv", schema_overrides={"sample_id": pl.String}).equals(FRAME)
    monkeypatch.setattr(write, "check_file", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"a\.csv was written by another run"):
        write_file(FRAME.head(1), tmp_path / "a.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_is_removed_only_if_pathfuse_wrote_all_of_it(tmp_path, own):
    (own / "notes.txt").write_text("mine")
    assert remove_folder(own) == "notes.txt"
    assert (own / "old.txt").exists()
    (own / "notes.txt").rename(tmp_path / "notes.txt")
    link = tmp_path / "link"
    link.symlink_to(own)
    assert remove_folder(link) == "link"
    assert remove_folder(own) is None
    assert not own.exists()
    assert remove_folder(own) is None


def test_a_file_added_later_counts_when_it_is_listed(own):
    write_json_file({}, own / "grid.json")
    with pytest.raises(InputError, match=r"holds grid\.json"):
        check_out(own, force=True)
    add_to_list(own / "grid.json")
    check_out(own, force=True)
    assert remove_folder(own) is None


def test_leftovers_of_names_with_brackets_are_found(tmp_path, dead):
    for name in (f".a[1].partial-{dead}-3", f".a1.partial-{dead}-0"):
        (tmp_path / name).mkdir()
    with new_folder(tmp_path / "a[1]"):
        pass
    assert {p.name for p in tmp_path.iterdir()} == {"a[1]", f".a1.partial-{dead}-0"}


def test_leftovers_of_dead_runs_go_and_those_of_living_ones_stay(tmp_path, dead):
    here = Owner.here()
    far = replace(here, host="node7", pid=int(dead.split("-")[1]))
    again = replace(here, started="an earlier boot")
    living = (f".out.partial-{here.tag}-9999", f".out.work-{far.tag}-0")
    others = (".out.notes-1", f".out.partial-{far.pid}-0", f".other.partial-{dead}-0")
    gone = (f".out.partial-{dead}-0", f".out.work-{dead}-1", f".out.partial-{again.tag}-0",
            f".x.probe-{dead}-0", f".out.old-{dead}-7")  # fmt: skip
    for name in (*living, *others, *gone):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("half")
    (tmp_path / f".out.partial-{dead}-5").write_text("half")
    (tmp_path / f".out.partial-{dead}-6").symlink_to(tmp_path / others[0])
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    assert {p.name for p in tmp_path.iterdir()} == {"out", *living, *others}
    assert (tmp_path / others[0] / "metrics.csv").exists()


def test_an_old_result_comes_back_after_a_kill_between_two_renames(tmp_path, dead):
    old = tmp_path / f".out.old-{dead}-0"
    old.mkdir()
    (old / "metrics.csv").write_text("complete")
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "metrics.csv").read_text() == "complete"
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_what_a_kill_left_in_a_folder_stands_in_no_way(own, dead):
    (own / f".metrics.csv.partial-{dead}-0").write_text("half")
    check_out(own, force=True)
    (own / f".metrics.csv.partial-{Owner.here().tag}-9999").write_text("half")
    with pytest.raises(InputError, match="which pathfuse did not write"):
        check_out(own, force=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_one_file(tmp_path, suffix):
    out = tmp_path / "deep" / f"fused{suffix}"
    write_file(FRAME, out)
    read = (
        pl.read_parquet(out)
        if suffix == ".parquet"
        else pl.read_csv(out, schema_overrides={"sample_id": pl.String})
    )
    assert read.equals(FRAME)
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    with pytest.raises(InputError, match="exists already"):
        write_file(FRAME.head(1), out)
    write_file(FRAME.head(1), out, force=True)
    assert out.read_bytes() != b""


def test_where_there_are_no_links_a_full_disk_leaves_no_empty_file(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "hardlink_to", none)
    write_text_file("x", tmp_path / "a.txt")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="the disk is full"):
        write_text_file("x", tmp_path / "b.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_one_file_of_an_other_format(tmp_path):
    with pytest.raises(InputError, match=r"fused.xlsx must end in .csv or .parquet"):
        write_file(FRAME, tmp_path / "fused.xlsx")


def test_one_file_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def half(_frame, path, _suffix):
        path.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write, "write_table", half)
    with pytest.raises(InputError, match="cannot be written: the disk is full"):
        write_file(FRAME, tmp_path / "fused.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_same_frame_gives_the_same_bytes(tmp_path, suffix):
    for name in ("one", "other"):
        write_table(FRAME.clone(), tmp_path / (name + suffix))
    assert (tmp_path / ("one" + suffix)).read_bytes() == (
        tmp_path / ("other" + suffix)
    ).read_bytes()


def test_json_is_readable_and_strict(tmp_path):
    write_json({"klasse": "Tumor über allem", "x": 0.1}, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(
        encoding="utf-8"
    ) == '{\n  "klasse": "Tumor über allem",\n  "x": 0.1\n}\n'
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


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_somebody_else_stays(tmp_path, suffix):
    """Only a table that begins with the same column is replaced."""
    own, other = tmp_path / f"own{suffix}", tmp_path / f"other{suffix}"
    write_file(pl.DataFrame({"sample_id": ["a"], "prob_x": [0.5]}), own)
    write_file(pl.DataFrame({"thesis": ["years of work"]}), other)
    check_table(own, True, (), "sample_id")
    with pytest.raises(
        InputError, match="begins with the column 'sample_id', so this file is somebody else's"
    ):
        check_table(other, True, (), "sample_id")
    other.write_bytes(b"\xff\xfe no table")
    with pytest.raises(InputError, match="somebody else's"):
        check_table(other, True, (), "sample_id")
    check_table(other, True, ())  # where the column is not known


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_other_columns_stays(tmp_path, suffix):
    """The labels of a study begin with ``sample_id`` as well, and so do predictions that somebody
    has annotated."""
    out, fused = tmp_path / f"out{suffix}", pl.DataFrame({"sample_id": ["a"], "prob_x": [0.5]})
    for columns in ({"sample_id": ["a"], "label": ["x"]}, {**fused.to_dict(), "my_note": ["seen"]}):
        write_file(pl.DataFrame(columns), out, force=True)
        before = out.read_bytes()
        with pytest.raises(
            InputError, match="it has other columns than the table that is written here"
        ):
            write_file(fused, out, force=True, alike=True)
        assert out.read_bytes() == before
    write_file(fused, out, force=True)
    write_file(fused.with_columns(prob_x=0.1), out, force=True, alike=True)


def _fill_folder(place):
    with new_folder(place, True):
        pytest.fail("the work began")


WAYS = {
    "a table": lambda place: write_file(FRAME, place, True),
    "a text": lambda place: write_text_file("x", place, True),
    "a JSON": lambda place: write_json_file({}, place, True),
    "any file": lambda place: fill_file(place, True, lambda _: pytest.fail("the work began")),
    "a folder": _fill_folder,
}


@pytest.mark.parametrize("way", WAYS)
def test_force_never_replaces_a_device_a_pipe_a_socket_or_a_link(tmp_path, way):
    """Every function of this module that replaces something, on every kind of place."""
    pipe, plug, target = tmp_path / "p.csv", tmp_path / "s.csv", tmp_path / "target.csv"
    os.mkfifo(pipe)
    target.write_text("mine")
    (tmp_path / "folder").mkdir()
    links = {}
    for name, to in (("file", target), ("folder", tmp_path / "folder"), ("nothing", tmp_path / "no"),
                     ("device", Path("/dev/null"))):  # fmt: skip
        links[name] = tmp_path / f"{name}_link.csv"
        links[name].symlink_to(to)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(plug))
        for place in (pipe, plug):
            before = place.lstat()
            with pytest.raises(InputError, match="but a device, a pipe or a socket"):
                WAYS[way](place)
            assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)
    for name, place in links.items():
        with pytest.raises(InputError, match=r"is a link to .*, which pathfuse leaves as it is"):
            WAYS[way](place)
        assert place.is_symlink(), name
    assert target.read_text() == "mine"
    assert not (tmp_path / "no").exists()
    assert not list(tmp_path.glob(".*partial*"))


def test_force_never_replaces_the_null_device():
    for write_there in (lambda place: write_text_file("x", place, True), _fill_folder):
        with pytest.raises(InputError, match="but a device, a pipe or a socket"):
            write_there(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_link_that_came_while_the_file_was_filled_stays(tmp_path):
    place, target = tmp_path / "a.csv", tmp_path / "target.csv"
    target.write_text("mine")

    def fill(partial):
        partial.write_text("new")
        place.symlink_to(target)

    with pytest.raises(InputError, match="is a link to"):
        fill_file(place, True, fill)
    assert place.is_symlink()
    assert target.read_text() == "mine"
