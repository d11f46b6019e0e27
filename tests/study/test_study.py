import gzip
import hashlib

import numpy as np
import openpyxl
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.study.reading import Reading
from pathfuse.study.study import align, read_study

SAMPLES = pl.DataFrame(
    {
        "sample_id": ["c", "a", "b", "d"],
        "split": ["test", "fit", "fit", "fit"],
        "label": ["y", "x", "y", "y"],
    }
)
UNI = pl.DataFrame(
    {"sample_id": ["d", "a", "c"], "prob_y": [0.9, 0.2, 0.6], "prob_x": [0.1, 0.8, 0.4]}
)
TITAN = pl.DataFrame(
    {"sample_id": ["b", "a", "c", "d"], "logit_x": [0.0, 1.0, 2.0, 3.0], "logit_y": [0.0] * 4}
)
EXPERTS = {"uni": UNI, "titan": TITAN}


def test_everything_is_aligned_by_name():
    study = read_study(SAMPLES, EXPERTS)
    assert study.samples.ids.tolist() == ["a", "b", "c", "d"]
    assert study.expert_names == ("titan", "uni")
    assert study.endpoint.outcomes == ("x", "y")
    assert study.truth["all"].observed[:, 1].tolist() == [False, True, True, True]
    prob = np.exp(study.logits("all", np.array([0.5, 0.5])))
    odds = 1 / (1 + np.exp(-np.arange(4.0)))
    np.testing.assert_allclose(prob[[1, 0, 2, 3], 0, 0], odds, rtol=1e-12)  # titan, rows a, b, c, d
    np.testing.assert_allclose(prob[[0, 2, 3], 1], [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]], rtol=1e-12)


def test_what_an_expert_did_not_score_is_missing_and_shifts_nothing():
    study = read_study(SAMPLES, EXPERTS)
    absent = np.isnan(study.logits("all", np.array([0.5, 0.5]))).all(axis=2)
    assert absent.tolist() == [[False, False], [False, True], [False, False], [False, False]]
    assert study.n_scored().tolist() == [2, 1, 2, 2]


def test_frequencies_are_those_of_the_rows_asked_for():
    study = read_study(SAMPLES, EXPERTS)
    np.testing.assert_allclose(study.frequency("all", np.array([0, 1, 3])), [1 / 3, 2 / 3])
    np.testing.assert_allclose(study.frequency("all", np.array([1, 3])), [0, 1])


def test_shuffled_rows_and_columns_give_the_same_study():
    rng = np.random.default_rng(0)

    def shuffled(frame):
        return frame[rng.permutation(frame.height).tolist()].select(
            rng.permutation(frame.columns).tolist()
        )

    one = read_study(SAMPLES, EXPERTS)
    other = read_study(
        shuffled(SAMPLES), {name: shuffled(EXPERTS[name]) for name in reversed(EXPERTS)}
    )
    frequency = np.array([0.3, 0.7])
    assert np.array_equal(
        one.logits("all", frequency), other.logits("all", frequency), equal_nan=True
    )
    assert np.array_equal(one.truth["all"].observed, other.truth["all"].observed)
    assert one.expert_names == other.expert_names


def test_align_leaves_out_rows_that_nobody_asked_for():
    study = read_study(SAMPLES, EXPERTS)
    frequency = np.array([0.5, 0.5])
    few = align(study.experts, ["d", "z", "a"], "all", frequency)
    everything = study.logits("all", frequency)
    assert np.array_equal(few[[0, 2]], everything[[3, 0]])
    assert np.isnan(few[1]).all()


