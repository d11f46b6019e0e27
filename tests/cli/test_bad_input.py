"""Bad input: one clear sentence, exit status 2, nothing written. Every case goes through the
command line."""

import csv
import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

PROGRESS = re.compile(r" *\d+ % .+")


@dataclass
class Place:
    """A good little study in a folder, to be spoiled: 30 fit and 20 test rows, two experts, three
    classes."""

    folder: Path
    samples: Path
    predictions: Path

    @property
    def expert(self) -> Path:
        return self.predictions / "expert_0.csv"

    @property
    def other(self) -> Path:
        return self.predictions / "expert_1.csv"

    @property
    def out(self) -> Path:
        return self.folder / "results" / "out"

    def edit(self, file: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        change(pl.read_csv(file, infer_schema=False)).write_csv(file)

    def set(self, file: Path, sample: str, column: str, value: str | None) -> None:
        """Writes one cell as it stands; None: empty."""
        with file.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        (row,) = [r for r in rows if r["sample_id"] == sample]
        row[column] = value or ""
        with file.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(row))
            writer.writeheader()
            writer.writerows(rows)

    def to_parquet(self, file: Path) -> Path:
        pl.read_csv(file).write_parquet(file.with_suffix(".parquet"))
        file.unlink()
        return file.with_suffix(".parquet")

    def to_probabilities(self, file: Path, total: float = 1.0, sample: str = "s004") -> None:
        """The expert's logits as probabilities, which in one row sum to ``total``."""
        frame = pl.read_csv(file)
        names = [c for c in frame.columns if c.startswith("logit_")]
        prob = np.exp(frame.select(names).to_numpy())
        prob /= prob.sum(axis=1, keepdims=True)
        prob[frame["sample_id"].to_list().index(sample)] = [0.5, 0.25, total - 0.75]
        columns = {name.replace("logit_", "prob_"): prob[:, k] for k, name in enumerate(names)}
        pl.DataFrame({"sample_id": frame["sample_id"], **columns}).write_csv(file)

    def content(self) -> dict[Path, bytes | None]:
        """Everything on the disk, hidden files too."""
        return {p: p.read_bytes() if p.is_file() else None for p in self.folder.rglob("*")}


@pytest.fixture
def place(tmp_path, make_study):
    return Place(tmp_path, *make_study(tmp_path, 30, 20, 2))


@pytest.fixture
def fuse(place, run_cli):
    """``fuse(*more, samples=..., predictions=[...], out=...)`` of the study in ``place``."""

    def run(*more, samples=None, predictions=None, out=None):
        given = [
            "--samples",
            samples or place.samples,
            "--predictions",
            *(predictions or [place.predictions]),
        ]
        resamples = [] if "--resamples" in more else ["--resamples", 120]
        return run_cli("fuse", *given, "--out", out or place.out, *resamples, *more)

    return run


@pytest.fixture
def refused(place, fuse):
    """Asserts that ``fuse`` refuses: status 2, one sentence with these parts in this order, and
    nothing written."""

    def check(*parts, args=(), **options):
        before = place.content()
        status, out, err = fuse(*args, **options)
        assert status == 2
        assert out == ""
        assert err.endswith("\n")
        *earlier, sentence = err.splitlines()
        assert all(PROGRESS.fullmatch(line) for line in earlier)
        assert "Traceback" not in err
        assert sentence.startswith("pathfuse: ")
        at = 0
        for part in map(str, parts):
            assert part in sentence[at:], f"{part!r} is not in {sentence[at:]!r}"
            at = sentence.index(part, at) + len(part)
        assert place.content() == before
        return sentence

    return check


@pytest.fixture
def accepted(place, fuse):
    """Asserts that ``fuse`` runs, and that every metric of every row is a finite number."""

    def check(*args, **options):
        status, _, err = fuse(*args, **options)
        assert status == 0, err
        out = options.get("out") or place.out
        metrics = pl.read_csv(out / "metrics.csv")
        constant = (pl.col("method") == "null_model") & (pl.col("metric") == "mcc")
        values = metrics.filter(~constant)["value"]
        assert values.null_count() == 0
        assert values.is_finite().all()
        return out, err

    return check


