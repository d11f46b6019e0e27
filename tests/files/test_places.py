"""Where commands may write: what is refused, in which words, and that nothing is touched by the
question."""

import errno
import json
import os
import re
import socket
from pathlib import Path

import pytest

from pathfuse.errors import InputError
from pathfuse.files.places import LIST, check_file, check_out, check_place, foreign
from pathfuse.files.write import new_folder


@pytest.fixture
def own(tmp_path):
    """A folder that pathfuse wrote."""
    with new_folder(tmp_path / "out") as partial:
        (partial / "metrics.csv").write_text("x")
        (partial / "model").mkdir()
        (partial / "model/model.json").write_text("{}")
    return tmp_path / "out"


def thesis(folder):
    (folder / "thesis.docx").write_text("years of work")
    return "thesis.docx"


def repository(folder):
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("ref: refs/heads/main")
    return ".git"


def own_folder(folder):
    (folder / "mine").mkdir()
    return "mine"


def below(folder):
    (folder / "model/notes.txt").write_text("mine")
    return "model/notes.txt"


def linked(folder):
    (folder / "model/model.json").unlink()
    (folder / "model/model.json").symlink_to(folder.parent / "elsewhere")
    return "model/model.json"


@pytest.mark.parametrize("add", [thesis, repository, own_folder, below, linked])
def test_a_folder_with_something_of_somebody_else_stays(own, add):
    check_out(own, force=True)
    name = add(own)
    said = re.escape(
        f"the output {own} cannot be overwritten: it holds {name}, which pathfuse did not write"
    )
    with pytest.raises(InputError, match=said):
        check_out(own, force=True)
    with pytest.raises(InputError, match=said), new_folder(own, force=True):
        pytest.fail("the block must not run")
    with pytest.raises(
        InputError, match="exists already; --force would not overwrite it: it holds"
    ):
        check_out(own, force=False)
    assert (own / "metrics.csv").read_text() == "x"


@pytest.mark.parametrize("add", [thesis, repository, own_folder])
def test_a_folder_that_pathfuse_never_wrote_stays(tmp_path, add):
    out = tmp_path / "out"
    out.mkdir()
    check_out(out, force=True)  # empty
    name = add(out)
    with pytest.raises(InputError, match=f"it holds {name}, which pathfuse did not write"):
        check_out(out, force=True)


def test_what_file_browsers_leave_is_no_obstacle(own):
    (own / ".DS_Store").write_bytes(b"\0")
    check_out(own, force=True)


@pytest.mark.parametrize(
    "name", ["metrics.csv", "figures/forest.pdf", "model/model.safetensors", "predictions/a.csv"]
)
def test_results_of_versions_without_a_list_are_known(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    manifest = tmp_path / "manifest.json"
    for text in ("{}", "[1]", "no JSON"):
        manifest.write_text(text)
        assert foreign(tmp_path) is not None
    manifest.write_text(json.dumps({"pathfuse": "0.1.0"}))
    assert foreign(tmp_path) is None
    (tmp_path / "thesis.csv").write_text("x")
    assert foreign(tmp_path) == "thesis.csv"


@pytest.mark.parametrize("kind", ["folder", "file", "nothing"])
@pytest.mark.parametrize("force", [False, True])
def test_a_link_and_what_it_points_to_stay(tmp_path, own, kind, force):
    target = {"folder": own, "file": own / "metrics.csv", "nothing": tmp_path / "nothing"}[kind]
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    for check in (check_out, check_file):
        with pytest.raises(
            InputError,
            match=f"link.csv is a link to {re.escape(str(target))}, which pathfuse leaves",
        ):
            check(link, force)
    with pytest.raises(InputError, match="is a link to"), new_folder(link, force):
        pytest.fail("the block must not run")
    assert link.is_symlink()
    assert target.exists() == (kind != "nothing")


def test_what_is_neither_a_file_nor_a_folder(tmp_path):
    pipe, plug = tmp_path / "pipe.csv", tmp_path / "s.csv"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(plug))
        for place in (pipe, plug, Path("/dev/null")):
            for check in (check_out, check_file):
                with pytest.raises(
                    InputError,
                    match="is neither a file nor a folder but a device, a pipe or a socket",
                ):
                    check(place, True)