def test_a_coarse_expert_is_spread_by_the_frequencies():
    coarse = pl.DataFrame({"sample_id": ["a", "b"], "prob_one": [0.5, 0.5], "prob_two": [0.5, 0.5]})
    samples = SAMPLES.with_columns(label=pl.Series(["x", "x", "y", "z"]))
    fine = pl.DataFrame(
        {
            "sample_id": ["c", "d"],
            **{f"prob_{c}": [p, p] for c, p in zip("xyz", (0.2, 0.3, 0.5), strict=True)},
        }
    )
    study = read_study(
        samples, {"coarse": coarse, "fine": fine}, {"coarse": {"x": "one", "y": "one", "z": "two"}}
    )
    prob = np.exp(study.logits("all", np.array([0.5, 0.25, 0.25])))
    np.testing.assert_allclose(prob[0, 0], [0.5 * 2 / 3, 0.5 / 3, 0.5], rtol=1e-12)
    np.testing.assert_allclose(prob[2, 1], [0.2, 0.3, 0.5], rtol=1e-12)


def test_the_inputs_are_all_hashed(tmp_path):
    SAMPLES.write_csv(tmp_path / "samples.csv")
    coarse = UNI.rename({"prob_x": "prob_one", "prob_y": "prob_two"})
    coarse.write_parquet(tmp_path / "uni.parquet")
    (tmp_path / "map.csv").write_text("label,expert_label\nx,one\ny,two\n")
    files = [tmp_path / name for name in ("samples.csv", "uni.parquet", "map.csv")]
    study = read_study(str(files[0]), [files[1]], {"uni": files[2]})
    assert study.inputs == {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def test_files_of_every_kind_make_one_study(tmp_path):
    folder = tmp_path / "predictions"
    folder.mkdir()
    book = openpyxl.Workbook()
    for row in (SAMPLES.columns, *SAMPLES.rows()):
        book.active.append(row)
    book.save(tmp_path / "samples.xlsx")
    excel = UNI.write_csv(separator=";").replace(".", ",")
    (folder / "uni.v1.csv").write_bytes(excel.encode("utf-16"))
    (folder / "titan.tsv.gz").write_bytes(gzip.compress(TITAN.write_csv(separator="\t").encode()))
    (folder / "README.txt").write_text("Made by hand.\n")
    study = read_study(tmp_path / "samples.xlsx", folder)
    plain = read_study(SAMPLES, {"uni.v1": UNI, "titan": TITAN})
    assert study.expert_names == plain.expert_names == ("titan", "uni.v1")
    priors = np.array([0.5, 0.5])
    np.testing.assert_array_equal(study.logits("all", priors), plain.logits("all", priors))


def test_frames_have_no_hash():
    assert set(read_study(SAMPLES, EXPERTS).inputs.values()) == {None}


@pytest.mark.parametrize(
    ("experts", "options", "what"),
    [
        ({}, {}, "no predictions were given"),
        (
            {"uni": UNI.with_columns(sample_id=pl.Series(["a", "e", "c"]))},
            {"reading": Reading(strict=True)},
            "'uni': predicted samples that are not in samples: 'e'; without --strict",
        ),
        (
            {"uni": UNI.with_columns(sample_id=pl.Series(["a", "e", "f"]))},
            {},
            "'uni': 2 of 3 predictions would be left out",
        ),
        (
            {"uni": UNI.with_columns(sample_id=pl.Series(["q", "r", "s"]))},
            {},
            "'uni': none of its 3 samples is in samples",
        ),
        (
            {
                "uni": UNI.with_columns(
                    sample_id=pl.Series(["q", "r", "s"]), patient_id=pl.Series(["a", "a", "b"])
                )
            },
            {},
            r"samples are their patients: give a samples table with one row per slide \(patient_id, slide_id",
        ),
        (EXPERTS, {"label_maps": {"gigapath": {"x": "x"}}}, "a label map was given for 'gigapath'"),
        (EXPERTS, {"endpoint": "astrology"}, "endpoint 'astrology' is unknown"),
    ],
)
def test_what_does_not_fit_together(experts, options, what):
    with pytest.raises(InputError, match=what):
        read_study(SAMPLES, experts, **options)


def test_edges_for_a_table_with_labels_and_a_follow_up_name_the_endpoint():
    both = SAMPLES.with_columns(OS_MONTHS=pl.lit("3"), OS_STATUS=pl.lit("1:DECEASED"))
    with pytest.raises(
        InputError, match="endpoint 'multiclass'; --endpoint survival takes the follow"
    ):
        read_study(both, EXPERTS, time_edges=[0, 12])
    with pytest.raises(InputError, match=r"endpoint 'multiclass'$"):
        read_study(SAMPLES, EXPERTS, time_edges=[0, 12])


def test_a_column_that_is_named_must_be_in_one_of_the_tables():
    own = SAMPLES.rename({"sample_id": "Fallnummer"})
    reading = Reading(columns={"sample": "Fallnummer"})
    assert read_study(own, EXPERTS, reading=reading).samples.ids.tolist() == ["a", "b", "c", "d"]
    theirs = {"uni": UNI.rename({"sample_id": "Fallnummer"}), "titan": TITAN}
    assert read_study(SAMPLES, theirs, reading=reading).n_scored().tolist() == [2, 1, 2, 2]
    with pytest.raises(InputError, match="--columns sample=Fallnummer: samples has no column"):
        read_study(SAMPLES, EXPERTS, reading=reading)
    with pytest.raises(InputError, match="--columns sample=NAME says which one names the samples"):
        read_study(own, EXPERTS)


@pytest.mark.parametrize("name", ["sample_id", None, "slide", "ours"])
def test_the_index_of_a_pandas_frame_names_the_samples(name):
    pd = pytest.importorskip("pandas")
    index = pd.Index(["d", "a", "c"], name=name)
    uni = pd.DataFrame({"x": [0.1, 0.8, 0.4], "y": [0.9, 0.2, 0.6]}, index=index)
    study = read_study(SAMPLES, {"uni": uni, "titan": TITAN})
    assert study.n_scored().tolist() == [2, 1, 2, 2]
    said = any("is taken as sample_id" in note for note in study.understood)
    assert said == (name != "sample_id")


@pytest.mark.parametrize("index", [[0, 1], [4, 2], [7.0, 1.5]])
def test_an_index_of_numbers_without_a_name_is_nothing(index):
    pd = pytest.importorskip("pandas")
    uni = pd.DataFrame({"x": [0.1, 0.8], "y": [0.9, 0.2]}, index=index)
    with pytest.raises(InputError, match="has no column 'sample_id'"):
        read_study(SAMPLES, {"uni": uni, "titan": TITAN})


@pytest.mark.parametrize(
    "names", [("p0", "p1"), ("prob0", "prob1"), ("class_0", "class_1"), ("prob_1", "prob_2")]
)
def test_numbered_columns_with_their_classes(names):
    uni = UNI.rename({"prob_x": names[0], "prob_y": names[1]})
    study = read_study(SAMPLES, {"uni": uni}, reading=Reading(classes="x,y"))
    prob = np.exp(study.logits("all", np.array([0.5, 0.5])))
    np.testing.assert_allclose(prob[0, 0], [0.8, 0.2], rtol=1e-12)
    with pytest.raises(InputError, match=r"--classes A,B,\.\.\."):
        read_study(SAMPLES, {"uni": uni})


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 1, 1, 0], ("prob_False", "prob_True")),
        ([False, True, True, False], ("prob_0", "prob_1")),
        ([False, True, True, False], ("False", "True")),
    ],
)
def test_truth_values_and_numbers_are_the_same_classes(labels, names):
    samples = SAMPLES.with_columns(pl.Series("label", labels))
    study = read_study(samples, {"uni": UNI.rename({"prob_x": names[0], "prob_y": names[1]})})
    prob = np.exp(study.logits("all", np.array([0.5, 0.5])))
    np.testing.assert_allclose(prob[0, 0], [0.8, 0.2], rtol=1e-12)