def test_the_good_study_runs(accepted, place):
    accepted()
    assert [p.name for p in place.out.parent.iterdir()] == ["out"]


# Identifiers


def test_an_unknown_sample(place, refused, fuse):
    place.edit(place.expert, lambda t: t.with_columns(pl.col("sample_id").replace("s004", "t4")))
    left_out = f"predicted samples that are not in {place.samples}"
    refused(place.expert, left_out, "'t4'", "without --strict", args=["--strict"])
    status, out, _ = fuse()
    assert status == 0
    assert f"left out 1 ({left_out}: t4)" in out


def test_a_sample_that_lost_its_zeros(place, refused):
    place.edit(place.expert, lambda t: t.with_columns(pl.col("sample_id").replace("s004", "s4")))
    there = "; it is 's004' there that stands for 's4' (they differ by leading zeros only): spell it in one way"
    refused(place.expert, "column 'sample_id'", "'s4'", f"is not in {place.samples}", there)


def test_a_sample_that_is_spelled_otherwise(place, refused):
    place.edit(place.expert, lambda t: t.with_columns(pl.col("sample_id").replace("s004", "S004")))
    there = "; it is 's004' there that stands for 'S004' (they differ by letter case only): spell it in one way"
    refused(place.expert, "column 'sample_id'", "'S004'", f"is not in {place.samples}", there)


def test_all_samples_spelled_otherwise(place, refused):
    place.edit(place.expert, lambda t: t.with_columns(pl.col("sample_id").str.to_uppercase()))
    refused(
        place.expert,
        "none of its",
        "(the first is 'S000'; there the first is 's000'; it is 's000' there that stands for 'S000'",
    )


def test_a_sample_twice_in_the_samples(place, refused):
    place.edit(place.samples, lambda t: pl.concat([t, t[4:5]]))
    refused(place.samples, "column 'sample_id'", "'s004' occurs twice")


def test_a_sample_twice_in_the_predictions(place, refused):
    place.edit(place.expert, lambda t: pl.concat([t, t[4:5]]))
    refused(place.expert, "column 'sample_id'", "'s004' occurs twice")


def test_a_sample_twice_for_one_expert_of_a_long_table(place, refused):
    tables = [
        pl.read_csv(place.expert).with_columns(expert=pl.lit(name)) for name in ("uni", "titan")
    ]
    long = place.folder / "long.csv"
    pl.concat([*tables, tables[1][4:5]]).write_csv(long)
    refused(long, "'titan'", "column 'sample_id'", "'s004' occurs twice", predictions=[long])


def test_a_sample_without_a_name(place, refused):
    place.set(place.expert, "s004", "sample_id", None)
    refused(place.expert, "column 'sample_id'", "row 5 is empty")


def test_an_expert_of_other_samples(place, refused):
    place.edit(
        place.expert, lambda t: t.with_columns(("x" + pl.col("sample_id")).alias("sample_id"))
    )
    refused(place.expert, "none of its 50 samples is in", place.samples, "'xs000'")


def test_an_expert_that_scored_no_fit_row(place, refused):
    place.edit(place.expert, lambda t: t[30:])
    refused(place.expert, "'expert_0' scored none of the 30 fit rows")


def test_rows_that_one_expert_did_not_score_are_said(place, accepted):
    place.edit(place.expert, lambda t: t.filter(~pl.col("sample_id").is_in(["s003", "s040"])))
    out, _ = accepted()
    (item,) = json.loads((out / "manifest.json").read_text())["left_out"]
    assert item["reason"] == "rows that this expert did not score"
    assert (item["n"], item["first"], item["samples"]) == (2, ["s003", "s040"], 2)
    assert "patients" not in item  # none were given
    name = item["expert"]
    line = f"{name}: left out 2 (rows that this expert did not score: s003, s040; 2 samples)"
    page = (out / "report.html").read_text()
    assert line in page
    assert "No row was left out" not in page


def test_a_sample_that_nobody_scored(place, refused):
    for file in (place.expert, place.other):
        place.edit(file, lambda t: t.filter(~pl.col("sample_id").is_in(["s003", "s040"])))
    refused(
        place.samples, "no expert scored the sample 's003'", "2 such samples", "--skip-unscored"
    )


