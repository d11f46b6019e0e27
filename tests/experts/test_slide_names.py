"""Feature files whose names are not, to the letter, those of the samples."""

import json

import numpy as np
import polars as pl
import pytest

from pathfuse.cli.experts import in_words
from pathfuse.errors import InputError
from pathfuse.experts.cohort import join, read_people
from pathfuse.experts.parts import ExpertSetup, prepare
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.features.folder import open_folder
from pathfuse.features.join import open_bank
from pathfuse.study.reading import Reading

h5py = pytest.importorskip("h5py")
MEAN = TrainingRecipe.of("pooled_linear", folds=2)
N = 6
SHORT = [f"TCGA-A1-{1000 + n}-01Z-00-DX1" for n in range(N)]
LONG = [f"{name}.{n:08X}" for n, name in enumerate(SHORT)]


def write_features(place, names):
    place.mkdir(parents=True)
    for n, name in enumerate(names):
        with h5py.File(place / f"{name}.h5", "w") as file:
            file["features"] = np.random.default_rng(n).normal(size=(3, 4)).astype("f4")
            file["coords"] = np.array([[0, 0], [256, 0], [512, 0]])
    return place


def write_samples(place, names, **columns):
    labels = ["a", "b"] * len(names)
    frame = pl.DataFrame({"sample_id": names, "label": labels[: len(names)], **columns})
    frame.write_csv(place / "samples.csv")
    return place / "samples.csv"


def joined(place, names, files, slides=None, reading=None):
    features = write_features(place / "uni", files)
    people = read_people(
        write_samples(place, names),
        slides,
        None,
        None,
        reading if reading is not None else Reading(),
    )
    return join(people, open_folder(features), MEAN)


def units(cohort):
    return [(str(cohort.people.samples.ids[u.sample]), u.slides) for u in cohort.units]


@pytest.mark.parametrize("reading", [Reading(id_pattern="tcga-slide"), Reading(id_length=23)])
@pytest.mark.parametrize("names", [SHORT, LONG])
def test_a_pattern_finds_samples_in_names_of_files(tmp_path, names, reading):
    cohort = joined(tmp_path, names, [*LONG, "control"], reading=reading)
    assert units(cohort) == [(s, (f,)) for s, f in zip(SHORT, LONG, strict=True)]
    assert [line["first"] for line in cohort.left_out] == [["control"]]
    assert f"'{LONG[0]}' is of the sample '{SHORT[0]}'" in cohort.people.notes[-1]


def test_a_pattern_of_cases_gives_a_case_its_slides(tmp_path):
    files = [*LONG, LONG[0].replace("DX1", "DX2")]
    cases = [name[:12] for name in SHORT]
    cohort = joined(tmp_path, cases, files, reading=Reading(id_pattern="tcga-case"))
    assert units(cohort)[0] == (cases[0], (LONG[0], LONG[0].replace("DX1", "DX2")))
    assert not cohort.left_out
    assert cohort.people.notes[-1].endswith("; samples with several slides: 1")


@pytest.mark.parametrize(
    ("names", "option"),
    [(SHORT, "tcga-slide"), ([name[:12] for name in SHORT], "tcga-case")],
)
def test_the_option_that_would_help_is_named(tmp_path, names, option):
    with pytest.raises(InputError, match=f"6 of 6 would have features with --id-pattern {option}"):
        joined(tmp_path, names, LONG)


def test_encoders_that_call_a_slide_differently_are_refused_under_a_pattern(tmp_path):
    folders = {
        "uni": write_features(tmp_path / "uni", [*LONG, "shared"]),
        "conch": write_features(tmp_path / "conch", [*SHORT, "shared"]),
    }
    reading = Reading(id_pattern="tcga-slide")
    people = read_people(write_samples(tmp_path, SHORT), None, None, None, reading)
    with pytest.raises(InputError, match=r"'conch' calls a slide of .*: give them one name"):
        join(people, open_bank(folders), TrainingRecipe.of("abmil"))


@pytest.mark.parametrize(
    ("sample", "file"),
    [("90", "090"), ("090", "90"), ("90.0", "90"), ("P1-5", "P01-5"), ("s1", "S1")],
)
def test_a_file_that_is_spelled_otherwise_is_refused(tmp_path, sample, file):
    says = (
        f"no features are called '{sample}' as in .*it is '{file}' there that stands for '{sample}'"
    )
    with pytest.raises(InputError, match=says):
        joined(tmp_path, [sample, "x"], [file, "x"])


def test_files_that_are_spelled_otherwise_than_the_slide_table_are_refused(tmp_path):
    pl.DataFrame({"PATIENT": ["p", "q"], "FILENAME": ["90", "100"]}).write_csv(
        tmp_path / "slides.csv"
    )
    with pytest.raises(InputError, match="it is '090' there that stands for '90'"):
        joined(tmp_path, ["p", "q"], ["090", "100"], slides=tmp_path / "slides.csv")


