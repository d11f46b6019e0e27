"""Bags from disk: bounded memory, no tile more than asked, and standardisation as numpy has it."""

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.batches import BagReader, FeatureScale, ahead, batches, fit_scale, pack, steps  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.features import held  # noqa: E402


@pytest.fixture
def folder(memory_folder):
    rng = np.random.default_rng(0)
    return memory_folder(
        {f"s{k}": rng.normal(3, 2, size=(n, 4)) for k, n in enumerate((5, 1, 30, 8))}
    )


UNITS = [Unit(0, ("s0", "s1")), Unit(1, ("s2",)), Unit(2, ("s3",))]


def test_a_unit_is_all_of_its_slides(folder):
    bag = BagReader(folder, 0).read(UNITS[0])
    np.testing.assert_array_equal(bag, np.concatenate([folder.bags["s0"], folder.bags["s1"]]))


def test_what_is_kept_is_not_read_again(folder):
    reader = BagReader(folder, 1)
    first = reader.read(UNITS[1])
    np.testing.assert_array_equal(reader.read(UNITS[1]), first)
    assert len(folder.reads) == 1
    reader = BagReader(folder, 0)
    reader.read(UNITS[1])
    reader.read(UNITS[1])
    assert len(folder.reads) == 3


def test_memory_is_bounded(memory_folder):
    n = 2**18 // 4 // 4  # a quarter of a megabyte
    folder = memory_folder(
        {f"s{k}": np.full((n, 4), k) for k in range(9)} | {"big": np.zeros((5 * n, 4))}
    )
    reader = BagReader(folder, 1)
    for k in (0, 1, 2, 3, 0, 4, 5, 1):  # the first that fit stay
        reader.read(Unit(0, (f"s{k}",)))
        assert reader.held == sum(bag.nbytes for bag in reader.kept.values()) <= 2**20
    assert [slides[0] for slides in reader.kept] == ["s0", "s1", "s2", "s3"]
    reader.read(Unit(0, ("big",)))
    assert len(reader.kept) == 4
    assert len(folder.reads) == 7


def test_tiles_are_drawn_without_replacement(memory_folder):
    folder = memory_folder(
        {"a": np.arange(40).reshape(40, 1), "b": np.arange(40, 60).reshape(20, 1)}
    )
    unit = Unit(0, ("a", "b"))
    reader, rng = BagReader(folder, 0), np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        folder.reads.clear()
        drawn = reader.read(unit, 7, rng)[:, 0].tolist()
        assert len(set(drawn)) == len(drawn) == 7
        assert sum(n for _, n in folder.reads) == 7
        seen |= set(drawn)
    assert seen > set(range(55, 58))
    assert len(seen) > 50
    assert len(reader.read(unit, 60, rng)) == 60
    assert reader.read(unit, 7)[:, 0].tolist() == [0, 8, 17, 25, 34, 42, 51]  # no generator
    assert len(reader.read(unit, 60)) == len(reader.read(unit)) == 60


def test_the_cache_does_not_change_what_is_drawn(folder):
    warm, cold = BagReader(folder, 1), BagReader(folder, 0)
    warm.read(UNITS[1])
    one = warm.read(UNITS[1], 6, np.random.default_rng(5))
    np.testing.assert_array_equal(one, cold.read(UNITS[1], 6, np.random.default_rng(5)))


def test_packing(folder):
    reader = BagReader(folder, 1)
    (step,) = steps(reader, UNITS, 3, None, None)
    batch = pack(reader, [reader.take(unit) for unit in UNITS], UNITS, "cpu", step)
    assert torch.bincount(batch.packed.index).tolist() == [6, 30, 8]
    assert batch.packed.index.tolist() == sorted(batch.packed.index.tolist())
    np.testing.assert_array_equal(batch.packed.features[6:36], folder.bags["s2"])
    assert batch.samples.tolist() == [0, 1, 2]
    batch.packed.features.zero_()
    assert reader.read(UNITS[1]).any()


def test_batches_hold_every_unit_once(folder):
    reader = BagReader(folder, 1)
    assert [b.samples.tolist() for b in batches(reader, UNITS, 2, "cpu")] == [[0, 1], [2]]
    orders = set()
    for seed in range(8):
        found = [
            b.samples.tolist()
            for b in batches(reader, UNITS, 2, "cpu", np.random.default_rng(seed))
        ]
        assert sorted(np.concatenate(found).tolist()) == [0, 1, 2]
        orders.add(str(found))
    assert len(orders) > 1
    drawn = list(batches(reader, UNITS, 3, "cpu", np.random.default_rng(0), max_tiles=2))
    assert torch.bincount(drawn[0].packed.index).tolist() == [2, 2, 2]


def test_the_scale_is_that_of_all_tiles(memory_folder):
    rng = np.random.default_rng(1)
    bags = {
        f"s{k}": rng.normal([1000, 0, 5], [0.1, 3, 0], size=(n, 3))
        for k, n in enumerate((3, 11, 40))
    }
    folder = memory_folder(bags)
    units = [Unit(0, ("s0", "s1")), Unit(1, ("s2",))]
    scale = fit_scale(folder, units)
    tiles = np.concatenate(list(folder.bags.values())).astype(np.float64)
    np.testing.assert_allclose(scale.mean, tiles.mean(axis=0))
    np.testing.assert_allclose(scale.sd, [*tiles.std(axis=0)[:2], np.inf], rtol=1e-6)
    bag = BagReader(folder, 1, scale).read(units[1])
    assert bag.dtype == np.float32
    np.testing.assert_allclose(bag, (tiles[14:] - scale.mean) / scale.sd, rtol=1e-4, atol=1e-4)