def test_samples_that_nobody_scored_are_left_out_when_asked_and_counted(place, accepted):
    for file in (place.expert, place.other):
        place.edit(file, lambda t: t.filter(~pl.col("sample_id").is_in(["s003", "s040"])))
    out, _ = accepted("--skip-unscored")
    manifest = json.loads((out / "manifest.json").read_text())
    counted = {"n": 2, "first": ["s003", "s040"], "samples": 2}  # no patients were given
    assert manifest["left_out"] == [{"reason": "scored by no expert", **counted}]
    assert (manifest["rows"]["read"], manifest["rows"]["fit"], manifest["rows"]["judged"]) == (
        50,
        29,
        19,
    )
    assert "s040" not in pl.read_parquet(out / "fused.parquet")["sample_id"]


# Columns


def test_a_class_column_that_no_label_matches(place, refused):
    place.edit(place.expert, lambda t: t.rename({"logit_tumor": "logit_tumour"}))
    refused(
        place.expert,
        "column 'logit_tumour'",
        "no sample has the label 'tumour'",
        "adipose, stroma, tumor",
    )


def test_two_columns_of_one_name(place, refused):
    place.expert.write_text(place.expert.read_text().replace("logit_stroma", "logit_tumor", 1))
    refused(place.expert, "two columns named 'logit_tumor'")
    place.samples.write_text(place.samples.read_text().replace("split", "label", 1))
    refused(place.samples, "two columns named 'label'")


def test_logits_beside_probabilities(place, refused):
    place.edit(place.expert, lambda t: t.rename({"logit_tumor": "prob_tumor"}))
    refused(
        place.expert, "both 'logit_' and 'prob_' columns", "logit_adipose, logit_stroma, prob_tumor"
    )


def test_no_prediction_column(place, refused):
    place.edit(place.expert, lambda t: t.select("sample_id"))
    refused(place.expert, "no 'logit_<class>' or 'prob_<class>' column")


def test_one_class_only(place, refused):
    place.edit(place.expert, lambda t: t.select("sample_id", "logit_tumor"))
    refused(place.expert, "predictions for 'tumor' only", "at least two classes")


@pytest.mark.parametrize("column", ["sample_id", "label"])
def test_a_missing_column_of_the_samples(place, refused, column):
    place.edit(place.samples, lambda t: t.drop(column, "patient_id", strict=False))
    refused(place.samples, f"'{column}'", "its columns are")


# Values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("nan", "empty or not a number (NaN)"),
        ("NaN", "empty or not a number (NaN)"),
        (None, "empty or not a number (NaN)"),
        ("inf", "infinite (inf)"),
        ("-inf", "infinite (-inf)"),
        ("1e999", "infinite (inf)"),
        ("high", "'high' is not a number"),
        ("0,5", "'0,5' is not a number"),
    ],
)
def test_a_logit_that_is_none(place, refused, value, shown):
    place.set(place.expert, "s004", "logit_stroma", value)
    refused(place.expert, "column 'logit_stroma'", "sample 's004'", shown)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_logit_that_is_none_in_parquet(place, refused, value):
    file = place.to_parquet(place.expert)
    column = (
        pl.when(pl.col("sample_id") == "s004").then(pl.lit(value)).otherwise(pl.col("logit_stroma"))
    )
    pl.read_parquet(file).with_columns(column.alias("logit_stroma")).write_parquet(file)
    refused(
        file,
        "column 'logit_stroma'",
        "sample 's004'",
        "infinite" if value == float("inf") else "NaN",
    )


@pytest.mark.parametrize("total", [0.998, 1.002])
def test_probabilities_that_do_not_sum_to_1(place, refused, total):
    place.to_probabilities(place.expert, total)
    refused(
        place.expert,
        "column 'prob_adipose",
        "prob_tumor'",
        "sample 's004'",
        f"sum to {total}, not to 1",
    )


@pytest.mark.parametrize("total", [0.9991, 1.0009])
def test_probabilities_that_sum_to_1_within_the_tolerance(place, accepted, total):
    place.to_probabilities(place.expert, total)
    accepted()


