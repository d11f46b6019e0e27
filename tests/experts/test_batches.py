"""Bags from disk: bounded memory, no tile more than asked, and standardisation as numpy has it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.batches import BagReader, FeatureScale, batches, fit_scale, pack  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402


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
    for k in (0, 1, 2, 3, 0, 4, 5):  # 0 is used again and outlives 1
        reader.read(Unit(0, (f"s{k}",)))
        assert reader.held == sum(bag.nbytes for bag in reader.kept.values()) <= 2**20
    assert [slides[0] for slides in reader.kept] == ["s3", "s0", "s4", "s5"]
    reader.read(Unit(0, ("big",)))
    assert len(reader.kept) == 4
    assert len(folder.reads) == 7


def test_tiles_are_drawn_without_replacement(memory_folder):
    folder = memory_folder(
        {"a": np.arange(40).reshape(40, 1), "b": np.arange(40, 60).reshape(20, 1)}
    )
    unit = Unit(0, ("a", "b"))
    reader, rng = BagReader(folder, 1), np.random.default_rng(0)
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
    batch = pack([reader.take(unit) for unit in UNITS], UNITS, "cpu")
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
    np.testing.assert_allclose(scale.sd, [*tiles.std(axis=0)[:2], 1.0], rtol=1e-6)
    bag = BagReader(folder, 1, scale).read(units[1])
    assert bag.dtype == np.float32
    np.testing.assert_allclose(bag, (tiles[14:] - scale.mean) / scale.sd, rtol=1e-4, atol=1e-4)


def test_drawn_tiles_are_scaled_as_well(folder):
    reader = BagReader(folder, 0, FeatureScale(np.full(4, 3.0), np.full(4, 2.0)))
    drawn = reader.read(UNITS[1], 4, np.random.default_rng(0))
    rows = np.sort(np.random.default_rng(0).choice(30, 4, replace=False))
    np.testing.assert_allclose(drawn, (folder.bags["s2"][rows] - 3) / 2, rtol=1e-5)
