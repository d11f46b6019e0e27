"""Where a command may write: --force replaces only what pathfuse wrote, and bad places are known at
the start.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pathfuse.errors import InputError, unwritten
from pathfuse.files.at_work import claim_output
from pathfuse.files.json import read_object
from pathfuse.files.temporary import PARTIAL, replacing, temporary_name, was_left

LIST = ".pathfuse.json"
"""In every folder that was written as a whole: the names of what pathfuse wrote into it."""
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file browsers leave behind; nobody misses it."""
ABOUT = "what pathfuse wrote into this folder; --force replaces the folder only while nothing else stands in it"
_EARLIER = re.compile(
    r"(manifest|certificate|friedman|expert|model)\.json|(report|ranking)\.html|model\.safetensors|time_edges\.txt"
    r"|(metrics|comparisons|tests|reliability|ablation|curves|sites|ranks|winners|summary|pairs|samples|history)\.csv"
    r"|(fused|clusters|confusion|instances)\.parquet|figures/[^/]+\.(pdf|svg)|models?/[^/]+\.(json|safetensors)"
    r"|(attention|reference)/[^/]+|masks/[^/]+\.png|(study/)?predictions/[^/]+\.(csv|parquet)|study/samples\.csv"
)
"""Files of results of versions that wrote no list, next to a manifest.json that names pathfuse."""
_EARLIER_FOLDER = re.compile(
    r"(figures|models?|attention|reference|masks|study|(study/)?predictions)/"
)

TRIES = 100
"""How often a place is tried that other runs are changing in the same moment."""


def check_out(out: Path, force: bool, inputs: Sequence[Path] | None = None) -> None:
    """Refuses a bad place for a folder that is written as a whole, before any work is done.

    Raises:
        InputError: It exists and ``force`` is off; ``force`` would take away what pathfuse did not
            write, an input, the home folder or the one we stand in; it is not a folder; or it
            cannot be created.
    """
    with _sentences(out):
        _check_kind(out, folder=True)
        claim_output(out)
        if out.exists():
            reason = _precious(out, inputs or ())
            if not force:
                but = (
                    "--force overwrites it"
                    if reason is None
                    else f"--force would not overwrite it: {reason}"
                )
                raise InputError(f"the output {out} exists already; {but}")
            if reason is not None:
                raise InputError(f"the output {out} cannot be overwritten: {reason}")
        try_place(out)


def check_place(out: Path, inputs: Sequence[Path] | None = None) -> None:
    """Refuses a bad place for a folder that a command makes or goes on in, and never replaces as a
    whole.

    Raises:
        InputError: It is not a folder, holds an input or the folder we stand in, or cannot be
            created.
    """
    with _sentences(out):
        _check_kind(out, folder=True, link=True)
        claim_output(out)
        held = _held(out, inputs or ()) if out.exists() else None
        if held is not None:
            raise InputError(f"the output {out} cannot be overwritten: it holds {held}")
        try_place(out)


def check_file(
    out: Path,
    force: bool,
    inputs: Sequence[Path] | None = None,
    suffixes: Sequence[str] | None = None,
) -> None:
    """Refuses a bad place for one file, before any work is done.

    Args:
        out: The file.
        force: Whether one that stands there may be replaced.
        inputs: Files that are read, and folders that hold such.
        suffixes: How a file that may be replaced ends, in small letters; None: anyhow.

    Raises:
        InputError: It exists and ``force`` is off, is an input, is not a regular file or of another
            kind, or cannot be created.
    """
    with _sentences(out):
        _check_kind(out, folder=False)
        claim_output(out)
        if out.exists():
            if not force:
                raise InputError(f"the output {out} exists already; --force overwrites it")
            places = _resolved(inputs or ())
            if any(
                place.is_relative_to(p) for p in places for place in (out.absolute(), out.resolve())
            ):
                raise InputError(f"the output {out} cannot be overwritten: it is one of the inputs")
            if suffixes is not None and out.suffix.lower() not in suffixes:
                raise InputError(
                    f"the output {out} cannot be overwritten: pathfuse writes {' or '.join(suffixes)} here, so this "
                    "file is somebody else's"
                )
        try_place(out)


def foreign(folder: Path) -> str | None:
    """The first thing in a folder that pathfuse did not write, by its path in there.

    None if there is none.
    """
    known = listed(folder)
    is_own = (
        _was_written
        if known is None and _is_earlier(folder)
        else (known or frozenset()).__contains__
    )
    for place, folders, files in os.walk(folder):
        here = Path(place).relative_to(folder)
        for name in sorted([*folders, *files]):
            path, own = Path(place) / name, (here / name).as_posix()
            plain = not path.is_symlink() and (path.is_dir() or path.is_file())
            known_name = (
                own == LIST or name in LITTER or is_own(own + "/" if name in folders else own)
            )
            if not (plain and known_name) and not was_left(path):
                return own
        folders.sort()
    return None


