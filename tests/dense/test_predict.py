"""Predicting: files of logits at the image's own size, and matrices of exactly what is in them."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("peft")

from torch import nn  # noqa: E402

from pathfuse.dense.data.items import read_item  # noqa: E402
from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.evaluation.confusion import confusion  # noqa: E402
from pathfuse.dense.evaluation.metrics import metrics  # noqa: E402
from pathfuse.dense.predict import predict_dense  # noqa: E402
from pathfuse.dense.recipe import DenseRecipe  # noqa: E402
from pathfuse.dense.training.train import train_dense  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402
from pathfuse.testing.tissue import COLOURS, make_split  # noqa: E402


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("images"), height=50, width=70)


class Nearest(nn.Module):
    """The class whose colour is nearest, pixel by pixel."""

    def forward(self, x):
        colours = torch.from_numpy(COLOURS / 255).float()
        return -((x[:, None] - colours[None, :, :, None, None]) ** 2).sum(dim=2)


@pytest.mark.parametrize("tile_px", [None, 16, 200])
def test_files_and_matrices(split, tmp_path, tile_px):
    items = (*split.test, replace(split.val[0], mask=None))
    how, heard = DenseRecipe.of(size_px=64, device="cpu"), []
    found = predict_dense(Nearest(), split, items, tmp_path / "logits", recipe=how, tile_px=tile_px,
                          device="cpu", progress=lambda *said: heard.append(said))  # fmt: skip
    names = [item.image_id for item in items]
    assert heard == [(f"{name} segmented", k / len(items)) for k, name in enumerate(names, start=1)]
    assert list(found.image_ids) == names
    assert sorted(path.stem for path in found.folder.glob("*.npy")) == sorted(names)
    assert found.has_mask.tolist() == [True, True, False]
    assert not found.confusions[2].any()
    for row, item in enumerate(items):
        logits = np.load(found.folder / f"{item.image_id}.npy", allow_pickle=False)
        assert logits.shape == (3, 50, 70)
        assert logits.dtype == np.float16
        image, mask = read_item(item, split)
        if mask is not None:
            np.testing.assert_array_equal(
                found.confusions[row], confusion(mask, logits.argmax(axis=0), 3)
            )
        if tile_px:
            own = Nearest()(torch.from_numpy(image).movedim(-1, 0)[None].float() / 255)[0].numpy()
            np.testing.assert_allclose(logits, own, atol=1e-3)
    assert metrics(found.confusions.sum(axis=0))["mDice"] > 0.95


def test_from_a_folder_as_the_recipe_says(split, tmp_path):
    small = {"epochs": 1, "warmup": 0, "size_px": 32, "device": "cpu", "augment": False}
    done = train_dense(
        tiny_encoder(), split, DenseRecipe.of("lora", fit="crop", **small), tmp_path / "net"
    )
    found = predict_dense(
        done.folder, split, split.val, tmp_path / "val", encoder=tiny_encoder(), device="cpu"
    )
    # As the network was judged in training, but for float16.
    value = metrics(found.confusions.sum(axis=0))["mIoU"]
    assert value == pytest.approx(done.manifest["validation"]["mIoU"], abs=2e-3)
    same = predict_dense(done.folder, split, split.val, tmp_path / "val", encoder=tiny_encoder(), device="cpu",
                         batch=1, force=True)  # fmt: skip
    assert np.abs(same.confusions - found.confusions).sum() < 20
    with pytest.raises(InputError, match="exists already"):
        predict_dense(
            done.folder, split, split.val, tmp_path / "val", encoder=tiny_encoder(), device="cpu"
        )
    named = replace(split, class_names=("x", "y", "z"))
    with pytest.raises(
        InputError, match="knows the classes glass, stroma, nucleus, but drawn has x, y, z"
    ):
        predict_dense(
            done.folder, named, split.val, tmp_path / "other", encoder=tiny_encoder(), device="cpu"
        )


def test_sentences(split, tmp_path):
    for wrong in ("a/b", "..", "a\\b"):
        with pytest.raises(InputError, match="cannot name a file"):
            predict_dense(
                Nearest(),
                split,
                [replace(split.test[0], image_id=wrong)],
                tmp_path / "out",
                device="cpu",
            )
    two = replace(split, n_classes=2, class_names=("a", "b"))
    with pytest.raises(InputError, match="has the value 2"):
        predict_dense(Nearest(), two, split.test, tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match="the network knows 3 classes, but drawn has 2"):
        predict_dense(
            Nearest(), two, [replace(split.test[0], mask=None)], tmp_path / "out", device="cpu"
        )
    with pytest.raises(InputError, match="holds no trained segmentation"):
        predict_dense(tmp_path, split, split.test, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_force_spares_what_is_read(split, tmp_path):
    small = DenseRecipe.of(epochs=1, warmup=0, size_px=32, device="cpu", augment=False)
    net = train_dense(tiny_encoder(), split, small, tmp_path / "net").folder
    for out in (net, split.test[0].image.parent):
        with pytest.raises(InputError, match="cannot be overwritten: it holds"):
            predict_dense(
                net, split, split.test, out, encoder=tiny_encoder(), device="cpu", force=True
            )
    assert (net / "model.safetensors").exists()


def test_large_logits_stay_finite(split, tmp_path):
    class Loud(Nearest):
        def forward(self, x):
            return super().forward(x) * 1e6

    found = predict_dense(Loud(), split, split.test[:1], tmp_path / "out", device="cpu", tile_px=32)
    assert np.isfinite(np.load(found.folder / f"{found.image_ids[0]}.npy")).all()
