"""``pathfuse import logitprod`` on a simulated dump, and ``pathfuse fuse`` on what it wrote."""

import json
import shlex
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from pathfuse.cli import main

STEMS = {"train": "best_train", "val": "best_val", "test": "test"}


def make_dump(root: Path, with_ids: bool = True) -> Path:
    """Three experts of one split, 60 train, 60 val, 45 test slides, three classes."""
    for m, expert in enumerate(("conch_v15", "uni_v2", "virchow2")):
        folder = root / expert / "split_0"
        folder.mkdir(parents=True)
        for part, n in (("train", 60), ("val", 60), ("test", 45)):
            order = np.random.default_rng(m).permutation(n) if part == "train" else np.arange(n)
            rng = np.random.default_rng([m, n])
            labels = (np.arange(n) % 3)[order]
            outputs = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[labels]
            np.save(folder / f"{STEMS[part]}_outputs.npy", outputs.astype(np.float32))
            np.save(folder / f"{STEMS[part]}_labels.npy", labels)
            with h5py.File(folder / f"{part}_features_labels.h5", "w") as file:
                file["labels"] = labels
                if with_ids:
                    file["slide_ids"] = [f"TCGA-{part}-{row}" for row in order]
    return root


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_import_then_fuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump, out = make_dump(tmp_path / "dump"), tmp_path / "study"
    assert run("import", "logitprod", dump, "--classes", "lum,her2,basal", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "165 samples, 60 in split 'fit', 45 in split 'test', 60 in split 'train'" in shown
    assert "Expert uni_v2: 165 rows" in shown
    assert "Note: the 'fit' rows are the dump's validation rows" in shown
    command = shlex.split(shown.splitlines()[-1].removeprefix("Next: "))
    assert command[:2] == ["pathfuse", "fuse"]
    assert run(*command[1:], "--resamples", 50) == 0
    metrics = pl.read_csv(Path(f"{out}-fused") / "metrics.csv")
    assert {"conch_v15", "uni_v2", "virchow2", "fused"} <= set(metrics["method"])
    fused = metrics.filter(method="fused", metric="accuracy")["value"].item()
    assert fused > 0.6


def test_what_was_left_out_is_said_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump, out = make_dump(tmp_path / "dump", with_ids=False), tmp_path / "study"
    common = ("import", "logitprod", dump, "--classes", "a,b,c", "--out", out)
    assert run(*common) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("pathfuse: ")
    assert shown.count("\n") == 1
    assert "--confirm-row-order" in shown
    assert not out.exists()
    assert run(*common, "--confirm-row-order") == 0
    assert (
        "Left out: 180 rows of train of split 0, 3 experts (they have no ids"
        in capsys.readouterr().out
    )
    assert json.loads((out / "manifest.json").read_text())["left_out"][0]["n"] == 180


def test_survival_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "dump" / "uni" / "split_0"
    folder.mkdir(parents=True)
    times = {"train": np.arange(1, 9), "val": np.arange(1, 9) + 0.25, "test": np.arange(1, 9) + 0.5}
    for part, time in times.items():
        np.save(
            folder / f"{STEMS[part]}_preds.npy",
            np.random.default_rng(len(part)).normal(size=(8, 2)),
        )
        np.save(
            folder / f"{STEMS[part]}_labels.npy",
            np.column_stack([1 + (time >= 5), time % 2 > 1, time]),
        )
    common = (
        "import",
        "logitprod",
        tmp_path / "dump",
        "--confirm-row-order",
        "--out",
        tmp_path / "study",
    )
    assert run(*common, "--time-edges", "0,5,inf") == 0
    assert "--time-edges 0.0,4.999999999999999,inf" in capsys.readouterr().out
    assert (tmp_path / "study" / "time_edges.txt").read_text() == "0.0,4.999999999999999,inf\n"
    assert run(*common, "--time-edges", "0,5,inf", "--right-closed", "--force") == 2
    assert "right-closed" in capsys.readouterr().err
    assert (tmp_path / "study" / "time_edges.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["clamp", "DUMP", "--out", "OUT"], "the format 'clamp' is unknown; known: logitprod"),
        (["logitprod", "DUMP", "--out", "OUT", "--classes", "a,,c"], "has an empty name"),
        (["logitprod", "DUMP", "--out", "OUT", "--classes", "a,b,a"], "names 'a' twice"),
        (
            ["logitprod", "DUMP", "--out", "OUT", "--time-edges", "0;5"],
            "must be numbers with commas",
        ),
        (
            ["logitprod", "DUMP", "--out", "DUMP/tables", "--classes", "a,b,c"],
            "lies inside the source",
        ),
        (["logitprod", "DUMP", "--out", "DUMP", "--classes", "a,b,c"], "exists already"),
        (["logitprod", "DUMP/nothing", "--out", "OUT", "--classes", "a,b,c"], "does not exist"),
    ],
)
def test_bad_arguments_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    make_dump(tmp_path / "dump")
    places = {"DUMP": str(tmp_path / "dump"), "OUT": str(tmp_path / "out")}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
    before = sorted(tmp_path.rglob("*"))
    assert run("import", *arguments) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert shown.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
