"""Where QuPath's image of a slide begins: given for all, in a table, or by the feature file."""

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.experts.origin import parse_origin
from pathfuse.features.formats.base import Coords

SAYS = Coords(np.zeros((1, 2)), "px", 256.0, (7.0, 8.0))
SILENT = Coords(np.zeros((1, 2)), "px", 256.0)


def test_what_is_given_goes_before_what_the_file_says(tmp_path):
    table = tmp_path / "origins.csv"
    table.write_text("slide_id,x,y\ns1.mrxs,512,0\n")
    assert parse_origin(None).of("s1", SAYS) == (7.0, 8.0)
    assert parse_origin(None).of("s1", SILENT) is None
    assert parse_origin("1,2.5").of("s1", SAYS) == (1.0, 2.5)
    given = parse_origin(str(table))
    assert given.of("s1", SAYS) == (512.0, 0.0)
    assert (given.of("s2", SAYS), given.of("s2", None)) == ((7.0, 8.0), None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("slide_id,x\ns1,1\n", "has no column 'y'"),
        ("slide_id,x,y\ns1,1,2\ns1.svs,1,2\n", "'s1' occurs twice"),
        ("slide_id,x,y\n,1,2\n", "a row is empty"),
        ("slide_id,x,y\ns1,left,2\n", "'left' is not a number"),
    ],
)
def test_wrong_tables(tmp_path, text, complaint):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(InputError, match=complaint):
        parse_origin(str(tmp_path / "o.csv"))


@pytest.mark.parametrize("text", ["5", "1,2,3", "a,b", "gone.csv", "nan,1"])
def test_no_place(text):
    with pytest.raises(InputError, match=f"--origin {text}"):
        parse_origin(text)
