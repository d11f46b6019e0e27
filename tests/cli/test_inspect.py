"""``pathfuse inspect`` through the command line."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest


def write(path: Path, n: int, dim: int = 4, value: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as content:
        content["features"] = np.full((n, dim), value, dtype="float32")


@pytest.fixture
def cohort(tmp_path):
    """Two encoders of two slides; conch lacks the tiles of one."""
    for n, name in ((3, "a"), (5, "b")):
        write(tmp_path / "cohort/uni" / f"{name}.h5", n)
    write(tmp_path / "cohort/conch/a.h5", 3, 6)
    write(tmp_path / "cohort/conch/b.h5", 0, 6)
    return tmp_path / "cohort"


def row(said, name: str) -> list[str]:
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_each_sub_folder_is_an_encoder(cohort, tmp_path, run_cli):
    said = run_cli("inspect", cohort, "--json", tmp_path / "x.json")
    assert (said.status, said.err) == (0, "")
    assert row(said, "uni") == [
        "uni",
        "h5",
        "",
        "tile",
        "float32",
        "4",
        "2",
        "8",
        "3, 4, 5",
        "0",
        "0",
    ]
    assert row(said, "conch")[-1] == "1"
    reason = "the bag is empty: its features have the shape (0, 6)"
    assert f"Broken: {cohort}/conch/b.h5, 'b': {reason}\n" in said.out
    conch, uni = json.loads((tmp_path / "x.json").read_text())["folders"]
    assert (uni["n_tiles"], uni["broken"]) == (8, [])
    assert conch["broken"] == [{"name": "b", "path": f"{cohort}/conch/b.h5", "reason": reason}]


def test_strict_fails_on_what_is_broken_and_writes_nothing(cohort, tmp_path, run_cli):
    said = run_cli("inspect", cohort, "--strict", "--json", tmp_path / "x.json")
    assert said.status == 2
    assert "the bag is empty" in said.err
    assert said.err.count("\n") == 1
    assert row(said, "uni")
    assert not (tmp_path / "x.json").exists()
    assert run_cli("inspect", cohort / "uni", "--strict").status == 0


def test_values_are_checked_unless_told_not_to(cohort, run_cli):
    write(cohort / "uni/c.h5", 2, value=np.nan)
    assert (
        "'c': column 0 of tile 0 (both counted from 0) is NaN"
        in run_cli("inspect", cohort / "uni").out
    )
    assert row(run_cli("inspect", cohort / "uni", "--no-values"), "uni")[-1] == "0"


def test_a_table_of_vectors_and_several_places(cohort, tmp_path, run_cli):
    (tmp_path / "v[1].csv").write_text("sample_id,f0\na,1\nb,2\n")
    said = run_cli("inspect", tmp_path / "v[1].csv", cohort / "uni")
    assert row(said, "v[1].csv") == [
        "v[1].csv",
        "vectors",
        "",
        "slide",
        "float64",
        "1",
        "2",
        "",
        "",
        "",
        "0",
    ]
    assert row(said, "uni")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "there is no folder to inspect"),
        (["ABSENT"], "does not exist"),
        (["EMPTY"], "holds no feature file"),
        (["UNI", "--json", "TAKEN"], "exists already; --force overwrites it"),
    ],
)
def test_bad_input_is_one_sentence(cohort, tmp_path, run_cli, words, complaint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken.json").write_text("{}")
    places = {"ABSENT": "absent", "EMPTY": "empty", "UNI": "cohort/uni", "TAKEN": "taken.json"}
    said = run_cli("inspect", *[tmp_path / places[w] if w in places else w for w in words])
    assert said.status == 2
    assert complaint in said.err
    assert said.err.count("\n") == 1
