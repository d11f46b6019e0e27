"""Numbers of one image as models leave them: logits or probabilities, ``.npy`` or nnU-Net's ``.npz``."""

import numpy as np
import pytest

from pathfuse.dense.data import score_file
from pathfuse.dense.data.logit_files import notes_on
from pathfuse.dense.data.score_file import FLOOR, ScoreFile
from pathfuse.errors import InputError


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities, (3, 5, 7)."""
    logits = np.random.default_rng(seed).normal(size=(3, 5, 7)) * 3
    shares = np.exp(logits)
    return logits, shares / shares.sum(axis=0)


def read(path, top=0, bottom=5):
    score = ScoreFile(path, 3)
    with score.unpacked():
        return score.logits(top, bottom)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("key", [None, "probabilities", "softmax"])
def test_probabilities_become_their_logarithm(tmp_path, dtype, key):
    _, shares = made()
    file = tmp_path / ("a.npy" if key is None else "a.npz")
    if key is None:
        np.save(file, shares.astype(dtype))
    else:
        np.savez_compressed(file, **{key: shares[:, None].astype(dtype)})
    assert ScoreFile(file, 3).is_probability
    assert ScoreFile(file, 3).shape == (3, 5, 7)
    found = read(file, 1, 4)
    assert found.dtype == np.float32
    expected = np.log(shares.astype(dtype)[:, 1:4].transpose(1, 2, 0).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_logits_stay(tmp_path, suffix):
    logits, _ = made()
    file = tmp_path / f"a{suffix}"
    np.save(file, logits) if suffix == ".npy" else np.savez(file, logits=logits, other=1)
    assert not ScoreFile(file, 3).is_probability
    assert np.array_equal(read(file), logits.transpose(1, 2, 0).astype(np.float32))


def test_one_pixel_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(score_file, "CHECK_CELLS", 21)  # a row at a time
    _, shares = made()
    shares[0, 4, 6] += 0.01
    np.save(tmp_path / "a.npy", shares)
    assert not ScoreFile(tmp_path / "a.npy", 3).is_probability


def test_no_probability_is_below_the_floor(tmp_path):
    hard = np.eye(3)[np.zeros((5, 7), dtype=int)].transpose(2, 0, 1)
    np.savez(tmp_path / "a.npz", probabilities=hard)
    assert read(tmp_path / "a.npz").min() == np.log(np.float32(FLOOR))
    score = ScoreFile(tmp_path / "a.npz", 3)
    assert score.is_probability
    assert score.floored == 2 * 5 * 7
    (said,) = notes_on("unet", {"a": score})
    assert said.endswith("their logarithm is taken for logits, 70 numbers below 1e-07 as that")


def test_nothing_is_left_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    np.savez(tmp_path / "a.npz", probabilities=made()[1])
    score = ScoreFile(tmp_path / "a.npz", 3)
    with score.unpacked():
        assert list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "tmp").iterdir())


def test_sentences(tmp_path):
    logits, shares = made()
    file = tmp_path / "a.npz"

    def refused(sentence, **arrays):
        np.savez(file, **arrays)
        with pytest.raises(InputError, match=sentence):
            _ = ScoreFile(file, 3).is_probability

    refused("has the keys masks, and none of probabilities, softmax, logits", masks=shares)
    refused("has the keys of nothing, and none of")
    refused("'probabilities' of .*a.npz do not sum to 1 over classes", probabilities=logits)
    refused("have 2 classes, but there are 3", softmax=shares[:2])
    refused("no floating point array", softmax=(shares * 9).astype(int))
    refused("no floating point array", softmax=np.array([{}], dtype=object))  # never unpickled
    refused("no floating point array", softmax=np.stack([shares, shares], axis=1))
    np.savez_compressed(file, softmax=shares)
    whole = file.read_bytes()
    for damaged in (whole[:-50], b"nothing", whole[:80] + b"\xff" * 20 + whole[100:]):
        file.write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"a.npz cannot be read: it is damaged or no .npz file"
        ):
            read(file)
