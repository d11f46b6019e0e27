"""Strips: the largest score is numpy's, disputed pixels are those, and strips are read ahead."""

import numpy as np
import pytest

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.fusion.strips import largest, pixel_strips, read_ahead


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_the_largest_score_is_that_of_argmax(n_classes):
    scores = np.random.default_rng(0).integers(0, 4, size=(n_classes, 500)).astype(np.float32)
    scores[0, :20] = -np.inf
    np.testing.assert_array_equal(largest(scores), scores.argmax(axis=0))


def test_decisions_and_disputes(study):
    files, image_id = LogitFiles(study.logits, 3), study.fit[0].image_id
    said = np.stack([np.load(f / f"{image_id}.npy").argmax(axis=0) for f in study.logits.values()])
    strips = list(pixel_strips(files, image_id, cells=3000))
    assert len(strips) > 3
    found = np.concatenate([strip.decisions for strip in strips], axis=1)
    np.testing.assert_array_equal(found, said.reshape(3, -1))
    width = said.shape[2]
    disputed = [strip.disputed + strip.rows.start * width for strip in strips]
    differ = (said != said[0]).any(axis=0).ravel()
    np.testing.assert_array_equal(np.concatenate(disputed), np.flatnonzero(differ))


@pytest.mark.parametrize("pool_px", [1, 3])
def test_some_pixels_say_what_they_say_in_the_strip(study, pool_px):
    files, image_id = LogitFiles(study.logits, 3), study.fit[0].image_id
    strip = next(pixel_strips(files, image_id, pool_px))
    index = np.array([3, 200, 1999])
    few = strip.at(index)
    np.testing.assert_array_equal(few.decisions, strip.decisions[:, index])
    for one in (few.experts, strip.experts_at(index)):
        np.testing.assert_array_equal(one.log_prob, strip.experts.log_prob[index])
        if pool_px > 1:
            np.testing.assert_array_equal(one.context, strip.experts.context[index])


def test_a_model_that_did_not_score_the_image(study):
    image_id = study.fit[0].image_id
    (study.logits["left"] / f"{image_id}.npy").unlink()
    strip = next(pixel_strips(LogitFiles(study.logits, 3), image_id))
    assert strip.present.tolist() == [False, True, True]
    np.testing.assert_array_equal(strip.agreed, strip.decisions[1])
    np.testing.assert_array_equal(
        strip.disputed, np.flatnonzero(strip.decisions[1] != strip.decisions[2])
    )


def test_reading_ahead_keeps_the_order_and_the_error():
    made = []

    def things():
        for k in range(4):
            made.append(k)
            yield k
        raise ValueError("the end is damaged")

    ahead = read_ahead(things())
    assert next(ahead) == 0
    found = [0]
    with pytest.raises(ValueError, match="the end is damaged"):
        found.extend(iter(lambda: next(ahead), None))
    assert made == [0, 1, 2, 3]
    assert list(read_ahead(iter(()))) == []