@pytest.mark.parametrize("value", ["-0.25", "1.5"])
def test_a_probability_outside_0_and_1(place, refused, value):
    place.to_probabilities(place.expert)
    place.set(place.expert, "s004", "prob_stroma", value)
    refused(
        place.expert,
        "column 'prob_stroma'",
        "sample 's004'",
        value,
        "not a probability between 0 and 1",
    )


def test_logits_under_the_name_of_probabilities(place, refused):
    place.edit(place.expert, lambda t: t.rename(lambda name: name.replace("logit_", "prob_")))
    first = pl.read_csv(place.expert).row(0)
    assert any(
        not 0 <= value <= 1 for value in first[1:]
    )  # the expert's very first row gives it away
    refused(
        place.expert,
        "column 'prob_",
        "sample 's000'",
        "not a probability",
        "logits are named 'logit_<class>'",
    )


@pytest.mark.parametrize("size", [1e4, 1e308])
@pytest.mark.slow
def test_huge_logits_are_fine(place, accepted, size):
    place.edit(
        place.expert,
        lambda t: t.with_columns(
            pl.col("^logit_.*$").cast(pl.Float64).sign().mul(size).cast(pl.String)
        ),
    )
    out, _ = accepted()
    fused = pl.read_parquet(out / "fused.parquet")
    np.testing.assert_allclose(fused.select(pl.col("^prob_.*$")).sum_horizontal(), 1, rtol=1e-12)


def test_an_empty_label(place, refused, fuse):
    place.set(place.samples, "s004", "label", None)
    refused(place.samples, "no label: 's004'", "without --strict", args=["--strict"])
    status, out, _ = fuse()
    assert status == 0
    assert "Left out: 1 row (no label: s004)" in out


# Roles


@pytest.mark.parametrize(
    ("value", "shown"), [("held out", "'held out'"), ("trial", "'trial'"), (None, "empty")]
)
def test_an_unknown_role(place, refused, value, shown):
    place.set(place.samples, "s004", "split", value)
    refused(place.samples, "column 'split'", "sample 's004'", shown, "fit, test or train")


@pytest.mark.parametrize("value", ["first", "1.5", None])
def test_a_fold_that_is_no_number(place, refused, value):
    place.edit(
        place.samples, lambda t: t.drop("split").with_columns(fold=pl.int_range(pl.len()) % 2)
    )
    place.set(place.samples, "s004", "fold", value)
    refused(
        place.samples, "column 'fold'", "sample 's004'", f"'{value or ''}' must be a whole number"
    )


def test_both_split_and_fold(place, refused):
    place.edit(place.samples, lambda t: t.with_columns(fold=pl.int_range(pl.len()) % 2))
    refused(place.samples, "both a column 'split' and a column 'fold'")


def test_neither_split_nor_fold(place, refused):
    place.edit(place.samples, lambda t: t.drop("split"))
    refused(place.samples, "neither a column 'split' nor a column 'fold'")


@pytest.mark.parametrize("role", ["fit", "test"])
def test_no_row_to_fit_on_or_to_judge(place, refused, role):
    place.edit(place.samples, lambda t: t.filter(pl.col("split") != role))
    for file in (place.expert, place.other):
        place.edit(file, lambda t: t[30:] if role == "fit" else t[:30])
    refused(place.samples, "column 'split'", f"no row has the role '{role}'")


def test_a_fit_split_with_one_class(place, refused):
    label = pl.when(pl.col("split") == "fit").then(pl.lit("tumor")).otherwise(pl.col("label"))
    place.edit(place.samples, lambda t: t.with_columns(label.alias("label")))
    refused(
        place.samples,
        "column 'label'",
        "all 30 fit rows have the label 'tumor'",
        "two classes are needed",
    )


def test_a_class_with_no_fit_row(place, refused):
    no_tumor = pl.col("label").replace("tumor", "stroma")
    label = pl.when(pl.col("split") == "fit").then(no_tumor).otherwise(pl.col("label"))
    place.edit(place.samples, lambda t: t.with_columns(label.alias("label")))
    refused(place.samples, "column 'label'", "the class 'tumor' has no fit row")


def test_a_fold_without_a_class_on_its_fit_rows(place, refused):
    fold = pl.when(pl.col("label") == "tumor").then(1).otherwise(pl.int_range(pl.len()) % 2 * 2)
    place.edit(place.samples, lambda t: t.drop("split").with_columns(fold=fold))
    refused(place.samples, "column 'label'", "the class 'tumor' has no fit row", "fold 1")


