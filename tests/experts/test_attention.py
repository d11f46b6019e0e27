"""Attention by tile: sums, places, and files that other programs open."""

import json
import uuid

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pathfuse.errors import InputError
from pathfuse.experts.attention import COLUMNS, attention_frame, heatmap, in_pixels, write_attention

GRID = np.array([[x, y] for y in range(3) for x in range(3)]) * 100


def drawn(path):
    def refuse(word):
        raise ValueError(word)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_the_frame():
    frame = attention_frame("s.1", np.array([0.5, 2.0, 0.5, 1.0], dtype=np.float32), GRID[:4])
    assert tuple(frame.columns) == COLUMNS
    assert frame["attention"].sum() == pytest.approx(1)
    assert frame["attention"][1] == pytest.approx(0.5)
    assert frame["percentile"].to_list() == pytest.approx([100 / 6, 100, 100 / 6, 200 / 3])
    assert frame["tile"].to_list() == [0, 1, 2, 3]
    single = attention_frame("s", np.array([3.0]))
    assert single.row(0) == ("s", 0, None, None, 1.0, 100.0)


@pytest.mark.parametrize(
    ("attention", "xy", "words"),
    [
        ([], None, "shape"),
        ([[1.0]], None, "shape"),
        ([1.0, np.nan], None, "tile 1"),
        ([1.0, -0.5], None, "tile 1.*-0.5"),
        ([0.0, 0.0], None, "0 on every tile"),
        ([1.0, 1.0], GRID, "there are 2 tiles"),
        ([1.0], [[np.inf, 0]], "not finite"),
    ],
)
def test_bad_attention_is_one_sentence(attention, xy, words):
    with pytest.raises(InputError, match=words):
        attention_frame("s", np.array(attention), xy)


def test_polygons_are_closed_and_where_they_belong(tmp_path):
    frame = attention_frame("s.1", np.arange(1, 10.0), GRID)
    files, note = write_attention(frame, tmp_path / "new", 100, "px")
    assert [f.name for f in files] == ["s.1.parquet", "s.1.geojson"]
    assert note is None
    content = drawn(files[1])
    assert content["type"] == "FeatureCollection"
    assert len({uuid.UUID(f["id"]) for f in content["features"]}) == 9
    for feature, (x, y), row in zip(
        content["features"], GRID.tolist(), frame.iter_rows(named=True), strict=True
    ):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring == [[x, y], [x + 100, y], [x + 100, y + 100], [x, y + 100], [x, y]]
        assert feature["type"] == "Feature"
        assert feature["geometry"]["type"] == "Polygon"
        assert feature["properties"]["objectType"] == "tile"
        assert feature["properties"]["measurements"] == {
            k: row[k] for k in ("attention", "percentile")
        }
    assert pl.read_parquet(files[0]).equals(frame)
    assert {**pl.read_parquet_metadata(files[0])}.items() >= {
        "unit": "px",
        "tile_size": "100.0",
    }.items()


def test_micrometres_become_pixels_or_a_note(tmp_path):
    frame = attention_frame("s", np.ones(9), GRID * 0.5)
    files, note = write_attention(frame, tmp_path, 50, "um", um_per_px=0.5)
    assert drawn(files[1])["features"][8]["geometry"]["coordinates"][0][2] == [300, 300]
    assert note is None
    files, note = write_attention(frame, tmp_path, 50, "um")
    assert "pixel size is unknown" in note
    assert (
        [p.name for p in tmp_path.iterdir()] == ["s.parquet"] == [p.name for p in files]
    )  # the old drawing is gone
    with pytest.raises(InputError, match="0 micrometres"):
        write_attention(frame, tmp_path, 50, "um", um_per_px=0)


def test_the_origin_of_qupath_moves_the_drawing_alone(tmp_path):
    frame = attention_frame("s", np.ones(9), GRID * 0.5)
    files, _ = write_attention(frame, tmp_path, 50, "um", um_per_px=0.5, origin=(30, -10))
    assert drawn(files[1])["features"][8]["geometry"]["coordinates"][0][2] == [270, 310]
    assert pl.read_parquet(files[0]).equals(frame)


@pytest.mark.parametrize(
    ("xy", "size", "words"), [(None, 100, "no coordinates"), (GRID, None, "size of its tiles")]
)
def test_what_is_missing_is_said(tmp_path, xy, size, words):
    files, note = write_attention(attention_frame("s", np.ones(9), xy), tmp_path, size, "px")
    assert words in note
    assert [f.suffix for f in files] == [".parquet"]


def test_only_the_top_tiles_and_names_in_any_script(tmp_path):
    frame = attention_frame("Gewebe-ü 切片.1", np.array([1, 5, 5, 2, 0, 0, 0, 0, 0.0]), GRID)
    first, _ = write_attention(frame, tmp_path / "a", 100, "px", tiles_top=2)
    again, _ = write_attention(frame, tmp_path / "b", 100, "px", tiles_top=2)
    assert [f["geometry"]["coordinates"][0][0] for f in drawn(first[1])["features"]] == [
        [100, 0],
        [200, 0],
    ]
    assert pl.read_parquet(first[0]).height == 9
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in again]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a\0"])
def test_a_slide_that_is_no_file_name(tmp_path, name):
    with pytest.raises(InputError, match="cannot name a file"):
        write_attention(attention_frame(name, np.ones(1)), tmp_path, 1, "px")
    assert not list(tmp_path.iterdir())


