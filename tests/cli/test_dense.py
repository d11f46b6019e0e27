"""The commands of dense prediction: what they list, and wrong input in one sentence."""

import json
import os

import numpy as np
import polars as pl
import pytest
from scipy.io import savemat

for name in ("torch", "torchvision", "timm", "peft"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def data(tmp_path):
    """A folder of one image per part, with masks of two classes."""
    for shade, part in enumerate(("train", "val", "test")):
        for kind in ("images", "masks"):
            place = tmp_path / "data" / part / kind
            place.mkdir(parents=True)
            values = np.zeros((16, 24, 3) if kind == "images" else (16, 24), dtype=np.uint8)
            values[:8] = 1 if kind == "masks" else 1 + shade
            Image.fromarray(values).save(place / f"{part}.png")
    return tmp_path / "data"


def test_cards_are_listed(run_cli):
    status, out, _ = run_cli("dense", "encoders")
    assert status == 0
    assert out.count("MahmoodLab/") == 4
    status, out, _ = run_cli("dense", "datasets")
    assert (status, "bcss, bcss5" in out) == (0, True)


def test_a_card_of_every_data_set_is_written(run_cli, tmp_path):
    place = tmp_path / "cards"
    status, out, _ = run_cli("dense", "datasets", "--cards", place)
    assert (status, out) == (0, f"19 cards: {place}\n")
    assert (
        "pathfuse dense convert bcss5 downloads/bcss --out data/bcss5"
        in (place / "bcss.md").read_text()
    )
    assert (
        "exists already; --force overwrites it"
        in run_cli("dense", "datasets", "--cards", place).err
    )
    assert run_cli("dense", "datasets", "--cards", place, "--force").status == 0


@pytest.mark.parametrize(
    "command", [("init",), ("datasets",), ("convert", "glas", "source")], ids=lambda words: words[0]
)
def test_force_leaves_links_and_pipes_alone(run_cli, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    (tmp_path / "mine.yaml").write_text("mine")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "mine.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    option = "--cards" if command == ("datasets",) else "--out"
    for place, words in (
        ("link.yaml", "is a link to"),
        ("pipe.yaml", "a device, a pipe or a socket"),
    ):
        status, _, err = run_cli("dense", *command, option, tmp_path / place, "--force")
        assert status == 2
        assert words in err
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert (tmp_path / "pipe.yaml").is_fifo()


def test_tokens_of_several_encoders_are_compared(run_cli, data, tmp_path):
    out = tmp_path / "tokens"
    # images of the fixture differ in one part only: their bytes must
    for part in ("val", "test"):
        image = data / part / "images" / f"{part}.png"
        pixels = np.array(Image.open(image))
        pixels[0, 0] = 7 if part == "val" else 9
        Image.fromarray(pixels).save(image)
    words = ("dense", "tokens", "--data", data, "--out", out, "--size-px", "64", "--device", "cpu")
    status, said, _ = run_cli(*words, "--encoder", "tiny:dim=12", "tiny:dim=12,patch=8")
    assert status == 0
    assert said.endswith(f"Page: {out}/tokens.html\n")
    table = pl.read_csv(out / "tokens.csv")
    assert table["encoder"].unique(maintain_order=True).to_list() == [
        "tiny:dim=12",
        "tiny:dim=12,patch=8",
    ]
    assert set(table["n_images"]) == {3}
    again = run_cli(*words, "--encoder", "tiny")
    assert (again.status, "exists already" in again.err) == (2, True)
    status, _, err = run_cli(
        *words[:4], "--encoder", "tiny", "--out", tmp_path / "x", "--images", "0"
    )
    assert (status, "at least one image" in err) == (2, True)


def test_wrong_input_ends_in_a_sentence(run_cli, data, tmp_path):
    folder = tmp_path / "logits"
    folder.mkdir()
    out = ("--out", tmp_path / "out")
    for arguments, sentence in [
        (("convert", "nothing", data, *out), "nothing"),
        (("train", "--encoder", "uni_v1", "--data", tmp_path / "no", *out), "does not exist"),
        (("train", "--encoder", "who", "--data", data, *out), "No encoder is called 'who'"),
        (
            ("train", "--encoder", "uni_v1", "--data", data, *out),
            "uni_v1",
        ),  # gated, and not on this machine
        (
            ("train", "--encoder", "uni_v1", "--data", data, *out, "--strategy", "magic"),
            "'strategy'",
        ),
        (("train", "--encoder", "uni_v1", "--data", data, *out, "--set", "epochs=0"), "'epochs'"),
        (
            ("train", "--encoder", "tiny", "--data", data, *out, "--set", "strategy=lora"),
            "write --strategy lora",
        ),
        (
            ("train", "--encoder", "tiny", "--data", data, "--out", data, "--force"),
            "cannot be overwritten: it holds",
        ),
        (
            ("evaluate", "--data", data, "--predictions", data, "--out", data, "--force"),
            "cannot be overwritten",
        ),
        (("init", "--out", folder, "--force"), "is a folder, not a file; name a file"),
        (("predict", "--model", folder, "--data", data, *out), "holds no trained segmentation"),
        (
            ("predict", "--model", folder, "--data", data, *out, "--part", "some"),
            "--part some: choose",
        ),
        (
            ("evaluate", "--data", data, "--predictions", f"a={folder}", *out),
            "no image has a mask and a prediction",
        ),
        (("evaluate", "--data", data, *out), "name a folder of predictions or instances"),
        (
            ("evaluate", "--data", data, "--instances", f"a={folder}", *out),
            "(instances are called <image_id>",
        ),
        (
            ("fuse", "--data", data, "--logits", f"a={folder}", f"a={folder}", *out),
            "the name 'a' stands twice",
        ),
        (("run", tmp_path / "grid.yaml"), "grid.yaml"),
    ]:
        status, _, err = run_cli("dense", *arguments)
        assert status == 2, (arguments, err)
        assert err.count("\n") == 1, err
        assert sentence in err, err
        assert not (tmp_path / "out").exists()


def test_train_predict_fuse_and_evaluate(run_cli, tmp_path):
    """The README's way, on made-up tissue: what fuse says of a model is what evaluate says of it."""
    from pathfuse.dense.data.split_files import write_split
    from pathfuse.testing.tissue import make_split

    (tmp_path / "images").mkdir()
    split = make_split(tmp_path / "images", train=4, val=4, test=2)
    write_split(split, tmp_path / "split.json")
    data = ("--data", tmp_path / "split.json")
    small = ("--set", "epochs=1", "warmup=0", "size_px=32", "decoder_width=16", "device=cpu")
    for seed in (0, 1):
        net, encoder = tmp_path / f"net{seed}", f"tiny:patch=8,dim=12,depth=1,seed={seed}"
        status, out, err = run_cli(
            "dense", "train", "--encoder", encoder, *data, "--out", net, *small
        )
        assert status == 0, err
        assert "0 adapted modules" in out
        status, out, err = run_cli(
            "dense", "predict", "--model", net, *data, "--out", tmp_path / f"logits{seed}"
        )
        assert (status, out.split(":")[0]) == (0, "6 images")
    logits = [f"net{seed}={tmp_path / f'logits{seed}'}" for seed in (0, 1)]
    status, out, err = run_cli(
        "dense", "fuse", *data, "--logits", *logits, "--out", tmp_path / "fused", "--pixels", 600,
        "--balance", 0.2, "--probabilities",
    )  # fmt: skip
    assert status == 0, err
    images = pl.read_csv(tmp_path / "fused/images.csv")
    assert f"Worst images: {images['sample_id'][0]}: fused {images['dice_fused'][0]:.3f}" in out
    about = json.loads((tmp_path / "fused/manifest.json").read_text())
    held_out = about["held_out_dice"][about["fused"]]["mean"]
    assert f"Fused: {about['fused']} (held-out Dice per image {held_out:.3f}" in out
    status, said, err = run_cli(
        "dense", "apply", "--model", tmp_path / "fused", "--logits", *logits, "--probabilities",
        "--jobs", 1, "--out", tmp_path / "applied",
    )  # fmt: skip
    assert status == 0, err
    assert said.startswith("6 images by ")
    for name in images["sample_id"]:
        one, two = (tmp_path / p / f"probabilities/{name}.npy" for p in ("fused", "applied"))
        assert one.read_bytes() == two.read_bytes()
    known = tmp_path / "known"
    known.mkdir()
    for item in split.test:
        numbers, mask = (np.array(Image.open(file)) for file in (item.instances, item.mask))
        types = [np.bincount(mask[numbers == n]).argmax() for n in np.unique(numbers) if n]
        savemat(
            known / f"{item.image_id}.mat",
            {"inst_map": numbers, "inst_type": np.array(types)[:, None]},
        )
    status, judged, err = run_cli(
        "dense", "evaluate", *data, "--predictions", *logits, f"fused={tmp_path / 'fused/masks'}",
        "--instances", f"truth={known}", "--out", tmp_path / "judged",
    )  # fmt: skip
    assert status == 0, err
    assert "Understood: instances of truth as they are in the files." in judged
    assert "AJI" in out
    assert "AJI" in judged
    fused, alone = (pl.read_csv(tmp_path / name / "metrics.csv") for name in ("fused", "judged"))
    for name in ("net0", "net1", "fused"):
        one, two = (
            frame.filter(method=name).select("output", "metric", "value", "n")
            for frame in (fused, alone)
        )
        assert one.equals(two)
    known_best = alone.filter(method="truth", metric="aji", output="all")
    assert known_best["value"].item() == 1.0


def test_a_full_disk_is_a_sentence_whatever_library_meets_it(run_cli, monkeypatch, tmp_path):
    def full(*_):
        raise RuntimeError("Error while serializing: I/O error: File too large (os error 27)")

    monkeypatch.setattr("pathfuse.cli.dense.need_dense", full)
    status, out, err = run_cli("dense", "convert", "glas", tmp_path, "--out", tmp_path / "x")
    assert (status, out) == (2, "")
    assert err.startswith("pathfuse: the disk is full; free some space and run it again (")

    def other(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("pathfuse.cli.dense.need_dense", other)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        run_cli("dense", "convert", "glas", tmp_path, "--out", tmp_path / "x")
