"""The folders and arrays of a LogitProd dump, as they lie on disk. Pickles are never opened.

See docs/design/logitprod.md, section 1.10.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.errors import InputError
from pathfuse.files.npy import MAGIC, NEEDS_PICKLE, npy_header
from pathfuse.files.special import refuse_special
from pathfuse.files.steady import read_steady

STEMS = {"train": "best_train", "val": "best_val", "test": "test"}
"""Part to what its file names start with."""
ARRAYS = {"multiclass": "outputs", "survival": "preds"}
"""Endpoint to what its arrays of logits are called."""
RESULT_FOLDERS = ("logits_fusion_results", "logits_based_fusion_poe")
"""The published fusion's own results, next to the experts."""
DAMAGE = (
    ValueError,
    TypeError,
    EOFError,
    OSError,
    SyntaxError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    TokenError,
)
"""What numpy raises over a damaged file; its header is parsed as Python literals."""


@dataclass(frozen=True)
class Dump:
    """Which experts and splits a folder holds."""

    root: Path
    experts: tuple[str, ...]
    """Sorted folder names."""
    splits: tuple[int, ...]
    """Sorted; empty for the tile layout, which has no split folders."""

    def file(self, expert: str, split: int | None, name: str) -> Path:
        """Where a file of one expert lies."""
        folder = self.root / expert
        return (folder if split is None else folder / f"split_{split}") / name


@dataclass(frozen=True)
class DumpPart:
    """One expert's train, val or test rows of one split."""

    expert: str
    split: int | None
    """None in the tile layout."""
    name: str
    """train, val or test."""
    values: Float[np.ndarray, "row column"]
    """Logits of classes, or hazard logits of time bins."""
    labels: Float[np.ndarray, "row ..."]
    """Class index (row,), or (row, 3): bin from 1, censored flag, time."""
    file: Path
    """Of the values."""
    label_file: Path
    ids: tuple[str, ...] | None = None
    """``sample_id`` of each row, once known."""

    @property
    def place(self) -> str:
        """The part in words."""
        return self.name if self.split is None else f"{self.name} of split {self.split}"

    def only(self, kept: Bool[np.ndarray, " row"]) -> Self:
        """The part with some of its rows."""
        ids = (
            None
            if self.ids is None
            else tuple(i for i, keep in zip(self.ids, kept, strict=True) if keep)
        )
        return replace(self, values=self.values[kept], labels=self.labels[kept], ids=ids)


