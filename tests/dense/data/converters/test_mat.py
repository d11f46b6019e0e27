"""cpm15, cpm17, kumar, CoNSeP, Lizard."""

import numpy as np
import pytest
from scipy.io import savemat

from pathfuse.dense.data.converters import mat
from pathfuse.dense.data.converters.registry import convert
from pathfuse.dense.data.images import read_instances
from pathfuse.errors import InputError

RGB = np.zeros((4, 5, 3), np.uint8) + 128
NUCLEI = np.array([[0, 1, 1, 0, 0], [0, 0, 0, 2, 2], [9, 9, 0, 0, 0], [0, 0, 0, 0, 5]])


def matrix(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content)


def test_cpm15_is_divided_and_cpm17_has_its_test_part(save, source, check):
    for i in range(8):
        save(f"cpm15/Images/image_{i:02d}.png", RGB)
        save(f"cpm15/Overlay/image_{i:02d}.png", RGB)
        matrix(source / f"cpm15/Labels/image_{i:02d}.mat", inst_map=NUCLEI.astype(float))
    split, masks = check("cpm15")
    assert (len(split.train), len(split.val), len(split.test)) == (5, 1, 2)
    np.testing.assert_array_equal(masks["image_00"], NUCLEI > 0)
    instances = read_instances(split.items[0].instances)
    np.testing.assert_array_equal(instances > 0, NUCLEI > 0)
    assert sorted(np.unique(instances)) == [0, 1, 2, 3, 4]


def test_cpm17_names_repeat_in_train_and_test(save, source, check):
    for part in ("train", "test"):
        for i in range(3):
            save(f"cpm17/{part}/Images/image_{i:02d}.png", RGB)
            matrix(
                source / f"cpm17/{part}/Labels/image_{i:02d}.mat",
                inst_map=NUCLEI * (part == "train"),
            )
    split, masks = check("cpm17")
    assert [i.image_id for i in split.test] == ["test_image_00", "test_image_01", "test_image_02"]
    assert masks["test_image_00"].sum() == 0
    assert masks["train_image_00"].sum() == 7


def test_kumar_follows_the_published_split_from_mat_or_xml(save, source, check):
    names = ["TCGA-18-5592-01Z-00-DX1", "TCGA-HE-7130-01Z-00-DX1", "TCGA-B0-5698-01Z-00-DX1"]
    for name in names:
        save(f"Tissue Images/{name}.tif", np.zeros((20, 30, 3)))
        (source / "Annotations").mkdir(exist_ok=True)
        regions = "".join(
            f'<Region Id="{k}"><Vertices><Vertex X="{x}" Y="2" Z="0"/><Vertex X="{x + 6}" Y="2" Z="0"/>'
            f'<Vertex X="{x + 6}" Y="9" Z="0"/><Vertex X="{x}" Y="9" Z="0"/></Vertices></Region>'
            for k, x in enumerate((1, 15))
        )
        (source / "Annotations" / f"{name}.xml").write_text(
            f"<Annotations><Regions>{regions}</Regions></Annotations>"
        )
    split, masks = check("kumar")
    assert [i.patient_id for i in split.test] == ["TCGA-B0-5698"]
    assert len(split.train) == len(split.val) == 1
    assert masks[names[0]].sum() == 2 * 7 * 8
    assert masks[names[0]][5, 3] == 1
    assert masks[names[0]][3, 10] == 0
    assert read_instances(split.test[0].instances).max() == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("consep", [0, 1, 2, 3, 3, 4, 4, 4]), ("consep8", [0, 1, 2, 3, 4, 5, 6, 7])],
)
def test_consep_in_two_variants(save, source, check, name, expected):
    types = np.arange(8).reshape(2, 4)
    for part, n in {"Train": 3, "Test": 1}.items():
        for i in range(n):
            save(f"CoNSeP/{part}/Images/{part.lower()}_{i}.png", np.zeros((2, 4, 3)))
            path = source / f"CoNSeP/{part}/Labels/{part.lower()}_{i}.mat"
            matrix(path, inst_map=types.astype(float), type_map=types.astype(float))
    split, masks = check(name)
    assert masks["test_0"].ravel().tolist() == expected
    assert split.n_classes == len(set(expected)) == len(split.class_names)
    assert [i.image_id for i in split.test] == ["test_0"]


def test_lizard_maps_ids_to_classes_and_follows_its_folds(save, source, check):
    for i, where in enumerate(("1", "1", "2")):
        save(f"lizard_images{where}/Lizard_Images{where}/consep_{i}.png", RGB)
        ids, classes = np.array([[9], [1], [2]]), np.array([[6], [2], [5]])
        matrix(
            source / f"labels/Lizard_Labels/Labels/consep_{i}.mat",
            inst_map=NUCLEI,
            id=ids,
            **{"class": classes},
        )
    info = source / "labels/Lizard_Labels/info.csv"
    info.write_text(
        "Filename,Source,Split\nconsep_0,consep,3\nconsep_1,consep,1\nconsep_2,consep,2\n"
    )
    split, masks = check("lizard")
    assert [p[0].image_id for p in (split.train, split.val, split.test)] == [
        "consep_1",
        "consep_2",
        "consep_0",
    ]
    expected = [
        [0, 2, 2, 0, 0],
        [0, 0, 0, 5, 5],
        [6, 6, 0, 0, 0],
        [0, 0, 0, 0, 255],
    ]  # 5 is not listed
    assert masks["consep_0"].tolist() == expected


def test_bad_matrices_are_one_sentence(save, source, tmp_path):
    save("Images/a.png", RGB)
    matrix(source / "Labels/a.mat", other=NUCLEI)
    with pytest.raises(InputError, match=r"a\.mat has no variable inst_map: it has other"):
        convert("cpm15", source, tmp_path / "out")
    (source / "Labels/a.mat").write_bytes(b"MATLAB 7.3 or so")
    with pytest.raises(InputError, match=r"a\.mat cannot be read as a MATLAB file"):
        convert("cpm15", source, tmp_path / "out")


def test_a_variable_larger_than_any_image_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    savemat(path, {"inst_map": np.zeros((7, 9)), "other": np.ones(3)}, do_compression=True)
    assert mat.read_mat(path)["inst_map"].shape == (7, 9)
    monkeypatch.setattr(mat, "MOST_PX", 62)
    with pytest.raises(InputError, match="has the variable inst_map of 7 x 9 numbers; at most"):
        mat.read_mat(path)
