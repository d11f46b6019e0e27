"""Predicting in blocks: the same bytes as at once, whatever the size of the blocks."""

import numpy as np
import pytest

from pathfuse.fusion import inner_cv
from pathfuse.fusion.auto import Council
from pathfuse.fusion.categorical import experts as experts_file
from pathfuse.fusion.categorical.experts import Experts, row_blocks
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.fitted import FittedMethods
from pathfuse.fusion.method import Method
from pathfuse.fusion.registry import fusions_of

M, K = 9, 10
"""Enough experts and outcomes for numpy to change the order of a sum where it may choose."""
KINDS = fusions_of(CATEGORICAL)


def draw(n, seed, missing=0.25):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    logits = rng.normal(size=(n, M, K)) * 4
    logits[np.arange(n), :, y] += 3
    gone = rng.random((n, M)) < missing
    gone[np.arange(n), rng.integers(M, size=n)] = False
    gone[: n // 3] = False
    logits[gone] = np.nan
    return logits, np.eye(K, dtype=bool)[y]


def one_setting(kind):
    """A method whose setting is in the middle of its candidates: nothing is searched."""
    method = kind()
    candidates = method.candidates(100)
    method.candidates = lambda _: (candidates[len(candidates) // 2],)
    return method


@pytest.fixture(scope="module")
def fitted():
    """Every fusion, fitted without a search: only what it predicts is of interest here."""
    logits, observed = draw(60, 0)
    experts, groups = Experts.from_logits(logits), np.arange(60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        patch.setattr(inner_cv, "LARGE", 0)
        methods = {
            name: one_setting(kind).fit_experts(experts, observed, groups)
            for name, kind in KINDS.items()
            if issubclass(kind, Method)
        }
    nothing = FittedMethods(
        methods,
        dict.fromkeys(methods, 0.0),
        {name: method.combine(experts)[None] for name, method in methods.items()},
        groups,
        experts,
        observed,
        [],
        {name: [] for name in methods},
    )
    made = {
        name: kind().from_fitted(nothing, experts, observed)
        if issubclass(kind, Council)
        else kind().from_fitted(nothing)
        for name, kind in KINDS.items()
        if not issubclass(kind, Method)
    }
    return methods | made


@pytest.mark.parametrize("name", KINDS)
def test_blocks_of_any_size_give_the_same_bytes(fitted, name):
    logits, _ = draw(1100, 1)
    whole = fitted[name].combine_and_weigh(Experts.from_logits(logits))
    for size in (1, 7, 1000):
        starts = range(0, 1100, size) if size > 1 else range(360, 400)
        for start in starts:
            rows = slice(start, min(start + size, 1100))
            part = Experts.from_logits(logits[rows])
            for got, expected in zip(fitted[name].combine_and_weigh(part), whole, strict=True):
                assert np.array_equal(got, expected[rows])


@pytest.mark.parametrize("name", KINDS)
def test_no_samples_have_no_predictions(fitted, name):
    """A label may be known of no judged row."""
    nothing = Experts.from_logits(draw(9, 1)[0]).rows(np.arange(0))
    predicted, weights = fitted[name].combine_and_weigh(nothing)
    assert (predicted.shape, weights.shape) == ((0, K), (0, M))


@pytest.mark.parametrize("name", KINDS)
def test_a_table_works_itself_off_in_blocks_of_the_same_bytes(fitted, name, monkeypatch):
    experts = Experts.from_logits(draw(330, 2)[0])
    fusion = fitted[name]
    whole = fusion.combine(experts), fusion.weigh(experts)
    monkeypatch.setattr(experts_file, "BLOCK_CELLS", 1)
    blocks = Experts(experts.log_prob, experts.present)
    assert len(list(blocks.blocks())) > 20
    assert np.array_equal(fusion.combine(blocks), whole[0])
    assert np.array_equal(fusion.weigh(blocks), whole[1])
    for got, expected in zip(fusion.combine_and_weigh(blocks), whole, strict=True):
        assert np.array_equal(got, expected)
        assert got.flags.c_contiguous


def test_what_the_order_in_memory_is_changes_no_bit():
    logits, _ = draw(200, 3)
    experts = Experts.from_logits(logits)
    turned = Experts(np.ascontiguousarray(experts.log_prob), experts.present)
    assert np.array_equal(turned.planes, experts.planes)
    assert turned.planes.flags.c_contiguous
    picked = np.random.default_rng(0).permutation(200)[:30]
    assert np.array_equal(experts.rows(picked).log_prob, experts.log_prob[picked])
    assert experts.rows(picked).planes.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_bad_sample_is_named_in_whichever_block_it_lies(dtype, monkeypatch):
    monkeypatch.setattr(experts_file, "BLOCK_CELLS", 1)
    logits = draw(100, 4)[0].astype(dtype)
    logits[77, 2] = 1.0
    logits[77, 2, 1] = np.nan
    with pytest.raises(ValueError, match="sample 77, expert 2"):
        Experts.from_logits(logits)
    logits[77] = np.nan
    with pytest.raises(ValueError, match="sample 77 was scored by no expert"):
        Experts.from_logits(logits)


def test_blocks_cover_all_rows_once():
    parts = list(row_blocks(1000, 10_000))
    assert [p.start for p in parts[1:]] == [p.stop for p in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, 1000)
    assert list(row_blocks(0, 54)) == [slice(0, 0)]
