"""Judging files that somebody made: masks and logits alike, with what is missing told."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

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