def test_bad_writing_is_one_sentence(tmp_path):
    frame = attention_frame("s", np.ones(9), GRID)
    (tmp_path / "file").write_text("")
    for options, words in [
        ({"unit": "mm"}, "neither px nor um"),
        ({"tile_size": -1}, "not positive"),
        ({"tiles_top": 0}, "at least 1"),
        ({"folder": tmp_path / "file"}, "cannot be written"),
        ({"frame": pl.concat([frame, attention_frame("t", np.ones(1), GRID[:1])])}, "2 slides"),
        ({"frame": frame.drop("x")}, "column 'x'"),
    ]:
        with pytest.raises(InputError, match=words):
            write_attention(
                **{"frame": frame, "folder": tmp_path, "tile_size": 1, "unit": "px", **options}
            )


@pytest.fixture
def thumbnail(tmp_path):
    file = tmp_path / "thumbnail.png"
    Image.new("RGB", (30, 45), "white").save(file)
    return file


def test_the_hottest_tile_is_the_reddest(tmp_path, thumbnail):
    hot = 5  # right of the second line
    frame = attention_frame("s", np.array([1, 2, 3, 4, 5, 9, 6, 7, 8.0]), GRID)
    out = heatmap(frame, thumbnail, tmp_path / "new" / "s.png", (300, 450), 100)
    again = heatmap(
        frame.sample(9, shuffle=True, seed=0), thumbnail, tmp_path / "again.png", (300, 450), 100
    )
    assert out.read_bytes() == again.read_bytes()
    pixels = np.asarray(Image.open(out)).astype(float)
    assert pixels.shape == (45, 30, 3)
    assert (pixels[30:] == 255).all()  # no tile there
    red = (pixels[..., 0] - pixels[..., 1:].mean(-1))[:30].reshape(3, 10, 3, 10)
    assert (red == red[:, :1, :, :1]).all()  # every tile fills its ten by ten pixels
    assert red[:, 0, :, 0].argmax() == hot
    assert pixels[:30:10, ::10, 0].argmin() == 0
    in_um = in_pixels(frame.with_columns(pl.col("x", "y") * 0.25), 0.25)
    assert (
        heatmap(in_um, thumbnail, tmp_path / "um.png", (300, 450), 100).read_bytes()
        == out.read_bytes()
    )


def test_tiles_smaller_than_a_pixel_keep_the_hottest(tmp_path, thumbnail):
    attention = np.ones(10_000)
    attention[50 * 100 + 50] = 2
    xy = np.array([[x, y] for y in range(100) for x in range(100)]) * 3
    out = heatmap(
        attention_frame("s", attention, xy), thumbnail, tmp_path / "s.png", (300, 450), 3, alpha=1
    )
    pixels = np.asarray(Image.open(out)).astype(int)
    reddest = np.argwhere((pixels[..., 0] - pixels[..., 2])[:30] > 100)
    assert reddest.tolist() == [[15, 15]]


def test_a_transparent_or_large_thumbnail(tmp_path):
    file = tmp_path / "t.png"
    Image.new("RGBA", (3000, 4500), (0, 0, 0, 0)).save(file)
    out = heatmap(
        attention_frame("s", np.ones(1), GRID[:1]), file, tmp_path / "s.png", (300, 450), 100
    )
    picture = Image.open(out)
    assert picture.size == (1365, 2048)
    assert picture.getpixel((1300, 2000)) == (255, 255, 255)


def test_bad_heatmaps_are_one_sentence(tmp_path, thumbnail, monkeypatch):
    frame = attention_frame("s", np.ones(9), GRID)
    broken = tmp_path / "broken.png"
    broken.write_bytes(thumbnail.read_bytes()[:60])
    for options, words in [
        ({"image": tmp_path / "none.png"}, "not an image"),
        ({"image": broken}, "not an image"),
        ({"out": tmp_path / "s.jpg"}, "end in .png"),
        ({"out": thumbnail / "s.png"}, "cannot be written"),
        ({"slide_size_px": (300, 300)}, "not a thumbnail of the whole slide"),
        ({"slide_size_px": (150, 225)}, r"tile 2: \(200, 0\) lies outside"),
        ({"slide_size_px": (0, 225)}, "not a size"),
        ({"alpha": 1.5}, "opacity"),
        ({"tile_size_px": 0}, "not positive"),
        ({"frame": attention_frame("s", np.ones(1))}, "no coordinates"),
    ]:
        standard = {
            "image": thumbnail,
            "out": tmp_path / "s.png",
            "slide_size_px": (300, 450),
            "tile_size_px": 100,
        }
        with pytest.raises(InputError, match=words):
            heatmap(**{"frame": frame, **standard, **options})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="too large"):
        heatmap(frame, thumbnail, tmp_path / "s.png", (300, 450), 100)
    assert not (tmp_path / "s.png").exists()
