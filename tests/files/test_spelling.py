import sys

import numpy as np
import pytest

from pathfuse.endpoints.columns import Columns
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.errors import InputError
from pathfuse.files.spelling import BLANKS, respelled, two_spellings


def test_every_white_space_of_unicode_is_a_blank():
    assert [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace() and c not in BLANKS] == []


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["P1", "p2", "p1"], ("P1", "p1")),
        (["1", "2", "1.0"], ("1", "1.0")),
        (["7", "007"], ("007", "7")),
        (["0", "00", None], ("0", "00")),
        (["Mu\u0308ller", "M\u00fcller"], ("Mu\u0308ller", "M\u00fcller")),
        (["a", "a", None, None], None),
        (["1.5", "1.50", "x1", "x1.0", "1e3", "1000"], None),
        ([None], None),
    ],
)
def test_what_is_one_name_written_twice(names, pair):
    assert two_spellings(names) == pair


def test_the_spelling_of_others():
    assert respelled(["q", "p2", "p1"], ["P1", "P2"]) == ("p2", "P2")
    assert respelled(["q"], ["P1"]) is None
    assert respelled(["P1"], ["P1"]) is None


def test_classes_are_spelled_in_one_way():
    with pytest.raises(
        InputError,
        match=r"s.csv, column 'label': 'Tumor' and 'tumor' are two spellings of one name",
    ):
        Multiclass.from_columns(
            Columns("s.csv", ["a", "b"], {"label": np.array(["Tumor", "tumor"], dtype=object)})
        )
