"""The commands of dense prediction: what they list, and wrong input in one sentence."""

import numpy as np
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
        (("train", "--encoder", "uni_v1", "--data", data, *out), "uni_v1"),  # gated, and not on this machine
        (("train", "--encoder", "uni_v1", "--data", data, *out, "--strategy", "magic"), "'strategy'"),
        (("train", "--encoder", "uni_v1", "--data", data, *out, "--set", "epochs=0"), "'epochs'"),
        (("predict", "--model", folder, "--data", data, *out), "holds no trained segmentation"),
        (("predict", "--model", folder, "--data", data, *out, "--part", "some"), "--part some: choose"),
        (("fuse", "--data", data, "--logits", f"a={folder}", f"a={folder}", *out), "the name 'a' stands twice"),
        (("run", tmp_path / "grid.yaml"), "grid.yaml"),
    ]:
        status, _, err = run_cli("dense", *arguments)
        assert status == 2, (arguments, err)
        assert err.count("\n") == 1, err
        assert sentence in err, err
        assert not (tmp_path / "out").exists()
