"""The median of log-probabilities: by hand, robust, and without a vote."""

import numpy as np
import pytest
from scipy.special import log_softmax

import pathfuse
from pathfuse.fusion import methods
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.choose import Choose
from pathfuse.fusion.categorical.median_logit import MedianLogit
from pathfuse.fusion.store import dump


def experts(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    logits = rng.normal(size=(n, 4, 3))
    logits[np.arange(n), :, y] += 1.5
    logits[rng.random((n, 4)) < 0.2] = np.nan
    logits[:, 0] = np.where(np.isnan(logits[:, 0]), 0.0, logits[:, 0])
    return logits, y


def test_by_hand_over_the_experts_present():
    log_prob = np.log(
        [[[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [np.nan] * 2, [0.2, 0.8]]]
    )
    model = pathfuse.MedianLogit().fit(log_prob, [0, 1])
    middle = np.stack([log_prob[0, 0], (log_prob[1, 0] + log_prob[1, 2]) / 2])  # of two, their mean
    np.testing.assert_allclose(
        model.predict_log_proba(log_prob), log_softmax(middle, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(model.weights(log_prob), [[1 / 3] * 3, [1 / 2, 0, 1 / 2]])


def test_an_expert_that_shouts_does_not_move_it():
    logits = np.tile([[[2.0, 0.0], [1.5, 0.0], [0.0, 1.0]]], (2, 1, 1))
    louder = logits * [[[1.0], [1.0], [10.0]]]
    model = pathfuse.MedianLogit().fit(logits, [0, 1])
    assert model.predict(louder).tolist() == [0, 0]
    assert pathfuse.UniformProduct().fit(logits, [0, 1]).predict(louder).tolist() == [1, 1]


@pytest.mark.slow
def test_auto_and_choose_are_the_same_bytes_with_and_without_it(monkeypatch):
    logits, y = experts()
    with_it = [dump(kind().fit(logits, y)) for kind in (Auto, Choose)]
    fewer = tuple(kind for kind in methods.METHODS if kind is not MedianLogit)
    assert len(fewer) == len(methods.METHODS) - 1
    monkeypatch.setattr(methods, "METHODS", fewer)
    for (content, tensors), kind in zip(with_it, (Auto, Choose), strict=True):
        other, arrays = dump(kind().fit(logits, y))
        assert other == content
        assert "median_logit" not in str(content)
        assert {name: a.tobytes() for name, a in arrays.items()} == {
            name: a.tobytes() for name, a in tensors.items()
        }
