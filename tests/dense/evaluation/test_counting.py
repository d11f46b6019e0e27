"""Counting strip by strip is counting the whole; instances are foreground components outside
ignored pixels."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.records import Item
from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.evaluation.counting import CountedImages, classes_with_instances, open_count
from pathfuse.dense.evaluation.instance_maps import PredictedInstances
from pathfuse.dense.evaluation.instances import instance_metrics
from pathfuse.dense.evaluation.separation import COMPONENTS, WATERSHED
from pathfuse.errors import InputError

TRUTH = np.array(
    [[0, 1, 1, 0, 2], [0, 1, 1, 0, 2], [255, 255, 0, 0, 0], [1, 1, 0, 2, 2]], dtype=np.uint8
)
INSTANCES = np.array(
    [[0, 4, 4, 0, 7], [0, 4, 4, 0, 7], [9, 9, 0, 0, 0], [9, 9, 0, 3, 3]], dtype=np.uint8
)
SAID = np.array(
    [[0, 1, 2, 0, 2], [0, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 1]], dtype=np.uint8
)


@pytest.fixture
def item(tmp_path):
    for name, pixels in {"mask": TRUTH, "instances": INSTANCES}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return Item("a", tmp_path / "a.png", tmp_path / "mask.png", "p", tmp_path / "instances.png")


@pytest.mark.parametrize("step", [1, 3, 4])
def test_strips_are_the_whole(item, step):
    things = classes_with_instances([item], 3)
    assert things == {1, 2}
    count = open_count(item, 3, things=things)
    for top in range(0, 4, step):
        count.add("net", slice(top, top + step), SAID[top : top + step])
    np.testing.assert_array_equal(count.cms["net"], confusion(TRUTH, SAID, 3))
    # By hand: 4 is found whole though one pixel has another class; 7 by half (no match); 9 by its
    # counted pixels, where the two ignored ones would have joined nothing; of 3 one pixel.
    found = instance_metrics(
        np.where(TRUTH == 255, 0, INSTANCES),
        np.array([[0, 1, 1, 0, 2], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [3, 3, 0, 0, 4]]),
    )
    assert count.instance_metrics()["net"] == found
    assert found["rq"] == pytest.approx(0.5)  # two matches among four and four
    assert found["aji"] == pytest.approx((4 + 1 + 2 + 1) / (4 + 2 + 2 + 2))


def test_a_model_that_tells_instances_apart_itself(item):
    """Its map counts as it is, where pixels count and the class has instances."""
    count = open_count(item, 3, things={1, 2})
    labels = np.where(TRUTH == 255, 5, INSTANCES * np.int32(300))
    count.add_instances("own", PredictedInstances(labels, np.where(TRUTH == 255, 1, TRUTH)))
    np.testing.assert_array_equal(count.cms["own"], np.diag(np.bincount(TRUTH[TRUTH < 3])))
    assert set(count.instance_metrics()["own"].values()) == {1.0}
    only = open_count(item, 3, things={2})
    only.add_instances("own", PredictedInstances(labels, np.where(TRUTH == 255, 1, TRUTH)))
    assert only.instance_metrics()["own"]["rq"] == pytest.approx(2 * 2 / (4 + 2))


@pytest.mark.parametrize(("separation", "rq"), [(WATERSHED, 1.0), (COMPONENTS, 2 / 3)])
def test_every_semantic_model_is_separated_alike(tmp_path, separation, rq):
    rows, columns = np.ogrid[:24, :42]
    places = (12, 12), (12, 26)
    discs = [np.hypot(rows - y, columns - x) < 8 for y, x in places]  # they touch
    Image.fromarray(np.where(discs[0], 1, discs[1] * 2).astype(np.uint8)).save(tmp_path / "i.png")
    Image.fromarray((discs[0] | discs[1]).astype(np.uint8)).save(tmp_path / "m.png")
    item = Item("a", tmp_path / "m.png", tmp_path / "m.png", "p", tmp_path / "i.png")
    count = open_count(item, 2, things={1}, separation=separation)
    for name in ("one", "other"):
        count.add(name, slice(0, 24), (discs[0] | discs[1]).astype(np.uint8))
    found = count.instance_metrics()
    assert found["one"] == found["other"]
    assert found["one"]["rq"] == pytest.approx(rq)  # half of the area is a match


def test_tally_knows_who_scored_what(item, tmp_path):
    bare = replace(item, image_id="b", instances=None)
    counted_images = CountedImages([item, bare], ["one", "two"], 3)
    for own, names in ((item, ["one"]), (bare, ["one", "two"])):
        count = open_count(own, 3)
        for name in names:
            count.add(name, slice(0, 4), SAID)
        counted_images.put(own, count)
    confusions, instances = counted_images.tables()
    assert confusions.image_ids == ("a", "b")
    assert {name: own.tolist() for name, own in confusions.scored.items()} == {
        "one": [True, True],
        "two": [False, True],
    }
    assert instances.image_ids == ("a",)
    assert {name: own.tolist() for name, own in instances.scored.items()} == {
        "one": [True],
        "two": [False],
    }
    assert np.isnan(instances.values["two"]["aji"]).all()
    assert CountedImages([bare], ["one"], 3).tables().instances is None


def test_classes_without_instances_are_no_instances(item):
    """Only class 2 is numbered: what is said to be 1 then counts for nothing, like background."""
    Image.fromarray(np.where(TRUTH == 2, INSTANCES, 0).astype(np.uint8)).save(item.instances)
    things = classes_with_instances(
        [item, replace(item, instances=None), replace(item, mask=None)], 3
    )
    assert things == {2}
    count = open_count(item, 3, things=things)
    count.add("net", slice(0, 4), SAID)  # one pixel inside 7, one inside what was 4
    assert count.instance_metrics()["net"]["aji"] == pytest.approx(1 / (2 + 2 + 1))
    assert classes_with_instances([replace(item, instances=None)], 3) == frozenset()


def test_without_mask_or_instances(item):
    assert open_count(replace(item, mask=None), 3) is None
    count = open_count(replace(item, instances=None), 3)
    count.add("net", slice(0, 4), SAID)
    assert count.instance_metrics() == {}


def test_instances_of_another_size(item):
    Image.fromarray(INSTANCES[1:]).save(item.instances)
    with pytest.raises(
        InputError, match=r"instances.png is 5 x 3 pixels, its image .*mask.png is 5 x 4"
    ):
        open_count(item, 3)
