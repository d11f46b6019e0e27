"""Votes: whole votes first, then the best of the models that gave the class."""

import itertools

import numpy as np

from pathfuse.dense.data.logit_files import Strip
from pathfuse.dense.fusion.methods.majority import Majority
from pathfuse.dense.fusion.strips import PixelStrip


def strip_of(decisions: np.ndarray, n_classes: int, absent: tuple[int, ...] = ()) -> PixelStrip:
    planes = np.eye(n_classes, dtype=np.float32)[decisions].transpose(0, 2, 1)[:, :, None]
    planes[list(absent)] = np.nan
    return PixelStrip(Strip(0, 1, 0, planes))


def test_every_vote_of_four_models_on_three_classes():
    decisions = np.array(list(itertools.product(range(3), repeat=4))).T
    order = (2, 0, 3, 1)
    found = Majority(order).classes(strip_of(decisions, 3))
    for own, said in zip(decisions.T, found, strict=True):
        votes = np.bincount(own, minlength=3)
        tied = np.flatnonzero(votes == votes.max())
        assert said == next(own[m] for m in order if own[m] in tied)


def test_absent_models_have_no_vote():
    decisions = np.array([[0, 1], [0, 1], [1, 0], [1, 0]])
    found = Majority((0, 1, 2, 3)).classes(strip_of(decisions, 2, absent=(0,)))
    assert found.tolist() == [1, 0]
