"""Label maps of other programs, as they write them; and what is none."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from pathfuse.dense.evaluation.instance_maps import Scatter, instance_file, read_instance_map
from pathfuse.errors import InputError

MAP = np.array([[0, 0, 7, 7], [300, 0, 0, 7], [300, 300, 0, 2]], dtype=np.int32)
TYPES = {2: 1, 7: 2, 300: 0}


def hover_net(path, *, order=(2, 7, 300), **more):
    """As HoVer-Net's ``run_infer.py tile`` saves it: column vectors, ids in an order of its own."""
    savemat(
        path,
        {
            "inst_map": MAP,
            "inst_uid": np.array(order)[:, None],
            "inst_type": np.array([TYPES[n] for n in order])[:, None],
            "inst_centroid": np.zeros((3, 2)),
            **more,
        },
    )


def write(path, pixels):
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".npz":
        np.savez(path, labels=pixels)
    elif path.suffix == ".mat":
        savemat(path, {"inst_map": pixels})
    elif path.suffix == ".png":
        Image.fromarray(pixels.astype(np.uint16)).save(path)
    else:
        tifffile.imwrite(path, pixels, compression="zlib")


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".png", ".tif"])
def test_every_kind_of_file(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    write(path, MAP.astype(dtype))
    found = read_instance_map(path, 2)
    assert found.labels.tolist() == MAP.tolist()
    assert found.classes.tolist() == (MAP > 0).astype(int).tolist()


@pytest.mark.parametrize("order", [(2, 7, 300), (300, 2, 7)])
def test_classes_of_hover_net(tmp_path, order):
    hover_net(tmp_path / "a.mat", order=order)
    classes = read_instance_map(tmp_path / "a.mat", 3).classes
    assert classes.tolist() == [[0, 0, 2, 2], [0, 0, 0, 2], [0, 0, 0, 1]]
    two = read_instance_map(tmp_path / "a.mat", 2)  # of two classes, types are of no use
    assert two.classes.tolist() == (MAP > 0).astype(int).tolist()


def test_types_without_ids_are_in_the_order_of_the_numbers_and_matlab_keeps_fractions(tmp_path):
    content = {"inst_map": MAP.astype(float), "inst_type": np.array([[1.0], [2.0], [0.0]])}
    savemat(tmp_path / "a.mat", content)
    found = read_instance_map(tmp_path / "a.mat", 3)
    assert found.labels.tolist() == MAP.tolist()
    assert found.classes.tolist() == [[0, 0, 2, 2], [0, 0, 0, 2], [0, 0, 0, 1]]
    savemat(tmp_path / "a.mat", {"inst_map": MAP * 0, "inst_type": np.zeros((0, 1))})
    assert not read_instance_map(tmp_path / "a.mat", 3).classes.any()


@pytest.mark.parametrize(
    ("suffix", "pixels", "sentence"),
    [
        (".npy", MAP.astype(float), "are of the type float64: they are whole numbers"),
        (".npy", MAP > 0, "are of the type bool"),
        (".npy", -MAP, "have the number -300: 0 is background"),
        (".npy", MAP[None], r"have the shape \(1, 3, 4\)"),
        (".mat", MAP + 0.5, "are of the type float64"),
        (".tif", MAP.astype(np.float32), "holds fractions"),
    ],
)
def test_what_is_no_map_of_instances(tmp_path, suffix, pixels, sentence):
    path = tmp_path / f"a{suffix}"
    write(path, pixels)
    with pytest.raises(InputError, match=sentence):
        read_instance_map(path, 2)


def test_files_that_say_too_little(tmp_path):
    def refused(sentence, path, n_classes=3):
        with pytest.raises(InputError, match=sentence):
            read_instance_map(path, n_classes)

    np.save(tmp_path / "a.npy", MAP)
    refused(
        "have no classes, but the data have 3: a .mat file with inst_map and inst_type",
        tmp_path / "a.npy",
    )
    savemat(tmp_path / "a.mat", {"type_map": MAP})
    refused("has no variable inst_map: it has type_map", tmp_path / "a.mat")
    hover_net(tmp_path / "a.mat", inst_type=np.array([[1], [5], [0]]))
    refused("has the type 5, but the classes are 0 to 2", tmp_path / "a.mat")
    hover_net(tmp_path / "a.mat", inst_type=np.array([[1], [1]]))
    refused("has 2 types of 3 instances", tmp_path / "a.mat")
    hover_net(tmp_path / "a.mat", inst_uid=np.array([[2], [8], [300]]))
    refused("has no type of the instance 7", tmp_path / "a.mat")
    np.savez(tmp_path / "b.npz", one=MAP, two=MAP)
    refused("has the arrays one, two: it needs one alone, or inst_map", tmp_path / "b.npz", 2)
    np.save(tmp_path / "c.npy", np.array([{"masks": MAP}], dtype=object))
    refused("c.npy cannot be read: it needs pickle, which can run code", tmp_path / "c.npy", 2)
    for name in ("d.npy", "d.npz", "d.mat", "d.png"):
        (tmp_path / name).write_bytes(b"nothing at all")
        refused("cannot be read", tmp_path / name, 2)


def test_names_of_cellpose(tmp_path):
    assert instance_file(tmp_path, "a") is None
    (tmp_path / "a_seg.npy").touch()
    with pytest.raises(
        InputError, match=r"a_seg.npy is a pickle.*let Cellpose save the masks as an image"
    ):
        instance_file(tmp_path, "a")
    (tmp_path / "a_cp_masks.png").touch()
    assert instance_file(tmp_path, "a") == tmp_path / "a_cp_masks.png"
    (tmp_path / "a.mat").touch()
    with pytest.raises(InputError, match="two predictions of image 'a'"):
        instance_file(tmp_path, "a")


def test_masks_of_classes_are_no_instances(tmp_path):
    def seen(n_classes, *maps):
        scatter = Scatter("net", tmp_path, n_classes)
        for number, labels in enumerate(maps):
            np.save(tmp_path / f"{number}.npy", labels)
            scatter.see(read_instance_map(tmp_path / f"{number}.npy", 2))
        scatter.check()

    dots = np.zeros((9, 9), dtype=np.uint8)
    dots[::3, ::3] = 255  # nine places of one number
    one = np.where(np.arange(81).reshape(9, 9) < 9, 1, 0)
    sentence = "net has masks of classes in .*, not instances: a number lies in 5.0 separate places"
    with pytest.raises(InputError, match=sentence):
        seen(2, dots, one)
    seen(2, one, one)  # images with one nucleus each
    seen(2, dots, np.arange(81).reshape(9, 9))  # an image with many numbers: a nucleus in pieces
    seen(2, one * 0)
    both = dots // 255 + (np.roll(dots, 1, axis=1) // 255) * 2
    with pytest.raises(InputError, match=r"9.0 separate places"):
        seen(3, both)
