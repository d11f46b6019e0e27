"""Judging files that somebody made: masks and logits alike, with what is missing told."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pathfuse.dense.data.records import Item
from pathfuse.dense.evaluation.confusion import confusion, read_confusions
from pathfuse.dense.evaluation.evaluate import evaluate_dense
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.errors import InputError

CLASSES = ("background", "gland", "vessel")


@pytest.fixture
def masks(study, tmp_path):
    """The model ``left`` once more, as masks."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for item in study.test:
        said = (
            np.load(study.logits["left"] / f"{item.image_id}.npy").argmax(axis=0).astype(np.uint8)
        )
        Image.fromarray(said).save(folder / f"{item.image_id}.png")
    return folder


def run(predictions, items, out, **more):
    return evaluate_dense(predictions, items, out, classes=CLASSES, n_resamples=200, **more)


def test_masks_are_worth_what_their_logits_are(study, masks, tmp_path):
    done = run(
        {**study.logits, "masks": masks},
        study.test,
        tmp_path / "out",
        command="pathfuse dense evaluate",
    )
    found = pl.read_csv(tmp_path / "out/metrics.csv")
    one, two = (found.filter(method=name).drop("method") for name in ("left", "masks"))
    assert one.equals(two)
    table = read_confusions(tmp_path / "out/confusion.parquet", 3)
    item = study.test[3]
    said = np.load(study.logits["middle"] / f"{item.image_id}.npy").argmax(axis=0)
    np.testing.assert_array_equal(
        table.cms["middle"][table.image_ids.index(item.image_id)],
        confusion(read_truth(item, 3), said, 3),
    )
    dice = found.filter(method="middle", metric="mDice", output="all")
    assert dice["value"].item() == pytest.approx(
        float(metrics(table.cms["middle"].sum(axis=0))["mDice"])
    )
    assert dice["ci_low"].item() < dice["value"].item() < dice["ci_high"].item()
    pairs = pl.read_csv(tmp_path / "out/comparisons.csv").filter(metric="mDice", output="all")
    assert pairs.height == 6
    assert pairs.filter(method="left", reference="masks")["difference"].item() == 0
    assert not (tmp_path / "out/instances.parquet").exists()
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["command"] == "pathfuse dense evaluate"
    assert (
        len({manifest["masks_sha256"], *(own["sha256"] for own in manifest["models"].values())})
        == 5
    )
    assert manifest["images"] == len(done.counted.confusions.image_ids) == 12


def test_what_is_missing_is_told(study, masks, tmp_path):
    (masks / "im07.png").unlink()
    items = [
        replace(study.test[0], mask=None),
        *study.test[1:],
        replace(study.test[0], image_id="nobody"),
    ]
    done = run({"left": study.logits["left"], "masks": masks}, items, tmp_path / "out")
    assert [(one["reason"], one["first"]) for one in done.manifest["left_out"]] == [
        ("no mask", ["im06"]), ("scored by no model", ["nobody"]),
    ]  # fmt: skip
    n = done.verdict.metrics.filter(metric="mDice", output="all").select("method", "n")
    assert dict(n.iter_rows()) == {"left": 11, "masks": 10}
    assert done.manifest["models"]["masks"]["coverage"] == pytest.approx(10 / 11)


def test_instances_are_judged_where_they_are_known(study, masks, tmp_path):
    items = []
    for item in study.test:
        file = tmp_path / f"{item.image_id}_instances.png"
        Image.fromarray((read_truth(item, 3) == 1).astype(np.uint8)).save(file)
        items.append(replace(item, instances=file))
    done = run(
        {"left": study.logits["left"], "masks": masks},
        [*items[:11], study.test[11]],
        tmp_path / "out",
    )
    found = done.verdict.metrics.filter(pl.col("metric").is_in(["aji", "pq"]))
    assert found["n"].to_list() == [11] * 4
    assert found["ci_low"].null_count() == 0
    assert (
        found.filter(method="left")
        .drop("method")
        .equals(found.filter(method="masks").drop("method"))
    )
    frame = pl.read_parquet(tmp_path / "out/instances.parquet")
    aji = frame.filter(pl.col("metric") == "aji", pl.col("expert") == "left")["value"].mean()
    assert found.filter(method="left", metric="aji")["value"].item() == pytest.approx(aji)


