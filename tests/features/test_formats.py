"""Every layout that tools write, read back."""

import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from pathfuse.errors import InputError
from pathfuse.features.folder import open_folder
from pathfuse.features.formats import base
from pathfuse.features.formats.writer import number, text
from pathfuse.features.locate import encoder_folders

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


def write_all(folder: Path, name: str, values: np.ndarray, kind: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{kind}"
    if kind == "h5":
        with h5py.File(path, "w") as content:
            content["features"] = values
    elif kind == "pt":
        torch.save(torch.from_numpy(values), path)
    else:
        np.save(path, values)
    return path


@pytest.mark.parametrize("kind", ["h5", "pt", "npy"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_an_axis_of_length_1_is_squeezed(tmp_path, bag, kind, axis, monkeypatch):
    monkeypatch.setattr(base, "CHUNK", 8)
    values = bag(5, dtype="float16")
    write_all(tmp_path, "a", values if axis is None else np.expand_dims(values, axis), kind)
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, found.slides["a"].n_tiles) == (kind, "tile", 5)
    assert np.array_equal(found.read("a"), values.astype(np.float32))
    assert np.array_equal(found.read("a", np.array([4, 0, 4])), values[[4, 0, 4]])
    stored = found.stored("a")
    assert (stored.dtype, stored.shape) == (np.float16, (5, 4))
    assert np.array_equal(np.concatenate(list(found.store.chunks("a"))), values)
    assert found.warnings == ()


@pytest.mark.parametrize("kind", ["h5", "pt"])
@pytest.mark.parametrize("key", ["features", "feats", "embeddings", "patch_embeddings", "uni/v1"])
def test_keys_of_features_and_the_only_matrix(tmp_path, write_h5, bag, kind, key):
    for name, n in (("a", 3), ("b", 2)):
        if kind == "h5":
            write_h5(tmp_path / f"{name}.h5", bag(n), grid(n).astype(float), key=key)
        else:
            content = {
                key: torch.from_numpy(bag(n)),
                "coords": torch.from_numpy(grid(n)),
                "slide": name,
            }
            torch.save(content, tmp_path / f"{name}.pt")
    found = open_folder(tmp_path)
    assert np.array_equal(found.read("a"), bag(3))
    assert np.array_equal(found.coords("a").xy, grid(3))
    if "/" in key:
        (said,) = found.warnings
        assert said.endswith(
            f"its features are '{key}', its only floating-point array (2 of 2 slides, the first is 'a')"
        )
    else:
        assert found.warnings == ()


def test_coords_of_more_columns(tmp_path, write_h5, bag):
    more = np.column_stack([np.full(3, 7), grid(3), np.full(3, 9)])
    write_h5(tmp_path / "a.h5", bag(3), np.column_stack([grid(3), more[:, :1]]))
    write_h5(tmp_path / "b.h5", bag(3), more, on_coords={"columns": ["level", "X", "Y", "tissue"]})
    write_h5(tmp_path / "c.h5", bag(3), grid(3)[None])
    found = open_folder(tmp_path)
    for name in "abc":
        assert np.array_equal(found.coords(name).xy, grid(3))
    assert [said.split(": ")[1] for said in found.warnings] == [
        "its coords have 3 columns; the first two are taken for x and y (1 of 3 slides, the first is 'a')",
        "its coords have 4 columns; 'x' and 'y' are read (1 of 3 slides, the first is 'b')",
    ]


def test_the_origin_of_a_mirax_slide(tmp_path, write_h5, bag):
    marks = {"openslide.bounds-x": "512", "openslide.bounds-y": 0}
    write_h5(tmp_path / "a.h5", bag(3), grid(3), on_coords=marks)
    write_h5(tmp_path / "b.h5", bag(3), grid(3))
    found = open_folder(tmp_path)
    assert (found.coords("a").origin, found.coords("b").origin) == ((512.0, 0.0), None)


def test_slideflow_keeps_places_next_to_the_tensors(tmp_path, bag):
    for name, n in (("a.1", 3), ("a.2", 1)):
        torch.save(torch.from_numpy(bag(n)), tmp_path / f"{name}.pt")
        np.savez(tmp_path / f"{name}.index", grid(n))
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, list(found.slides)) == (
        "slideflow",
        "tile",
        ["a.1", "a.2"],
    )
    assert np.array_equal(found.coords("a.1").xy, grid(3))
    assert (found.coords("a.1").unit, found.coords("a.1").tile_size) == ("px", None)
    before = found.sha256()
    np.savez(tmp_path / "a.1.index", grid(3) + 1)
    assert open_folder(tmp_path).sha256() != before
    np.savez(tmp_path / "a.1.index", grid(2))
    (tmp_path / "a.2.index.npz").write_bytes(b"PK")
    torch.save(torch.from_numpy(bag(3)), tmp_path / "b.pt")
    assert [b.reason for b in open_folder(tmp_path).broken] == [
        "it has 2 coords, but the features of 3 tiles",
        "its coordinates a.2.index.npz cannot be read",
    ]


@pytest.mark.parametrize("form", ["dict", "list", "h5"])
def test_layers_of_gigapath(tmp_path, bag, form):
    layers = [bag(1, seed=i) for i in range(4)]
    place = tmp_path / "gigapath"
    place.mkdir()
    for name in "ab":
        named = {f"layer_{i}_embed": torch.from_numpy(one) for i, one in enumerate(layers)}
        if form == "h5":
            with h5py.File(place / f"{name}.h5", "w") as content:
                for key, one in named.items():
                    content[key] = one.numpy()
        else:
            last = {"last_layer_embed": named["layer_3_embed"]}
            torch.save(
                list(named.values()) if form == "list" else named | last, place / f"{name}.pt"
            )
    found = open_folder(place, check_values=False)  # of two slides that are alike
    assert (found.granularity, found.encoder) == ("slide", "layer 3")
    assert np.array_equal(found.read("a"), layers[3])
    (said,) = found.warnings
    assert said.startswith(
        f"{place}: of the layers 0 to 3 the last is read; write the folder's name with #N"
    )
    one = open_folder(Path(f"{place}#1"), check_values=False)
    assert (one.encoder, one.warnings) == ("layer 1", ())
    assert np.array_equal(one.read("a"), layers[1])
    assert one.sha256() != found.sha256()
    with pytest.raises(InputError, match="it has no layer 7; it has the layers 0 to 3"):
        open_folder(Path(f"{place}#7"))
    Path(f"{place}#1").mkdir()  # a name that is there is meant literally
    with pytest.raises(InputError, match="holds no feature file"):
        open_folder(Path(f"{place}#1"))


@pytest.mark.parametrize("kind", ["h5", "pt", "npy"])
def test_a_layer_of_what_has_none(tmp_path, bag, kind):
    write_all(tmp_path / "uni", "a", bag(3), kind)
    with pytest.raises(InputError, match="it has no layer 2; it holds no layers"):
        open_folder(tmp_path / "uni#2")


def test_arrays_count_only_where_there_is_no_other_file(tmp_path, write_h5, bag):
    write_all(tmp_path, "a", bag(3), "npy")
    write_all(tmp_path, "b", bag(2), "npy")
    assert list(open_folder(tmp_path).slides) == ["a", "b"]
    write_h5(tmp_path / "a.h5", bag(5))
    found = open_folder(tmp_path)
    assert {name: slide.n_tiles for name, slide in found.slides.items()} == {"a": 5}


def test_broken_arrays(tmp_path, bag):
    for name in ("cut", "good", "ints", "nan", "none", "object"):
        write_all(tmp_path, name, bag(3), "npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-9])
    np.save(tmp_path / "ints.npy", np.ones((3, 4), dtype=int))
    np.save(tmp_path / "nan.npy", np.full((3, 4), np.nan))
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    assert {b.name: b.reason for b in open_folder(tmp_path).broken} == {
        "cut": "it is not a complete NumPy file: its header names 3 x 4 numbers of float32, 48 bytes, "
        "but 39 follow",
        "ints": "its features are int64, not floating-point numbers",
        "nan": "column 0 of tile 0 (both counted from 0) is NaN",
        "none": "the bag is empty: its features have the shape (0, 4)",
        "object": "it needs pickle, which can run code, and is not opened: save a plain array",
    }


def put_anndata(root, values, places=None, spatial=None, obsm=None) -> None:
    """AnnData as it lies in HDF5 or zarr."""

    def put(group, name, array):
        if hasattr(group, "create_array"):
            group.create_array(name, data=array)
        else:
            group[name] = array

    if values is not None:
        put(root, "X", values)
    obs, more = root.create_group("obs"), root.create_group("obsm")
    if places is not None:
        put(obs, "x", places[:, 0])
        put(obs, "y", places[:, 1])
    if spatial is not None:
        put(more, "spatial", spatial)
    for name, array in (obsm or {}).items():
        put(more, name, array)


def test_anndata(tmp_path, bag):
    def write(name, *given, **more):
        with h5py.File(tmp_path / f"{name}.h5ad", "w") as file:
            put_anndata(file, *given, **more)

    write("a.1", bag(3), grid(3), grid(3) + 9.0)
    write("a.2", bag(2, dtype="float16"), None, np.column_stack([grid(2), [0, 0]]).astype(float))
    write("b", None, None, grid(4) * 1.0, obsm={"X_uni": bag(4), "X_pca": bag(4, dim=2)})
    write("c", np.ones((3, 4), dtype=int))
    write("d", None)
    with h5py.File(tmp_path / "e.h5ad", "w") as file:
        file.create_group("X")["data"] = np.ones(3)
    found = open_folder(tmp_path)
    assert (found.format, found.granularity, list(found.slides)) == (
        "anndata",
        "tile",
        ["a.1", "a.2", "b"],
    )
    assert np.array_equal(found.read("a.1", np.array([2, 0])), bag(3)[[2, 0]])
    assert found.stored("a.2").dtype == np.float16
    assert np.array_equal(found.read("b"), bag(4))
    assert [found.coords(name).xy.tolist() for name in found.slides] == [
        grid(n).tolist() for n in (3, 2, 4)
    ]
    assert [said.split(": ")[1].split(" (")[0] for said in found.warnings] == [
        "its coords have 3 columns; the first two are taken for x and y",
        "its features are 'obsm/X_uni', its only floating-point array",
    ]
    assert [b.reason for b in found.broken] == [
        "its features are int64, not floating-point numbers",
        "it has no features: neither X nor an array of obsm",
        "its X is sparse, which features are not; write a dense array",
    ]


def test_zarr_of_anndata_and_of_lazyslide(tmp_path, bag):
    zarr = pytest.importorskip("zarr")
    put_anndata(zarr.open_group(str(tmp_path / "f/a.zarr"), mode="w"), bag(3), grid(3))
    tables = zarr.open_group(str(tmp_path / "f/b.svs.zarr"), mode="w").create_group("tables")
    put_anndata(tables.create_group("uni_tiles"), bag(2), None, grid(2) * 1.0)
    found = open_folder(tmp_path / "f")
    assert (found.format, list(found.slides)) == ("anndata", ["a", "b"])
    assert np.array_equal(found.read("b"), bag(2))
    assert [found.coords(name).xy.tolist() for name in "ab"] == [grid(3).tolist(), grid(2).tolist()]
    assert encoder_folders(tmp_path) == [tmp_path / "f"]
    before = found.sha256()
    put_anndata(tables.create_group("conch_tiles"), bag(2))
    found = open_folder(tmp_path / "f")
    assert found.sha256() != before
    (broken,) = found.broken
    assert broken.reason.startswith(
        "it holds several tables, conch_tiles, uni_tiles; write the one"
    )


def test_zarr_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    (tmp_path / "f/a.zarr").mkdir(parents=True)
    with pytest.raises(InputError, match=r"a.zarr needs zarr, .*: pip install 'pathfuse\[zarr\]'"):
        open_folder(tmp_path / "f")