@pytest.mark.parametrize("name", [" ", "out ", " out"])
@pytest.mark.parametrize("check", [check_out, check_place, check_file])
def test_blanks_around_a_name_are_a_slip(tmp_path, name, check):
    words = (False,) if check is not check_place else ()
    with pytest.raises(InputError, match="begins or ends with a blank"):
        check(tmp_path / name, *words)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    (tmp_path / "thesis.docx").write_text("x")
    for check in (lambda p: check_out(p, True), check_place):
        with pytest.raises(
            InputError, match=r"thesis\.docx is a file, not a folder; name a folder"
        ):
            check(tmp_path / "thesis.docx")
    with pytest.raises(InputError, match="is a folder, not a file; name a file"):
        check_file(tmp_path, True)


@pytest.mark.parametrize("inside", ["samples.csv", "predictions/uni.csv"])
@pytest.mark.parametrize("check", [lambda *a: check_out(a[0], True, a[1]), check_place])
def test_a_folder_that_holds_an_input_stays(tmp_path, inside, check):
    (tmp_path / "predictions").mkdir()
    (tmp_path / inside).write_text("x")
    with pytest.raises(InputError, match="cannot be overwritten: it holds .*" + inside):
        check(tmp_path, [tmp_path / inside])


def test_a_folder_that_is_named_as_an_input_through_a_link_stays(tmp_path, own):
    (tmp_path / "real.csv").write_text("x")
    (own / "metrics.csv").unlink()
    (own / "metrics.csv").symlink_to(tmp_path / "real.csv")
    with pytest.raises(InputError, match=r"it holds .*out/metrics\.csv"):
        check_out(own, True, [own / "metrics.csv"])


def test_the_current_folder_and_home_stay(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    with pytest.raises(InputError, match=r"cannot be overwritten: it holds .*inside"):
        check_out(Path(".."), force=True)
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(tmp_path / "inside"))
    for place in (tmp_path, tmp_path / "inside"):
        with pytest.raises(InputError, match=r"cannot be overwritten: it holds .*inside"):
            check_out(place, force=True)


def test_the_root_of_a_file_system_stays(own, monkeypatch):
    monkeypatch.setattr(Path, "is_mount", lambda self: self == own)
    with pytest.raises(InputError, match="it is the root of a file system; name a folder in it"):
        check_out(own, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_an_input_file_is_never_overwritten(tmp_path, force):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "uni.csv").write_text("x")
    with pytest.raises(
        InputError,
        match="it is one of the inputs" if force else "exists already; --force overwrites",
    ):
        check_file(folder / "uni.csv", force, [folder])
    check_file(folder / "new.csv", force, [folder])


def test_a_file_of_another_kind_stays(tmp_path):
    (tmp_path / "thesis.docx").write_text("x")
    (tmp_path / "old.YAML").write_text("x")
    check_file(tmp_path / "old.YAML", True, suffixes=[".yaml", ".yml"])
    with pytest.raises(
        InputError, match=r"thesis.docx cannot be overwritten: pathfuse writes .yaml or .yml here"
    ):
        check_file(tmp_path / "thesis.docx", True, suffixes=[".yaml", ".yml"])


CHECKS = [lambda p: check_out(p, False), lambda p: check_file(p, False), check_place]


@pytest.mark.parametrize("check", CHECKS)
def test_a_place_that_cannot_be_is_refused_and_nothing_is_left(tmp_path, check):
    (tmp_path / "file").write_text("x")
    for place, said in [
        (tmp_path / "file/deep/out", r"file is a file, not a folder"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "new" / ("x" * 300) / "out", "File name too long"),
        (tmp_path / "a\0b", "null byte"),
        (Path("/proc/pathfuse/out"), "No such file or directory"),
    ]:
        with pytest.raises(InputError, match=rf"the output .* cannot be written: .*{said}"):
            check(place)
    check(tmp_path / "deep/er/out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_found_before_the_work(tmp_path, monkeypatch, check, code):
    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(
        Path, "mkdir", refuse
    )  # also for root, whose permissions say yes to everything
    with pytest.raises(InputError, match=f"cannot be written: {os.strerror(code)}"):
        check(tmp_path / "out")


def test_a_list_names_all_that_was_written(own):
    assert json.loads((own / LIST).read_text())["written"] == [
        "metrics.csv",
        "model/",
        "model/model.json",
    ]
