"""Pixel-level fusion: better than each model where each is good somewhere; missing models; same
bytes; memory."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.evaluation.confusion import read_confusions
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.dense.fusion.fuse import fuse_dense
from pathfuse.dense.fusion.fused_model import load_fusion
from pathfuse.dense.fusion.options import DenseFuseOptions
from pathfuse.errors import InputError

CLASSES = ("background", "gland", "vessel")
METHODS = ("static_product", "logitprod", "mean_probability", "majority")
QUICK = DenseFuseOptions(methods=METHODS, pixels=1000, n_resamples=100)


def run(study, out, options=QUICK, **more):
    return fuse_dense(
        study.logits, study.fit, study.test, out, classes=CLASSES, options=options, **more
    )


def value(frame: pl.DataFrame, method: str, metric: str = "mDice") -> float:
    return frame.filter(method=method, metric=metric, output="all")["value"].item()


def test_fused_beats_every_model(study, tmp_path):
    result = run(study, tmp_path / "out")
    found = pl.read_csv(tmp_path / "out/metrics.csv")
    best = max(value(found, name) for name in study.logits)
    assert value(found, "fused") > best + 0.05
    assert value(found, "logitprod") > best + 0.05
    pairs = pl.read_csv(tmp_path / "out/comparisons.csv")
    for reference in (*study.logits, "best_expert"):
        row = pairs.filter(method="fused", reference=reference, metric="mDice", output="all").row(
            0, named=True
        )
        assert 0 < row["ci_low"] < row["difference"] < row["ci_high"]
    assert set(pairs["method"]) == {"fused", "logitprod"}
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["holds"]
    assert set(certificate["experts"]) == set(study.logits)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["fused"] == result.model.chosen
    assert manifest["fit_pixels"]["n"] == pytest.approx(1000, abs=3)
    assert manifest["images"] == {"fit": 6, "test": 12, "judged": 12}


def test_the_files_agree_with_each_other(study, tmp_path):
    run(study, tmp_path / "out")
    table = read_confusions(tmp_path / "out/confusion.parquet", len(CLASSES))
    found = pl.read_csv(tmp_path / "out/metrics.csv")
    assert set(table.cms) == {
        *study.logits,
        "best_expert",
        *METHODS,
        "fused",
    }
    for name, cms in table.cms.items():
        assert value(found, name) == pytest.approx(float(metrics(cms.sum(axis=0))["mDice"]))
    item = study.test[0]
    fused, truth = (
        np.asarray(Image.open(tmp_path / f"out/masks/{item.image_id}.png")),
        read_truth(item, 3),
    )
    assert fused.dtype == np.uint8
    assert (fused == truth)[truth != 255].sum() == np.trace(table.cms["fused"][0])
    said = np.load(study.logits["left"] / f"{item.image_id}.npy").argmax(axis=0)
    assert (said == truth)[truth != 255].sum() == np.trace(table.cms["left"][0])


@pytest.mark.parametrize("pool_px", [1, 5])
@pytest.mark.slow
def test_same_bytes_twice_and_whatever_the_strips(study, tmp_path, pool_px):
    options = replace(QUICK, pool_px=pool_px)
    for name, cells in (("one", 2**22), ("two", 2**22), ("strips", 2000)):
        run(study, tmp_path / name, options, cells=cells)
    files = sorted(
        p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()
    )
    assert len(files) == 9 + len(study.test)
    for file in files:
        if file.name != "manifest.json":
            for other in ("two", "strips"):
                assert (tmp_path / "one" / file).read_bytes() == (
                    tmp_path / other / file
                ).read_bytes(), file


@pytest.mark.slow
def test_same_bytes_for_any_number_of_processes(study, tmp_path, monkeypatch):
    options = DenseFuseOptions(pixels=600, n_resamples=0)
    run(study, tmp_path / "one", options, probabilities=True)
    monkeypatch.setattr("pathfuse.dense.fusion.segmenting.PROCESSES_FROM", 0)
    run(study, tmp_path / "two", options, probabilities=True, n_jobs=2)
    one, two = (
        {
            file.relative_to(tmp_path / name): file.read_bytes()
            for file in (tmp_path / name).rglob("*")
            if file.is_file() and file.name != "manifest.json"
        }
        for name in ("one", "two")
    )
    assert one == two
    manifests = [json.loads((tmp_path / f"{name}/manifest.json").read_text()) for name in ("one", "two")]  # fmt: skip
    for key in ("held_out_dice", "held_out_nll", "weights", "fused", "worst_images"):
        assert manifests[0][key] == manifests[1][key]


@pytest.mark.slow
def test_pooled_gates_see_regions(study, tmp_path):
    plain = run(study, tmp_path / "plain", replace(QUICK, method="logitprod"))
    pooled = run(study, tmp_path / "pooled", replace(QUICK, method="logitprod", pool_px=5))
    assert (
        pooled.manifest["held_out_nll"]["static_product"]
        == plain.manifest["held_out_nll"]["static_product"]
    )
    assert (
        pooled.manifest["held_out_nll"]["logitprod"] < plain.manifest["held_out_nll"]["logitprod"]
    )
    assert value(pooled.verdict.metrics, "logitprod") > value(plain.verdict.metrics, "logitprod")


def test_a_saved_fusion_segments_as_before(study, tmp_path):
    run(study, tmp_path / "out", replace(QUICK, pool_px=3))
    model = load_fusion(tmp_path / "out")
    files = LogitFiles(study.logits, len(CLASSES))
    for item in study.test[:2]:
        again = np.concatenate([s.masks["fused"] for s in model.strips(files, item.image_id)])
        np.testing.assert_array_equal(
            again, np.asarray(Image.open(tmp_path / f"out/masks/{item.image_id}.png"))
        )
    (tmp_path / "out/model/dense.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        load_fusion(tmp_path / "out")


def test_missing_models_and_images(study, tmp_path):
    for image in ("im01", "im13", "im14"):
        (study.logits["left"] / f"{image}.npy").unlink()
    for name in study.logits:
        (study.logits[name] / "im16.npy").unlink()
    test = [replace(item, mask=None) if item.image_id == "im17" else item for item in study.test]
    result = run(replace(study, test=test), tmp_path / "out")
    rows = result.verdict.metrics.filter(metric="mDice", output="all")
    n = dict(rows.select("method", "n").iter_rows())
    assert n["fused"] == n["best_expert"] == n["right"] == 10
    assert n["left"] == 8
    assert result.manifest["models"]["left"]["coverage_test"] == pytest.approx(9 / 11)
    assert result.manifest["left_out"] == [
        {"reason": "test image: scored by no model", "n": 1, "first": ["im16"]}
    ]
    assert value(result.verdict.metrics, "fused") > value(result.verdict.metrics, "best_expert")
    assert not (tmp_path / "out/masks/im16.png").exists()
    assert (tmp_path / "out/masks/im17.png").exists()  # segmented, not judged


def test_instances_are_judged_where_they_are_known(study, tmp_path):
    test = []
    for item in study.test:
        file = tmp_path / f"{item.image_id}_instances.png"
        Image.fromarray((read_truth(item, 3) == 1).astype(np.uint8)).save(file)
        test.append(replace(item, instances=file))
    result = run(replace(study, test=test), tmp_path / "out")
    names = {
        *study.logits,
        "best_expert",
        *METHODS,
        "fused",
    }
    for metric in ("aji", "pq"):
        found = pl.read_csv(tmp_path / "out/metrics.csv").filter(metric=metric)
        assert set(found["method"]) == names
        assert found["n"].unique().to_list() == [12]
    assert value(result.verdict.metrics, "fused", "aji") > value(
        result.verdict.metrics, "best_expert", "aji"
    )
    pair = result.verdict.comparisons.filter(
        method="fused", reference="left", metric="aji", output="all"
    )
    gain = value(result.verdict.metrics, "fused", "aji") - value(
        result.verdict.metrics, "left", "aji"
    )
    assert pair["difference"].item() == pytest.approx(gain)
    assert pair["ci_low"].item() < gain < pair["ci_high"].item()
    assert set(pl.read_parquet(tmp_path / "out/instances.parquet")["expert"]) == names


def test_best_is_the_best_on_the_fit_images(study, tmp_path):
    result = run(study, tmp_path / "out")
    best = result.manifest["best_expert_order"][0]
    dice = {}
    for name, folder in study.logits.items():
        hits = [np.load(folder / f"{item.image_id}.npy").argmax(axis=0) for item in study.fit]
        truth = [read_truth(item, 3) for item in study.fit]
        pairs = list(zip(hits, truth, strict=True))
        own = [
            2
            * sum(((h == c) & (t == c)).sum() for h, t in pairs)
            / sum(((h == c) & (t != 255)).sum() + (t == c).sum() for h, t in pairs)
            for c in range(3)
        ]
        dice[name] = np.mean(own)
    assert best == max(dice, key=dice.get)
    assert value(result.verdict.metrics, "best_expert") == value(result.verdict.metrics, best)


def test_all_methods_are_fitted_and_the_choice_is_told(study, tmp_path):
    options = DenseFuseOptions(pixels=600, n_resamples=0)
    result = run(study, tmp_path / "out", options)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    methods = [name for name in options.methods if name != "best"]
    assert list(manifest["held_out_dice"]) == methods == list(result.model.methods)
    dice = {name: one["mean"] for name, one in manifest["held_out_dice"].items()}
    best = max(dice, key=dice.get)
    chosen = manifest["held_out_dice"][manifest["fused"]]
    assert dice[best] - dice[manifest["fused"]] == pytest.approx(chosen["below_best"])
    assert chosen["below_best"] <= chosen["below_best_standard_error"]
    assert {"majority", "staple"}.isdisjoint(manifest["held_out_nll"])
    assert set(methods) - {"majority", "staple"} == set(manifest["held_out_nll"])


def test_the_worst_images_and_who_was_right(study, tmp_path):
    (study.logits["left"] / "im09.npy").unlink()
    result = run(study, tmp_path / "out")
    found = pl.read_csv(tmp_path / "out/images.csv")
    table = read_confusions(tmp_path / "out/confusion.parquet", len(CLASSES))
    assert found["dice_fused"].is_sorted()
    assert sorted(found["sample_id"]) == list(table.image_ids)
    for row in found.iter_rows(named=True):
        place = table.image_ids.index(row["sample_id"])
        dice = {name: float(metrics(cms[place])["mDice"]) for name, cms in table.cms.items()}
        if row["sample_id"] == "im09":
            assert row["dice_left"] is None
            dice.pop("left")
        assert {name: row[f"dice_{name}"] for name in dice} == pytest.approx(dice)
        singles = {name: dice[name] for name in study.logits if name in dice}
        assert row["best_model"] == max(singles, key=singles.get)
        assert row["gain"] == pytest.approx(dice["fused"] - dice["best_expert"])
    worst = found.row(0, named=True)
    assert result.manifest["worst_images"][0] == (
        f"{worst['sample_id']}: fused {worst['dice_fused']:.3f}, best model {worst['best_model']} "
        f"{worst['best_model_dice']:.3f}"
    )


def test_one_patient_to_fit_on(study, tmp_path):
    fit = [replace(item, patient_id="only") for item in study.fit[:2]]
    options = replace(QUICK, methods=(*METHODS, "logistic"))  # rich: not without another patient
    result = run(replace(study, fit=fit), tmp_path / "out", options)
    assert (result.manifest["held_out_nll"], result.manifest["held_out_dice"]) == ({}, {})
    assert result.certificate["holds"]
    nll = {
        name: one.certificate.fused
        for name, one in result.model.methods.items()
        if one.certificate is not None and one.richness < 3
    }
    assert result.model.chosen == min(nll, key=nll.get)


def test_patients_on_both_sides_are_told(study, tmp_path):
    test = [replace(study.test[0], patient_id="p00"), *study.test[1:]]
    result = run(replace(study, test=test), tmp_path / "out")
    assert any(
        w.startswith("1 patients have both fit and test images (p00)")
        for w in result.verdict.warnings
    )


@pytest.mark.slow
def test_another_value_may_mean_ignore(study, tmp_path):
    plain = run(study, tmp_path / "plain")
    for item in (*study.fit, *study.test):
        mask = np.asarray(Image.open(item.mask))
        Image.fromarray(np.where(mask == 255, np.uint8(9), mask)).save(item.mask)
    other = run(study, tmp_path / "other", ignore=9)
    assert plain.verdict.metrics.equals(other.verdict.metrics)


def test_bad_input_leaves_nothing(study, tmp_path):
    study = replace(study, test=study.test[:10], fit=study.fit[:2])

    def refused(sentence, change=study, options=QUICK, **more):
        with pytest.raises(InputError, match=sentence):
            run(change, tmp_path / "out", options, **more)
        assert not (tmp_path / "out").exists()

    refused(
        "image 'im00' is both a fit and a test image",
        replace(study, test=[*study.test, study.fit[0]]),
    )
    refused("the test images hold 'im06' twice", replace(study, test=[*study.test, study.test[0]]))
    refused(
        "no test image has a mask", replace(study, test=[replace(i, mask=None) for i in study.test])
    )
    refused("'best' is not a fusion", options=replace(QUICK, method="best"))
    refused("balance 2 is out of range", options=replace(QUICK, balance=2))
    refused(
        "'majority' gives classes and no probabilities",
        options=replace(QUICK, method="majority"),
        probabilities=True,
    )
    refused("--jobs 0 would do nothing", n_jobs=0)
    refused("pool_px 4 has no middle", options=replace(QUICK, pool_px=4))
    refused("at least two models", replace(study, logits={"left": study.logits["left"]}))
    refused(
        "no model may be named 'fused'", replace(study, logits={**study.logits, "fused": tmp_path})
    )
    refused(
        "no model may be named 'staple'",
        replace(study, logits={**study.logits, "staple": tmp_path}),
    )
    refused(
        "does not exist", replace(study, logits={**study.logits, "nobody": tmp_path / "nobody"})
    )
    (tmp_path / "empty").mkdir()
    refused(
        "nobody has no logits of any fit image",
        replace(study, logits={**study.logits, "nobody": tmp_path / "empty"}),
    )
    file = study.logits["right"] / "im15.npy"
    good = np.load(file)
    for bad, sentence in (
        (good[:, 1:], "are 40 x 57 pixels by left but 39 x 57 by right"),
        (good[:2], "have 2 classes, but there are 3"),
        (np.where(good == good.max(), np.nan, good), "im15.npy hold NaN or infinity"),
        (good.astype(int), "are whole numbers, and they do not sum"),
    ):
        np.save(file, bad)
        refused(sentence)
    for junk in (b"nothing", b"PK\x03\x04"):
        file.write_bytes(junk)
        refused("im15.npy cannot be read: it is not a NumPy file")
    np.save(file, good)
    wrong = np.asarray(Image.open(study.test[0].mask)).copy()
    wrong[5, 5] = 7
    Image.fromarray(wrong).save(study.test[0].mask)
    refused(r"im06.png has the value 7 in 1 pixels")
    Image.fromarray(wrong[1:] % 3).save(study.test[0].mask)
    refused("has 39 x 57 pixels, but the logits of image 'im06' have 40 x 57")


@pytest.mark.slow
def test_probabilities_fuse_as_the_logits_do(study, tmp_path):
    shares = {name: tmp_path / "nnunet" / name for name in study.logits}
    for name, folder in shares.items():
        folder.mkdir(parents=True)
        for item in (*study.fit, *study.test):
            logits = np.load(study.logits[name] / f"{item.image_id}.npy").astype(np.float64)
            own = np.exp(logits) / np.exp(logits).sum(axis=0)
            np.savez_compressed(folder / f"{item.image_id}.npz", probabilities=own[:, None])
    one, two = run(study, tmp_path / "one"), run(replace(study, logits=shares), tmp_path / "two")
    assert (one.manifest["understood"], len(two.manifest["understood"])) == ([], 3)
    for name in (*study.logits, "static_product", "logitprod", "fused"):
        assert value(two.verdict.metrics, name) == pytest.approx(
            value(one.verdict.metrics, name), abs=2e-3
        )


def test_what_lies_in_the_folders_is_said_if_none_can_be_used(study, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "im00.nii.gz").write_text("")
    logits = dict.fromkeys("ab", tmp_path / "other")
    with pytest.raises(InputError, match=r"none can be used \(.*holds 1 .gz \(such as im00.nii.gz"):
        run(replace(study, logits=logits), tmp_path / "out")


def test_force_spares_what_is_read(study, tmp_path):
    for out in (tmp_path / "truth", study.logits["left"]):
        with pytest.raises(InputError, match="cannot be overwritten: it holds"):
            run(study, out, force=True)


MEMORY = """
import resource, sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.fusion.fused_model import load_fusion
root = Path(sys.argv[1])
model = load_fusion(root / "out")
files = LogitFiles({name: root / "large" / name for name in model.models}, 3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for strip in model.strips(files, "large", 100_000):
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(study, tmp_path):
    run(study, tmp_path / "out", replace(QUICK, pool_px=3))
    rng = np.random.default_rng(0)
    for name in study.logits:
        (tmp_path / "large" / name).mkdir(parents=True)
        image = rng.normal(size=(3, 1000, 1000)).astype(np.float16)  # 24 MB each in float64
        np.save(tmp_path / "large" / name / "large.npy", image)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 60
    assert Path(tmp_path / "out/manifest.json").exists()
