"""Probabilities where logits are wanted: every command that reads them says so, and reads them as such."""

import numpy as np
import pytest

from pathfuse.dense.data.logit_files import LogitFiles, open_logits
from pathfuse.dense.evaluation.evaluate import evaluate_dense
from pathfuse.dense.fusion.apply import apply_fusion
from pathfuse.dense.fusion.fuse import fuse_dense
from pathfuse.dense.fusion.options import DenseFuseOptions

CLASSES = ("background", "gland", "vessel")
SAID = "of 18 images hold probabilities (between 0 and 1, the sum over classes 1 in every pixel), such as im"


@pytest.fixture
def shares(study, tmp_path):
    """The study's logits as probabilities, .npy without a key that would say so."""
    folders = {}
    for name, folder in study.logits.items():
        folders[name] = tmp_path / "shares" / name
        folders[name].mkdir(parents=True)
        for file in folder.iterdir():
            logits = np.load(file).astype(np.float32)
            odds = np.exp(logits - logits.max(axis=0))
            np.save(folders[name] / file.name, odds / odds.sum(axis=0))
    return folders


def test_fuse_apply_and_evaluate_say_it(study, shares, tmp_path):
    options = DenseFuseOptions(pixels=500, n_resamples=0, pool_px=3)
    fused = fuse_dense(
        shares, study.fit, study.test, tmp_path / "a", classes=CLASSES, options=options
    )
    applied = apply_fusion(tmp_path / "a", shares, tmp_path / "b")
    judged = evaluate_dense(shares, study.test, tmp_path / "c", classes=CLASSES, n_resamples=0)
    plain = evaluate_dense(study.logits, study.test, tmp_path / "d", classes=CLASSES, n_resamples=0)
    for notes, n in ((fused.manifest["understood"], 18), (applied["understood"], 18),
                     (judged.manifest["understood"], 12)):  # fmt: skip
        assert [note.split(":")[0] for note in notes] == ["left", "middle", "right"]
        assert all(f"{n} {SAID.replace('18', str(n))}" in note for note in notes)
        assert all("their logarithm is taken for logits" in note for note in notes)
    assert plain.manifest["understood"] == []
    assert judged.verdict.metrics.equals(plain.verdict.metrics)


def test_their_logarithm_is_read(study, shares):
    logits, said = (open_logits(folders, CLASSES) for folders in (study.logits, shares))
    for one, other in zip(logits.strips("im03"), said.strips("im03"), strict=True):
        difference = one.logits - other.logits  # the same for all classes of a pixel and model
        np.testing.assert_allclose(difference - difference[..., :1], 0, atol=2e-3)


def test_a_class_that_is_ruled_out_counts_as_a_millionth_and_not_as_a_veto(tmp_path):
    values = np.array([[[2.0, 1.0]], [[-np.inf, 3.0]]], dtype=np.float32)
    np.save(tmp_path / "a.npy", values)
    (strip,) = LogitFiles({"m": tmp_path}, 2).strips("a")
    found = np.asarray(strip.logits)[0, :, 0]
    assert found[0, 0] - found[0, 1] == pytest.approx(np.log(1e7), rel=1e-5)
    assert found[1].tolist() == [1.0, 3.0]