def test_a_patient_in_two_roles(place, refused):
    patient = (
        pl.when(pl.col("sample_id").is_in(["s004", "s040"]))
        .then(pl.lit("P-17"))
        .otherwise(pl.col("sample_id"))
    )
    place.edit(place.samples, lambda t: t.with_columns(patient_id=patient))
    refused(place.samples, "patient 'P-17'", "both split 'fit' and 'test'")


def test_a_patient_in_two_folds(place, refused):
    patient = (
        pl.when(pl.col("sample_id").is_in(["s004", "s041"]))
        .then(pl.lit("P-17"))
        .otherwise(pl.col("sample_id"))
    )
    fold = pl.int_range(pl.len()) % 2
    place.edit(place.samples, lambda t: t.drop("split").with_columns(patient_id=patient, fold=fold))
    refused(
        place.samples,
        "column 'fold'",
        "patient 'P-17'",
        "both fold '0' and '1'",
        "must stay in one",
    )


@pytest.fixture
def trained(place):
    """The fit rows are rows that the experts were trained on."""
    place.edit(place.samples, lambda t: t.with_columns(pl.col("split").replace("fit", "train")))


@pytest.mark.usefixtures("trained")
def test_only_train_rows(place, refused):
    refused(
        place.samples,
        "column 'split'",
        "no row has the role 'fit'",
        "30 'train' rows",
        "--allow-in-sample",
    )


@pytest.mark.usefixtures("trained")
def test_train_rows_are_used_when_asked_and_the_run_warns(accepted):
    out, err = accepted("--allow-in-sample")
    said = [line for line in err.splitlines() if not PROGRESS.fullmatch(line)]
    manifest = json.loads((out / "manifest.json").read_text())
    assert [f"pathfuse: warning: {w}" for w in manifest["warnings"]] == said
    (warning,) = [line for line in said if "trained on" in line]
    assert "30 'train' rows that the experts were trained on" in warning
    assert manifest["rows"]["fit"] == 30


@pytest.mark.slow
def test_train_rows_are_left_out_without_a_word_beside_fit_rows(place, accepted):
    first_six = (
        pl.when(pl.col("sample_id") < "s006").then(pl.lit("train")).otherwise(pl.col("split"))
    )
    place.edit(place.samples, lambda t: t.with_columns(first_six.alias("split")))
    out, err = accepted()
    assert "train" not in err.replace("training", "")
    manifest = json.loads((out / "manifest.json").read_text())
    assert not [w for w in manifest["warnings"] if "train" in w]
    assert manifest["rows"]["fit"] == 24
    assert [(item["n"], item["first"][0]) for item in manifest["left_out"]] == [(6, "s000")]


# Files

BOTH = pytest.mark.parametrize("which", ["samples", "expert"])


@BOTH
def test_a_missing_file(place, refused, which):
    getattr(place, which).rename(place.folder / "elsewhere.csv")
    options = {"predictions": [place.expert, place.other]}
    refused(
        getattr(place, which), "No such file" if which == "samples" else "does not exist", **options
    )


@BOTH
def test_an_empty_file(place, refused, which):
    getattr(place, which).write_bytes(b"")
    refused(getattr(place, which), "is empty")


@BOTH
def test_a_file_with_a_header_only(place, refused, which):
    file = getattr(place, which)
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    refused(file, "has no row")


@BOTH
def test_a_file_cut_in_the_middle_of_a_row(place, refused, which):
    file = getattr(place, which)
    text = file.read_text()
    file.write_text(text[: text.rindex("s049") + 6])  # "s049," and one character
    refused(file, "is cut off", "'s049,")


@BOTH
def test_a_file_cut_inside_a_quote(place, refused, which):
    file = getattr(place, which)
    file.write_text(file.read_text() + '"s0')
    refused(file, "is cut off inside a quoted value")


@BOTH
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_parquet(place, refused, which, kept):
    file = place.to_parquet(getattr(place, which))
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    options = {"samples": file} if which == "samples" else {}
    refused(file, "is not a complete Parquet file", **options)


