"""Which part of a name identifies, and what is proposed where names do not meet."""

import pytest

from pathfuse.errors import InputError
from pathfuse.files.names import ID_PATTERNS, shortened, would_match


@pytest.mark.parametrize(
    ("name", "slide"),
    [
        ("TCGA-A6-2671-01Z-00-DX1.13ad46ec-3be9", "TCGA-A6-2671-01Z-00-DX1"),
        ("TCGA-A6-2671-01Z-00-DX10", "TCGA-A6-2671-01Z-00-DX10"),
        ("TCGA-A6-2671-01A-01-TS1.x", "TCGA-A6-2671-01A-01-TS1"),
        ("tcga-a6-2671-01A-BSB_0", "tcga-a6-2671-01A-BSB"),
        ("TCGA-A6-2671-01A-02-MS2", "TCGA-A6-2671-01A-02-MS2"),
    ],
)
def test_slides_of_tcga_fit_their_pattern(name, slide):
    assert shortened("t.csv", "sample_id", [name], ID_PATTERNS["tcga-slide"]) == [slide]


@pytest.mark.parametrize("name", ["TCGA-A6-2671", "TCGA-A6-2671-01Z-00", "TCGA-A6-2671-01Z-00-XX1"])
def test_what_is_not_a_slide_of_tcga_does_not(name):
    with pytest.raises(InputError, match=f"'{name}' does not fit the pattern"):
        shortened("t.csv", "sample_id", [name], ID_PATTERNS["tcga-slide"])


CASES = ["TCGA-A6-2671", "TCGA-A6-2672"]
DX = [f"{case}-01Z-00-DX1" for case in CASES]
TS = [f"{case}-01A-01-TS1" for case in CASES]
UUID = [f"{name}.13ad46ec" for name in DX]
SEVERAL = [*DX, "TCGA-A6-2671-01Z-00-DX2"]


@pytest.mark.parametrize(
    ("unknown", "known", "what"),
    [
        (UUID, DX, "2 of 2 would match with --id-pattern tcga-slide"),
        (UUID, CASES, "2 of 2 would match with --id-pattern tcga-case"),
        (CASES, DX, "2 of 2 would match with --id-pattern tcga-case"),
        (["C3L-00001-21"], ["C3L-00001"], "1 of 1 would match with --id-pattern cptac-case"),
        (SEVERAL, CASES, "predictions are of slides, several of a case, and the samples are cases"),
        (CASES, SEVERAL, "add a column patient_id to the samples, and say --unit patient"),
        (["D:\\s\\S0", "/data/S1"], ["S0", "S1"], r"without folders: --id-pattern '([^/\\]+)$'"),
        (["S0"], ["/a/S0", "/a/S1"], "1 of 1 would match without folders"),
    ],
)
def test_what_would_let_names_match_is_proposed(unknown, known, what):
    assert what in would_match(unknown, known)


@pytest.mark.parametrize(
    ("unknown", "known"),
    [
        (DX, TS),
        (["C3L-00001-21"], ["C3L-00001-22"]),
        ([*UUID, f"{DX[0]}.other"], DX),
        (["a/S0", "b/S0"], ["S0"]),
        (["S0"], ["T0"]),
    ],
)
def test_another_slide_is_never_proposed(unknown, known):
    assert would_match(unknown, known) == ""
