"""The draw of parts: whole groups, seeded, and official parts untouched."""

from collections import Counter

from pathfuse.dense.data.converters.parts import draw_parts


def test_without_anything_official_it_is_60_15_25():
    parts, said = draw_parts([str(i) for i in range(100)], [None] * 100, 0)
    assert Counter(parts) == {"train": 60, "val": 15, "test": 25}
    assert any("25%" in sentence for sentence in said)


def test_groups_are_never_torn_and_shares_are_near():
    for seed in range(20):
        groups = [f"p{i % 11}" for i in range(50)]
        parts, _ = draw_parts(groups, [None] * 50, seed)
        assert all(
            len({p for p, g in zip(parts, groups, strict=True) if g == group}) == 1
            for group in set(groups)
        )
        counts = Counter(parts)
        assert min(counts.values()) > 3
        assert counts["train"] > counts["test"]


def test_official_parts_stay_and_val_comes_from_train_only():
    official = ["train"] * 20 + ["test"] * 10
    parts, said = draw_parts([str(i) for i in range(30)], official, 3)
    assert parts[20:] == ["test"] * 10
    assert Counter(parts[:20]) == {"train": 16, "val": 4}
    assert said == ["4 of 20 training images were drawn to validate on, with seed 3."]


def test_an_official_val_part_is_enough():
    official = ["train", "val", "test"]
    assert draw_parts(list("abc"), official, 0) == (official, [])


def test_the_seed_decides():
    groups = [str(i) for i in range(40)]
    draws = [tuple(draw_parts(groups, [None] * 40, seed)[0]) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_one_group_of_training_images_cannot_be_divided():
    parts, said = draw_parts(["a", "a", "b"], ["train", "train", "test"], 0)
    assert parts == ["train", "train", "test"]
    assert "one group" in said[0]
