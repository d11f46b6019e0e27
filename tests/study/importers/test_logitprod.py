"""Small dumps in the layout of docs/design/logitprod.md, section 1.10, read back."""

import hashlib
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.importers.logitprod import read
from pathfuse.study.importers.logitprod_bins import TimeBins
from pathfuse.study.importers.logitprod_files import Log, read_array
from pathfuse.study.importers.logitprod_options import LogitProdOptions
from pathfuse.study.samples import read_samples

ABC = LogitProdOptions(classes=("a", "b", "c"))


def varied(options: LogitProdOptions, **changes: object) -> LogitProdOptions:
    return options.model_copy(update=changes)


EXPERTS = ("conch_v1.5", "uni", "virchow2")
SIZES = {"train": 12, "val": 6, "test": 9}
STEMS = {"train": "best_train", "val": "best_val", "test": "test"}
QUARTILES = (0.0, 10.0, 20.0, 30.0, np.inf)


def write_part(
    folder: Path,
    part: str,
    values: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[str] | None,
    kind: str = "outputs",
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{STEMS[part]}_{kind}.npy", values)
    np.save(folder / f"{STEMS[part]}_labels.npy", labels)
    with h5py.File(folder / f"{part}_features_labels.h5", "w") as file:
        file["features"] = np.zeros((len(values), 4), np.float32)
        file["labels"] = labels
        if ids is not None:
            file["slide_ids"] = np.array([name.encode() for name in ids])


def names(split: int, part: str) -> list[str]:
    return [f"{part}{split}-{row:03d}" for row in range(SIZES[part])]


def truth(ids: Sequence[str]) -> np.ndarray:
    """Class index that depends on the id alone."""
    return np.array([int(name[-3:]) % 3 for name in ids], dtype=np.float32)


def logits(expert: str, ids: Sequence[str], n_columns: int = 3) -> np.ndarray:
    """Logits that depend on expert and id alone, whatever the row order."""
    seeds = [int(hashlib.sha256(f"{expert}/{name}".encode()).hexdigest()[:8], 16) for name in ids]
    return np.stack([np.random.default_rng(seed).normal(size=n_columns) for seed in seeds]).astype(
        np.float32
    )


def make_dump(
    root: Path,
    splits: Sequence[int | None] = (0,),
    with_ids: bool = True,
    experts: Sequence[str] = EXPERTS,
) -> Path:
    """Classification; every expert's training rows lie in an order of their own (defect 4)."""
    for m, expert in enumerate(experts):
        for split in splits:
            folder = root / expert if split is None else root / expert / f"split_{split}"
            for part in SIZES:
                ids = names(split or 0, part)
                if part == "train":
                    ids = [ids[n] for n in np.random.default_rng(m).permutation(len(ids))]
                write_part(folder, part, logits(expert, ids), truth(ids), ids if with_ids else None)
    return root


def survival_labels(
    times: Sequence[float], censored: Sequence[int], edges: Sequence[float]
) -> np.ndarray:
    y = np.digitize(times, edges[1:-1]) + 1  # left-closed
    return np.column_stack([y, censored, times]).astype(np.float64)


def make_survival(root: Path, experts: Sequence[str] = ("one", "two")) -> Path:
    """Times include the inner edges; the uncensored train times have the quartiles 10, 20, 30."""
    for m, expert in enumerate(experts):
        train = np.array([0.5, 5, 10, 15, 20, 25, 30, 35, 39.5])
        order = np.random.default_rng(m).permutation(len(train))
        held_out = np.array([10.0, 9.75, 20.0, 41.0, 3.0, 30.0])
        for part, times, censored in (
            ("train", train[order], np.zeros(9, int)),
            ("val", held_out, np.array([0, 1, 0, 1, 0, 0])),
            ("test", held_out + 1, np.array([0, 1, 0, 1, 0, 0])),
        ):
            ids = [f"{part}-{time:g}" for time in times]
            labels = survival_labels(times, censored, QUARTILES)
            write_part(
                root / expert / "split_0", part, logits(expert, ids, 4), labels, ids, "preds"
            )
    return root


def column(frame: pl.DataFrame, name: str) -> dict[str, object]:
    return dict(zip(frame["sample_id"], frame[name], strict=True))


def refused(root: Path, options: LogitProdOptions = ABC) -> str:
    with pytest.raises(InputError) as caught:
        read(root, options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# Joining and roles


def test_rows_are_joined_by_id_although_training_orders_differ(tmp_path: Path) -> None:
    imported = read(make_dump(tmp_path / "dump"), ABC)
    assert column(imported.samples, "split") == {
        **dict.fromkeys(names(0, "train"), "train"),
        **dict.fromkeys(names(0, "val"), "fit"),
        **dict.fromkeys(names(0, "test"), "test"),
    }
    assert column(imported.samples, "label")["train0-004"] == "b"
    for expert in EXPERTS:
        frame = imported.predictions[expert]
        assert frame.columns == ["sample_id", "logit_a", "logit_b", "logit_c"]
        wanted = logits(expert, frame["sample_id"].to_list()).astype(np.float64)
        np.testing.assert_array_equal(frame.drop("sample_id").to_numpy(), wanted)
    assert any("epoch of every expert was chosen" in note for note in imported.manifest["notes"])


def test_saved_tables_keep_every_bit_and_repeat_to_the_byte(tmp_path: Path) -> None:
    dump = make_dump(tmp_path / "dump")
    one, other = (read(dump, ABC).save(tmp_path / name) for name in ("one", "other"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert [str(file) for file in files] == [
        ".pathfuse.json", "manifest.json", *(f"predictions/{expert}.csv" for expert in EXPERTS), "samples.csv",
    ]  # fmt: skip
    assert all((one / file).read_bytes() == (other / file).read_bytes() for file in files)
    frame = pl.read_csv(one / "predictions" / "uni.csv")
    back = frame.drop("sample_id").to_numpy().astype(np.float32)
    np.testing.assert_array_equal(back, logits("uni", frame["sample_id"].to_list()))
    manifest = json.loads((one / "manifest.json").read_text())
    file = dump / "uni" / "split_0" / "test_outputs.npy"
    assert manifest["inputs"][str(file)] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["rows"] == {"samples": 27, "split": {"fit": 6, "test": 9, "train": 12}}
    assert manifest["experts"]["uni"]["rows_read"] == {
        f"{part} of split 0": n for part, n in SIZES.items()
    }


def test_a_slide_that_one_expert_lacks_is_missing_and_shifts_nothing(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    ids = [name for name in names(0, "test") if name != "test0-003"]
    write_part(root / "uni" / "split_0", "test", logits("uni", ids), truth(ids), ids)
    imported = read(root, ABC)
    assert "test0-003" in imported.samples["sample_id"].to_list()
    assert "test0-003" not in imported.predictions["uni"]["sample_id"].to_list()
    assert (
        column(imported.predictions["uni"], "logit_a")["test0-004"]
        == logits("uni", ["test0-004"])[0, 0]
    )


def test_labels_that_contradict_name_sample_experts_and_both_labels(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    ids, labels = names(0, "test"), truth(names(0, "test"))
    labels[4] = 2
    write_part(root / "virchow2" / "split_0", "test", logits("virchow2", ids), labels, ids)
    text = refused(root)
    assert "'test0-004'" in text
    assert "'b' in" in text
    assert "'c' in" in text
    assert "(expert 'conch_v1.5')" in text
    assert "(expert 'virchow2')" in text


def test_validation_that_is_the_test_set_is_an_error(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    ids = ["val0-000", *names(0, "test")[1:]]
    write_part(root / "uni" / "split_0", "test", logits("uni", ids), truth(ids), ids)
    assert "sample 'val0-000' is in both val of split 0" in refused(root)


def test_validation_that_is_the_test_set_is_seen_without_ids(tmp_path: Path) -> None:
    root = make_dump(tmp_path, splits=[None], with_ids=False)
    for expert in EXPERTS:
        ids = names(0, "test")
        write_part(root / expert, "val", logits(expert, ids), truth(ids), None)
    assert "the validation set is the test set" in refused(
        root, varied(ABC, confirm_row_order=True)
    )


# Splits and folds


def test_several_splits_need_a_choice(tmp_path: Path) -> None:
    root = make_dump(tmp_path, splits=[0, 1, 10])
    assert "has the splits 0, 1, 10; say which: --split K" in refused(root)
    assert "no folder split_7; its splits are 0, 1, 10" in refused(root, varied(ABC, split=7))
    assert "exclude each other" in refused(root, varied(ABC, split=1, folds=True))
    samples = read(root, varied(ABC, split=10)).samples
    assert "test10-000" in samples["sample_id"].to_list()
    assert "test1-000" not in samples["sample_id"].to_list()


def test_disjoint_test_sets_become_folds(tmp_path: Path) -> None:
    imported = read(make_dump(tmp_path, splits=[0, 1]), varied(ABC, folds=True))
    wanted = {name: split for split in (0, 1) for name in names(split, "test")}
    assert column(imported.samples, "fold") == wanted
    assert "split" not in imported.samples.columns
    assert imported.manifest["rows"] == {"samples": 18, "fold": {"0": 9, "1": 9}}
    left = {(item["rows"], item["n"]) for item in imported.manifest["left_out"]}
    assert ("train of split 1", 36) in left
    assert ("val of split 0", 18) in left


def test_folds_refuse_test_sets_that_share_a_sample(tmp_path: Path) -> None:
    root = make_dump(tmp_path, splits=[0, 1])
    ids = ["test0-000", *names(1, "test")[1:]]
    write_part(root / "uni" / "split_1", "test", logits("uni", ids), truth(ids), ids)
    assert "sample 'test0-000' is in both test of split 0" in refused(root, varied(ABC, folds=True))


def test_folds_refuse_a_test_row_that_the_expert_was_trained_on(tmp_path: Path) -> None:
    root = make_dump(tmp_path, splits=[0, 1])
    ids = ["train1-000", *names(1, "test")[1:]]
    write_part(root / "uni" / "split_1", "test", logits("uni", ids), truth(ids), ids)
    assert "sample 'train1-000' is in both" in refused(root, varied(ABC, folds=True))


def test_folds_need_ids_and_two_splits(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "nameless", splits=[0, 1], with_ids=False)
    text = refused(root, varied(ABC, folds=True, confirm_row_order=True))
    assert "disjoint" in text
    assert "--ids" in text
    assert "one split only" in refused(make_dump(tmp_path / "single"), varied(ABC, folds=True))


# Rows without ids


def test_without_ids_the_error_names_the_flag(tmp_path: Path) -> None:
    text = refused(make_dump(tmp_path, with_ids=False))
    assert "--confirm-row-order" in text
    assert "--ids" in text


@pytest.mark.parametrize(("split", "prefix"), [(0, "split0"), (None, "tile")])
def test_confirmed_order_names_val_and_test_and_refuses_train(
    tmp_path: Path, split: int | None, prefix: str
) -> None:
    imported = read(
        make_dump(tmp_path, splits=[split], with_ids=False), varied(ABC, confirm_row_order=True)
    )
    ids = imported.samples["sample_id"].to_list()
    assert ids == [f"{prefix}:test:{n:05d}" for n in range(9)] + [
        f"{prefix}:val:{n:05d}" for n in range(6)
    ]
    (left,) = imported.manifest["left_out"]
    assert left["n"] == 36
    assert "order of their own" in left["reason"]
    assert any("--confirm-row-order" in note for note in imported.manifest["notes"])


def test_confirmed_order_refuses_unequal_lengths(tmp_path: Path) -> None:
    root = make_dump(tmp_path, with_ids=False)
    ids = names(0, "test")[:-1]
    write_part(root / "uni" / "split_0", "test", logits("uni", ids), truth(ids), None)
    text = refused(root, varied(ABC, confirm_row_order=True))
    assert "has 9 rows" in text
    assert "has 8" in text


def test_confirmed_order_refuses_unequal_labels(tmp_path: Path) -> None:
    root = make_dump(tmp_path, with_ids=False)
    ids = names(0, "test")
    write_part(root / "uni" / "split_0", "test", logits("uni", ids), truth(ids)[::-1], None)
    assert "differ in row 0" in refused(root, varied(ABC, confirm_row_order=True))


def test_one_expert_without_ids_cannot_be_joined(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    ids = names(0, "val")
    write_part(root / "uni" / "split_0", "val", logits("uni", ids), truth(ids), None)
    text = refused(root, varied(ABC, confirm_row_order=True))
    assert "have no ids for the expert 'uni'" in text


def test_slide_ids_that_only_count_rows_are_no_ids(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    for expert in EXPERTS:
        for part in SIZES:
            with h5py.File(root / expert / "split_0" / f"{part}_features_labels.h5", "a") as file:
                del file["slide_ids"]
                file["slide_ids"] = [str(n) for n in range(SIZES[part])]
    assert "--confirm-row-order" in refused(root)
    imported = read(root, varied(ABC, confirm_row_order=True))
    assert set(imported.samples["split"]) == {"fit", "test"}
    assert any("only count rows" in note for note in imported.manifest["notes"])


def test_training_ids_in_another_order_than_the_logits_are_not_used(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    with h5py.File(root / "uni" / "split_0" / "train_features_labels.h5", "a") as file:
        file["labels"][...] = file["labels"][()][::-1]
    imported = read(root, ABC)
    assert "train0-000" not in imported.predictions["uni"]["sample_id"].to_list()
    assert "train0-000" in imported.predictions["virchow2"]["sample_id"].to_list()
    with h5py.File(root / "uni" / "split_0" / "test_features_labels.h5", "a") as file:
        file["labels"][...] = file["labels"][()][::-1]
    assert "slide_ids do not name the rows" in refused(root)


def test_slide_ids_are_checked(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    file = root / "uni" / "split_0" / "test_features_labels.h5"
    for ids, complaint in (
        (names(0, "test")[:-1], "has 8 slide_ids"),
        (["x", "x", *names(0, "test")[2:]], "'x' occurs twice"),
        (["", *names(0, "test")[1:]], "is not an identifier"),
    ):
        with h5py.File(file, "a") as content:
            del content["slide_ids"]
            content["slide_ids"] = ids
        assert complaint in refused(root)
    file.write_bytes(file.read_bytes()[:600])
    assert "not a complete HDF5 file" in refused(root)


def test_without_h5py_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_dump(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install 'pathfuse[formats]'" in refused(root)


# A list of ids


def write_ids(
    file: Path, splits: Sequence[int | None] = (0,), parts: Sequence[str] = ("val", "test")
) -> Path:
    rows = [
        {"split": split, "part": part, "row": row, "sample_id": name, "patient_id": f"P-{name}"}
        for split in splits
        for part in parts
        for row, name in enumerate(names(split or 0, part))
    ]
    frame = pl.DataFrame(rows)
    frame = frame.drop("split") if splits == (None,) else frame
    frame.write_csv(file) if file.suffix == ".csv" else frame.write_parquet(file)
    return file


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("split", [0, None])
def test_a_list_names_rows_and_patients(tmp_path: Path, split: int | None, suffix: str) -> None:
    root = make_dump(tmp_path / "dump", splits=[split], with_ids=False)
    ids = write_ids(tmp_path / f"ids{suffix}", (split,))
    imported = read(root, varied(ABC, ids=ids))
    assert column(imported.samples, "patient_id")["val0-002"] == "P-val0-002"
    assert set(imported.samples["split"]) == {"fit", "test"}
    assert str(ids) in imported.manifest["inputs"]
    assert (
        column(imported.predictions["uni"], "logit_b")["test0-001"]
        == logits("uni", ["test0-001"])[0, 1]
    )


def test_a_list_for_shuffled_training_rows_is_caught_by_the_labels(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump", with_ids=False)
    ids = write_ids(tmp_path / "ids.csv", parts=list(SIZES))
    text = refused(root, varied(ABC, ids=ids))
    assert "two labels" in text
    assert "order of their own" in text


def test_a_list_may_speak_of_one_expert(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump", with_ids=False)
    short = [name for name in names(0, "test") if name != "test0-000"]
    write_part(root / "uni" / "split_0", "test", logits("uni", short), truth(short), None)
    shared = pl.read_csv(write_ids(tmp_path / "ids.csv"))
    assert "names 9 rows of test of split 0" in refused(root, varied(ABC, ids=tmp_path / "ids.csv"))
    own = pl.DataFrame({"part": "test", "row": range(8), "sample_id": short, "expert": "uni"})
    every = shared.select("part", "row", "sample_id", pl.lit(None, pl.String).alias("expert"))
    pl.concat([every, own.cast({"row": pl.Int64})]).write_csv(tmp_path / "own.csv")
    imported = read(root, varied(ABC, ids=tmp_path / "own.csv"))
    assert imported.predictions["uni"].height == 14
    assert (
        column(imported.predictions["uni"], "logit_a")["test0-001"]
        == logits("uni", ["test0-001"])[0, 0]
    )


def test_one_patient_in_two_roles_is_an_error(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump", with_ids=False)
    frame = pl.read_csv(write_ids(tmp_path / "ids.csv"))
    wrong = (
        pl.when(pl.col("sample_id").is_in(["val0-001", "test0-002"]))
        .then(pl.lit("P1"))
        .otherwise("patient_id")
    )
    frame.with_columns(wrong.alias("patient_id")).write_csv(tmp_path / "ids.csv")
    text = refused(root, varied(ABC, ids=tmp_path / "ids.csv"))
    assert "patient 'P1' is in both" in text


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0,valid,1,x,", "'valid' is none of train, val, test"),
        ("0,val,-1,x,", "'-1' is not a whole number"),
        ("0,val,1.0,x,", "'1.0' is not a whole number"),
        ("zero,val,1,x,", "'zero' is not a whole number"),
        ("0,val,1,,", "column 'sample_id', row 16: the cell is empty"),
        ("0,val,1,x,", "row 1 of val is named twice"),
        ("0,val,6,x,", "names 7 rows of val of split 0"),
        ("0,val,6,val0-000,other", "sample 'val0-000' has two patients"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    root = make_dump(tmp_path / "dump", with_ids=False)
    file = write_ids(tmp_path / "ids.csv")
    file.write_text(file.read_text() + line + "\n")
    assert complaint in refused(root, varied(ABC, ids=file))


def test_a_list_that_lacks_a_column_or_a_part(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump", splits=[0, 1], with_ids=False)
    frame = pl.read_csv(write_ids(tmp_path / "ids.csv", parts=["val"]))
    options = varied(ABC, split=0, ids=tmp_path / "ids.csv")
    assert "names no row of test of split 0" in refused(root, options)
    frame.drop("row").write_csv(tmp_path / "ids.csv")
    assert "no column 'row'" in refused(root, options)
    frame.drop("split").write_csv(tmp_path / "ids.csv")
    assert "no column 'split'" in refused(root, varied(options, split=None, folds=True))
    frame.with_columns(pl.lit("gigapath").alias("expert")).write_csv(tmp_path / "ids.csv")
    assert "'gigapath' is none of the experts" in refused(root, options)


# Classes, values, damaged files


def test_classes_are_never_guessed(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    text = refused(root, LogitProdOptions())
    assert "3 columns" in text
    assert "--classes" in text
    assert "--classes gives 2 names (a, b)" in refused(root, LogitProdOptions(classes=("a", "b")))
    assert "--time-edges does not apply" in refused(root, varied(ABC, time_edges=QUARTILES))


def test_a_class_without_rows_is_noted(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    for expert in EXPERTS:
        for part in SIZES:
            ids = names(0, part)
            write_part(
                root / expert / "split_0", part, logits(expert, ids), np.minimum(truth(ids), 1), ids
            )
    assert "no imported row has the label 'c'" in read(root, ABC).manifest["notes"]


@pytest.mark.parametrize("wrong", [3, -1, 0.5, np.inf])
def test_a_class_index_out_of_range_is_named(tmp_path: Path, wrong: float) -> None:
    root = make_dump(tmp_path)
    labels = truth(names(0, "val"))
    labels[2] = wrong
    np.save(root / "uni" / "split_0" / "best_val_labels.npy", labels)
    assert f"row 2 (counted from 0): the class index is {wrong:g}" in refused(root)


def test_nan_logits_are_missing_or_wrong(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    file = root / "uni" / "split_0" / "test_outputs.npy"
    values = logits("uni", names(0, "test"))
    values[5] = np.nan
    np.save(file, values)
    imported = read(root, ABC)
    assert "test0-005" not in imported.predictions["uni"]["sample_id"].to_list()
    (left,) = imported.manifest["left_out"]
    assert (left["n"], left["first"], left["experts"]) == (1, ["test0-005"], {"uni": 1})
    values[5, 1:] = 0
    np.save(file, values)
    assert f"{file}, row 5 (counted from 0): the logit in column 0 is NaN" in refused(root)
    values[5, 0] = -np.inf
    np.save(file, values)
    assert "is infinite" in refused(root)
    np.save(file, np.full_like(values, np.nan))
    for part in ("best_val", "best_train"):
        np.save(
            root / "uni" / "split_0" / f"{part}_outputs.npy", np.full((SIZES[part[5:]], 3), np.nan)
        )
    assert "no row of the expert 'uni' is left" in refused(root)


def test_a_sample_without_label_leaves(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    ids, labels = names(0, "test"), truth(names(0, "test"))
    labels[1] = np.nan
    for expert in EXPERTS:
        write_part(root / expert / "split_0", "test", logits(expert, ids), labels, ids)
    imported = read(root, ABC)
    assert "test0-001" not in imported.samples["sample_id"].to_list()
    assert imported.manifest["left_out"][0]["reason"] == "the label is missing (NaN)"


def test_probabilities_are_noticed(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    values = np.full((9, 3), 1 / 3, np.float32)
    np.save(root / "uni" / "split_0" / "test_outputs.npy", values)
    assert any("looks like probabilities" in note for note in read(root, ABC).manifest["notes"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (np.zeros(9), "has the shape (9,); it must be (rows, columns)"),
        (np.zeros((8, 3)), "has 8 rows, but"),
        (np.zeros((9, 4)), "columns, but"),
        (np.array([["x"] * 3] * 9), "not numbers"),
        (np.zeros((9, 3), complex), "not numbers"),
        (np.array([[None] * 3] * 9), "can run code"),
    ],
)
def test_a_wrong_array_is_refused(tmp_path: Path, content: np.ndarray, complaint: str) -> None:
    root = make_dump(tmp_path)
    file = root / "uni" / "split_0" / "test_outputs.npy"
    np.save(file, content, allow_pickle=True)
    text = refused(root)
    assert str(file) in text
    assert complaint in text


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "is empty"),
        (pickle.dumps({"results": 1}), "can run code"),
        (b"PK\x03\x04 zip", "is not a .npy file"),
        (b"\x93NUMPY\x01\x00", "it is cut off in its header"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, raw: bytes, complaint: str) -> None:
    root = make_dump(tmp_path)
    file = root / "uni" / "split_0" / "best_val_labels.npy"
    file.write_bytes(raw)
    assert f"{file} " in refused(root)
    assert complaint in refused(root)


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_any_damage_is_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "x.npy"
    np.save(file, np.arange(6.0).reshape(2, 3))
    raw = bytearray(file.read_bytes())
    for position in data.draw(st.lists(st.integers(6, 127), max_size=4)):
        raw[position] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    try:
        array = read_array(file, Log())
    except InputError as error:
        message = str(error)
    else:
        assert array.dtype == np.float64
        message = str(file)
    assert str(file) in message


# Folders


def test_pickles_and_derived_files_are_never_opened(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    for name in (
        "test_results.npy",
        "training_history.npy",
        "best_model.pth",
        "test_probabilities.npy",
    ):
        (root / "uni" / "split_0" / name).write_bytes(b"\x80\x04boom")
    for name in ("logits_fusion_results", "logits_based_fusion_poe", ".cache"):
        (root / name).mkdir()
    (root / "summary.json").write_text("{}")
    imported = read(root, ABC)
    assert tuple(imported.predictions) == EXPERTS
    assert not any(
        "results" in file or "history" in file or "model.pth" in file
        for file in imported.manifest["inputs"]
    )


def test_an_incomplete_expert_is_an_error_or_skipped(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    missing = root / "uni" / "split_0" / "best_val_outputs.npy"
    missing.unlink()
    text = refused(root)
    assert f"{missing} is missing" in text
    assert "--skip-incomplete" in text
    imported = read(root, varied(ABC, skip_incomplete=True))
    assert tuple(imported.predictions) == ("conch_v1.5", "virchow2")
    assert any("'uni' was left out" in note for note in imported.manifest["notes"])
    for expert in ("conch_v1.5", "virchow2"):
        (root / expert / "split_0" / "test_labels.npy").unlink()
    assert "leaves none" in refused(root, varied(ABC, skip_incomplete=True))


def test_a_part_that_nobody_has_is_noted(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    for file in root.glob("*/split_0/*train*"):
        file.unlink()
    for file in root.glob("*/split_0/*val*"):
        file.unlink()
    imported = read(root, ABC)
    assert set(imported.samples["split"]) == {"test"}
    assert "no expert has train rows in split 0" in imported.manifest["notes"]
    assert any("nothing to learn from" in note for note in imported.manifest["notes"])


def test_folders_without_experts_are_refused(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump")
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "is not a folder" in refused(root / "uni" / "split_0" / "test_labels.npy")
    assert "folder of one expert" in refused(root / "uni")
    assert "folder of one expert" in refused(root / "uni" / "split_0")
    (tmp_path / "empty").mkdir()
    assert "holds no expert" in refused(tmp_path / "empty")
    (tmp_path / "other" / "folder").mkdir(parents=True)
    assert "no expert in" in refused(tmp_path / "other")
    tile = make_dump(tmp_path / "tile", splits=[None])
    assert "so --split 0 does not apply" in refused(tile, varied(ABC, split=0))
    make_survival(root, experts=["death"])
    assert "mixes classification" in refused(root)


# Survival


def test_survival_flips_the_flag_and_moves_the_edges(tmp_path: Path) -> None:
    imported = read(make_survival(tmp_path / "dump"), LogitProdOptions(time_edges=QUARTILES))
    assert column(imported.samples, "event")["val-9.75"] == 0
    assert column(imported.samples, "event")["val-10"] == 1
    assert column(imported.samples, "time")["test-10.75"] == 10.75
    assert imported.predictions["one"].columns == [
        "sample_id",
        *(f"hazard_logit_{k}" for k in (1, 2, 3, 4)),
    ]
    folder = imported.save(tmp_path / "out")
    (line,) = (folder / "time_edges.txt").read_text().splitlines()
    edges = [float(edge) for edge in line.split(",")]
    assert edges == [0, *(np.nextafter(edge, -np.inf) for edge in QUARTILES[1:-1]), np.inf]
    times = imported.samples["time"].to_numpy()
    right_closed = np.searchsorted(edges, times, side="left")
    np.testing.assert_array_equal(right_closed, np.digitize(times, QUARTILES[1:-1]) + 1)
    assert (right_closed[times == 10] == 2).all()


def test_the_edges_are_required_and_proposed(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    text = refused(root, LogitProdOptions())
    assert "the quartiles of the uncensored train times reproduce every train Y" in text
    assert "--time-edges 0.0,10.0,20.0,30.0,inf" in text
    for expert in ("one", "two"):
        file = root / expert / "split_0" / "best_train_labels.npy"
        labels = np.load(file)
        labels[:, 0] = np.where(labels[:, 2] == 10, 1, labels[:, 0])
        np.save(file, labels)
    text = refused(root, LogitProdOptions())
    assert "--time-edges 0,...,inf" in text
    assert "reproduce" not in text


def test_right_closed_bins_are_proposed_as_such_and_stay(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    for file in root.glob("*/split_0/*labels.npy"):
        labels = np.load(file)
        labels[:, 0] = np.digitize(labels[:, 2], QUARTILES[1:-1], right=True) + 1
        np.save(file, labels)
    for file in root.glob("*/split_0/*.h5"):
        with h5py.File(file, "a") as content:
            del content["labels"]
    assert "inf --right-closed" in refused(root, LogitProdOptions())
    assert "left-closed" in refused(root, LogitProdOptions(time_edges=QUARTILES))
    imported = read(root, LogitProdOptions(time_edges=QUARTILES, left_closed=False))
    assert imported.time_edges == QUARTILES


def test_a_bin_that_disagrees_is_named_unless_trusted(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    for expert in ("one", "two"):
        folder = root / expert / "split_0"
        labels = np.load(folder / "test_labels.npy")
        labels[1, 0] = 3
        write_part(
            folder,
            "test",
            np.load(folder / "test_preds.npy"),
            labels,
            [f"t{n}" for n in range(6)],
            "preds",
        )
    text = refused(root, LogitProdOptions(time_edges=QUARTILES))
    assert (
        "test_labels.npy, row 1 (counted from 0): Y is 3, but the time 10.75 lies in bin 2" in text
    )
    assert "--trust-time-edges" in text
    imported = read(root, LogitProdOptions(time_edges=QUARTILES, trust_time_edges=True))
    assert any(
        "disagrees with --time-edges in 1 of 6 rows of test of split 0" in note
        for note in imported.manifest["notes"]
    )
    wrong = (0.0, 4.0, 20.0, 30.0, np.inf)
    assert "best_train_labels.npy" in refused(
        root, LogitProdOptions(time_edges=wrong, trust_time_edges=True)
    )


@pytest.mark.parametrize(
    ("edges", "complaint"),
    [
        ((0.0, 10.0, np.inf), "has 3 numbers"),
        ((0.0, 20.0, 10.0, 30.0, np.inf), "increase"),
        ((-1.0, 10.0, 20.0, 30.0, np.inf), "start at 0"),
        ((0.0, 10.0, np.nan, 30.0, np.inf), "increase"),
        ((0.0, 10.0, 20.0, 30.0, 40.0), "the time 41 lies outside"),
    ],
)
def test_wrong_edges(tmp_path: Path, edges: tuple[float, ...], complaint: str) -> None:
    assert complaint in refused(make_survival(tmp_path), LogitProdOptions(time_edges=edges))


@pytest.mark.parametrize(
    ("k", "value", "complaint"),
    [
        (0, 0, "the bin Y is 0; it must be a whole number from 1 to 4"),
        (0, 5, "the bin Y is 5"),
        (1, 2, "the censored flag is 2"),
        (2, -3, "the time is -3"),
        (2, np.inf, "the time is inf"),
    ],
)
def test_wrong_survival_labels(tmp_path: Path, k: int, value: float, complaint: str) -> None:
    root = make_survival(tmp_path)
    file = root / "two" / "split_0" / "best_val_labels.npy"
    labels = np.load(file)
    labels[3, k] = value
    np.save(file, labels)
    assert f"{file}, row 3 (counted from 0): {complaint}" in refused(
        root, LogitProdOptions(time_edges=QUARTILES)
    )


def test_rows_with_nan_and_with_time_zero_leave_and_are_counted(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    for expert in ("one", "two"):
        folder = root / expert / "split_0"
        labels = np.load(folder / "test_labels.npy")
        labels[0, 2], labels[1, 1], labels[2, 0], labels[3] = np.nan, np.nan, np.nan, (1, 1, 0)
        write_part(
            folder,
            "test",
            np.load(folder / "test_preds.npy"),
            labels,
            [f"t{n}" for n in range(6)],
            "preds",
        )
    imported = read(root, LogitProdOptions(time_edges=QUARTILES))
    counts = {item["reason"]: (item["n"], item["first"]) for item in imported.manifest["left_out"]}
    assert counts == {
        "the time is missing (NaN)": (2, ["t0"]),
        "the censored flag is missing (NaN)": (2, ["t1"]),
        "the bin Y is missing (NaN)": (2, ["t2"]),
        "the time is 0; it must be above 0": (2, ["t3"]),
    }
    assert {"t4", "t5"} <= set(imported.samples["sample_id"])
    assert not {"t0", "t1", "t2", "t3"} & set(imported.samples["sample_id"])


def test_survival_refuses_classes_and_contradictions(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    assert "--classes does not apply" in refused(root, varied(ABC, time_edges=QUARTILES))
    folder = root / "two" / "split_0"
    labels = np.load(folder / "test_labels.npy")
    labels[0, 1] = 1
    ids = [f"test-{time:g}" for time in labels[:, 2]]
    write_part(folder, "test", np.load(folder / "test_preds.npy"), labels, ids, "preds")
    text = refused(root, LogitProdOptions(time_edges=QUARTILES))
    assert "flag 0, time 11" in text
    assert "flag 1, time 11" in text


def test_bins_by_hand() -> None:
    times = np.array([0.5, 10.0, 19.9, 20.0, 30.0, 40.0, 40.5])
    left = TimeBins((0.0, 10.0, 20.0, 40.0), left_closed=True)
    right = TimeBins((0.0, 10.0, 20.0, 40.0), left_closed=False)
    assert left.bin_of(times).tolist() == [1, 2, 2, 3, 3, 3, 0]
    assert right.bin_of(times).tolist() == [1, 1, 2, 2, 3, 3, 0]
    moved = TimeBins(left.right_closed(), left_closed=False)
    assert moved.bin_of(times).tolist() == left.bin_of(times).tolist()


def test_the_samples_table_is_one_that_pathfuse_reads(tmp_path: Path) -> None:
    samples = read_samples(Table("samples", read(make_dump(tmp_path), ABC).samples))
    assert samples.roles is not None
    assert len(samples.ids) == 27


# Corners


def test_folds_by_a_list_of_all_splits(tmp_path: Path) -> None:
    root = make_dump(tmp_path / "dump", splits=[0, 1], with_ids=False)
    ids = write_ids(tmp_path / "ids.csv", splits=(0, 1, 2), parts=["test"])
    imported = read(root, varied(ABC, folds=True, ids=ids))
    assert imported.samples.columns == ["sample_id", "patient_id", "label", "fold"]
    assert imported.samples.height == 18
    assert {item["reason"] for item in imported.manifest["left_out"]} == {
        "--folds imports test rows only"
    }


def test_rows_that_are_none(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    folder = root / "uni" / "split_0"
    np.save(folder / "test_outputs.npy", np.zeros((0, 3)))
    np.save(folder / "test_labels.npy", np.zeros(0))
    assert "test_outputs.npy has no row" in refused(root)
    (folder / "test_outputs.npy").unlink()
    (folder / "test_outputs.npy").mkdir()
    assert "test_outputs.npy cannot be read" in refused(root)


def test_one_column_is_no_classification(tmp_path: Path) -> None:
    root = make_dump(tmp_path, experts=["uni"])
    for part, n in SIZES.items():
        np.save(root / "uni" / "split_0" / f"{STEMS[part]}_outputs.npy", np.arange(n)[:, None])
    assert "at least two classes are needed" in refused(root)


def test_identifiers_that_are_not_utf8(tmp_path: Path) -> None:
    root = make_dump(tmp_path)
    with h5py.File(root / "uni" / "split_0" / "val_features_labels.h5", "a") as file:
        del file["slide_ids"]
        file["slide_ids"] = np.array([b"\xff\xfe%d" % n for n in range(6)])
    assert "is not an identifier" in refused(root)


def test_no_edges_are_proposed_from_nothing(tmp_path: Path) -> None:
    root = make_survival(tmp_path)
    for expert in ("one", "two"):
        file = root / expert / "split_0" / "best_train_labels.npy"
        np.save(file, np.full_like(np.load(file), np.nan))
    assert "reproduce" not in refused(root, LogitProdOptions())
