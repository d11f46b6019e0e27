"""A mask whose pixels are all ignored is never scored: not 1.0, not 0, and it is no patient."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.records import Item
from pathfuse.dense.evaluation.confusion import ConfusionTable
from pathfuse.dense.evaluation.evaluate import evaluate_dense
from pathfuse.dense.evaluation.idle import without_idle
from pathfuse.errors import InputError

CLASSES = ("background", "nucleus")


def save(file, values):
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(file)
    return file


@pytest.fixture
def images(tmp_path):
    """Fourteen images of a model that is often wrong; of two of them no pixel counts."""
    rng, items = np.random.default_rng(0), []
    for k in range(14):
        truth = rng.integers(0, 2, (6, 7))
        said = np.where(rng.random(truth.shape) < 0.7, truth, 1 - truth)
        save(tmp_path / "model" / f"im{k:02d}.png", said)
        mask = save(tmp_path / "truth" / f"im{k:02d}.png", truth if k > 1 else np.full((6, 7), 255))
        items.append(Item(f"im{k:02d}", mask, mask, f"p{k}"))
    return items


def judged(items, out):
    return evaluate_dense({"m": out.parent / "model"}, items, out, classes=CLASSES, n_resamples=200)


def test_it_changes_no_figure_no_interval_and_no_count_and_is_named(images, tmp_path):
    every, counting = judged(images, tmp_path / "a"), judged(images[2:], tmp_path / "b")
    assert every.verdict.metrics.equals(counting.verdict.metrics)
    assert set(every.verdict.metrics["n_patients"]) == {12}
    assert every.manifest["warnings"][0] == (
        "2 of 14 images are in no figure, since no pixel of their masks counts: 'im00', 'im01'"
    )
    assert (every.manifest["images"], every.manifest["patients"]) == (12, 12)
    assert every.manifest["left_out"] == [
        {"reason": "no pixel of its mask counts", "n": 2, "first": ["im00", "im01"]}
    ]
    assert counting.manifest["warnings"] == every.manifest["warnings"][1:]
    assert (
        every.counted.confusions.cms["m"][0].sum() == 0
    )  # that it was scored remains in the table


def test_its_instances_do_not_count_either(images, tmp_path):
    instances = save(tmp_path / "instances" / "a.png", np.eye(6, 7))
    items = [replace(item, instances=instances) for item in images]
    with_idle, without = judged(items, tmp_path / "a"), judged(items[2:], tmp_path / "b")
    rows = [
        done.verdict.metrics.filter(metric="aji")["value"].to_list()
        for done in (with_idle, without)
    ]
    assert rows[0] == rows[1]
    assert np.isnan(with_idle.counted.instances.values["m"]["aji"][0])


def test_if_nothing_counts_nothing_is_evaluated(images, tmp_path):
    with pytest.raises(
        InputError, match="the masks of all 2 images hold only pixels that do not count"
    ):
        judged(images[:2], tmp_path / "a")


def test_a_table_without_such_images_stays_as_it_is():
    table = ConfusionTable(("a",), {"m": np.ones((1, 2, 2), np.int64)}, {"m": np.array([True])})
    assert without_idle(table) == (table, [])
