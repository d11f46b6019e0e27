"""Copies across the split are told, chance is not."""

import numpy as np
import polars as pl
import pytest

from pathfuse.study.samples import partitions
from pathfuse.study.study import read_study
from pathfuse.workflows.steps.twins import twin_warnings


def study(
    n, n_experts, copies=0, classes="abc", digits=None, missing=0.0, seed=0, change=None, **roles
):
    """Half fit, half test; the last ``copies`` test samples are the first fit samples under other
    names."""
    rng = np.random.default_rng(seed)
    ids = [f"s{i:05d}" for i in range(n)]
    roles = roles or {"split": ["fit"] * (n // 2) + ["test"] * (n - n // 2)}
    table = pl.DataFrame(
        {"sample_id": ids, "label": [classes[i % len(classes)] for i in range(n)], **roles}
    )
    experts = {}
    for m in range(n_experts):
        odds = rng.normal(size=(n, len(classes)))
        odds = odds if change is None else change(odds)
        odds[n - copies :] = odds[:copies]
        prob = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        if digits is not None:
            prob = prob.round(digits)
            prob[:, -1] = 1 - prob[:, :-1].sum(axis=1)
        frame = pl.DataFrame(
            {"sample_id": ids, **{f"prob_{c}": prob[:, k] for k, c in enumerate(classes)}}
        )
        experts[f"e{m}"] = frame.filter(pl.Series(rng.random(n) >= missing)) if m else frame
    return read_study(table, experts)


def told(read):
    return twin_warnings(read, partitions(read.samples))


def test_copies_are_counted_and_the_first_is_named():
    assert told(study(100, 3, copies=12)) == [
        (
            "12 judged samples have exactly the predictions of fit samples (the first: 's00088' and 's00000'): "
            "the same images under two names?"
        )
    ]
    assert told(study(100, 3, copies=1)) == [
        (
            "1 judged sample has exactly the predictions of a fit sample ('s00099' and 's00000'): "
            "the same image under two names?"
        )
    ]
    assert "24 judged samples" in told(study(100, 3, copies=12, fold=np.arange(100) % 5))[0]
    assert "12 judged samples" in told(study(100, 1, copies=12))[0]
    assert "12 judged samples" in told(study(1000, 5, copies=12, digits=2))[0]


def test_an_expert_that_scored_one_of_the_two_sets_them_apart():
    whole, partly = told(study(400, 3, copies=40)), told(study(400, 3, copies=40, missing=0.3))
    assert int(whole[0].split()[0]) == 40
    assert (
        5 < int(partly[0].split()[0]) < 25
    )  # scored by the same experts: about (0.7^2 + 0.3^2)^2 of them


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("n", "n_experts", "options"),
    [
        (200, 3, {}),
        (200, 3, {"change": np.zeros_like}),
        (8, 2, {"change": np.zeros_like}),
        (200, 3, {"change": np.sign}),
        (20, 1, {"classes": "ab", "digits": 2}),
        (200, 2, {"classes": "ab", "digits": 2}),
        (2000, 1, {"classes": "ab", "digits": 3}),
        (2000, 2, {"classes": "ab", "digits": 2}),
    ],
)
def test_chance_is_passed_over(n, n_experts, options, seed):
    assert told(study(n, n_experts, seed=seed, **options)) == []


def test_blank_tiles_that_many_share_are_passed_over():
    def blank(odds):
        odds[::9] = 1.0
        return odds

    assert told(study(400, 3, change=blank)) == []