def test_probabilities_and_names_of_nnunet(study, tmp_path):
    folders = {name: tmp_path / name for name in ("bare", "channel")}
    for folder in folders.values():
        folder.mkdir()
    for item in study.test:
        logits = np.load(study.logits["left"] / f"{item.image_id}.npy").astype(np.float32)
        shares = np.exp(logits) / np.exp(logits).sum(axis=0)
        np.savez(folders["bare"] / f"{item.image_id}.npz", probabilities=shares[:, None])
        mask = Image.fromarray(logits.argmax(axis=0).astype(np.uint8))
        mask.save(folders["bare"] / f"{item.image_id}.png")  # nnU-Net leaves both
        mask.save(folders["channel"] / f"{item.image_id}_0000.png")
    done = run({"left": study.logits["left"], **folders}, study.test, tmp_path / "out")
    found = [done.verdict.metrics.filter(method=name).drop("method") for name in ("left", *folders)]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    first, second = done.manifest["understood"]
    assert first.startswith("bare: 12 of 12 images hold probabilities")
    assert second == (
        "channel: 12 files differ from their image by nnU-Net's _0000, such as im06_0000.png of image 'im06'"
    )


def test_bad_input_leaves_nothing(study, masks, tmp_path):
    def refused(sentence, predictions=None, items=None):
        with pytest.raises(InputError, match=sentence):
            run(predictions or {"masks": masks}, items or study.test, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("nobody does not exist", {"a": tmp_path / "nobody"})
    (tmp_path / "empty").mkdir()
    refused("no image has a mask and a prediction: of 12 images", {"a": tmp_path / "empty"})
    refused(r"none can be evaluated \(.*empty holds no file\)", {"a": tmp_path / "empty"})
    refused("the model a has no prediction of any image", {"masks": masks, "a": tmp_path / "empty"})
    refused("of 12 images, none", items=[replace(item, mask=None) for item in study.test])
    np.save(masks / "im06.npy", np.zeros((3, 40, 57)))
    refused("has two predictions of image 'im06': im06.npy, im06.png")
    (masks / "im06.npy").unlink()
    mask = np.array(Image.open(masks / "im08.png"))
    Image.fromarray(mask[1:]).save(masks / "im08.png")
    refused(r"im08.png has 39 x 57 pixels, but the mask of its image 40 x 57")
    mask[0, 0] = 255
    Image.fromarray(mask).save(masks / "im08.png")
    refused(r"im08.png has the value 255 in 1 pixels: with 3 classes it may hold 0 to 2$")
    (masks / "im08.png").write_bytes(b"nothing")
    refused("im08.png cannot be read")


ROWS, COLUMNS = np.ogrid[:24, :60]
CENTRES = ((12, 12), (12, 26), (12, 46))


@pytest.fixture
def nuclei(tmp_path):
    """Six images of three nuclei, two of which touch: items, masks of a semantic model, and the
    same nuclei told apart by somebody.
    """
    items, folders = [], {name: tmp_path / name for name in ("semantic", "told_apart")}
    for folder in (*folders.values(), tmp_path / "truth"):
        folder.mkdir()
    for number in range(6):
        name = f"n{number}"
        radius = 7.5 + 0.1 * number
        discs = [np.hypot(ROWS - y, COLUMNS - x) < radius for y, x in CENTRES]
        labels = sum(
            np.where(disc, k + 1, 0) * ~sum(discs[:k], np.zeros_like(disc))
            for k, disc in enumerate(discs)
        )
        files = {kind: tmp_path / "truth" / f"{name}_{kind}.png" for kind in ("mask", "instances")}
        Image.fromarray((labels > 0).astype(np.uint8)).save(files["mask"])
        Image.fromarray(labels.astype(np.uint8)).save(files["instances"])
        shutil.copy(files["mask"], folders["semantic"] / f"{name}.png")
        Image.fromarray((labels * 301).astype(np.uint16)).save(
            folders["told_apart"] / f"{name}.png"
        )
        items.append(Item(name, files["mask"], files["mask"], name, files["instances"]))
    return items, folders


def judged(nuclei, out, separation="choose", **more):
    items, folders = nuclei
    return evaluate_dense(
        {"semantic": folders["semantic"]}, items[2:], out, classes=("background", "nucleus"),
        instances={"told_apart": folders["told_apart"]}, validation=items[:2],
        separation=separation, n_resamples=200, **more,
    )  # fmt: skip


def test_instance_maps_sit_in_the_same_table(nuclei, tmp_path):
    done = judged(nuclei, tmp_path / "out")
    value = {
        (row["method"], row["metric"]): row["value"]
        for row in done.verdict.metrics.filter(output="all").iter_rows(named=True)
    }
    assert value["told_apart", "aji"] == value["told_apart", "mDice"] == 1.0
    assert value["semantic", "aji"] == pytest.approx(1.0, abs=0.03)
    assert value["semantic", "mDice"] == 1.0
    assert value["semantic", "rq"] == 1.0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["instances"]["separation"] == "watershed"
    assert manifest["instances"]["aji_of_true_masks"]["components"] < 0.9
    assert manifest["understood"][0] == "instances of told_apart as they are in the files"
    assert "instances of the other models: connected pixels, cut where" in manifest["understood"][1]
    joined = judged(nuclei, tmp_path / "joined", "components")
    rq = joined.verdict.metrics.filter(method="semantic", metric="rq", output="all")
    assert rq["value"].item() < 0.9  # two of three are one
    assert joined.manifest["instances"]["aji_of_true_masks"] == {}


def test_instances_alone_and_without_true_ones(nuclei, tmp_path):
    items, folders = nuclei
    bare = [replace(item, instances=None) for item in items]
    done = evaluate_dense(
        {}, bare, tmp_path / "out", classes=("background", "nucleus"), instances=folders, n_resamples=200
    )  # fmt: skip
    assert done.manifest["understood"] == [
        "no judged image has true instances, so those of semantic, told_apart count as pixels only"
    ]
    assert done.manifest["instances"] is None
    assert done.verdict.metrics.filter(metric="mDice", output="all")["value"].to_list() == [1, 1]


def test_bad_instances_leave_nothing(nuclei, tmp_path):
    items, folders = nuclei

    def refused(sentence, instances=None, predictions=None, **more):
        with pytest.raises(InputError, match=sentence):
            evaluate_dense(
                predictions or {}, items, tmp_path / "out", classes=("background", "nucleus"),
                instances=instances, n_resamples=200, **more,
            )  # fmt: skip
        assert not (tmp_path / "out").exists()

    refused("name a folder of predictions or instances")
    refused(
        "the model a has a folder of predictions and one of instances",
        {"a": tmp_path},
        {"a": tmp_path},
    )
    (tmp_path / "empty").mkdir()
    refused(
        r"none can be evaluated \(instances are called <image_id> and .*_cp_masks.png",
        {"a": tmp_path / "empty"},
    )
    refused("called 'magic'", folders, separation="magic")
    dots = np.zeros((24, 60), dtype=np.uint8)
    dots[::4, ::4] = 1
    for item in items:
        Image.fromarray(dots).save(folders["semantic"] / f"{item.image_id}.png")
    refused("the model semantic has masks of classes", {"semantic": folders["semantic"]})
    Image.fromarray(dots[1:]).save(folders["semantic"] / "n0.png")
    refused("n0.png has 23 x 60 pixels, but the mask of its image 24 x 60", folders)
    (folders["semantic"] / "n0.png").rename(folders["semantic"] / "n0_seg.npy")
    refused("n0_seg.npy is a pickle", folders)
