"""Which part of a name identifies, and what is proposed where names do not meet."""

import pytest

from pathfuse.errors import InputError
from pathfuse.files.names import ID_PATTERNS, shortened


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
