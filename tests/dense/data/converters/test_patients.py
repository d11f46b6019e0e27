"""Where a file's name carries the patient, the case or the slide, it is the group that no split
tears: each converter has a line here, with a name as it is published."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pathfuse.dense.data.converters.registry import CONVERTERS, convert
from pathfuse.dense.data.split_files import read_split

HEADER = "super_classification,type,xmin,ymin,xmax,ymax,coords_x,coords_y\n"
NUCLEUS = 'sTIL,polyline,1,1,4,4,"1,4,4","1,1,4"\n'
MANY = 4
"""Images of each patient."""

IN_NAMES = {
    "kumar": ("Tissue Images/{}.tif", "Annotations/{}.mat",
              {"TCGA-18-5592": "TCGA-18-5592-01Z-00-DX{}", "TCGA-38-6178": "TCGA-38-6178-01Z-00-DX{}"}),
    "tnbc": ("images/{}.png", "masks/{}.png", {"slide_01": "01_{}", "slide_11": "11_{}"}),
    "nucls": ("rgb/{}.png", "csv/{}.csv",
              {"TCGA-A1-A0SP": "TCGA-A1-A0SP-DX1_id-5ea{}_left-7053", "TCGA-A2-A0CM": "TCGA-A2-A0CM-DX1_id-6{}"}),
    "rings": ("TRAIN/IMAGES/{}.png", "TRAIN/MANUAL GLANDS/{}.png",
              {"P15": "P15_D2_2_7_{}", "P7": "P7_A1_1_3_{}"}),
    "bcss": ("rgbs_colorNormalized/{}.png", "masks/{}.png",
             {"TCGA-A1-A0SK": "TCGA-A1-A0SK-DX1_xmin{}_ymin25055_MPP-0.2500",
              "TCGA-A2-A04P": "TCGA-A2-A04P-DX1_xmin{}_ymin2_MPP-0.2500"}),
    "ebhi": ("EBHI-SEG/Polyp/image/{}.png", "EBHI-SEG/Polyp/label/{}.png",
             {"2012223": "GT2012223-4-400-00{}", "2001837": "GT2001837-1-400-00{}"}),
    "janowczyk": ("nuclei/{}_original.tif", "nuclei/{}_mask.png",
                  {"12750": "12750_500_f0000{}", "8863": "8863_500_f0000{}"}),
}  # fmt: skip
"""Image, mask, and each patient with the names of its images."""
SAME_AS = {"bcss5": "bcss"}
"""Other classes of the same files."""
BESIDE = {
    "glas": "Grade.csv: test_pairs.py",
    "conic2022": "patch_info.csv, the source image: test_arrays.py",
    "cocahis": "patient_num in the file: test_arrays.py",
}
"""Data sets whose patients stand in another file, and where that is tested."""
NOWHERE = {
    "cpm15", "cpm17", "consep", "consep8", "lizard", "pannuke", "crag", "cosas24", "wsss4luad", "wsss4luad3",
    "dsb2018_histology",
}  # fmt: skip
"""Running numbers and codes that name no patient."""


def test_every_converter_has_a_line():
    assert {*IN_NAMES, *SAME_AS, *BESIDE, *NOWHERE} == set(CONVERTERS)


def save(file, value, rng):
    """An image of noise, or a mask, in the format of its suffix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".mat":
        savemat(file, {"inst_map": np.eye(6) * value})
    elif file.suffix == ".csv":
        file.write_text(HEADER + NUCLEUS)
    else:
        noise = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise if value is None else np.eye(6, dtype=np.uint8) * value).save(file)


@pytest.mark.parametrize("variant", [*IN_NAMES, *SAME_AS])
def test_the_patient_is_taken_from_the_file_name(variant, tmp_path):
    image, mask, patients = IN_NAMES[SAME_AS.get(variant, variant)]
    rng, source = np.random.default_rng(0), tmp_path / "source"
    for names in patients.values():
        for k in range(MANY):
            name = names.format(k + 1)
            save(source / image.format(name), None, rng)
            save(source / mask.format(name), 1, rng)
    convert(variant, source, tmp_path / "out")
    split = read_split(tmp_path / "out", need_train=False)
    found = {patient: set() for patient in patients}
    for item in split.items:
        found[item.patient_id].add(item.image.stem)
    assert {len(names) for names in found.values()} == {MANY}
    for patient, names in patients.items():
        stem = names.split("{")[0]
        assert all(one.startswith(stem) for one in found[patient])


def test_a_case_of_ebhi_stays_whole_over_its_class_folders(tmp_path):
    """Images of one case lie in several folders; a name that repeats "GT" is of the same case."""
    rng, source = np.random.default_rng(0), tmp_path / "source"
    cases = range(2012001, 2012013)
    for case in cases:
        for kind, prefix in (("Normal", "GT"), ("Polyp", "GTGT")):
            for what, value in (("image", None), ("label", 1)):
                save(source / kind / what / f"{prefix}{case}-1-400-001.png", value, rng)
    split = convert("ebhi", source, tmp_path / "out")
    assert {item.patient_id for item in split.items} == {str(case) for case in cases}
    parts = [{item.patient_id for item in part} for part in (split.train, split.val, split.test)]
    assert all(parts)
    assert sum(len(part) for part in parts) == len(cases)


def test_rings_takes_glands_and_not_the_masks_of_tumour_beside_them(tmp_path):
    rng, source = np.random.default_rng(0), tmp_path / "source/RINGS algorithm dataset"
    for part, k in (("TRAIN", 1), ("TRAIN", 2), ("TEST", 3)):
        name = f"P{k}_D2_2_7_1.png"
        save(source / part / "IMAGES" / name, None, rng)
        save(source / part / "MANUAL GLANDS" / name, 1, rng)
        save(source / part / "MANUAL TUMOR" / name, 0, rng)
    split = convert("rings", tmp_path / "source", tmp_path / "out")
    assert [item.patient_id for item in split.test] == ["P3"]
    assert not any("left out" in note for note in split.notes)
    with Image.open(split.test[0].mask) as mask:
        assert np.asarray(mask).sum() == 6


def test_an_image_that_is_in_a_later_part_too_is_left_out_and_said(tmp_path):
    """Of the official split's copies the earlier one goes, so that what was written can be read."""
    rng, source = np.random.default_rng(0), tmp_path / "source"
    for part, n in (("train", 6), ("valid", 2)):
        for k in range(n):
            save(source / part / "Images" / f"{part}_{k}.png", None, rng)
            save(source / part / "Annotation" / f"{part}_{k}.png", 1, rng)
    copy = (source / "train/Images/train_3.png").read_bytes()
    (source / "valid/Images/valid_1.png").write_bytes(copy)
    split = convert("crag", source, tmp_path / "out")
    names = {item.image_id for item in split.items}
    assert "train_3" not in names
    assert "valid_1" in names
    assert any("are in a later part: train_3." in note for note in split.notes)
    assert read_split(tmp_path / "out") == split