@dataclass
class Log:
    """What the manifest will say."""

    inputs: dict[str, str] = field(default_factory=dict)
    """File to SHA-256."""
    left_out: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keeps a remark, once."""
        if text not in self.notes:
            self.notes.append(text)

    def leave(self, part: DumpPart, left: Bool[np.ndarray, " row"], reason: str) -> None:
        """Counts rows of one expert that are not imported."""
        if not left.any():
            return
        entry = self.left_out.setdefault(
            (part.place, reason),
            {"reason": reason, "rows": part.place, "n": 0, "experts": {}, "first": []},
        )
        entry["n"] += int(left.sum())
        entry["experts"][part.expert] = int(left.sum())
        if part.ids is not None and not entry["first"]:
            entry["first"] = [part.ids[row] for row in np.flatnonzero(left)[:5]]


def find_dump(root: Path) -> Dump:
    """Looks for ``<root>/<model>/split_<k>/`` or, for tiles, ``<root>/<model>/``.

    Raises:
        InputError: The folder cannot be read, or holds no expert.
    """
    folders = {
        folder.name: folder for folder in _subfolders(root) if folder.name not in RESULT_FOLDERS
    }
    names = [f"{stem}_{kind}.npy" for stem in STEMS.values() for kind in ARRAYS.values()]
    if any(_split_number(name) is not None for name in folders) or any(
        (root / name).exists() for name in names
    ):
        raise InputError(
            f"{root} looks like the folder of one expert; give the folder that holds the experts' folders"
        )
    if not folders:
        raise InputError(
            f"{root} holds no expert: no folder <model>/split_<k>/ or <model>/ with test_outputs.npy"
        )
    numbers = {
        _split_number(inner.name) for folder in folders.values() for inner in _subfolders(folder)
    }
    return Dump(
        root,
        tuple(sorted(folders)),
        tuple(sorted(number for number in numbers if number is not None)),
    )


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}")
    try:
        return sorted(
            inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith(".")
        )
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error


def _split_number(name: str) -> int | None:
    match = re.fullmatch(r"split_(0|[1-9]\d*)", name)
    return int(match[1]) if match else None


def endpoint_kind(dump: Dump, splits: tuple[int | None, ...]) -> str:
    """``multiclass`` if the experts wrote ``test_outputs.npy``, ``survival`` if they wrote
    ``test_preds.npy``.

    Raises:
        InputError: They wrote neither, or both.
    """
    places = [(expert, split) for expert in dump.experts for split in splits]
    found = {
        kind: [f for place in places if (f := dump.file(*place, f"test_{array}.npy")).exists()]
        for kind, array in ARRAYS.items()
    }
    if all(found.values()):
        one, other = (files[0] for files in found.values())
        raise InputError(
            f"{dump.root} mixes classification ({one}) and survival ({other}); import them separately"
        )
    if not any(found.values()):
        looked = dump.file(dump.experts[0], splits[0], "test_outputs.npy")
        raise InputError(
            f"{looked} is missing, and so is test_preds.npy; no expert in {dump.root} has test rows"
        )
    return next(kind for kind, files in found.items() if files)


def complete_experts(
    dump: Dump,
    splits: tuple[int | None, ...],
    kind: str,
    needed: tuple[str, ...],
    skip: bool,
    log: Log,
) -> tuple[tuple[str, ...], list[tuple[int | None, str]]]:
    """Which experts have every file, and which parts there are.

    A part that no expert has is noted; one that only some have is an error, where the published
    code dropped the expert in silence (docs/design/logitprod.md, section 3.2, defect 18).

    Args:
        dump: The folder.
        splits: The splits to read.
        kind: The endpoint.
        needed: Parts to look for; ``test`` must be there.
        skip: Leave incomplete experts out instead of raising.
        log: Receives notes.

    Returns:
        The experts, and (split, part) pairs that all of them have.

    Raises:
        InputError: A file is missing and ``skip`` is off, or no expert is left.
    """
    present = _places(dump, splits, kind, needed, log)
    experts = []
    for expert in dump.experts:
        files = [file for place in present for file in _files(dump, expert, *place, kind)]
        missing = next((file for file in files if not file.exists()), None)
        if missing is None:
            experts.append(expert)
        elif not skip:
            raise InputError(
                f"{missing} is missing, so the expert '{expert}' is incomplete; --skip-incomplete leaves it out"
            )
        else:
            log.note(
                f"the expert '{expert}' was left out (--skip-incomplete): {missing} is missing"
            )
    if not experts:
        raise InputError(
            f"{dump.root}: every expert lacks a file, so --skip-incomplete leaves none"
        )
    return tuple(experts), present


def _places(
    dump: Dump, splits: tuple[int | None, ...], kind: str, needed: tuple[str, ...], log: Log
) -> list[tuple[int | None, str]]:
    """The (split, part) pairs of which some expert has a file, and all of the test rows.

    A pair that no expert has is noted.
    """
    present = []
    for split in splits:
        for part in needed:
            files = (f for expert in dump.experts for f in _files(dump, expert, split, part, kind))
            if part == "test" or any(file.exists() for file in files):
                present.append((split, part))
            else:
                log.note(
                    f"no expert has {part} rows" + ("" if split is None else f" in split {split}")
                )
    return present


def full_places(
    dump: Dump,
    experts: Sequence[str],
    splits: tuple[int | None, ...],
    kind: str,
    parts: Sequence[str],
) -> list[tuple[int | None, str]]:
    """The (split, part) pairs that all experts have; for parts that are read for checks only."""
    return [
        (split, part)
        for split in splits
        for part in parts
        if all(
            file.exists() for expert in experts for file in _files(dump, expert, split, part, kind)
        )
    ]


def _files(dump: Dump, expert: str, split: int | None, part: str, kind: str) -> list[Path]:
    return [
        dump.file(expert, split, f"{STEMS[part]}_{name}.npy") for name in (ARRAYS[kind], "labels")
    ]


def read_part(
    dump: Dump, expert: str, split: int | None, name: str, kind: str, log: Log
) -> DumpPart:
    """Reads the logits and labels of one part.

    Args:
        dump: The folder.
        expert: Whose.
        split: Of which split; None in the tile layout.
        name: train, val or test.
        kind: The endpoint.
        log: Receives the SHA-256 of the files.

    Returns:
        Values (row, column) and labels (row,) or (row, 3), as float64.

    Raises:
        InputError: A file is damaged, pickled, or of the wrong shape; a row has some NaN logits; a
            logit is infinite.
    """
    file, label_file = _files(dump, expert, split, name, kind)
    values, labels = read_array(file, log), read_array(label_file, log)
    _check_shape(file, values.shape, values.ndim == 2 and values.shape[1] >= 1, "(rows, columns)")
    if ENDPOINTS[kind].in_time:
        wanted = "(rows, 3): bin, censored flag, time"
        _check_shape(label_file, labels.shape, labels.ndim == 2 and labels.shape[1] == 3, wanted)
    else:
        _check_shape(label_file, labels.shape, labels.ndim == 1, "(rows,): one class index per row")
    if len(values) != len(labels):
        raise InputError(f"{file} has {len(values)} rows, but {label_file} has {len(labels)}")
    if not len(values):
        raise InputError(f"{file} has no row")
    odd = np.isinf(values) | (np.isnan(values) & ~np.isnan(values).all(axis=1, keepdims=True))
    if odd.any():
        row, column = np.argwhere(odd)[0]
        what = (
            "infinite"
            if np.isinf(values[row, column])
            else "NaN while others of the row are numbers"
        )
        raise InputError(
            f"{file}, row {row} (counted from 0): the logit in column {column} is {what}; "
            "a row is complete, or NaN throughout if the expert did not score it"
        )
    return DumpPart(expert, split, name, values, labels, file, label_file)


def _check_shape(file: Path, shape: tuple[int, ...], right: bool, wanted: str) -> None:
    if not right:
        raise InputError(f"{file} has the shape {shape}; it must be {wanted}")


def read_bytes(file: Path, log: Log) -> bytes:
    """A file's content; its SHA-256 goes to the log.

    Raises:
        InputError: It cannot be read, or is empty.
    """
    refuse_special(file)
    try:
        raw = read_steady(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    if not raw:
        raise InputError(f"{file} is empty")
    log.inputs[str(file)] = hashlib.sha256(raw).hexdigest()
    return raw


def read_array(file: Path, log: Log) -> Float[np.ndarray, "..."]:
    """One ``.npy`` array of numbers, without ever unpickling.

    Args:
        file: The file.
        log: Receives its SHA-256.

    Returns:
        float64; float32 is widened, which changes no value.

    Raises:
        InputError: The file is empty, cut off, no ``.npy``, or holds Python objects or text.
    """
    raw = read_bytes(file, log)
    refusal = f"{file} holds pickled Python objects, which can run code when they are opened; it is refused"
    if raw.startswith(b"\x80"):
        raise InputError(refusal)
    if not raw.startswith(MAGIC):
        raise InputError(f"{file} is not a .npy file")
    try:
        npy_header(io.BytesIO(raw), len(raw))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.load(io.BytesIO(raw), allow_pickle=False)
    except DAMAGE as error:
        if str(error) == NEEDS_PICKLE:
            raise InputError(refusal) from error
        raise InputError(f"{file} is not a complete .npy file: {error}") from error
    if array.dtype.kind not in "fiu":
        raise InputError(f"{file} holds values of type {array.dtype}, not numbers")
    return np.asarray(array, dtype=np.float64)
