"""Mutations of files, seeded: what half a copy, a hand with an editor and an enemy make of them."""

import copy
import json
import os
import random
import resource
import shutil
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pathfuse.errors import PathfuseError, of_the_system

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, -0.0, 1e308, -1e308, 5e-324, 10**30, "", " ", "0", "nan", "inf", "all",
    "\u202e", "a\x00b", "é", "x" * 5000, [], {}, [[]], [None], {"": None}, {"a": {"b": {"c": []}}}, "../../etc/passwd",
)  # fmt: skip
RAW = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1" + "0" * 5000,
    '"\\ud800"',
    "[" * 200 + "]" * 200,
)
"""What JSON's writer does not write."""


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _places(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content[:20]):
            yield from _places(value, (*path, index))


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def json_mutant(text: str, rng: random.Random) -> str:
    """A JSON text with one to three changes."""
    content = json.loads(text)
    marks: dict[str, str] = {}
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = _changed(content, rng, marks)
    changed = json.dumps(content, ensure_ascii=False)
    for mark, raw in marks.items():
        changed = changed.replace(json.dumps(mark), raw)
    return changed


def _changed(content: Any, rng: random.Random, marks: dict[str, str]) -> Any:
    content = copy.deepcopy(content)
    paths = [path for path in _places(content) if path]
    if not paths:
        return content
    path = rng.choice(paths)
    outer, key = _at(content, path[:-1]), path[-1]
    kind = rng.choice(["odd", "odd", "odd", "raw", "delete", "rename", "repeat", "other", "swap"])
    if kind == "odd":
        outer[key] = copy.deepcopy(rng.choice(ODD))
    elif kind == "raw":
        mark = f"raw-{len(marks)}-{rng.random()}"
        marks[mark], outer[key] = rng.choice(RAW), mark
    elif kind == "delete":
        del outer[key]
    elif kind == "rename" and isinstance(outer, dict):
        outer[f"{key}{rng.choice(['', ' ', '2', '_'])}"[::-1]] = outer.pop(key)
    elif kind == "repeat" and isinstance(outer, list):
        outer.extend([outer[key]] * rng.choice([1, 1, 100]))
    elif kind == "other":
        outer[key] = copy.deepcopy(_at(content, rng.choice(paths)))
    elif kind == "swap" and len(outer) > 1:
        other = rng.choice(list(outer) if isinstance(outer, dict) else range(len(outer)))
        outer[key], outer[other] = outer[other], outer[key]
    return content


def byte_mutant(data: bytes, rng: random.Random) -> bytes:
    """The same bytes cut short, doubled, or with a few of them changed."""
    found, kind = (
        bytearray(data),
        rng.choice(["cut", "flip", "flip", "insert", "double", "zero", "text"]),
    )
    if kind == "cut":
        return bytes(found[: rng.randrange(len(found) + 1)])
    if kind == "double":
        return bytes(found + found[: rng.randrange(len(found) + 1)])
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(max(1, len(found)))
        if kind == "flip" and found:
            found[place] ^= 1 << rng.randrange(8)
        elif kind == "insert":
            found[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 4])))
        elif kind == "zero":
            found[place : place + 16] = bytes(min(16, len(found) - place))
        elif kind == "text":
            found[place : place + 1] = rng.choice([b'"', b"{", b"[", b",", b"\n", b"\xff", b"0"])
    return bytes(found)


def tensors_mutant(file: Path, rng: random.Random) -> None:
    """Changes a safetensors file: an array's name, shape, kind or values; or bytes."""
    if rng.random() < 0.3:
        file.write_bytes(byte_mutant(file.read_bytes(), rng))
        return
    if rng.random() < 0.3:
        _change_header(file, rng)
        return
    tensors = dict(load_file(file))
    name = rng.choice(sorted(tensors))
    array = tensors.pop(name)
    kind = rng.choice(
        [
            "gone",
            "renamed",
            "copied",
            "longer",
            "shorter",
            "flat",
            "kind",
            "value",
            "value",
            "value",
        ]
    )
    if kind == "renamed":
        tensors[rng.choice([name + "x", "x" + name, "0/" + name, "", "empty"])] = array
    elif kind == "copied":
        tensors |= {name: array, f"{name}2": array.copy()}
    elif kind == "longer":
        tensors[name] = (
            np.concatenate([array, array], axis=-1) if array.ndim else np.stack([array] * 2)
        )
    elif kind == "shorter":
        tensors[name] = np.ascontiguousarray(array[..., :-1]) if array.ndim else array.reshape(1, 1)
    elif kind == "flat":
        tensors[name] = (
            np.ascontiguousarray(array.T.reshape(-1)) if array.ndim > 1 else array[..., None]
        )
    elif kind == "kind":
        dtype = rng.choice(
            [np.float16, np.float32, np.int64, np.uint8, np.bool_, np.int8, np.uint64]
        )
        with np.errstate(all="ignore"):
            tensors[name] = array.astype(dtype)
    elif kind == "value":
        tensors[name] = _with_odd_values(array, rng)
    save_file(tensors or {"empty": np.zeros(1)}, file)


