"""The choice: folds by patient, Dice of images nobody was fitted on, the simplest within one error."""

import numpy as np
import pytest

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.dense.fusion import choosing
from pathfuse.dense.fusion.choosing import choose, folds_of, held_out_dice, judge
from pathfuse.dense.fusion.methods.majority import Majority
from pathfuse.dense.fusion.methods.registry import METHODS
from pathfuse.dense.fusion.methods.staple import Staple
from pathfuse.dense.fusion.pixel_sample import sample_pixels

EACH = np.arange(6)
RICHNESS = {"plain": 0, "weights": 1, "gate": 2}


def test_folds_hold_patients_together_and_every_image_once():
    patients = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6])
    folds = folds_of(patients, 0)
    assert len(folds) == 5
    np.testing.assert_array_equal(np.sum(folds, axis=0), 1)
    assert all(not set(patients[fold]) & set(patients[~fold]) for fold in folds)
    assert folds_of(np.zeros(4, dtype=int), 0) is None
    assert len(folds_of(np.array([0, 1, 1]), 0)) == 2


def test_the_simplest_within_one_standard_error_of_the_best():
    hard = np.array([0.9, 0.5, 0.8, 0.3, 0.7, 0.6])  # images differ far more than methods
    wobble = np.array([0.01, -0.01, 0.02, 0.0, -0.01, 0.005])
    dice = {"plain": hard - 0.02, "weights": hard + wobble, "gate": hard + 0.003 - wobble / 2}
    best = "weights"  # by .00075, and less than its error apart from the gate
    chosen, found = choose(dice, EACH, RICHNESS)
    assert (chosen, found[best].below_best) == (best, 0.0)
    for name, own in dice.items():
        gap = dice[best] - own
        assert found[name].mean == pytest.approx(own.mean())
        assert found[name].below_best == pytest.approx(gap.mean())
        error = gap.std(ddof=1) / np.sqrt(6)
        assert found[name].below_best_standard_error == pytest.approx(error)
    assert found["plain"].standard_error > 0.05 > 5 * found["plain"].below_best_standard_error
    richer = {**RICHNESS, "weights": 3}
    assert choose(dice, EACH, richer)[0] == "gate"  # simpler than the best, and within its error
    assert choose({**dice, "plain": hard + 0.001}, EACH, RICHNESS)[0] == "plain"
    clear = {"plain": hard, "weights": hard + 0.01, "gate": hard + 0.05 + 0.1 * wobble}
    assert choose(clear, EACH, RICHNESS)[0] == "gate"


def test_of_equally_simple_methods_the_better_one():
    values = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.4])
    dice = {"a": values, "b": values + 0.001 * np.array([1, -1, 1, 1, -1, 1])}
    assert choose(dice, EACH, {"a": 0, "b": 0})[0] == "b"


def test_errors_are_over_patients_and_images_without_pixels_do_not_count():
    values = np.array([0.5, 0.5, 0.9, 0.9, np.nan, 0.2])
    patients = np.array([0, 0, 1, 1, 2, 2])
    _, found = choose({"a": values}, patients, {"a": 0})
    assert found["a"].mean == pytest.approx(0.6)
    sums = np.array([1.0 - 1.2, 1.8 - 1.2, 0.2 - 0.6])
    assert found["a"].standard_error == pytest.approx(np.sqrt((sums**2).sum() * 3 / 2) / 5)


def test_dice_is_that_of_images_left_out(study):
    files = LogitFiles(study.logits, 3)
    pixels = sample_pixels(files, study.fit, 300, 0.0, 1, 0)
    folds = folds_of(pixels.patients, 0)
    static = METHODS["static_product"]().fit(pixels.data(), 0)
    methods = {"majority": Majority((0, 1, 2)), "static": static}
    dice = held_out_dice(methods, pixels, files, study.fit, folds, 1, 0, 255, None)
    for fold in folds:
        data = pixels.data(~fold)
        assert set(data.groups) == set(pixels.patients[~fold])
        alone = methods["static"].refitted(data)
        for i in np.flatnonzero(fold):
            item = study.fit[i]
            logits = [np.load(f / f"{item.image_id}.npy") for f in study.logits.values()]
            planes = np.stack(logits).astype(float).reshape(3, 3, -1)
            weights = alone.fusion.weigh(data.experts)[0]
            said = np.einsum("m,mkn->kn", weights, planes).argmax(axis=0)
            truth = read_truth(item, 3).ravel()
            cm = np.zeros((3, 3))
            np.add.at(cm, (truth[truth < 3], said[truth < 3]), 1)
            assert dice["static"][i] == pytest.approx(float(metrics(cm)["mDice"]))
    assert not np.isnan(dice["majority"]).any()


def test_large_images_are_judged_by_a_sample(study, monkeypatch):
    files, item = LogitFiles(study.logits, 3), study.fit[0]
    methods = {"majority": Majority((0, 1, 2)), "staple": Staple()}
    whole = judge(methods, files, item, 1, [0, 0], 255)
    truth = read_truth(item, 3)
    assert whole[0].sum() == whole[1].sum() == (truth != 255).sum()
    monkeypatch.setattr(choosing, "JUDGED_PIXELS", 500)
    some = judge(methods, files, item, 1, [0, 0], 255)
    assert some[0].sum() == 500
    assert (some <= whole).all()
    again = judge(methods, files, item, 1, [0, 0], 255)
    np.testing.assert_array_equal(some, again)
