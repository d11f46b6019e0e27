"""Split files and plain folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathfuse.dense.data.items import read_item
from pathfuse.dense.data.records import torn_patients
from pathfuse.dense.data.split_files import read_split, write_split
from pathfuse.errors import InputError
from pathfuse.files.digests import files_digest


def save(path: Path, values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)
    return path


def pair(folder: Path, part: str, name: str, value: int = 1) -> None:
    save(folder / part / "images" / f"{name}.png", np.zeros((4, 5, 3)))
    save(folder / part / "masks" / f"{name}.png", np.full((4, 5), value))


@pytest.fixture
def folder(tmp_path):
    for part, names in {"train": "ab", "val": "c", "test": "d"}.items():
        for name in names:
            pair(tmp_path / "set", part, name)
    return tmp_path / "set"


def written(folder: Path, **changes) -> Path:
    rows = {
        part: [
            {"image_path": f"{part}/images/{n}.png", "mask_path": f"{part}/masks/{n}.png"}
            for n in names
        ]
        for part, names in {"train": "ab", "val": "c", "test": "d"}.items()
    }
    content = {"num_classes": 2, "data": rows} | changes
    path = folder / "my.json"
    path.write_text(json.dumps(content))
    return path


def test_a_plain_folder_is_read_with_classes_from_its_masks(folder):
    split = read_split(folder)
    assert [i.image_id for i in split.items] == ["a", "b", "c", "d"]
    assert (split.n_classes, split.class_names, split.name) == (2, ("class_0", "class_1"), "set")
    pair(folder, "train", "e", 4)
    assert read_split(folder).n_classes == 5
    assert read_item(read_split(folder).train[2], read_split(folder))[1].max() == 4
    pair(folder, "train", "f", 200)
    with pytest.raises(InputError, match="hold 200 but nothing between it and 4: is this a class"):
        read_split(folder)


def test_a_plain_folder_may_name_classes_patients_and_instances(folder):
    (folder / "classes.txt").write_text("nothing\ngland\nstroma\n")
    (folder / "patients.csv").write_text("image,patient_id\na,p1\nb,p1\n")
    save(folder / "test" / "instances" / "d.png", np.ones((4, 5)))
    split = read_split(folder)
    assert split.class_names == ("nothing", "gland", "stroma")
    assert [i.patient_id for i in split.items] == ["p1", "p1", "c", "d"]
    assert split.test[0].instances == folder / "test" / "instances" / "d.png"
    (folder / "patients.csv").write_text("image,patient_id\na,p1\nc,p1\n")
    with pytest.raises(InputError, match="'p1' is in two parts"):
        read_split(folder)


def test_an_image_of_nnunet_has_the_mask_without_the_channel(folder):
    for part in ("train", "val"):
        for image in (folder / part / "images").iterdir():
            image.rename(image.with_name(f"{image.stem}_0000{image.suffix}"))
    split = read_split(folder)
    assert all(item.mask is not None for item in (*split.train, *split.val))
    assert {item.image_id.endswith("_0000") for item in (*split.train, *split.val)} == {True}
    (folder / "train" / "masks" / f"{split.train[0].mask.stem}.png").rename(
        folder / "train" / "masks" / "other.png"
    )
    with pytest.raises(InputError, match="has no mask of the same name"):
        read_split(folder)


def test_masks_of_0_and_255_are_not_taken_for_background(folder):
    for path in folder.glob("*/masks/*.png"):
        save(path, [[0, 255]])
    with pytest.raises(InputError, match="hold only 0 and 255"):
        read_split(folder)


def test_masks_of_0_and_255_are_refused_in_a_split_file_or_read_by_mask_values(folder):
    for k, path in enumerate(sorted(folder.glob("*/masks/*.png"))):
        save(path, [[0, 255, 0, 0, 255]] * 3 + [[0, 255, 0, 0, 255 * (k % 2)]])
    with pytest.raises(
        InputError, match=r'hold only 0 and 255, .* write "mask_values": {"0": "class_0", "255": '
    ):
        read_split(written(folder))
    values = {"0": "background", "255": "nucleus"}
    split = read_split(written(folder, mask_values=values))
    assert split.class_names == ("background", "nucleus")
    assert split.mask_values == ((0, 0), (255, 1))
    assert {item.mask_values for item in split.items} == {split.mask_values}
    assert read_item(split.train[0], split)[1].tolist()[0] == [0, 1, 0, 0, 1]
    write_split(split, folder / "again.json")
    assert json.loads((folder / "again.json").read_text())["mask_values"] == values
    assert read_split(folder / "again.json") == replace(split, name=split.name)
    with pytest.raises(InputError, match="with the class 'gland': classes are a, b"):
        read_split(written(folder, mask_values={"0": "gland"}, class_names=["a", "b"]))
    with pytest.raises(
        InputError, match='"mask_value", which means nothing: did you mean "mask_values"'
    ):
        read_split(written(folder, mask_value=values))


def test_a_plain_folder_says_what_its_values_are_in_a_file(folder):
    for path in folder.glob("*/masks/*.png"):
        save(path, [[0, 255, 0, 0, 255]] * 4)
    (folder / "mask_values.json").write_text('{"0": "background", "255": "nucleus"}')
    split = read_split(folder)
    assert (split.class_names, split.mask_values) == (("background", "nucleus"), ((0, 0), (255, 1)))
    assert read_item(split.test[0], split)[1].max() == 1
    (folder / "classes.txt").write_text("nucleus\nbackground\n")
    assert read_split(folder).mask_values == ((0, 1), (255, 0))
    (folder / "mask_values.json").write_text('{"0": 0, "255": 1}')
    assert read_split(folder).mask_values == ((0, 0), (255, 1))
    (folder / "classes.txt").unlink()
    with pytest.raises(InputError, match=r"mask_values\.json must name at least two classes"):
        read_split(folder)
    (folder / "mask_values.json").write_text("[")
    with pytest.raises(InputError, match=r"mask_values\.json is not JSON"):
        read_split(folder)


def test_a_folder_with_classes_but_masks_of_0_and_255_is_refused(folder):
    for path in folder.glob("*/masks/*.png"):
        save(path, [[0, 255, 0, 0, 255]] * 4)
    (folder / "classes.txt").write_text("background\nnucleus\n")
    with pytest.raises(
        InputError, match=r'hold only 0 and 255.*"255": "nucleus"}.*into mask_values\.json'
    ):
        read_split(folder)


def test_the_scale_is_of_the_data_set_or_of_an_image(folder):
    split = read_split(written(folder, mpp=0.5))
    assert {item.mpp_um for item in split.items} == {0.5}
    rows = json.loads((folder / "my.json").read_text())["data"]
    rows["train"][1]["mpp"] = 0.25
    split = read_split(written(folder, mpp=0.5, data=rows))
    assert [item.mpp_um for item in split.items] == [0.5, 0.25, 0.5, 0.5]
    write_split(split, folder / "again.json")
    assert read_split(folder / "again.json").items == split.items
    mixed = read_split(written(folder, data=rows))
    assert [item.mpp_um for item in mixed.items] == [None, 0.25, None, None]
    with pytest.raises(InputError, match=r'my\.json has "mpp" -1: it must be the micrometres'):
        read_split(written(folder, mpp=-1))
    rows["train"][1]["mpp"] = "20x"
    with pytest.raises(InputError, match=r"image 'train/images/b\.png' has \"mpp\" '20x'"):
        read_split(written(folder, data=rows))


def test_a_missing_mask_is_named_unless_the_test_part_has_none(folder):
    (folder / "test" / "masks" / "d.png").unlink()
    assert read_split(folder).test[0].mask is None
    (folder / "train" / "masks" / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png has no mask"):
        read_split(folder)


def test_no_training_image_is_refused_unless_none_is_needed(tmp_path):
    pair(tmp_path, "test", "x")
    with pytest.raises(InputError, match="no training image"):
        read_split(tmp_path)
    assert len(read_split(tmp_path, need_train=False).test) == 1
    with pytest.raises(InputError, match=r"neither split\.json nor images"):
        read_split(tmp_path / "test")
    with pytest.raises(InputError, match="does not exist"):
        read_split(tmp_path / "nowhere")


def test_the_published_json_is_read(folder):
    split = read_split(written(folder))
    assert split.train[1].mask == folder / "train/masks/b.png"
    assert [i.patient_id for i in split.items] == ["a", "b", "c", "d"]


def test_names_that_repeat_become_paths(folder):
    rows = {
        "train": [{"image_path": "train/images/a.png", "mask_path": "train/masks/a.png"}],
        "test": [],
    }
    pair(folder, "test", "a")
    rows["test"] = [{"image_path": "test/images/a.png", "mask_path": None}]
    split = read_split(written(folder, data=rows))
    assert [i.image_id for i in split.items] == ["train_images_a", "test_images_a"]
    assert split.test[0].mask is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": "2"}, "num_classes"),
        ({"class_names": ["a"]}, "2 different"),
        ({"class_names": ["a", "a"]}, "2 different"),
        ({"ignore": 1}, "ignore"),
        ({"data": [1]}, 'no "data"'),
        ({"data": {"training": []}}, "'training'"),
        ({"data": {"train": [{"mask_path": "x"}]}}, "entry 1 of train"),
        ({"data": {"train": [{"image_path": "train/images/a.png"}]}}, "has no mask"),
        (
            {"data": {"train": [{"image_path": "z.png", "mask_path": "z.png"}]}},
            r"z\.png of train does not exist",
        ),
    ],
)
def test_bad_split_files_are_one_sentence(folder, changes, said):
    with pytest.raises(InputError, match=said):
        read_split(written(folder, **changes))


def test_no_json_is_one_sentence(folder):
    (folder / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json is not JSON"):
        read_split(folder / "bad.json")


def test_the_same_image_and_the_same_patient_in_two_parts_are_refused(folder):
    a = {"image_path": "train/images/a.png", "mask_path": "train/masks/a.png", "image_id": "1"}
    b = {"image_path": "train/images/b.png", "mask_path": "train/masks/b.png", "image_id": "2"}
    with pytest.raises(InputError, match="is there twice"):
        read_split(written(folder, data={"train": [a], "test": [a | {"image_id": "3"}]}))
    with pytest.raises(InputError, match="image_id '1' is there twice"):
        read_split(written(folder, data={"train": [a, b | {"image_id": "1"}]}))
    torn = {"train": [a | {"patient_id": 7}], "test": [b | {"patient_id": "7"}]}
    with pytest.raises(InputError, match="'7' is in two parts"):
        read_split(written(folder, data=torn))
    split = read_split(written(folder, data=torn, patients_in_two_parts=True))
    assert torn_patients(split) == ["7"]


def test_what_is_written_is_read_again(folder, tmp_path):
    split = replace(read_split(folder), notes=("A sentence.",), name="mine", class_names=("x", "y"))
    mask = split.test[0].mask
    split = replace(split, test=(replace(split.test[0], patient_id="a", instances=mask),))
    (tmp_path / "other").mkdir()
    write_split(split, tmp_path / "other" / "split.json")
    assert read_split(tmp_path / "other") == split
    rows = json.loads((tmp_path / "other" / "split.json").read_text())["data"]["train"]
    assert rows[0]["image_path"] == "../set/train/images/a.png"


def test_what_would_be_lost_without_a_word(folder):
    """Misspelt keys, an id of 0, patients of other images, names that tables use."""

    def rows(**more):
        return {
            "train": [
                {"image_path": "train/images/a.png", "mask_path": "train/masks/a.png", **more}
            ]
        }

    assert read_split(written(folder, data=rows(image_id=0))).train[0].image_id == "0"
    assert read_split(written(folder, data=rows(stain="HE"), made_by="us")).train[0].image_id == "a"
    for changes, sentence in (
        ({"data": rows(patient="p")}, 'entry 1 of train has "patient", .* mean "patient_id"'),
        (
            {"class_nmes": ["a", "b"]},
            'has "class_nmes", which means nothing: did you mean "class_names"',
        ),
        ({"class_names": [None, "b"]}, "class name None"),
        ({"class_names": ["all", "b"]}, "class name 'all'"),
        ({"notes": 5}, '"notes" that are no list'),
    ):
        with pytest.raises(InputError, match=sentence):
            read_split(written(folder, **changes))
    (folder / "patients.csv").write_text("image,patient_id\na.png,p1\n")
    with pytest.raises(
        InputError, match=r"there is no image 'a.png'; write file names without suffix"
    ):
        read_split(folder)


def test_digests_are_of_contents_and_order(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    first = files_digest([one, two])
    assert first == files_digest([one, two])
    assert first != files_digest([two, one])
    two.write_text("c")
    assert first != files_digest([one, two])
