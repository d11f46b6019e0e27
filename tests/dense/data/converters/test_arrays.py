"""CoNIC and PanNuke (npy), CoCaHis (HDF5)."""

import numpy as np
import pytest

from pathfuse.dense.data.converters.registry import convert
from pathfuse.dense.data.images import read_image, read_instances
from pathfuse.dense.data.records import torn_patients
from pathfuse.errors import InputError

RNG = np.random.default_rng(0)


def test_conic_groups_patches_of_one_source(source, check):
    source.mkdir()
    images = RNG.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    labels = np.zeros((12, 4, 4, 2), np.uint16)
    labels[:, 0, :2, 0], labels[:, 0, :2, 1] = 301, 6
    labels[:, 2, 2, 0], labels[:, 2, 2, 1] = 12, 1
    np.save(source / "images.npy", images)
    np.save(source / "labels.npy", labels)
    rows = [f"consep_{i // 3}-{i % 3:04d}" for i in range(12)]
    (source / "patch_info.csv").write_text("patch_info\n" + "\n".join(rows) + "\n")
    split, masks = check("conic2022")
    assert not torn_patients(split)
    assert {i.patient_id for i in split.items} == {f"consep_{k}" for k in range(4)}
    np.testing.assert_array_equal(masks["00007"], labels[7, ..., 1])
    by_id = {i.image_id: i for i in split.items}
    np.testing.assert_array_equal(read_image(by_id["00007"].image), images[7])
    assert sorted(np.unique(read_instances(by_id["00007"].instances))) == [0, 1, 2]


def test_pannuke_puts_background_first_and_folds_in_parts(source, check):
    for fold, n in {1: 2, 2: 1, 3: 1}.items():
        images = np.full((n, 3, 6, 3), 10.0 * fold)
        masks = np.zeros((n, 3, 6, 6))
        for k in range(5):
            masks[:, 0, k, k] = 4 + k
        masks[:, 2, :3, 0] = 1
        masks[:, 2, 1, 4] = 1  # two channels claim it
        masks[..., 5] = masks[..., :5].max(axis=-1) == 0
        for what, values in {"images": images, "masks": masks}.items():
            path = source / f"Fold {fold}" / what / f"fold{fold}" / f"{what}.npy"
            path.parent.mkdir(parents=True)
            np.save(path, values)
    split, masks = check("pannuke")
    assert [len(p) for p in (split.train, split.val, split.test)] == [2, 1, 1]
    assert split.class_names[0] == "background"
    assert masks["fold1_0000"].tolist() == [[1, 2, 3, 4, 5, 0], [0] * 6, [1, 5, 1, 0, 0, 0]]
    assert (read_image(split.test[0].image) == 30).all()
    assert read_instances(split.test[0].instances).max() == 7  # five in the first row, two below


def test_two_folds_of_pannuke_are_divided_anew(source, check):
    for fold in (1, 2):
        (source / f"fold{fold}").mkdir(parents=True)
        np.save(source / f"fold{fold}/images.npy", np.zeros((10, 2, 2, 3)))
        np.save(source / f"fold{fold}/masks.npy", np.zeros((10, 2, 2, 6)))
    split, _ = check("pannuke")
    assert [len(p) for p in (split.train, split.val, split.test)] == [12, 3, 5]
    assert any("Only 2 of three folds" in note for note in split.notes)


def test_bad_arrays_are_one_sentence(source, tmp_path):
    source.mkdir()
    np.save(source / "images.npy", np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(
        InputError, match=r"CoNIC2022 was not found .* looked for images\.npy and labels\.npy"
    ):
        convert("conic2022", source, tmp_path / "out")
    np.save(source / "labels.npy", np.zeros((3, 4, 4, 2), np.uint8))
    with pytest.raises(InputError, match=r"labels\.npy has 3 entries for 2 images"):
        convert("conic2022", source, tmp_path / "out")
    np.save(source / "labels.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"labels\.npy cannot be read"):
        convert("conic2022", source, tmp_path / "out")
    np.save(source / "labels.npy", np.full((2, 4, 4, 2), 7, np.uint8))
    with pytest.raises(InputError, match="the value 7 in 16 pixels"):
        convert("conic2022", source, tmp_path / "out")


@pytest.fixture
def sections(source):
    h5py = pytest.importorskip("h5py")
    source.mkdir()
    images = RNG.integers(0, 256, (8, 4, 5, 3), dtype=np.uint8)
    truth = RNG.integers(0, 2, (8, 4, 5), dtype=np.uint8) * 255
    with h5py.File(source / "CoCaHis.hdf5", "w") as file:
        file["HE/raw"], file["GT/GT_majority_vote"] = images, truth
        file["HE/sn1"] = images
        file["HE"].attrs["patient_num"] = [1, 1, 2, 3, 3, 4, 5, 5]
        file["HE"].attrs["train_test_split"] = np.array(["train"] * 6 + ["test"] * 2, dtype="S5")
    return images, truth


def test_cocahis_takes_raw_images_the_majority_and_patients(sections, check):
    split, masks = check("cocahis")
    assert [i.image_id for i in split.test] == ["image_006", "image_007"]
    assert not torn_patients(split)
    assert len(split.val) == 1
    np.testing.assert_array_equal(masks["image_003"], sections[1][3] > 0)
    np.testing.assert_array_equal(read_image(split.test[0].image), sections[0][6])


def test_another_hdf5_file_is_one_sentence(source, tmp_path):
    h5py = pytest.importorskip("h5py")
    source.mkdir()
    with h5py.File(source / "x.h5", "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(InputError, match=r"x\.h5 is not CoCaHis: looked for"):
        convert("cocahis", source, tmp_path / "out")
