"""GlaS, TNBC, CRAG, RINGS, COSAS24, EBHI, WSSS4LUAD, Janowczyk."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.converters.registry import convert
from pathfuse.dense.data.images import read_image, read_instances
from pathfuse.dense.data.records import torn_patients
from pathfuse.errors import InputError

RGB = np.zeros((6, 8, 3), np.uint8) + 128


def glands(*numbers):
    mask = np.zeros((6, 8), np.uint8)
    for i, number in enumerate(numbers):
        mask[2 * i] = number
    return mask


def test_glas_as_published_has_instances_patients_and_the_official_split(save, source, check):
    rows = []
    for part, n in {"train": 10, "testA": 3, "testB": 2}.items():
        for i in range(1, n + 1):
            save(f"Warwick QU Dataset/{part}_{i}.bmp", RGB)
            save(f"Warwick QU Dataset/{part}_{i}_anno.bmp", glands(3, 7))
            rows.append(f"{part}_{i}, {i % 5}, benign")
    grades = "name,patient ID, grade (GlaS)\n" + "\n".join(rows)
    (source / "Warwick QU Dataset" / "Grade.csv").write_text(grades)
    split, masks = check("GlaS")
    assert {i.image_id for i in split.test} == {
        "testA_1",
        "testA_2",
        "testA_3",
        "testB_1",
        "testB_2",
    }
    assert (len(split.train), len(split.val)) == (8, 2)
    assert not {i.patient_id for i in split.train} & {i.patient_id for i in split.val}
    assert set(np.unique(masks["train_1"])) == {0, 1}
    assert set(np.unique(read_instances(split.train[0].instances))) == {0, 1, 2}  # renumbered
    assert torn_patients(split)
    assert any("15 images were found, where GlaS has 165" in note for note in split.notes)
    assert any("too good for new patients" in note for note in split.notes)
    assert split.train[0].image.parent == source / "Warwick QU Dataset"  # not copied


def test_glas_as_folders(save, check):
    for part in ("train", "testA", "testB"):
        for i in range(1, 4):
            Image.fromarray(RGB).save(
                save(f"{part}/images/{part}_{i}.png", RGB).with_suffix(".jpg")
            )
            save(f"{part}/masks/{part}_{i}.png", glands(255))
        save(f"{part}/pseudo_masks/{part}_1.png", glands(255, 255))
    split, masks = check("glas")
    assert (len(split.train), len(split.val), len(split.test)) == (2, 1, 6)
    assert all(mask.sum() == 8 for mask in masks.values())
    assert split.train[0].instances is None


def test_tnbc_keeps_slides_together_and_names_apart(save, check):
    for slide in range(1, 7):
        for i in range(1, 4):
            save(f"TNBC_NucleiSegmentation/Slide_{slide:02d}/{slide:02d}_{i}.png", RGB)
            save(f"TNBC_NucleiSegmentation/GT_{slide:02d}/{slide:02d}_{i}.png", glands(255))
    split, masks = check("tnbc")
    assert len(masks) == 18
    assert not torn_patients(split)
    assert Counter(i.patient_id for i in split.items) == {f"slide_{s:02d}": 3 for s in range(1, 7)}


def test_crag_tests_on_valid(save, check):
    for part, n in {"train": 5, "valid": 2}.items():
        for i in range(n):
            save(f"CRAG/{part}/Images/{part}_{i}.png", RGB)
            save(f"CRAG/{part}/Annotation/{part}_{i}.png", glands(1, 2, 9))
            save(f"CRAG/{part}/Overlay/{part}_{i}.png", RGB)
    split, _ = check("crag")
    assert {i.image_id for i in split.test} == {"valid_0", "valid_1"}
    assert read_instances(split.test[0].instances).max() == 3


def test_rings_in_two_layouts(save, check):
    for part in ("TRAIN", "TEST"):
        for i in range(1, 4):
            save(f"RINGS/{part}/ORIGINAL IMAGES/P{i}_A1.png", RGB)
            save(
                f"RINGS/{part}/MANUAL MASK IMAGES/P{i}_A1_mask.png",
                np.repeat(glands(255)[..., None], 3, axis=2),
            )
    split, masks = check("rings")
    assert (len(split.train) + len(split.val), len(split.test)) == (3, 3)
    assert all(mask.sum() == 8 for mask in masks.values())


def test_cosas_takes_every_domain(save, check):
    for domain in ("colorectum", "pancreas", "stomach"):
        for i in range(4):
            save(f"task1/{domain}/image/{i}.png", RGB)
            save(f"task1/{domain}/mask/{i}.png", glands(1))
    split, masks = check("cosas24")
    assert set(masks) == {
        f"{d}_{i}" for d in ("colorectum", "pancreas", "stomach") for i in range(4)
    }
    assert (len(split.train), len(split.val), len(split.test)) == (7, 2, 3)


def test_ebhi_takes_the_class_from_the_folder(save, check):
    kinds = [
        "Normal",
        "Polyp",
        "Low-grade IN",
        "High-grade IN",
        "Serrated adenoma",
        "Adenocarcinoma",
    ]
    for kind in kinds:
        for i in range(2):
            save(f"EBHI-SEG/{kind}/image/GT{i}.png", RGB)
            save(f"EBHI-SEG/{kind}/label/GT{i}.png", glands(255))
    save("EBHI-SEG/Normal/image/alone.png", RGB)
    split, masks = check("ebhi")
    assert {name: int(mask.max()) for name, mask in masks.items() if name.endswith("GT0")} == {
        "Normal_GT0": 1,
        "Polyp_GT0": 2,
        "Low-grade-IN_GT0": 3,
        "High-grade-IN_GT0": 4,
        "Serrated-adenoma_GT0": 5,
        "Adenocarcinoma_GT0": 6,
    }
    assert any("1 images have no mask" in note for note in split.notes)


def test_ebhi_refuses_an_unknown_class(save, source, tmp_path):
    save("EBHI-SEG/Other/image/1.png", RGB)
    save("EBHI-SEG/Other/label/1.png", glands(255))
    with pytest.raises(InputError, match="no class folder 'Other'"):
        convert("ebhi", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "background"), [("wsss4luad", 3), ("wsss4luad3", 255)])
def test_luad_trains_on_its_validation_part_and_knows_two_backgrounds(
    save, check, name, background
):
    mask = np.array([[0, 1, 2, 3]], np.uint8)
    for i in range(3):
        save(f"2.validation/img/{i}.png", np.zeros((1, 4, 3)))
        save(f"2.validation/mask/{i}.png", mask)
        save(f"2.validation/background-mask/{i}.png", mask)
    colours = [[[0, 64, 128], [64, 128, 0], [243, 152, 0], [255, 255, 255]]]
    save("3.testing/img/0.png", np.zeros((1, 4, 3)))
    save("3.testing/mask/0.png", colours)
    split, masks = check(name)
    assert [i.image_id for i in split.test] == ["test_0"]
    assert len(split.train) + len(split.val) == 3
    assert all(values.tolist() == [[0, 1, 2, background]] for values in masks.values())


def test_janowczyk_groups_by_patient(save, check):
    for patient in (10253, 10254, 10255, 10256):
        for i in range(2):
            save(f"nuclei/{patient}_500_f0000{i}_original.tif", RGB)
            save(f"nuclei/{patient}_500_f0000{i}_mask.png", glands(255))
    split, masks = check("janowczyk")
    assert "10253_500_f00000" in masks
    assert not torn_patients(split)
    assert not any("no mask" in note for note in split.notes)
    assert {i.patient_id for i in split.items} == {"10253", "10254", "10255", "10256"}


def test_what_is_not_there_is_one_sentence(tmp_path, source):
    with pytest.raises(InputError, match="does not exist: give the folder that was downloaded"):
        convert("glas", source, tmp_path / "out")
    source.mkdir()
    with pytest.raises(
        InputError, match=r"no image of TNBC .*looked for Slide_01/01_1\.png with GT_01"
    ):
        convert("tnbc", source, tmp_path / "out")
    with pytest.raises(InputError, match="no data set 'cat'"):
        convert("cat", source, tmp_path / "out")


def test_masks_of_another_size_are_left_out_and_named(save, source, check, tmp_path):
    for i in range(4):
        save(f"train/Images/train_{i}.png", RGB)
        save(f"train/Annotation/train_{i}.png", glands(1)[: 6 - (i == 2)])
    split, masks = check("crag")
    assert "train_2" not in masks
    assert any("another size: train_2" in note for note in split.notes)


def test_a_damaged_mask_leaves_nothing_behind(save, source, tmp_path):
    for i in range(2):
        save(f"train/Images/train_{i}.png", RGB)
        path = save(f"train/Annotation/train_{i}.png", glands(1))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"Annotation/train_1\.png cannot be read"):
        convert("crag", source, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_an_existing_output_is_kept_unless_forced(save, source, tmp_path):
    for i in range(3):
        save(f"train/Images/train_{i}.png", RGB)
        save(f"train/Annotation/train_{i}.png", glands(1))
    convert("crag", source, tmp_path / "out")
    with pytest.raises(InputError, match="exists already"):
        convert("crag", source, tmp_path / "out")
    split = convert("crag", source, tmp_path / "out", seed=1, force=True)
    assert read_image(split.train[0].image).shape == (6, 8, 3)
