"""Split files of segmentation, damaged or edited."""

import pytest

pytest.importorskip("timm")

from pathfuse.dense.data.split_files import read_split, write_split
from pathfuse.testing.tissue import make_split


@pytest.mark.slow
@pytest.mark.parametrize("name", ["split.json", "split.csv"])
def test_splits(name, attack, mutators, tmp_path):
    (tmp_path / "data").mkdir()
    split = make_split(tmp_path / "data", train=3, val=2, test=2)
    write_split(split, tmp_path / "data" / name)

    def mutate(folder, rng):
        mutators[name.partition(".")[2]](folder / name, rng)

    attack.run(tmp_path / "data", tmp_path, mutate, lambda folder: read_split(folder / name))