@BOTH
def test_an_empty_parquet(place, refused, which):
    file = getattr(place, which).with_suffix(".parquet")
    getattr(place, which).unlink()
    file.write_bytes(b"")
    refused(file, "is empty", **({"samples": file} if which == "samples" else {}))


@BOTH
def test_a_file_in_two_encodings(place, refused, which):
    file = getattr(place, which)
    text = file.read_text().replace("s003", "größe").encode()
    file.write_bytes(text.replace(b"s004", "größe".encode("latin-1")))
    refused(file, "line 6", "mixes UTF-8 with another encoding")


def test_another_format(place, refused):
    place.samples.rename(place.folder / "samples.xls")
    refused(
        place.folder / "samples.xls",
        "a spreadsheet of the old kind",
        samples=place.folder / "samples.xls",
    )


def test_an_empty_folder(place, refused):
    (place.folder / "nothing").mkdir()
    refused(place.folder / "nothing", "holds no table", predictions=[place.folder / "nothing"])


# Experts


def test_two_experts_of_one_name_in_a_folder(place, refused):
    pl.read_csv(place.expert).write_parquet(place.expert.with_suffix(".parquet"))
    refused(
        "two experts have the name 'expert_0'", place.expert, place.expert.with_suffix(".parquet")
    )


def test_two_experts_of_one_name_in_two_folders(place, refused):
    (place.folder / "more").mkdir()
    twin = place.folder / "more" / "expert_1.csv"
    twin.write_bytes(place.other.read_bytes())
    parts = ("two experts have the name 'expert_1'", place.other, twin)
    refused(*parts, predictions=[place.predictions, place.folder / "more"])


@pytest.mark.parametrize("name", ["fused", "logitprod", "best_expert", "mean_probability"])
def test_an_expert_named_like_a_method(place, refused, name):
    file = place.expert.rename(place.predictions / f"{name}.csv")
    refused(file, f"'{name}' belongs to a method", "rename the expert")


# Label maps


def coarse(place: Place, text: str) -> Path:
    """Makes the first expert coarse, and writes its map."""
    place.edit(
        place.expert,
        lambda t: t.select(
            "sample_id", logit_benign=pl.col("logit_adipose"), logit_malignant=pl.col("logit_tumor")
        ),
    )
    file = place.folder / "map.csv"
    file.write_text("label,expert_label\n" + text)
    return file


@pytest.mark.slow
def test_a_label_map_that_fits(place, accepted):
    file = coarse(place, "adipose,benign\nstroma,benign\ntumor,malignant\n")
    out, _ = accepted("--label-map", f"expert_0={file}")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["experts"]["expert_0"]["label_map"] == {
        "adipose": "benign",
        "stroma": "benign",
        "tumor": "malignant",
    }
    assert str(file) in manifest["inputs"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "adipose,benign\nstroma,benign\ntumor,cancer\n",
            ("'tumor' to 'cancer'", "no column 'logit_cancer'"),
        ),
        (
            "adipose,benign\nstroma,benign\n",
            ("column 'logit_malignant'", "no label to 'malignant'"),
        ),
        ("adipose,benign\ntumour,malignant\n", ("'tumour'", "no sample", "adipose, stroma, tumor")),
    ],
)
def test_a_label_map_that_does_not_fit(place, refused, text, parts):
    file = coarse(place, text)
    refused(place.expert, *parts, args=("--label-map", f"expert_0={file}"))


def test_a_label_map_of_an_unknown_expert(place, refused):
    file = coarse(place, "adipose,benign\n")
    refused(
        "label map", "'expert_9'", "none of the experts", args=("--label-map", f"expert_9={file}")
    )


def test_a_label_map_that_is_no_map(place, refused):
    file = coarse(place, "adipose,benign\n")
    refused("--label-map", f"'{file}'", "EXPERT=map.csv", args=("--label-map", file))
    twice = ("--label-map", f"expert_0={file}", "--label-map", f"expert_0={file}")
    refused("--label-map", "'expert_0' two maps", args=twice)
    file.write_text("label,expert\nadipose,benign\n")
    refused(file, "no column 'expert_label'", args=("--label-map", f"expert_0={file}"))
    file.unlink()
    refused(file, "No such file", args=("--label-map", f"expert_0={file}"))


# The output


