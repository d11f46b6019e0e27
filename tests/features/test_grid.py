"""Tiles joined by coordinates, against a computation of all pairs and against cases made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.features.formats.base import Coords, UnusableError
from pathfuse.features.grid import ABSENT, match, partners, single, spacing, tile_sizes

SEEDS = st.integers(0, 2**32 - 1)


def at(*xy, size=256.0, unit="px") -> Coords:
    return Coords(np.array(xy, dtype=np.float64).reshape(-1, 2), unit, size)


def full(side: int, size: float, offset=(0.0, 0.0), stated: float | None = -1) -> Coords:
    """A square of tiles, in reading order."""
    y, x = np.divmod(np.arange(side * side), side)
    return Coords(
        np.stack([x, y], axis=1) * size + np.array(offset), "px", size if stated == -1 else stated
    )


def shares(xy, size, other, other_size) -> np.ndarray:
    """Of each tile's area by each of the other's: all pairs, from the corners alone."""
    low = np.maximum(xy[:, None], other[None])
    high = np.minimum(xy[:, None] + size, other[None] + other_size)
    return np.prod(np.clip(high - low, 0, None), axis=2) / size**2


@given(SEEDS, st.sampled_from([64.0, 96.0, 128.0, 200.0]), st.sampled_from([0.05, 0.3, 0.5, 0.8]))
def test_the_largest_share_is_that_of_all_pairs(seed, other_size, overlap):
    rng = np.random.default_rng(seed)
    side = 12
    cells = rng.choice(side * side, 60, replace=False)
    xy = np.stack([cells % side, cells // side], axis=1) * 64.0
    n = int(rng.integers(1, 40))
    other = rng.uniform(-100, side * 64, (n, 2))  # any places, overlapping ones as well
    found, share = partners(xy, 64.0, other, other_size, overlap)
    truth = shares(xy, 64.0, other, other_size)
    best = truth.max(axis=1)
    clear = np.abs(best - overlap) > 0.03  # within half a pixel of the limit either is right
    assert np.array_equal((found != ABSENT)[clear], (best >= overlap)[clear])
    there = np.flatnonzero(found != ABSENT)
    slack = 2 * 0.5 / 64  # what rounding forgives
    assert (truth[there, found[there]] >= best[there] - slack).all()
    assert (np.abs(share[there] - best[there]) <= slack).all()
    assert (share[found == ABSENT] == 0).all()


@given(SEEDS, st.sampled_from([256.0, 384.0, 512.0]), st.sampled_from([0.25, 0.5, 1.0]))
def test_two_regular_grids_against_all_pairs(seed, other_size, overlap):
    """Whole pixels: shares are exact, so every decision must agree."""
    rng = np.random.default_rng(seed)
    fine, coarse = (
        full(9, 256),
        full(int(9 * 256 // other_size), other_size, tuple(rng.integers(0, 250, 2) * 2.0)),
    )
    keep = [
        np.sort(rng.choice(len(one.xy), int(0.7 * len(one.xy)), replace=False))
        for one in (fine, coarse)
    ]
    a, b = (
        Coords(one.xy[rows], "px", one.tile_size)
        for one, rows in zip((fine, coarse), keep, strict=True)
    )
    found, share = partners(a.xy, 256, b.xy, other_size, overlap)
    truth = shares(a.xy, 256, b.xy, other_size)
    assert np.array_equal(found != ABSENT, truth.max(axis=1) >= overlap)
    there = np.flatnonzero(found != ABSENT)
    assert np.allclose(truth[there, found[there]], truth[there].max(axis=1))
    assert np.allclose(share[there], truth[there].max(axis=1))


def test_of_equal_shares_the_nearest_centre():
    """A tile inside three overlapping large ones takes the one that it is in the middle of."""
    found, share = partners(
        np.array([[100.0, 100.0]]), 56.0, np.array([[60.0, -20.0], [0, 0], [0, 100]]), 256.0, 0.5
    )
    assert (found.tolist(), share.tolist()) == ([1], [1.0])


@pytest.mark.parametrize(
    ("shift", "joined"), [(0.5, True), (-0.5, True), (0.6, False), (1.0, False)]
)
def test_corners_agree_to_half_a_pixel(shift, joined):
    a = at((0, 0), (256, 0), (0, 256))
    b = at((0, 0), (256, 0), (0, 256 + shift))
    found = match("s", {"a": a, "b": b}, 1.0)
    assert found.n_rows == (3 if joined else 4)
    assert found.index["b"].tolist() == ([0, 1, 2] if joined else [0, 1, ABSENT, 2])
    assert np.array_equal(found.where({"a": a.xy, "b": b.xy})[:3], a.xy)


def test_the_union_in_reading_order_whatever_the_order_of_rows():
    a = at((256, 256), (0, 0), (512, 0))
    b = at((256, 0), (512, 0), (256, 256))
    found = match("s", {"b": b, "a": a}, 0.5)
    assert np.array_equal(
        found.where({"a": a.xy, "b": b.xy}), [[0, 0], [256, 0], [512, 0], [256, 256]]
    )
    assert found.index["a"].tolist() == [1, ABSENT, 2, 0]
    assert found.index["b"].tolist() == [ABSENT, 0, 1, 2]
    assert (found.on_grid, found.tile_size, found.unused) == (("a", "b"), 256.0, {})


@given(SEEDS)
def test_permuted_rows_and_renamed_order_change_nothing(seed):
    rng = np.random.default_rng(seed)
    coords = {
        "a": full(6, 256),
        "b": Coords(
            full(6, 256).xy[rng.permutation(36)[:25]] + rng.uniform(-0.25, 0.25, (25, 2)),
            "px",
            256.0,
        ),
        "c": full(4, 448, (30, -20)),
    }
    before = match("s", coords, 0.5)
    order = {name: rng.permutation(len(one.xy)) for name, one in coords.items()}
    mixed = {
        name: Coords(one.xy[order[name]], "px", one.tile_size)
        for name, one in reversed(coords.items())
    }
    after = match("s", mixed, 0.5)
    for name in coords:
        there = before.index[name] != ABSENT
        assert np.array_equal(after.index[name] != ABSENT, there)
        assert np.array_equal(order[name][after.index[name][there]], before.index[name][there])
    assert (before.on_grid, before.unused) == (after.on_grid, after.unused)


def test_the_short_cut_finds_what_the_tree_finds(monkeypatch):
    rng = np.random.default_rng(3)
    a, b = (
        Coords(full(10, 256).xy[rng.choice(100, 80, replace=False)], "px", 256.0) for _ in range(2)
    )
    short = match("s", {"a": a, "b": b}, 0.5)
    monkeypatch.setattr("pathfuse.features.grid._twins", lambda *_: None)
    long = match("s", {"a": a, "b": b}, 0.5)
    assert all(np.array_equal(short.index[name], long.index[name]) for name in "ab")
    both = {tuple(xy) for xy in a.xy} & {tuple(xy) for xy in b.xy}
    assert ((short.index["a"] != ABSENT) & (short.index["b"] != ABSENT)).sum() == len(both)


def test_a_coarse_tile_serves_the_fine_ones_within():
    fine, coarse = full(4, 256), at((0, 0), (512, 0), (5000, 0), size=512.0)
    found = match("s", {"fine": fine, "coarse": coarse}, 0.5)
    assert found.index["fine"].tolist() == list(range(16))
    assert found.index["coarse"].tolist() == [0, 0, 1, 1] * 2 + [ABSENT] * 8
    assert (found.on_grid, found.tile_size, found.unused) == (("fine",), 256.0, {"coarse": 1})


def test_the_anchor_is_the_finest_and_of_equals_the_first_name():
    shifted = {"b": full(3, 256), "c": full(3, 256, (60, 0)), "a": full(3, 300)}
    found = match("s", shifted, 0.5)
    assert found.on_grid == ("b",)
    assert found.index["c"].tolist() == list(range(9))


def test_a_few_tiles_in_one_place_do_not_make_one_grid():
    """Two tissue pieces cut on grids of their own: one agrees by chance, the other does not."""
    a = np.concatenate([full(2, 256).xy, full(5, 256, (5000, 0)).xy])
    b = np.concatenate([full(2, 256).xy, full(5, 256, (5040, 30)).xy])
    found = match("s", {"a": Coords(a, "px", 256.0), "b": Coords(b, "px", 256.0)}, 0.5)
    assert (found.n_rows, found.on_grid) == (29, ("a",))
    assert (found.index["b"] != ABSENT).all()


def test_an_encoder_may_join_by_another():
    """``b`` has no tile of the anchor's, but those of ``c``, which has some of the anchor's."""
    strips = {"a": full(4, 256).xy[:8], "b": full(4, 256).xy[12:], "c": full(4, 256).xy[4:]}
    found = match("s", {name: Coords(xy, "px", 256.0) for name, xy in strips.items()}, 0.5)
    assert (found.n_rows, found.on_grid) == (16, ("a", "c", "b"))
    assert found.index["b"].tolist() == [ABSENT] * 12 + [0, 1, 2, 3]
    assert np.array_equal(found.where(strips), full(4, 256).xy)


def test_sizes_that_no_file_states():
    told, silent = full(4, 256), full(4, 256, stated=None)
    assert tile_sizes({"told": told, "silent": silent}) == {"told": 256, "silent": 256}
    assert tile_sizes({"told": told, "silent": full(4, 512, stated=None)}) == {
        "told": 256,
        "silent": 512,
    }
    overlapping = full(4, 256, stated=512.0)  # the same spacing, so the same tiles
    assert tile_sizes({"told": overlapping, "silent": silent}) == {"told": 512, "silent": 512}
    few = at((0, 0), (1024, 0), size=None)
    assert tile_sizes({"told": told, "silent": few}) == {"told": 256, "silent": 256}
    assert tile_sizes({"a": few, "b": few}) == {"a": 1.0, "b": 1.0}
    found = match(
        "s", {"told": full(4, 256), "silent": full(2, 512, stated=None)}, 0.5
    )  # too few to say
    assert (
        found.index["silent"].tolist()
        == [0, ABSENT, 1, ABSENT] + [ABSENT] * 4 + [2, ABSENT, 3] + [ABSENT] * 5
    )
    found = match("s", {"told": full(8, 256), "silent": full(4, 512, stated=None)}, 0.5)
    assert found.index["silent"].reshape(8, 8)[:2].tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 2
    assert match("s", {"a": silent, "b": silent}, 0.5).tile_size is None
    assert match("s", {"a": silent, "told": told}, 0.5).tile_size == 256


def test_spacing_of_scattered_tiles():
    scattered = np.array([[100.0 * k * k, 0.0] for k in range(12)])
    assert spacing(scattered) is None


def test_micrometres_that_were_rounded():
    a = full(5, 112.3)
    b = Coords(np.round(a.xy, 0), "px", 112.0)
    found = match("s", {"a": a, "b": b}, 1.0)
    assert found.index["b"].tolist() == list(range(25))


@pytest.mark.parametrize(
    ("coords", "reason"),
    [
        (
            {"a": at((0, 0)), "b": at((0, 0), unit="um")},
            (
                "the encoder 'a' says in px where its tiles lie, but 'b' in um, and the size of a pixel is not known; "
                "give um_per_px"
            ),
        ),
        (
            {"a": at((0, 0)), "b": at((0, 0), (512, 0), (0, 0))},
            "the encoder 'b' has two tiles at (0, 0)",
        ),
        (
            {"a": at((0, 0)), "b": at((0, 0), (np.nan, 0))},
            "the encoder 'b' has no number as coordinate of tile 1 (counted from 0)",
        ),
    ],
)
def test_what_cannot_be_joined(coords, reason):
    with pytest.raises(UnusableError) as said:
        match("s", coords, 0.5)
    assert str(said.value) == reason


def test_one_encoder_alone():
    coords = at((256, 0), (0, 0))
    found = single("a", 2, coords)
    assert (found.index["a"].tolist(), found.on_grid) == ([1, 0], ("a",))
    assert single("a", 3, None).index["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("coords", "said"),
    [
        (
            {"a": at((300, 0), (0, 512)), "b": at((90112, 7), size=512.0)},
            [("a", 300, 0, 256), ("b", 90112, 7, 512)],
        ),
        (
            {"a": at((0, 0)), "b": at((9999, 0)), "c": at((0, 0))},
            [("a", 0, 0, 256), ("b", 9999, 0, 256)],
        ),
        (
            {"b": at((0, 0)), "c": at((9999, 0)), "d": at((9999, 0))},  # two against the anchor
            [("b", 0, 0, 256), ("c", 9999, 0, 256)],
        ),
    ],
)
def test_encoders_that_share_no_tile(coords, said):
    (one, *place), (other, *other_place) = said
    with pytest.raises(UnusableError) as error:
        match("s", coords, 0.5)
    assert str(error.value) == (
        f"the encoders '{one}' and '{other}' share no tile of slide 's' (at least 0.5 of its area): "
        f"the first of '{one}' lies at ({place[0]}, {place[1]}) and is {place[2]} px wide, "
        f"the first of '{other}' lies at ({other_place[0]}, {other_place[1]}) and is {other_place[2]} px wide"
    )
