"""Figures as the paper computes them."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from pathfuse.files.tables import table_in_memory
from pathfuse.study.samples import read_samples
from pathfuse.workflows.suite.cards import find_card
from pathfuse.workflows.suite.paper import positive_f1

CLASSES = ("normal", "tumor")


def tables(n=40, folds=False):
    rng = np.random.default_rng(2)
    truth, called = rng.integers(2, size=(2, n))
    ids = [f"s{i:02d}" for i in range(n)]
    role = {"fold": np.arange(n) % 3} if folds else {"split": ["test"] * n}
    samples = pl.DataFrame({"sample_id": ids, **role, "label": [CLASSES[k] for k in truth]})
    fused = pl.DataFrame({"sample_id": ids, "prediction": [CLASSES[k] for k in called]})
    return (
        truth,
        called,
        read_samples(table_in_memory("samples", samples)),
        fused.sample(fraction=1.0, shuffle=True),
    )


def test_it_is_that_of_the_second_class():
    truth, called, samples, fused = tables()
    assert positive_f1(samples, fused, CLASSES) == pytest.approx(f1_score(truth, called))
    assert positive_f1(samples, fused, CLASSES) != pytest.approx(
        f1_score(truth, called, average="macro")
    )
    half = fused.sort("sample_id").head(20)
    assert positive_f1(samples, half, CLASSES) == pytest.approx(f1_score(truth[:20], called[:20]))


def test_folds_are_not_pooled():
    truth, called, samples, fused = tables(folds=True)
    fold = np.arange(len(truth)) % 3
    own = [f1_score(truth[fold == k], called[fold == k]) for k in range(3)]
    expected = np.average(own, weights=np.bincount(fold))
    assert positive_f1(samples, fused, CLASSES) == pytest.approx(expected)


def test_there_is_none_without_two_classes_or_without_the_class():
    _, _, samples, fused = tables()
    assert positive_f1(samples, fused, ("a", "b", "c")) is None
    assert positive_f1(samples, fused, ("a", "b")) is None


def test_cards_of_two_classes_say_which_f1_the_paper_means():
    said = "its f1 is that of the positive class, pathfuse's the mean over both classes"
    assert said in find_card("pcam").text
    assert said not in find_card("bracs_3").text
    assert said not in find_card("survival_blca").text