@pytest.mark.slow
def test_an_existing_output(place, refused, accepted):
    accepted()
    refused(place.out, "exists already", "--force")
    accepted("--force")
    assert (place.out / "metrics.csv").exists()
    (place.out / "precious.txt").write_text("do not touch")
    refused(place.out, "it holds precious.txt, which pathfuse did not write", args=("--force",))
    assert [p.name for p in place.out.parent.iterdir()] == ["out"]


def test_force_with_bad_input_keeps_the_old_output(place, refused, accepted):
    accepted()
    place.set(place.expert, "s004", "logit_stroma", "nan")
    refused(place.expert, "s004", args=("--force",))


def test_an_output_that_holds_the_inputs(place, refused):
    refused(place.folder, "cannot be overwritten", "it holds", out=place.folder, args=("--force",))


def test_an_output_below_a_file(place, refused):
    refused(
        "the output",
        place.expert / "out",
        "cannot be written",
        "is a file",
        out=place.expert / "out",
    )


def test_an_output_without_permission(place, refused):
    out = Path("/proc/pathfuse/out")  # takes no folder, not even from root
    refused("the output", out, "cannot be written", out=out)


def test_an_output_that_becomes_unwritable_while_the_run_computes(place, refused, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused("the output", place.out, "cannot be written", "Read-only file system")


# Options


def test_an_unknown_method(refused):
    refused("method 'magic' is unknown", "logitprod", args=("--method", "magic"))


def test_an_unknown_option(refused):
    refused("--metod", args=("--metod", "auto"))


def test_an_option_of_the_wrong_kind(refused):
    refused("--seed", "many", args=("--seed", "many"))


def test_an_unknown_unit(refused):
    refused("unit 'slide' is unknown", "sample or patient", args=("--unit", "slide"))


def test_an_unknown_endpoint(refused):
    refused("endpoint 'colour' is unknown", "multiclass", args=("--endpoint", "colour"))


@pytest.mark.parametrize(
    ("option", "value"),
    [("--seed", "-1"), ("--seed", "4294967296"), ("--resamples", "-1"), ("--jobs", "0")],
)
def test_a_number_out_of_range(refused, option, value):
    refused(option.removeprefix("--"), value, args=(option, value))


def test_an_unknown_interval(refused):
    refused("interval 'foo' is unknown", "percentile or bca", args=("--interval", "foo"))


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf"])
def test_a_margin_that_is_none(refused, margin):
    refused("--margin", "must be above 0", margin, args=("--margin", margin))


def test_a_margin_that_is_no_number(refused):
    refused("--margin", "small", args=("--margin", "small"))


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--interval", "foo", "interval 'foo' is unknown"),
        ("--margin", "0", "--margin must be above 0, not 0"),
    ],
)
def test_intervals_and_margins_of_evaluate(place, run_cli, option, value, sentence):
    given = ("--samples", place.samples, "--predictions", place.predictions, "--out", place.out)
    status, out, err = run_cli("evaluate", *given, "--resamples", 120, option, value)
    assert (status, out) == (2, "")
    assert sentence in err.splitlines()[-1]
    assert not place.out.exists()


def test_an_unknown_unit_of_evaluate(place, run_cli):
    given = ("--samples", place.samples, "--predictions", place.predictions, "--out", place.out)
    status, out, err = run_cli("evaluate", *given, "--resamples", 120, "--unit", "slide")
    assert (status, out) == (2, "")
    assert "unit 'slide' is unknown" in err.splitlines()[-1]
    assert not place.out.exists()


@pytest.mark.parametrize("missing", ["--samples", "--predictions", "--out"])
def test_a_missing_option(place, run_cli, missing):
    given = {"--samples": place.samples, "--predictions": place.predictions, "--out": place.out}
    del given[missing]
    status, out, err = run_cli("fuse", *(word for pair in given.items() for word in pair))
    assert (status, out) == (2, "")
    assert err.startswith("pathfuse: ")
    assert missing in err
    assert err.count("\n") == 1


def test_an_unknown_command(run_cli):
    status, out, err = run_cli("fuze")
    assert (status, out) == (2, "")
    assert err.startswith("pathfuse: ")
    assert "fuze" in err
    assert err.count("\n") == 1
