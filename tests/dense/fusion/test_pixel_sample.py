"""The pixels that a fusion is fitted on: right numbers, right places, right truth."""

import numpy as np
import pytest

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.fusion.pixel_sample import class_quotas, image_shares, sample_pixels
from pathfuse.dense.fusion.strips import pixel_strips
from pathfuse.distributions.likelihood import floor_log_prob, log_softmax
from pathfuse.fusion.categorical.gating import gate_features


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_quotas_keep_to_the_total_and_to_what_is_there(balance):
    totals = np.array([100_000, 5_000, 40, 0, 1])
    quota = class_quotas(totals, 2000, balance)
    assert (quota <= totals).all()
    assert (quota[totals > 0] > 0).all()
    assert abs(quota.sum() - 2000) <= 5
    assert (class_quotas(np.array([3, 2]), 100, balance) == [3, 2]).all()


def test_shares_of_images_are_exact_and_proportional():
    counts = np.array([[1000, 5], [3000, 0], [6000, 5]])
    shares = image_shares(counts, np.array([100, 10]), np.random.default_rng(0))
    assert shares.sum(axis=0).tolist() == [100, 10]
    assert (shares <= counts).all()
    assert np.abs(shares[:, 0] - [10, 30, 60]).max() <= 1


def test_every_pixel_has_its_own_truth_and_logits(study):
    # Logits that name their pixel: image number and position, so that what was drawn can be looked
    # up.
    truth, height, width = {}, 40, 57
    for i, item in enumerate(study.fit):
        truth[i] = read_truth(item, 3)
        place = np.arange(height * width).reshape(height, width)
        code = np.stack([np.zeros((height, width)), np.full((height, width), i), place / 400])
        np.save(study.logits["left"] / f"{item.image_id}.npy", code.astype(np.float32))
    files = LogitFiles(study.logits, 3)
    drawn = sample_pixels(files, study.fit, 600, 0.5, 1, 0)
    code = drawn.experts.log_prob[:, 0] - drawn.experts.log_prob[:, 0, :1]
    image, place = np.round(code[:, 1]).astype(int), np.round(code[:, 2] * 400).astype(int)
    assert len(set(zip(image.tolist(), place.tolist(), strict=True))) == len(image)
    found = np.array([truth[i].ravel()[p] for i, p in zip(image, place, strict=True)])
    np.testing.assert_array_equal(found, drawn.observed.argmax(axis=1))
    np.testing.assert_array_equal(drawn.groups, image // 2)
    assert drawn.per_class.sum() == len(found) == pytest.approx(600, abs=3)


def test_pooled_features_are_means_over_squares_whatever_the_strips(study):
    files, image_id = LogitFiles(study.logits, 3), study.fit[0].image_id
    whole = next(pixel_strips(files, image_id, 1)).experts
    plain = gate_features(whole)[0].reshape(40, 57, -1)
    padded = np.pad(plain, ((2, 2), (2, 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1))
    expected = windows.mean(axis=(-1, -2)).reshape(40 * 57, -1)
    for cells in (2**22, 3000):
        strips = pixel_strips(files, image_id, 5, cells)
        parts = [gate_features(strip.experts)[0] for strip in strips]
        np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-12)
    logits = (
        np.load(study.logits["left"] / f"{image_id}.npy")
        .astype(float)
        .transpose(1, 2, 0)
        .reshape(-1, 3)
    )
    np.testing.assert_allclose(whole.log_prob[:, 0], floor_log_prob(log_softmax(logits)))
