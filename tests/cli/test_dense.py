"""The commands of dense prediction: what they list, and wrong input in one sentence."""

import numpy as np
import polars as pl
import pytest

for name in ("torch", "torchvision", "timm", "peft"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def data(tmp_path):
    """A folder of one image per part, with masks of two classes."""
    for part in ("train", "val", "test"):
        for kind in ("images", "masks"):
            place = tmp_path / "data" / part / kind
            place.mkdir(parents=True)
            values = np.zeros((16, 24, 3) if kind == "images" else (16, 24), dtype=np.uint8)
            values[:8] = 1
            Image.fromarray(values).save(place / f"{part}.png")
    return tmp_path / "data"


def test_cards_are_listed(run_cli):
    status, out, _ = run_cli("dense", "encoders")
    assert status == 0
    assert out.count("MahmoodLab/") == 4
    status, out, _ = run_cli("dense", "datasets")
    assert (status, "bcss, bcss5" in out) == (0, True)


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
    write_split(make_split(tmp_path / "images", train=4, val=2, test=2), tmp_path / "split.json")
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
        assert (status, out.split(":")[0]) == (0, "4 images")
    logits = [f"net{seed}={tmp_path / f'logits{seed}'}" for seed in (0, 1)]
    status, out, err = run_cli(
        "dense", "fuse", *data, "--logits", *logits, "--out", tmp_path / "fused", "--pixels", 500
    )
    assert status == 0, err
    status, judged, err = run_cli(
        "dense", "evaluate", *data, "--predictions", *logits, f"fused={tmp_path / 'fused/masks'}",
        "--out", tmp_path / "judged",
    )  # fmt: skip
    assert status == 0, err
    assert "AJI" in out
    assert "AJI" in judged
    fused, alone = (pl.read_csv(tmp_path / name / "metrics.csv") for name in ("fused", "judged"))
    for name in ("net0", "net1", "fused"):
        one, two = (
            frame.filter(method=name).select("output", "metric", "value", "n")
            for frame in (fused, alone)
        )
        assert one.equals(two)
