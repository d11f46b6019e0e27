"""BCSS (codes), NuCLS (polygons in CSV), DSB 2018 (instances)."""

import numpy as np
import pytest

from pathfuse.dense.data.converters.registry import convert
from pathfuse.dense.data.images import read_instances
from pathfuse.errors import InputError

NAMES = [
    "TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500",
    "TCGA-A2-A04P-DX1_xmin1_ymin2_MPP-0.2500",
]
HELD_OUT = "TCGA-OL-A66I-DX1_xmin5_ymin6_MPP-0.2500"


@pytest.fixture
def regions(save):
    for name in [*NAMES, HELD_OUT]:
        save(f"rgbs_colorNormalized/{name}.png", np.zeros((2, 11, 3)))
        save(f"masks/{name}.png", np.arange(22).reshape(2, 11))


def test_bcss_keeps_22_codes_and_holds_hospitals_out(regions, check):
    split, masks = check("bcss")
    assert split.n_classes == 22
    assert [i.image_id for i in split.test] == [HELD_OUT]
    assert {i.patient_id for i in split.items} == {"TCGA-A1-A0SK", "TCGA-A2-A04P", "TCGA-OL-A66I"}
    assert masks[HELD_OUT].ravel().tolist() == list(range(22))


def test_bcss5_merges_and_ignores(regions, check):
    split, masks = check("bcss5")
    codes = masks[HELD_OUT].ravel()
    assert {k: np.flatnonzero(codes == k).tolist() for k in (0, 1, 2, 3, 255)} == {
        0: [1, 19, 20],
        1: [2],
        2: [3, 10, 11],
        3: [4],
        255: [0, 7],
    }
    assert (codes == 4).sum() == 22 - 10
    assert split.class_names == ("tumor", "stroma", "inflammatory", "necrosis", "other")


def test_codes_above_21_are_refused(regions, save, source, tmp_path):
    save(f"masks/{HELD_OUT}.png", np.full((2, 11), 40))
    with pytest.raises(InputError, match="the value 40 in 22 pixels"):
        convert("bcss5", source, tmp_path / "out")


HEADER = "raw_classification,main_classification,super_classification,type,xmin,ymin,xmax,ymax,coords_x,coords_y\n"
ROWS = (
    "fov,fov,fov,rectangle,2,0,20,16,,\n"
    'tumor,tumor_nonMitotic,tumor_any,polyline,4,2,8,6,"4,8,8,4","2,2,6,6"\n'
    'lymphocyte,lymphocyte,sTIL,polyline,14,2,17,5,"14,17,17,14","2,2,5,5"\n'
    'unlabeled,AMBIGUOUS,AMBIGUOUS,polyline,4,10,6,12,"4,6,6,4","10,10,12,12"\n'
    "fibroblast,nonTILnonMQ_stromal,nonTIL_stromal,rectangle,12,1,18,7,,\n"
)


def nuclei(save, source, slides):
    for slide in slides:
        save(f"rgb/{slide}_id-1_left-1.png", np.zeros((18, 20, 3)))
        (source / "csv").mkdir(exist_ok=True)
        (source / "csv" / f"{slide}_id-1_left-1.csv").write_text(HEADER + ROWS)


def test_nucls_draws_polygons_and_ignores_what_is_unsure(save, source, check):
    nuclei(save, source, ["TCGA-A1-A0SP-DX1", "TCGA-A2-A0CM-DX1", "TCGA-OL-A5D6-DX1"])
    (source / "train_test_splits").mkdir()
    (source / "train_test_splits/fold_1_test.csv").write_text(",slide_name\n0,TCGA-OL-A5D6-DX1\n")
    (source / "train_test_splits/fold_1_train.csv").write_text(
        ",slide_name\n0,TCGA-A1-A0SP-DX1\n1,TCGA-A2-A0CM-DX1\n"
    )
    split, masks = check("nucls")
    assert [i.patient_id for i in split.test] == ["TCGA-OL-A5D6"]
    mask = masks["TCGA-A1-A0SP-DX1_id-1_left-1"]
    assert (mask[2:7, 4:9] == 1).all()  # tumor_any
    assert (mask == 1).sum() == 25
    assert (mask[2:6, 14:18] == 3).all()  # sTIL lies on top of the box
    assert mask[1, 12] == mask[7, 18] == 255  # of the box the rest does not count
    assert mask[11, 5] == 255  # ambiguous
    assert (mask[:, :2] == 255).all()  # outside of the field
    assert (mask[16:] == 255).all()
    assert mask[9, 10] == 0
    instances = read_instances(split.train[0].instances)
    assert instances.max() == 3
    assert instances[11, 5] > 0
    assert instances[1, 12] == 0


def test_nucls_without_folds_is_drawn_by_patient(save, source, check):
    nuclei(save, source, [f"TCGA-A{i}-A0SP-DX1" for i in range(8)])
    split, _ = check("nucls")
    assert [len(p) for p in (split.train, split.val, split.test)] == [5, 1, 2]


def test_bad_csv_is_one_sentence(save, source, tmp_path):
    nuclei(save, source, ["TCGA-A1-A0SP-DX1"])
    path = next((source / "csv").glob("*.csv"))
    path.write_text((HEADER + ROWS).replace('"2,2,6,6"', '"2,2,6"'))
    with pytest.raises(InputError, match="no lists of equal length"):
        convert("nucls", source, tmp_path / "out")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="lacks the column super_classification"):
        convert("nucls", source, tmp_path / "out")


def test_dsb_keeps_instances(save, check):
    for i in range(20):
        save(f"images/{i:03x}.png", np.zeros((3, 4, 3)))
        save(
            f"instances/{i:03x}.png",
            np.array([[0, 1, 1, 0], [2, 2, 0, 300], [0, 0, 0, 0]]),
            np.uint16,
        )
    split, masks = check("dsb2018_histology")
    assert [len(p) for p in (split.train, split.val, split.test)] == [12, 3, 5]
    assert masks["000"].tolist() == [[0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]]
    assert read_instances(split.test[0].instances).max() == 3
    assert check("dsb2018_histology", seed=1)[0].test != split.test