def _was_written(name: str) -> bool:
    """Whether versions that wrote no list wrote files or folders of this name."""
    return bool((_EARLIER_FOLDER if name.endswith("/") else _EARLIER).fullmatch(name))


def listed(folder: Path) -> frozenset[str] | None:
    """What the list in a folder names, folders with a slash at the end; None if there is no list."""
    written = read_object(folder / LIST).get("written")
    return frozenset(str(name) for name in written) if isinstance(written, list) else None


def write_list(folder: Path, names: Sequence[str] | None = None) -> None:
    """Writes down what pathfuse wrote into a folder: everything that stands in it, unless names are
    given.
    """
    if names is None:
        inside = (path for path in folder.rglob("*") if path != folder / LIST)
        names = [
            path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in inside
        ]
    text = json.dumps({"about": ABOUT, "written": sorted(set(names))}, indent=1, ensure_ascii=False)
    with replacing(folder / LIST) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def try_place(out: Path) -> None:
    """Makes a folder where the output will be and takes it away again: permissions alone do not
    decide.

    Raises:
        InputError: That cannot be done.
    """
    for attempt in range(TRIES):
        try:
            _try_once(out)
        except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            # Another run that tried the same place has made a parent, or taken it away again, in
            # this moment.
            if attempt == TRIES - 1:
                raise unwritten(f"the output {out}", error) from error
        except OSError as error:
            raise unwritten(f"the output {out}", error) from error
        else:
            return


def _try_once(out: Path) -> None:
    place = out.resolve()
    made: list[Path] = []
    try:
        for parent in reversed(place.parents):
            if parent.is_file():
                raise InputError(
                    f"the output {out} cannot be written: {parent} is a file, not a folder"
                )
            if not parent.exists():
                parent.mkdir()
                made.append(parent)
        trial = temporary_name(place, PARTIAL)
        trial.mkdir()
        made.append(trial)
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # another run stands in it by now
                folder.rmdir()


@contextmanager
def _sentences(out: Path) -> Iterator[None]:
    """Turns what the system says of a path into one sentence."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise unwritten(f"the output {out}", error) from error
    except (ValueError, RuntimeError) as error:  # a zero byte in the name, links in a circle
        raise InputError(f"the output {str(out)!r} cannot be written: {error}") from error


def refuse_link(out: Path) -> None:
    """Refuses a link: neither it nor what it points to is replaced.

    Raises:
        InputError: It is one, or its name cannot be a path.
    """
    with _sentences(out):
        if out.is_symlink():
            raise InputError(
                f"the output {out} is a link to {out.readlink()}, which pathfuse leaves as it is; name another place"
            )


def _check_kind(out: Path, *, folder: bool, link: bool = False) -> None:
    """Refuses links, devices and the like, a file where a folder is meant, and blanks around a
    name.
    """
    if out.name != out.name.strip():
        raise InputError(f"the output '{out}' begins or ends with a blank; give it a name without")
    try:
        mode = out.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # of the second, try_place names the file that stands in the way
    if not link:
        refuse_link(out)
    if stat.S_ISLNK(mode):
        if not out.exists():
            raise InputError(f"the output {out} is a link to nothing")
        mode = out.stat().st_mode
    if stat.S_ISDIR(mode) and not folder:
        raise InputError(f"the output {out} is a folder, not a file; name a file")
    if stat.S_ISREG(mode) and folder:
        raise InputError(f"the output {out} is a file, not a folder; name a folder")
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(
            f"the output {out} is neither a file nor a folder but a device, a pipe or a socket"
        )


def _precious(out: Path, inputs: Sequence[Path]) -> str | None:
    """Why a folder that exists must stay; None if it may be replaced."""
    held = _held(out, inputs)
    if held is not None:
        return f"it holds {held}"
    if out.is_mount():
        return "it is the root of a file system; name a folder in it"
    unknown = foreign(out)
    return None if unknown is None else f"it holds {unknown}, which pathfuse did not write"


def _held(out: Path, inputs: Sequence[Path]) -> Path | None:
    """The current folder, the home folder or an input, if it lies in a folder or is that folder."""
    home = []
    with suppress(RuntimeError):  # nobody's home is known
        home = [Path.home().resolve()]
    place = out.resolve()
    return next(
        (p for p in [Path.cwd(), *home, *_resolved(inputs)] if p.is_relative_to(place)), None
    )


def _resolved(inputs: Sequence[Path]) -> Iterator[Path]:
    """Every input as it is named, and where it really lies."""
    return (place for path in inputs for place in (path.absolute(), path.resolve()))


def _is_earlier(folder: Path) -> bool:
    """Whether a manifest says that pathfuse wrote the folder."""
    return "pathfuse" in read_object(folder / "manifest.json")
