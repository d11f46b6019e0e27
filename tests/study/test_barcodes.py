import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.barcodes import cases_of
from pathfuse.study.samples import read_samples

ONE, TWO = "TCGA-AA-0001-01Z-00-DX1", "TCGA-AA-0001-01Z-00-DX2"
CURE = "add a column patient_id with the case, such as TCGA-AA-0001 (the first 12 characters)"


def samples(**columns):
    return read_samples(Table("samples.csv", pl.DataFrame(columns)))


@pytest.mark.parametrize(
    ("name", "case"),
    [
        (ONE, "TCGA-AA-0001"),
        ("tcga-a1-a0sk-DX1_x1_y2", "TCGA-A1-A0SK"),
        ("TCGA-AA-0001", "TCGA-AA-0001"),
        ("TCGA-AA-00012", None),
        ("TCGA-LUAD-tile7", None),
        ("C3L-00001-21", "C3L-00001"),
        ("C3N-01234", "C3N-01234"),
        ("11BR047-ab12", "11BR047"),
        ("GTEX-1117F-0226", "GTEX-1117F"),
        ("TARGET-20-PABLDZ-03A", "TARGET-20-PABLDZ"),
        ("HTA9_1_36", "HTA9_1"),
        ("patient_017_node_2", "PATIENT_017"),
        ("slide_7", None),
        (None, None),
    ],
)
def test_the_case_in_a_barcode(name, case):
    assert cases_of(pl.Series([name], dtype=pl.String))["case"].to_list() == [case]


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        ({"split": ["fit", "test"]}, ("fit", "test")),
        ({"split": ["train", "test"]}, ("train", "test")),
        ({"fold": [0, 1]}, ("fold 0", "fold 1")),
    ],
)
def test_two_slides_of_one_case_in_two_parts_are_refused_with_the_cure(columns, parts):
    with pytest.raises(InputError) as caught:
        samples(sample_id=[ONE, TWO], **columns)
    assert str(caught.value) == (
        f"samples.csv: the samples '{ONE}' ({parts[0]}) and '{TWO}' ({parts[1]}) are of one TCGA case but count as "
        f"two patients; {CURE}"
    )


@pytest.mark.parametrize(
    "patients", [[None, "TCGA-AA-0001"], [ONE, TWO], ["TCGA-AA-0001", None], ["p", None]]
)
def test_a_patient_column_that_does_not_join_them_does_not_help(patients):
    with pytest.raises(
        InputError, match="write the case into the column patient_id of every sample, such as TCGA"
    ):
        samples(sample_id=[ONE, TWO], patient_id=patients, split=["fit", "test"])


def test_patients_that_a_person_named_are_believed():
    assert (
        samples(sample_id=[ONE, TWO], patient_id=["p", "q"], split=["fit", "test"]).warnings == []
    )
    with pytest.raises(
        InputError, match="patient 'TCGA-AA-0001' is in both split 'fit' and 'test'"
    ):
        samples(sample_id=[ONE, TWO], patient_id=["TCGA-AA-0001"] * 2, split=["fit", "test"])
    assert (
        samples(
            sample_id=[ONE, TWO], patient_id=["TCGA-AA-0001"] * 2, split=["fit", "fit"]
        ).warnings
        == []
    )


def test_two_slides_of_one_case_in_one_part_are_a_warning():
    read = samples(sample_id=[TWO, "TCGA-BB-0001-01Z", ONE], split=["fit", "test", "fit"])
    (warning,) = read.warnings
    assert warning == (
        f"samples.csv: 2 samples are of one case, TCGA-AA-0001 ('{ONE}' and '{TWO}'), but each counts as a patient of "
        f"its own, so intervals are too narrow; {CURE}"
    )
    assert samples(sample_id=[ONE, "TCGA-BB-0001-01Z"], split=["fit", "test"]).warnings == []


def test_the_pair_that_is_apart_is_shown_before_one_that_is_not():
    with pytest.raises(InputError, match=r"'TCGA-BB-0001-1' \(fit\) and 'TCGA-BB-0001-2' \(test\)"):
        samples(
            sample_id=[ONE, TWO, "TCGA-BB-0001-1", "TCGA-BB-0001-2"],
            split=["fit", "fit", "fit", "test"],
        )


def test_dashes_written_as_underscores_are_dashes():
    names = pl.Series(
        ["TCGA_AA_1000_01Z_00_DX1", "tcga.AA.1000.01Z", "C3L_00001_21", "slide_1", "TCGA-AA-1000_x"]
    )
    assert cases_of(names)["case"].to_list() == [
        "TCGA-AA-1000",
        "TCGA-AA-1000",
        "C3L-00001",
        None,
        "TCGA-AA-1000",
    ]
