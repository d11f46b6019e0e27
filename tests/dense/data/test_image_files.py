"""Files by the names of images, with nnU-Net's _0000 on either side."""

import pytest

from pathfuse.dense.data.image_files import file_of, holdings, images_of
from pathfuse.errors import InputError


def put(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return folder


def name_of(found):
    return None if found is None else found.name


def test_the_bare_name_wins_and_both_sides_may_have_the_channel(tmp_path):
    folder = put(tmp_path / "a", "x.npy", "x_0000.npy", "y_0000.npz", "z.npy", "s20-100.npy")
    for image, file in (
        ("x", "x.npy"),
        ("x_0000", "x_0000.npy"),
        ("y", "y_0000.npz"),
        ("z_0000", "z.npy"),
        ("s20-100.1", None),
    ):
        assert name_of(file_of(folder, image)) == file


def test_a_file_that_is_named_after_another_image_is_not_taken(tmp_path):
    folder = put(tmp_path / "a", "y_0000.npz")
    assert file_of(folder, "y", image_ids=("y", "y_0000")) is None
    assert name_of(file_of(folder, "y_0000", image_ids=("y", "y_0000"))) == "y_0000.npz"


def test_of_nnunets_npz_and_mask_the_npz_counts(tmp_path):
    folder = put(tmp_path / "a", "x.npz", "x.png", "y.npy", "y.npz", "z.npy", "z.png")
    suffixes = (".npy", ".npz", ".png")
    assert name_of(file_of(folder, "x", suffixes)) == "x.npz"
    for image in "yz":
        with pytest.raises(InputError, match=f"two predictions of image '{image}'"):
            file_of(folder, image, suffixes)


def test_images_are_named_without_the_channel_unless_both_are_there(tmp_path):
    one = put(tmp_path / "a", "x.npy", "y_0000.npy", "z.npy", "z_0000.npy")
    two = put(tmp_path / "b", "x_0000.npz", "w.png")
    assert images_of([one, two]) == ["x", "y", "z", "z_0000"]


def test_what_a_folder_holds(tmp_path):
    one, two = put(tmp_path / "a", "x.pkl", "x.zip", "y.pkl", ".hidden"), put(tmp_path / "b")
    assert holdings([one, None, two]) == (
        f"{one} holds 2 .pkl, 1 .zip (such as x.pkl, x.zip); {two} holds no file"
    )
