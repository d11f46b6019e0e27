"""The figures of a folder."""

from pathfuse.features.folder import open_folder
from pathfuse.features.inspect import describe


def test_describe(folder, write_h5, bag):
    write_h5(folder / "s3.h5", bag(4, dtype="float16"))
    write_h5(folder / "s4.h5", bag(0))
    said = describe(open_folder(folder)).as_dict()
    broken = said.pop("broken")
    assert said == {
        "source": str(folder), "format": "h5", "granularity": "tile", "encoder": None, "dim": 4,
        "dtypes": ["float16", "float32"], "n_slides": 4, "n_tiles": 14, "min_tiles": 2, "median_tiles": 3.5,
        "max_tiles": 5, "n_with_coords": 3, "notes": [],
    }  # fmt: skip
    assert broken == [
        {
            "name": "s4",
            "path": str(folder / "s4.h5"),
            "reason": "the bag is empty: its features have the shape (0, 4)",
        }
    ]