def test_drawn_tiles_are_scaled_as_well(folder):
    reader = BagReader(folder, 0, FeatureScale(np.full(4, 3.0), np.full(4, 2.0)))
    drawn = reader.read(UNITS[1], 4, np.random.default_rng(0))
    rows = np.sort(np.random.default_rng(0).choice(30, 4, replace=False))
    np.testing.assert_allclose(drawn, (folder.bags["s2"][rows] - 3) / 2, rtol=1e-5)


def test_standardising_in_float32_loses_nothing_that_matters(memory_folder):
    """Also where a feature's mean is ten thousand times its spread."""
    rng = np.random.default_rng(1)
    mean, sd = np.array([1000.7, 0.1, -5e4]), np.array([0.1, 3, 5])
    bag = rng.normal(mean, sd, size=(500, 3)).astype(np.float32)
    wanted = (bag.astype(np.float64) - mean) / sd
    np.testing.assert_allclose(FeatureScale(mean, sd).apply(bag), wanted, atol=2e-6)
    clipped = FeatureScale(mean, sd, 1.5).apply(bag)
    np.testing.assert_allclose(clipped, np.clip(wanted, -1.5, 1.5), atol=2e-6)
    small = bag[:, 1:2].astype(np.float16)
    np.testing.assert_array_equal(
        FeatureScale(mean[1:2], sd[1:2]).apply(small),
        FeatureScale(mean[1:2], sd[1:2]).apply(small.astype(np.float32)),
    )


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize("mean", [0.5, 1000.1])
def test_a_device_standardises_as_the_processor_does(mean, clip):
    rng = np.random.default_rng(1)
    bag = rng.normal(mean, 0.7, size=(40, 3)).astype(np.float16)
    scale = FeatureScale(np.full(3, mean), np.array([0.1, 0.7, 3.0]), clip)
    features = torch.from_numpy(bag).float()
    scale.write_on_device(features)
    np.testing.assert_array_equal(features.numpy(), scale.apply(bag))


def test_a_step_is_cut_by_its_tiles(folder):
    reader = BagReader(folder, 0)  # units of 6, 30 and 8 tiles
    found = list(steps(reader, UNITS, 3, None, 36))
    assert [[unit.sample for unit in step.units] for step in found] == [[0, 1], [2]]
    assert [(step.of, step.ends) for step in found] == [(3, False), (3, True)]
    alone = list(steps(reader, UNITS, 2, None, 1))
    assert [[unit.sample for unit in step.units] for step in alone] == [[0], [1], [2]]
    assert [(step.of, step.ends) for step in alone] == [(2, False), (2, True), (1, True)]
    assert len(list(steps(reader, UNITS, 3, 5, 15))) == 1  # five tiles of each are drawn


@pytest.mark.parametrize("max_tiles", [None, 7])
def test_batches_do_not_depend_on_cache_or_prefetching(folder, monkeypatch, max_tiles):
    monkeypatch.setattr("pathfuse.experts.batches.PREFETCHED", 0)
    seen = []
    for cache, prefetch in ((0, False), (0, True), (1, False), (1, True)):
        reader, rng = BagReader(folder, cache), np.random.default_rng(3)
        seen.append([
            (batch.samples.tolist(), batch.packed.features.numpy().tobytes())
            for _ in range(3)
            for batch in batches(reader, UNITS, 2, "cpu", rng, max_tiles, prefetch=prefetch)
        ])  # fmt: skip
    assert all(one == seen[0] for one in seen)


def test_an_error_in_the_thread_arrives_and_an_unfinished_pass_ends(folder):
    def broken():
        yield 1
        raise ValueError("unreadable")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="unreadable"):
        next(items)
    before = threading.active_count()
    some = ahead(iter(range(100)))
    assert next(some) == 0
    some.close()
    assert threading.active_count() == before


def test_of_large_units_one_at_a_time_is_in_memory(folder, monkeypatch):
    monkeypatch.setattr("pathfuse.experts.batches.PREFETCHED", 0)
    asked = []
    monkeypatch.setattr("pathfuse.experts.batches.ahead", lambda items: asked.append(1) or items)
    for most, wanted in ((30 * 4, 1), (30 * 4 - 1, 0)):  # the largest has 30 tiles of 4 features
        asked.clear()
        monkeypatch.setattr("pathfuse.experts.batches.ALONE", most)
        assert len(list(batches(BagReader(folder, 0), UNITS, 1, "cpu"))) == 3
        assert len(asked) == wanted


def test_half_a_cache_gives_half_of_the_bags(memory_folder):
    """In whatever order units come, what is kept is found again in every epoch."""
    folder = memory_folder({f"s{k:02d}": np.zeros((2**15, 4)) for k in range(8)})  # 512 KB each
    units = [Unit(k, (f"s{k:02d}",)) for k in range(8)]
    reader = BagReader(folder, 2)
    for epoch in range(4):
        folder.reads.clear()
        list(batches(reader, units, 3, "cpu", np.random.default_rng(epoch)))
        assert len(folder.reads) == (8 if epoch == 0 else 4)


def test_a_unit_that_cannot_be_held_is_named_before_any_is_read(folder, monkeypatch):
    monkeypatch.setattr(held, "MOST_NUMBERS", 4 * 20)
    reader = BagReader(folder, 1)
    with pytest.raises(InputError, match="has 30 tiles of 4 numbers"):
        batches(reader, UNITS, 2, "cpu")
    assert not folder.reads
    assert len(list(batches(reader, UNITS, 2, "cpu", max_tiles=20))) == 2