def test_files_of_two_encoders_that_are_spelled_otherwise_are_refused(tmp_path):
    folders = {
        "uni": write_features(tmp_path / "uni", ["090", "100"]),
        "conch": write_features(tmp_path / "conch", ["90", "100"]),
    }
    with pytest.raises(
        InputError, match="name slides otherwise; it is '090' there that stands for"
    ):
        open_bank(folders)


def test_files_counted_from_another_number_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"numbered 0 to 3, and those of .* 1 to 4"):
        joined(tmp_path, ["1", "2", "3", "4"], ["0", "1", "2", "3"])


def vectors(place, column, names):
    frame = pl.DataFrame({column: names, "d0": np.arange(len(names)) * 1.0, "d1": 1.0})
    frame.write_csv(place / "titan.csv")
    return open_folder(place / "titan.csv")


def test_vectors_of_patients_that_are_named_like_samples_are_refused(tmp_path):
    names = ["1", "2", "3", "4"]
    samples = write_samples(tmp_path, names, case_id=names[::-1])
    people = read_people(samples, None, None, None)
    recipe = TrainingRecipe.of("tile_mlp")
    with pytest.raises(
        InputError, match=r"4 are samples there and 4 are patients .*one row for each"
    ):
        join(people, vectors(tmp_path, "case_id", names), recipe)
    assert len(join(people, vectors(tmp_path, "slide_id", names), recipe).units) == 4


def test_a_slide_table_of_patients_is_joined_to_their_samples(tmp_path):
    names = ["1", "2", "3", "4"]
    samples = write_samples(tmp_path, names, case_id=names[::-1])
    slides = tmp_path / "slides.csv"
    pl.DataFrame({"case_id": names, "slide_id": list("abcd")}).write_csv(slides)
    people = read_people(samples, slides, None, None)
    assert people.slides == {"4": ("a",), "3": ("b",), "2": ("c",), "1": ("d",)}
    lost = write_samples(tmp_path, names, case_id=["04", "03", "02", "01"])
    with pytest.raises(InputError, match=r"a patient is spelled otherwise in .*it is '01' there"):
        read_people(lost, slides, None, None)
    samples = write_samples(tmp_path, names, case_id=["1", "1", "2", "3"])
    with pytest.raises(InputError, match=r"the patient '1' has several samples in .* \('1', '2'\)"):
        read_people(samples, slides, None, None)


def test_what_is_stated_of_names_is_part_of_what_a_run_goes_on_with(tmp_path):
    features = write_features(tmp_path / "uni", LONG)
    samples = write_samples(tmp_path, LONG)
    stamps = [
        prepare(
            ExpertSetup("uni", features, samples, tmp_path / "out", MEAN, reading=reading)
        ).stamp
        for reading in (Reading(), Reading(id_length=23), Reading(id_length=24))
    ]
    assert len(set(stamps)) == 3


def test_samples_that_are_short_already_are_not_shortened_again(tmp_path):
    features = write_features(tmp_path / "uni", [f"P{n}_HE" for n in range(N)])
    samples = write_samples(tmp_path, [f"P{n}" for n in range(N)])
    names = Reading(id_pattern="^(P[0-9]+)_")
    expert = ExpertSetup("uni", features, samples, tmp_path / "out", MEAN, names=names)
    assert len(prepare(expert).cohort.units) == N


def test_what_is_left_out_is_said_with_and_without_patients():
    item = {"reason": "slide without a feature file", "n": 1, "first": ["s1"], "samples": 1}
    assert in_words(item) == "slide without a feature file: s1; 1 samples"
    assert (
        in_words({**item, "patients": 1})
        == "slide without a feature file: s1; 1 samples of 1 patients"
    )
    assert in_words({**item, "samples": 0}) == "slide without a feature file: s1"


def test_a_command_with_a_pattern_and_a_slide_without_features(tmp_path, run_cli):
    write_features(tmp_path / "uni", LONG)
    samples = write_samples(tmp_path, [*SHORT, "TCGA-A1-2000-01Z-00-DX1"])
    out = tmp_path / "out"
    args = ["experts", "train", "--features", tmp_path / "uni", "--samples", samples, "--out", out]
    args += [
        "--id-pattern",
        "tcga-slide",
        "--head",
        "pooled_linear",
        "--set",
        "folds=2",
        "--jobs",
        "1",
    ]
    status, text, err = run_cli(*args)
    assert (status, "warning" in err) == (0, False)
    assert "6 of 7 samples predicted" in text
    assert "Left out: 1 (slide without a feature file: TCGA-A1-2000-01Z-00-DX1; 1 samples)." in text
    predicted = pl.read_parquet(out / "predictions" / "uni.parquet")
    assert predicted["sample_id"].to_list() == SHORT
    assert "patients" not in json.loads((out / "manifest.json").read_text())["left_out"][0]
