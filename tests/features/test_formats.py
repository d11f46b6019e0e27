"""Every layout that tools write, read back."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.features.formats.writer import number, text

REAL = Path(__file__).parents[3] / "shared/data/tcga_tile_features_mopadi/images/example_data"


def grid(n: int) -> np.ndarray:
    return np.arange(2 * n).reshape(n, 2) * 512


def test_trident_tiles(tmp_path, write_h5, bag):
    on_features = {"name": "s", "savetodir": "/x", "encoder": "uni_v1"}
    on_coords = {
        "patch_size": 256,
        "patch_size_level0": 512,
        "level0_magnification": 40,
        "savetodir": "/x",
    }
    for name, n in (("b", 3), ("a", 1)):
        values = bag(n, seed=n, dtype="float16")
        write_h5(
            tmp_path / f"{name}.h5", values, grid(n), on_features=on_features, on_coords=on_coords
        )
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.dim, found.encoder) == (
        "trident",
        "tile",
        4,
        "uni_v1",
    )
    assert [(s.name, s.n_tiles, s.dtype) for s in found.slides.values()] == [
        ("a", 1, "float16"),
        ("b", 3, "float16"),
    ]
    values = found.read("b")
    assert values.dtype == np.float32
    assert np.array_equal(values, bag(3, seed=3, dtype="float16").astype(np.float32))
    coords = found.coords("b")
    assert (coords.unit, coords.tile_size, coords.xy.dtype) == ("px", 512.0, np.float64)
    assert np.array_equal(coords.xy, grid(3))


def test_trident_slide_vectors_whose_coords_are_those_of_the_tiles_behind(tmp_path, write_h5, bag):
    marks = {"name": "s", "savetodir": "/x"}
    write_h5(tmp_path / "many.h5", bag(1)[0], grid(9), on_features=marks)
    write_h5(tmp_path / "one.h5", bag(1, seed=1)[0], grid(1)[0], on_features=marks)
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.encoder) == ("trident", "slide", None)
    assert found.read("many").shape == (1, 4)
    assert np.array_equal(found.read("one", np.array([0])), bag(1, seed=1))
    assert found.coords("many") is None
    assert [s.n_tiles for s in found.slides.values()] == [1, 1]


def test_patches_of_a_trident_job_are_no_features(tmp_path, write_h5, bag):
    write_h5(tmp_path / "patches/s_patches.h5", grid(3), key="coords")
    write_h5(tmp_path / "features_uni/s.h5", bag(3))
    found = open_folder(tmp_path)
    assert (list(found.slides), found.broken) == (["s"], ())


def test_clam_prefers_h5_and_squeezes_old_tensors(tmp_path, write_h5, bag):
    marks = {"patch_size": 256, "patch_level": 1, "downsample": np.array([4.0, 4.0])}
    write_h5(tmp_path / "h5_files/a.h5", bag(3), grid(3).astype("int32"))
    write_h5(tmp_path / "h5_files/c.h5", bag(2), grid(2), on_coords=marks)
    (tmp_path / "pt_files").mkdir()
    torch.save(torch.zeros(7, 4), tmp_path / "pt_files/a.pt")
    torch.save(torch.from_numpy(bag(6)).reshape(6, 1, 4), tmp_path / "pt_files/b.pt")
    found = open_folder(tmp_path)
    assert (found.format, found.granularity) == ("clam", "tile")
    assert {s.name: (s.path.suffix, s.n_tiles) for s in found.slides.values()} == {
        "a": (".h5", 3), "b": (".pt", 6), "c": (".h5", 2),
    }  # fmt: skip
    assert np.array_equal(found.read("b"), bag(6))
    assert (found.coords("a").unit, found.coords("a").tile_size, found.coords("b")) == (
        "px",
        None,
        None,
    )
    assert found.coords("c").tile_size == 1024.0
    assert open_folder(tmp_path / "pt_files").format == "clam"


@pytest.mark.parametrize(
    ("file", "unit", "size"),
    [
        ({"stamp_version": "2.3.0", "unit": "um", "tile_size_um": 256.0, "tile_size_px": 224, "feat_type": "tile"},
         "um", 256.0),
        ({"unit": "um", "tile_size": 256.0}, "um", 256.0),
        ({"stamp_version": "1"}, "px", None),
    ],
)  # fmt: skip
def test_stamp_tiles(tmp_path, write_h5, bag, file, unit, size):
    write_h5(
        tmp_path / "a.h5", bag(3), grid(3) / 2, key="feats", file=file | {"extractor": "ctranspath"}
    )
    write_h5(
        tmp_path / "b.h5", bag(1), grid(1) / 2, key="feats", file=file | {"extractor": "ctranspath"}
    )
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.encoder) == ("stamp", "tile", "ctranspath")
    assert (found.coords("a").unit, found.coords("a").tile_size) == (unit, size)


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
@pytest.mark.parametrize("kind", ["slide", "patient"])
def test_stamp_slides_and_patients(tmp_path, write_h5, bag, shape, kind):
    file = {"stamp_version": "2.3.0", "encoder": "titan", "feat_type": kind}
    write_h5(tmp_path / "a.h5", bag(1).reshape(shape), key="feats", file=file)
    found = open_folder(tmp_path)
    assert (found.granularity, found.encoder, found.read("a").shape) == ("slide", "titan", (1, 4))


def test_stamp_files_in_subfolders_and_multiplex_patches(tmp_path, write_h5, bag):
    write_h5(tmp_path / "site_a/x.h5", bag(3), key="patch_embeddings", file={"stamp_version": "2"})
    write_h5(
        tmp_path / "site_b/deep/y.h5", bag(2), key="patch_embeddings", file={"stamp_version": "2"}
    )
    assert list(open_folder(tmp_path).slides) == ["x", "y"]


def test_unknown_writers_and_a_single_row_is_what_the_others_are(tmp_path, write_h5, bag):
    write_h5(tmp_path / "one.h5", bag(1))
    assert open_folder(tmp_path).granularity == "slide"
    write_h5(tmp_path / "two.hdf5", bag(2).reshape(2, 1, 4))
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.encoder) == ("h5", "tile", None)
    torch.save(torch.from_numpy(bag(3)), tmp_path / "three.pt")
    assert open_folder(tmp_path).format == "h5+pt"


def test_a_single_tile_with_squeezed_coords(tmp_path, write_h5, bag):
    write_h5(tmp_path / "one.h5", bag(1), np.array([3, 4]))
    found = open_folder(tmp_path)
    assert found.granularity == "tile"
    assert found.coords("one").xy.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("form", ["tensor", "list", "half", "old file"])
def test_pt(tmp_path, bag, form):
    tensor = torch.from_numpy(bag(5))
    content = {"list": list(tensor), "half": tensor.to(torch.bfloat16)}.get(form, tensor)
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=form != "old file")
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.slides["a"].n_tiles) == ("pt", "tile", 5)
    assert found.slides["a"].dtype == ("bfloat16" if form == "half" else "float32")
    assert found.read("a", np.array([4, 0, 4])).shape == (3, 4)
    assert np.allclose(found.read("a"), bag(5), atol=0.02 if form == "half" else 0)
    assert found.coords("a") is None


def test_eva_stacks_the_rows_of_a_slide(tmp_path, bag):
    rows = []
    for i, slide in enumerate(["b", "a", "b"]):
        torch.save(list(torch.from_numpy(bag(i + 1, seed=i))), tmp_path / f"e{i}.pt")
        rows.append(
            {
                "origin": f"{slide}_{i}",
                "embeddings": f"e{i}.pt",
                "target": 0,
                "split": "val",
                "wsi_id": slide,
            }
        )
    pl.DataFrame([*rows, rows[0]]).write_csv(tmp_path / "manifest.csv")
    found = open_folder(tmp_path)
    assert (found.format, found.granularity) == ("eva", "tile")
    assert {s.name: s.n_tiles for s in found.slides.values()} == {"a": 2, "b": 4}
    expected = np.concatenate([bag(1, seed=0), bag(3, seed=2)])
    assert np.array_equal(found.read("b"), expected)
    assert np.array_equal(found.read("b", np.array([3, 0])), expected[[3, 0]])
    before = found.sha256()
    pl.DataFrame(rows).write_csv(tmp_path / "manifest.csv")
    assert open_folder(tmp_path).sha256() != before


def test_eva_without_slides_has_one_vector_per_origin(tmp_path, bag):
    for i in range(2):
        torch.save([torch.from_numpy(bag(1, seed=i)[0])], tmp_path / f"e{i}.pt")
    pl.DataFrame({"origin": ["x/1.png", "x/0.png"], "embeddings": ["e1.pt", "e0.pt"]}).write_csv(
        tmp_path / "manifest.csv"
    )
    found = open_folder(tmp_path)
    assert (found.granularity, list(found.slides)) == ("slide", ["x/0.png", "x/1.png"])
    assert np.array_equal(found.read("x/0.png"), bag(1, seed=0))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("origin,embeddings,wsi_id\na,e.pt,\n", "column 'wsi_id': row 1 is empty"),
        ("origin,embeddings\na,\n", "column 'embeddings': row 1 is empty"),
        (
            "origin,embeddings\na,e.pt\na,f.pt\n",
            "column 'origin': 'a' occurs twice, and there is no wsi_id",
        ),
        ("origin,embeddings\na,gone.pt\n", "gone.pt, slide 'a': it cannot be read: No such file"),
    ],
)
def test_a_wrong_manifest_of_eva(tmp_path, text, complaint):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.csv|gone\.pt") as error:
        open_folder(tmp_path, strict=True)
    assert complaint in str(error.value)


def test_eva_files_of_one_slide_must_agree(tmp_path):
    torch.save(torch.zeros(2, 4), tmp_path / "e.pt")
    torch.save(torch.zeros(2, 5), tmp_path / "f.pt")
    (tmp_path / "manifest.csv").write_text(
        "origin,embeddings,wsi_id\na,e.pt,s\nb,f.pt,s\nc,e.pt,t\n"
    )
    (broken,) = open_folder(tmp_path).broken
    assert (broken.name, broken.reason) == ("s", "its files have 4 and 5 dimensions")


def test_a_manifest_of_another_kind_is_not_evas(tmp_path, write_h5, bag):
    write_h5(tmp_path / "a.h5", bag(3))
    (tmp_path / "manifest.csv").write_text("slide,scanner\na,x\n")
    assert open_folder(tmp_path).format == "h5"


@pytest.mark.parametrize(
    ("value", "as_text", "as_number"),
    [
        (None, None, None),
        ("None", None, None),
        (b"256", "256", 256.0),
        (np.array(["uni"], dtype=object), "uni", None),
        (np.float32(0.5), "0.5", 0.5),
        (np.array([4.0, 4.0]), None, 4.0),
        (-1, "-1", None),
    ],
)
def test_attributes_come_in_many_types(value, as_text, as_number):
    assert (text(value), number(value)) == (as_text, as_number)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_vectors(tmp_path, suffix):
    frame = pl.DataFrame({
        "sample_id": ["007", "001"], "patient_id": ["3", "4"], "label": ["0", "1"], "note": ["x", None],
        "f0": [0.5, 1.5], "f1": [1, 2],
    })  # fmt: skip
    path = tmp_path / f"v{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    found = open_folder(path)
    assert (found.format, found.granularity, found.dim) == ("vectors", "slide", 2)
    assert list(found.slides) == ["001", "007"]
    assert found.read("007").tolist() == [[0.5, 1.0]]
    assert found.read("001", np.array([0])).tolist() == [[1.5, 2.0]]
    assert found.coords("007") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,f0\na,1\n", "has no column 'sample_id'"),
        ("sample_id,label\na,1\n", "has no numeric column beside sample_id"),
        ("sample_id,f0\na,1\nb,high\n", "column 'f0', sample 'b': 'high' is not a number"),
        ("sample_id,f0\na,1\na,2\n", "'a' occurs twice"),
    ],
)
def test_wrong_tables_of_vectors(tmp_path, text, complaint):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(InputError, match=r"v\.csv") as error:
        open_folder(tmp_path / "v.csv")
    assert complaint in str(error.value)


def test_a_vector_with_an_empty_cell_is_broken(tmp_path):
    (tmp_path / "v.csv").write_text("sample_id,f0,f1\na,1,2\nb,1,\n")
    found = open_folder(tmp_path / "v.csv")
    assert [(b.name, b.reason) for b in found.broken] == [
        ("b", "column 1 of tile 0 (both counted from 0) is NaN"),
    ]


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared is absent")
def test_real_files():
    found = open_folder(REAL, strict=True)
    names = ["TCGA-3X-AAVA-01Z-00-DX1", "TCGA-AD-6964-01Z-00-DX1"]
    assert list(found.slides) == names
    assert (found.format, found.granularity, found.dim) == ("h5", "tile", 512)
    assert [found.read(name).shape for name in names] == [(180, 512), (777, 512)]
    assert found.coords(names[0]) is None
    assert found.coords(names[1]).xy[:2].tolist() == [[10240.0, 21504.0], [10240.0, 22016.0]]
    assert found.encoder is None
