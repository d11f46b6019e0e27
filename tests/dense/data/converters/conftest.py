"""Tiny data sets in the layout of the real ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.split_files import read_split


@pytest.fixture
def save(tmp_path):
    def _save(path: str, values, dtype=np.uint8) -> Path:
        file = tmp_path / "source" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(values, dtype=dtype)).save(file)
        return file

    return _save


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def check(tmp_path):
    """Converts, reads back, and gives masks by image_id."""

    def _check(name: str, seed: int = 0):
        from pathfuse.dense.data.converters.registry import convert

        out = tmp_path / f"out_{name}_{seed}"
        split = convert(name, tmp_path / "source", out, seed=seed)
        again = read_split(out)
        assert again == split
        masks = {item.image_id: read_item(item, again)[1] for item in again.items}
        return split, masks

    return _check


RGB = np.zeros((6, 8, 3), np.uint8) + 128