def _with_odd_values(array: np.ndarray, rng: random.Random) -> np.ndarray:
    """One number of an array, or all, are another."""
    flat = array.copy().reshape(-1)
    whole: tuple[float, ...] = (0, 1, 7, 127)
    odd = whole if flat.dtype.kind in "iub" else (0, -1, 1e300, -1e300, np.nan, np.inf, 700, -700)
    if len(flat):
        place = rng.randrange(len(flat)) if rng.random() < 0.7 else slice(None)
        with np.errstate(all="ignore"):
            flat[place] = rng.choice(odd)
    return flat.reshape(array.shape)


def _change_header(file: Path, rng: random.Random) -> None:
    data = file.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header = json_mutant(data[8 : 8 + n].decode(), rng).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + data[8 + n :])


N_MUTATIONS = int(os.environ.get("PATHFUSE_FUZZ", "70"))
"""Mutations of each kind of file; ``make fuzz`` asks for many more."""
SEED = int(os.environ.get("PATHFUSE_FUZZ_SEED", "0"))
MAX_SECONDS, MAX_GB = 10.0, 2.0
Mutate = Callable[[Path, random.Random], None]
Use = Callable[[Path], Any]


@dataclass
class Attack:
    """What became of the mutations of one kind of file."""

    said: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def run(self, original: Path, place: Path, mutate: Mutate, use: Use) -> None:
        """Copies a file or folder, changes the copy and uses it, ``N_MUTATIONS`` times.

        Each use ends well or with an error of pathfuse, within ten seconds and two gigabytes. What
        breaks that is named with its seed and kept.
        """
        use(original)
        for n in range(N_MUTATIONS):
            rng = random.Random(f"{original.name} {SEED} {n}")
            copied = place / "mutant" / original.name
            shutil.rmtree(copied.parent, ignore_errors=True)
            copied.parent.mkdir()
            if original.is_dir():
                shutil.copytree(original, copied)
            else:
                shutil.copyfile(original, copied)
            mutate(copied, rng)
            start = time.perf_counter()
            try:
                use(copied)
                self.said["well"] += 1
            except PathfuseError:
                self.said["sentence"] += 1
            except Exception as error:
                if of_the_system(error) is not None:  # the command line makes a sentence of it
                    self.said["sentence"] += 1
                    continue
                error.add_note(f"mutation {n} of seed {SEED}, kept in {copied}")
                raise
            seconds = time.perf_counter() - start
            self.slowest_s = max(self.slowest_s, seconds)
            assert seconds < MAX_SECONDS, f"mutation {n} of seed {SEED} took {seconds:.0f} s"
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        assert used < MAX_GB, f"{used:.1f} GB"
        assert self.said["sentence"] > 0, self.said


@pytest.fixture
def attack() -> Iterator[Attack]:
    """Tells at the end how many mutations were used well and how many were refused."""
    found = Attack()
    yield found
    sys.stderr.write(f"\n{dict(found.said)}, slowest {found.slowest_s:.2f} s, seed {SEED}\n")


def of_bytes(file: Path, rng: random.Random) -> None:
    """Changes bytes."""
    file.write_bytes(byte_mutant(file.read_bytes(), rng))


def of_json(file: Path, rng: random.Random) -> None:
    """Changes values of a JSON, or bytes."""
    if rng.random() < 0.25:
        of_bytes(file, rng)
    else:
        text = json_mutant(file.read_text(encoding="utf-8"), rng)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))


CELLS = (
    "", " ", "nan", "NaN", "inf", "-inf", "1e999", "0", "-1", "1,5", "true", "=1+1", "é", "\ud7ff", "\u202e", "\x00",
    '"', '""', "'", "x" * 5000, "1e-320", "9" * 400, "0x10", "2020-01-01", "NA", "null", "\r", "../..", "a;b",
)  # fmt: skip


def of_cells(file: Path, rng: random.Random) -> None:
    """Changes cells, rows or columns of a CSV, or bytes."""
    if rng.random() < 0.25:
        of_bytes(file, rng)
        return
    rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]
    for _ in range(rng.choice([1, 1, 2, 5])):
        row = rng.choice(rows)
        kind = rng.choice(
            ["cell", "cell", "cell", "gone", "twice", "row gone", "row twice", "swap", "head"]
        )
        column = rng.randrange(max(1, len(row)))
        if kind == "cell" and row:
            row[column] = rng.choice(CELLS)
        elif kind == "gone" and row:
            del row[column]
        elif kind == "twice" and row:
            row.insert(column, row[column])
        elif kind == "row gone" and len(rows) > 1:
            rows.remove(row)
        elif kind == "row twice":
            rows.insert(rng.randrange(len(rows) + 1), list(row))
        elif kind == "swap":
            rng.shuffle(row)
        elif kind == "head" and rows[0]:
            rows[0][rng.randrange(len(rows[0]))] = rng.choice(CELLS)
    file.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def mutators() -> dict[str, Mutate]:
    """By the ending of the file."""
    return {"json": of_json, "safetensors": tensors_mutant, "csv": of_cells, "": of_bytes}


@pytest.fixture(scope="session")
def mutate_one_of(mutators: dict[str, Mutate]) -> Mutate:
    """Changes one of a folder's files, each as its ending says."""

    def mutate(folder: Path, rng: random.Random) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        file = rng.choice(files)
        mutators.get(file.suffix[1:], of_bytes)(file, rng)

    return mutate
