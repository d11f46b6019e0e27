"""The two real data sets; skipped where ../shared is absent."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.converters.registry import convert
from pathfuse.dense.data.images import read_instances
from pathfuse.dense.data.items import read_item

SHARED = Path(__file__).parents[5] / "shared/data"
pytestmark = pytest.mark.skipif(not (SHARED / "glas").exists(), reason="../shared is absent")


def test_glas(tmp_path):
    split = convert("glas", SHARED / "glas", tmp_path / "out")
    assert (len(split.train), len(split.val), len(split.test)) == (68, 17, 80)
    assert Counter(item.image_id.split("_")[0] for item in split.test) == {"testA": 60, "testB": 20}
    image, mask = read_item(split.test[0], split)
    truth = np.array(Image.open(SHARED / "glas/testA/masks" / f"{split.test[0].image_id}.png"))
    np.testing.assert_array_equal(mask, truth > 0)
    assert image.shape[:2] == mask.shape
    assert not any("found, where" in note for note in split.notes)


def test_dsb2018(tmp_path):
    split = convert("dsb2018_histology", SHARED / "dsb2018_histology", tmp_path / "out")
    assert (len(split.train), len(split.val), len(split.test)) == (64, 16, 27)
    n_nuclei = 0
    for item in split.items:
        instances, (_, mask) = read_instances(item.instances), read_item(item, split)
        np.testing.assert_array_equal(mask, instances > 0)
        n_nuclei += instances.max()
    assert n_nuclei == 4550
