"""Training: every strategy learns and comes back from its folder, the same bytes each time, also
after a kill."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("peft")

from safetensors import safe_open  # noqa: E402

import pathfuse  # noqa: E402
from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.network.net import SegmentationNet  # noqa: E402
from pathfuse.dense.recipe import DenseRecipe  # noqa: E402
from pathfuse.dense.training import fitting  # noqa: E402
from pathfuse.dense.training.train import load_dense, train_dense  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402
from pathfuse.testing.tissue import make_split  # noqa: E402

SMALL = {
    "epochs": 2,
    "warmup": 0,
    "batch": 3,
    "size_px": 48,
    "rank": 2,
    "device": "cpu",
    "augment": False,
    "validate_every": 1,
}
FILES = [".pathfuse.json", "history.csv", "manifest.json", "model.json", "model.safetensors"]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("images"))


def recipe(strategy="frozen", **chosen):
    return DenseRecipe.of(strategy, **{**SMALL, **chosen})


def diverging():
    """A rate that no recipe may have."""
    return recipe(clip_norm=None).model_copy(update={"decoder_rate": 1e30})


def result(folder):
    """The bytes that must not depend on anything but the arguments."""
    return [
        (folder / name).read_bytes() for name in ("model.safetensors", "history.csv", "model.json")
    ]


def weights(folder):
    with safe_open(folder / "model.safetensors", framework="pt") as store:
        return {name: store.get_tensor(name) for name in store.keys()}  # noqa: SIM118 - no mapping


class StopError(Exception):
    pass


def killed_after(epochs):
    def told(line):
        if line["epoch"] == epochs:
            raise StopError

    return told


@pytest.mark.parametrize("strategy", ["frozen", "lora", "dora", "cnn", "transformer", "full"])
@pytest.mark.slow
def test_every_strategy(split, tmp_path, strategy):
    encoder = tiny_encoder(registers=2, dim=24)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    done = train_dense(encoder, split, recipe(strategy), tmp_path / "net")
    assert sorted(path.name for path in done.folder.iterdir()) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest == done.manifest
    assert bool(manifest["matched_modules"]) == (strategy in ("lora", "dora"))
    assert manifest["tokens_per_image"] == 3 * 3 + 1 + 2
    assert manifest["seconds"] > 0
    assert manifest["peak_memory_mb"] > 50
    assert 0 < manifest["validation"]["mIoU"] <= 1
    # The caller's encoder is as it was, and the network comes back with what was learned.
    assert {
        name: value.equal(before[name]) for name, value in encoder.state_dict().items()
    } == dict.fromkeys(before, True)
    net = load_dense(done.folder, encoder)
    saved = weights(done.folder)
    assert all(net.state_dict()[name].equal(value) for name, value in saved.items())
    assert (
        sum(v.numel() for n, v in saved.items() if "running" not in n and "num_batches" not in n)
        == net.n_trainable
    )
    assert manifest["trainable_parameters"] == net.n_trainable
    assert not net.training
    assert (strategy in ("full", "lora", "dora")) == any(
        name.startswith("encoder.") for name in saved
    )
    assert net(torch.zeros(1, 3, 33, 50)).shape == (1, 3, 33, 50)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every epoch."""
    monkeypatch.setattr(fitting, "CHECKPOINT_SHARE", 1e9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "chosen"),
    [
        ("lora", {"augment": True}),
        ("transformer", {"validate_every": 2}),  # from kept tokens, with dropped paths
        ("cnn", {"fit": "crop", "augment": True, "loss": "dice_ce", "workers": 2}),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bytes(split, tmp_path, often, strategy, chosen):
    how, heard = recipe(strategy, epochs=3, **chosen), []
    train_dense(tiny_encoder(), split, how, tmp_path / "whole")
    torch.manual_seed(9)
    with pytest.raises(StopError):
        train_dense(tiny_encoder(), split, how, tmp_path / "killed", on_epoch=killed_after(2))
    assert not (tmp_path / "killed").exists()
    train_dense(tiny_encoder(), split, how, tmp_path / "killed", on_epoch=heard.append)
    assert [line["epoch"] for line in heard] == [3]
    assert result(tmp_path / "killed") == result(tmp_path / "whole")
    # Again: it is there already.
    train_dense(tiny_encoder(), split, how, tmp_path / "killed", on_epoch=heard.append)
    assert len(heard) == 1


@pytest.mark.slow
def test_what_else_is_not_resumed(split, tmp_path, often):
    with pytest.raises(StopError):
        train_dense(tiny_encoder(), split, recipe(), tmp_path / "net", on_epoch=killed_after(1))
    heard = []
    train_dense(tiny_encoder(seed=1), split, recipe(), tmp_path / "net", on_epoch=heard.append)
    assert [line["epoch"] for line in heard] == [1, 2]
    for other in ({"seed": 1}, {"epochs": 1}):
        with pytest.raises(InputError, match="another training than this one"):
            train_dense(tiny_encoder(seed=1), split, recipe(**other), tmp_path / "net")
    with pytest.raises(InputError, match="exists already"):
        train_dense(tiny_encoder(seed=1), split, recipe(), tmp_path / "net", resume=False)


@pytest.mark.slow
def test_seeds_and_workers(split, tmp_path):
    torch.manual_seed(1)
    one = train_dense(
        tiny_encoder(), split, recipe(epochs=1, augment=True), tmp_path / "one"
    ).folder
    torch.manual_seed(2)
    two = train_dense(
        tiny_encoder(), split, recipe(epochs=1, augment=True, workers=2), tmp_path / "two"
    ).folder
    other = train_dense(
        tiny_encoder(), split, recipe(epochs=1, augment=True, seed=1), tmp_path / "other"
    ).folder
    assert result(one)[:2] == result(two)[:2]
    assert result(one)[0] != result(other)[0]


@pytest.mark.slow
def test_it_learns(tmp_path):
    (tmp_path / "images").mkdir()
    split = make_split(tmp_path / "images", classes=2)
    done = train_dense(tiny_encoder(patch=8), split, recipe(epochs=6, batch=2), tmp_path / "net")
    history = pl.read_csv(done.folder / "history.csv")
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert done.manifest["validation"]["mDice"] > 0.9
    assert done.manifest["warnings"] == []
    # The kept epoch is the best one.
    best = history.filter(pl.col("chosen"))
    assert best["epoch"].item() == done.manifest["chosen_epoch"]
    assert (
        best["validation_miou"].item()
        == history["validation_miou"].max()
        == done.manifest["validation"]["mIoU"]
    )


def test_only_validated_epochs_are_kept_and_the_others_say_nothing(split, tmp_path):
    how = recipe(epochs=5, validate_every=2, chosen_by="loss")
    done = train_dense(tiny_encoder(), split, how, tmp_path / "net")
    history = pl.read_csv(done.folder / "history.csv")
    for name in ("validation_loss", "validation_miou", "validation_mdice"):
        assert history[name].is_null().to_list() == [True, False, True, False, False]
    assert history["train_loss"].null_count() == 0
    best = history.sort("validation_loss", nulls_last=True)["epoch"][0]
    assert history.filter(pl.col("chosen"))["epoch"].to_list() == [best]
    manifest = done.manifest
    assert (manifest["validate_every"], manifest["validated_epochs"]) == (2, 3)
    assert manifest["chosen_epoch"] == best
    every = train_dense(tiny_encoder(), split, recipe(epochs=5, chosen_by="loss"), tmp_path / "all")
    lines = pl.read_csv(every.folder / "history.csv")  # looking changes nothing of the training
    seen = history.filter(pl.col("validation_loss").is_not_null())
    assert seen.drop("chosen").equals(
        lines.filter(pl.col("epoch").is_in(seen["epoch"].to_list())).drop("chosen")
    )


def test_the_kept_epoch_by_loss_and_without_validation(split, tmp_path):
    done = train_dense(tiny_encoder(), split, recipe(epochs=3, chosen_by="loss"), tmp_path / "loss")
    history = pl.read_csv(done.folder / "history.csv")
    assert (
        history.filter(pl.col("chosen"))["validation_loss"].item()
        == history["validation_loss"].min()
    )
    done = train_dense(tiny_encoder(), replace(split, val=()), recipe(), tmp_path / "none")
    assert done.manifest["chosen_epoch"] == 2
    assert done.manifest["validation"] == {}
    assert pl.read_csv(done.folder / "history.csv")["validation_loss"].null_count() == 2


def test_kept_tokens_change_little(split, tmp_path):
    """float16 tokens against the encoder itself; only where nothing random touches the image."""
    kept = train_dense(tiny_encoder(), split, recipe(epochs=1), tmp_path / "kept")
    anew = train_dense(tiny_encoder(), split, recipe(epochs=1, cache=False), tmp_path / "anew")
    one, two = (pl.read_csv(done.folder / "history.csv")["train_loss"][0] for done in (kept, anew))
    assert one == pytest.approx(two, abs=2e-3)
    assert one != two


@pytest.mark.parametrize(
    ("strategy", "chosen", "calls"),
    [
        (
            "frozen",
            {},
            2 + 1,
        ),  # six training images in two batches and two validation images in one, once
        ("transformer", {}, 2 + 1),
        ("frozen", {"augment": True}, 2 * 2 + 1),  # the validation images once
        ("frozen", {"cache": False}, 2 * (2 + 2)),
        ("frozen", {"fit": "crop"}, 2 * (2 + 2)),
        ("lora", {}, 2 * (2 + 2)),
    ],
)
def test_how_often_the_encoder_works(split, tmp_path, monkeypatch, strategy, chosen, calls):
    seen, encode = [], SegmentationNet.encode
    monkeypatch.setattr(
        SegmentationNet, "encode", lambda net, x: seen.append(len(x)) or encode(net, x)
    )
    train_dense(tiny_encoder(dim=24), split, recipe(strategy, **chosen), tmp_path / "net")
    assert len(seen) == calls


def test_rates(split, tmp_path, monkeypatch):
    seen = []

    class Watched(torch.optim.Adam):
        def step(self, *given):
            seen.append({group["name"]: group["lr"] for group in self.param_groups})
            return super().step(*given)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    how = recipe("lora", epochs=3, warmup=1, batch=6, learning_rate=1e-4, decoder_rate=1e-3)
    train_dense(tiny_encoder(dim=24), split, how, tmp_path / "net")
    shares = [0.5, 1, 0.5]
    assert seen == [
        {"adapter": pytest.approx(1e-4 * s), "decoder": pytest.approx(1e-3 * s)} for s in shares
    ]


def test_paper_and_fixed_differ_in_the_first_epoch(split, tmp_path):
    """Defect 2: the published rate is 0 in epoch 1."""
    for parity, moves in (("paper", False), ("fixed", True)):
        how = recipe(epochs=1, parity=parity, warmup=2)
        folder = train_dense(tiny_encoder(), split, how, tmp_path / parity).folder
        again = train_dense(tiny_encoder(), split, recipe(epochs=1, parity=parity, decoder_rate=1e-30, warmup=0),
                            tmp_path / f"{parity}0").folder  # fmt: skip
        one, two = weights(folder)["decoder.head.weight"], weights(again)["decoder.head.weight"]
        assert one.equal(two) != moves


def test_changed_masks_are_trained_again(tmp_path):
    """The same names and places do not make the same training."""
    (tmp_path / "images").mkdir()
    split = make_split(tmp_path / "images", train=2, val=1, test=1)
    how, out = recipe(epochs=1), tmp_path / "net"
    first = train_dense(tiny_encoder(), split, how, out).manifest["training"]
    os.utime(split.test[0].mask, (1, 1))
    assert (
        train_dense(tiny_encoder(), split, how, out).manifest["training"] == first
    )  # not trained on
    os.utime(split.train[0].mask, (1, 1))
    with pytest.raises(InputError, match="with another training than this one"):
        train_dense(tiny_encoder(), split, how, out)
    assert train_dense(tiny_encoder(), split, how, out, force=True).manifest["training"] != first


def test_force_replaces_only_when_the_training_is_done(split, tmp_path):
    out = train_dense(tiny_encoder(), split, recipe(epochs=1), tmp_path / "net").folder
    before = result(out)
    with pytest.raises(InputError, match="diverged"):
        train_dense(tiny_encoder(), split, diverging(), out, force=True)
    assert result(out) == before
    train_dense(tiny_encoder(), split, recipe(epochs=1, seed=3), out, force=True)
    assert result(out) != before
    with pytest.raises(InputError, match="cannot be overwritten: it holds"):
        train_dense(
            tiny_encoder(), split, recipe(epochs=1), split.train[0].image.parent, force=True
        )


def test_a_failure_leaves_nothing(split, tmp_path):
    with pytest.raises(InputError, match="diverged in epoch 1"):
        train_dense(tiny_encoder(), split, diverging(), tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_or_manifest_is_no_obstacle(split, tmp_path):
    place = tmp_path / ".net.training"
    place.mkdir()
    (place / "checkpoint.safetensors").write_bytes(b"nothing")
    done = train_dense(tiny_encoder(), split, recipe(epochs=1), tmp_path / "net")
    (done.folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="with another training"):
        train_dense(tiny_encoder(), split, recipe(epochs=1), tmp_path / "net")


def test_an_encoder_of_one_size(split, tmp_path):
    encoder = tiny_encoder()
    encoder.card = encoder.card.model_copy(update={"size_policy": "fixed", "size_px": 64})
    done = train_dense(encoder, split, recipe(epochs=1), tmp_path / "net")
    assert done.manifest["size_policy"] == "64 px, resized from 48 px"
    assert done.manifest["tokens_per_image"] == 1 + (64 // 16) ** 2


def test_a_square_of_a_single_patch(split, tmp_path):
    for size in (8, 16):
        with pytest.raises(
            InputError, match=f"patches of 16 pixels; a square of {size} is no more than one"
        ):
            train_dense(tiny_encoder(), split, recipe(size_px=size), tmp_path / "net")


def test_sentences(split, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no training image"):
        train_dense(tiny_encoder(), replace(split, train=()), recipe(), tmp_path / "net")
    with pytest.raises(InputError, match="diverged in epoch 1"):
        train_dense(tiny_encoder(), split, diverging(), tmp_path / "net")
    with pytest.raises(InputError, match="has the value 2"):
        train_dense(
            tiny_encoder(),
            replace(split, n_classes=2, class_names=("a", "b")),
            recipe(),
            tmp_path / "n2",
        )

    def greedy(*given):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SegmentationNet, "to", greedy)
    with pytest.raises(
        InputError, match="does not hold this network on cpu; try a smaller encoder, or device=cpu"
    ):
        train_dense(tiny_encoder(), split, recipe(), tmp_path / "net")
    monkeypatch.undo()
    monkeypatch.setattr(SegmentationNet, "decode", greedy)
    for batch, advice in ((4, "a batch of 2"), (1, "a size_px of 24")):
        with pytest.raises(
            InputError, match=f"does not hold a batch of {batch} with size_px 48; try {advice}"
        ):
            train_dense(tiny_encoder(), split, recipe(batch=batch), tmp_path / "net")


def test_a_folder_that_is_not_right(split, tmp_path):
    done = train_dense(tiny_encoder(), split, recipe(epochs=1), tmp_path / "net")
    with pytest.raises(InputError, match="with other weights"):
        load_dense(done.folder, tiny_encoder(seed=1))
    with pytest.raises(InputError, match="holds no trained segmentation"):
        load_dense(tmp_path)
    (done.folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        load_dense(done.folder, tiny_encoder())
    about = json.loads((done.folder / "model.json").read_text())
    (done.folder / "model.json").write_text(json.dumps(about | {"kind": "other"}))
    with pytest.raises(InputError, match="holds no trained segmentation"):
        load_dense(done.folder, tiny_encoder())


TOGETHER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from test_train import recipe
from pathfuse.testing.tissue import make_split
from pathfuse.dense.data.split_files import read_split
from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.dense.training.train import train_dense
batch = int(sys.argv[2])
split, how, out = read_split(Path({split!r})), recipe("lora", batch=batch), Path(sys.argv[1])
train_dense(tiny_encoder(), split, how, out)

# A pass of its own, of which every process keeps what it has then.
import numpy as np
from pathfuse.dense.training.fitting import DenseTraining
from pathfuse.dense.network.make import make_network
from pathfuse.dense.training.distributed import make_process_group

distributed = make_process_group(how)
fit = DenseTraining(make_network(tiny_encoder(), "lora", 3, rank=2), split, how, distributed, out.parent)
fit._steps(0)
np.save(out.parent / f"{{out.name}}-{{distributed.rank}}.npy", fit.net.decoder.head.weight.detach().numpy())
"""


@pytest.mark.long
def test_two_processes(split, tmp_path):
    """Each has half of every step's images; batch statistics are their own, so the losses are near,
    not equal."""
    pytest.importorskip("accelerate")
    from pathfuse.dense.data.split_files import write_split

    write_split(split, tmp_path / "split.json")
    script = tmp_path / "together.py"
    script.write_text(
        TOGETHER.format(here=str(Path(__file__).parent), split=str(tmp_path / "split.json"))
    )
    source = str(Path(pathfuse.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    one = [sys.executable, str(script), str(tmp_path / "one"), "4"]
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
    ]
    two = [*launch, str(script), str(tmp_path / "two"), "2"]
    for command in (one, two):
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    manifests = [
        json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("one", "two")
    ]
    assert [manifest["processes"] for manifest in manifests] == [1, 2]
    losses = [
        pl.read_csv(tmp_path / name / "history.csv")["train_loss"].to_list()
        for name in ("one", "two")
    ]
    np.testing.assert_allclose(*losses, rtol=0.1)
    first, second, alone = (
        np.load(tmp_path / f"{name}.npy") for name in ("two-0", "two-1", "one-0")
    )
    np.testing.assert_array_equal(first, second)  # gradients are shared
    assert not np.array_equal(first, alone)
