"""A saved fusion on new images: the same masks as when it was fitted; models may be missing."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from pathfuse.dense.fusion.apply import apply_fusion
from pathfuse.dense.fusion.fuse import fuse_dense
from pathfuse.dense.fusion.fused_model import load_fusion
from pathfuse.dense.fusion.methods.logistic import Logistic
from pathfuse.dense.fusion.methods.registry import METHODS
from pathfuse.dense.fusion.methods.staple import Staple
from pathfuse.dense.fusion.options import DenseFuseOptions
from pathfuse.errors import InputError


@pytest.fixture
def fused(study, tmp_path):
    methods = ("static_product", "logitprod", "logistic", "staple")
    options = DenseFuseOptions(
        methods=methods, method="logitprod", pixels=600, n_resamples=0, pool_px=3
    )
    classes = ("background", "gland", "vessel")
    fuse_dense(
        study.logits, study.fit, study.test, tmp_path / "fused", classes=classes, options=options
    )
    return tmp_path / "fused"


def test_the_same_masks(study, fused, tmp_path):
    (study.logits["left"] / "im09.npy").unlink()
    heard = []
    logits = dict(reversed(study.logits.items()))
    said = apply_fusion(
        fused, logits, tmp_path / "out", progress=lambda what, share: heard.append(share)
    )
    assert (said["images"], said["scored"]) == (18, {"left": 17, "middle": 18, "right": 18})
    assert heard == sorted(heard)
    for item in study.test:
        one, two = (
            np.asarray(Image.open(tmp_path / f"{place}/{item.image_id}.png"))
            for place in ("fused/masks", "out")
        )
        assert np.array_equal(one, two) == (item.image_id != "im09")


def test_fusions_of_older_versions_are_read(study, fused, tmp_path):
    model = fused / "model"
    about = json.loads((model / "dense.json").read_text())
    for name, old in (("logistic", "stacking"), ("staple", None)):
        part = about["methods"].pop(name)
        if old is not None:
            about["methods"][old] = part
    (model / "dense.json").write_text(json.dumps({**about, "schema": 1}))
    tensors = {
        name.replace("logistic/", "stacking/"): array
        for name, array in load_file(model / "dense.safetensors").items()
        if name != "logistic/log_prior"
    }
    save_file(tensors, model / "dense.safetensors")
    apply_fusion(fused, study.logits, tmp_path / "out")
    item = study.test[0]
    same = (tmp_path / "out" / f"{item.image_id}.png").read_bytes()
    assert same == (fused / "masks" / f"{item.image_id}.png").read_bytes()
    assert list(load_fusion(fused).methods) == ["static_product", "logitprod", "stacking"]


def test_only_the_method_behind_fused_is_worked_out(study, fused, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError

    for other in (Staple, Logistic, METHODS["static_product"]):
        monkeypatch.setattr(other, "of_image", refuse)
    apply_fusion(fused, study.logits, tmp_path / "out")


def test_probabilities_are_those_of_the_mask(study, fused, tmp_path):
    apply_fusion(fused, study.logits, tmp_path / "out", probabilities=True, cells=2000)
    for item in study.test[:3]:
        shares = np.load(tmp_path / f"out/probabilities/{item.image_id}.npy")
        mask = np.asarray(Image.open(tmp_path / f"out/{item.image_id}.png"))
        assert (shares.dtype, shares.shape) == (np.float16, (3, *mask.shape))
        np.testing.assert_allclose(shares.astype(float).sum(axis=0), 1, atol=2e-3)
        top = np.take_along_axis(shares, mask[None].astype(int), axis=0)[0]
        np.testing.assert_array_equal(top, shares.max(axis=0))
    again = apply_fusion(fused, study.logits, tmp_path / "plain")
    assert again["images"] == 18
    assert not (tmp_path / "plain/probabilities").exists()


def test_a_model_that_is_not_there_at_all(study, fused, tmp_path):
    said = apply_fusion(fused, {"right": study.logits["right"]}, tmp_path / "out")
    assert said["scored"] == {"left": 0, "middle": 0, "right": 18}
    alone = np.load(study.logits["right"] / "im11.npy").argmax(axis=0)
    assert (
        np.asarray(Image.open(tmp_path / "out/im11.png")) == alone
    ).mean() > 0.99  # its weight is 1


def test_names_and_probabilities_of_nnunet(study, fused, tmp_path):
    folder = tmp_path / "nnunet"
    folder.mkdir()
    for file in study.logits["right"].glob("*.npy"):
        own = np.exp(np.load(file).astype(np.float64))
        np.savez(folder / f"{file.stem}_0000.npz", softmax=own / own.sum(axis=0))
    logits = {**study.logits, "right": folder}
    said = apply_fusion(fused, logits, tmp_path / "out")
    assert (said["images"], said["scored"]["right"]) == (18, 18)
    assert [note.split(":")[0] for note in said["understood"]] == ["right", "right"]
    assert not (tmp_path / "out" / "im09_0000.png").exists()


def test_sentences(study, fused, tmp_path):
    def refused(sentence, logits, model=fused):
        with pytest.raises(InputError, match=sentence):
            apply_fusion(model, logits, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused("knows no model 'other'; its models are left, middle, right", {"other": tmp_path})
    refused("nobody does not exist", {"left": tmp_path / "nobody"})
    refused("holds no fusion of segmentations", study.logits, tmp_path)
    (tmp_path / "empty").mkdir()
    refused("no image to segment", {"left": tmp_path / "empty"})
