"""Numbers of one image as models leave them: logits or probabilities, ``.npy`` or nnU-Net's ``.npz``."""

import numpy as np
import pytest

from pathfuse.dense.data import image_headers, score_file
from pathfuse.dense.data.logit_files import notes_on
from pathfuse.dense.data.number_kind import FLOOR
from pathfuse.dense.data.score_file import ScoreFile
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
    shares[0, 4, 6] += 0.1
    np.save(tmp_path / "a.npy", shares)
    assert not ScoreFile(tmp_path / "a.npy", 3).is_probability


def logits_of(path):
    score = ScoreFile(path, 3)
    with score.unpacked():
        return score, score.logits(0, 5)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    ("how", "words", "step"),
    [
        (lambda p: p.round(1), "probabilities, rounded to 0.1 (the sums over classes", 0.1),
        (lambda p: p.round(2), "probabilities, rounded to 0.01 (the sums over classes", 0.01),
        (lambda p: 100 * p, "probabilities in per cent (", None),
        (lambda p: (100 * p).round(), "probabilities in per cent, rounded to 0.01 (", 0.01),
        (lambda p: (255 * p).round(), "probabilities from 0 to 255, rounded to 0.00392 (", 1 / 255),
        (
            lambda p: p * 1.03,
            "probabilities (the sums over classes 1.03 to 1.03, which are sc",
            None,
        ),
        (lambda p: 1.02 * p - 0.02 / 3, "probabilities (the sums over classes ", None),
    ],
)
def test_probabilities_that_are_rounded_in_per_cent_or_resized(tmp_path, dtype, how, words, step):
    _, shares = made()
    np.save(tmp_path / "a.npy", how(shares).astype(dtype))
    score, found = logits_of(tmp_path / "a.npy")
    assert score.is_probability
    assert (score.kind.step is None, score.kind.step) == (step is None, step)
    (said,) = notes_on("unet", {"a": score})
    assert said.startswith(f"unet: 1 of 1 images hold {words}")
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1, atol=1e-5)
    error = 0.02 if step is None else 2 * step
    np.testing.assert_allclose(np.exp(found), shares.transpose(1, 2, 0), atol=error)


def test_what_was_rounded_to_0_is_not_impossible(tmp_path):
    """Of two classes rounded numbers still sum to 1, and the smaller one may be 0."""
    shares = np.stack(
        [np.linspace(0, 0.1, 35).reshape(5, 7), 1 - np.linspace(0, 0.1, 35).reshape(5, 7)]
    )
    np.save(tmp_path / "a.npy", shares.round(2).astype(np.float32))
    score = ScoreFile(tmp_path / "a.npy", 2)
    with score.unpacked():
        assert np.exp(score.logits(0, 5)).min() == pytest.approx(0.0025, rel=0.01)
    (said,) = notes_on("unet", {"a": score})
    assert "rounded to 0.01 (between 0 and 1, the sum over classes 1 in every pixel)" in said
    assert said.endswith("2 numbers below 0.0025 as that")


def test_a_share_of_each_class_is_no_logit(tmp_path):
    logits, _ = made()
    np.save(tmp_path / "a.npy", 1 / (1 + np.exp(-logits)))
    with pytest.raises(
        InputError, match=r"no probabilities of one class per pixel: their sums .* sigmoid"
    ):
        logits_of(tmp_path / "a.npy")
    score = ScoreFile(tmp_path / "a.npy", 3)
    with score.unpacked():  # the order of the classes is in them
        found = score.as_they_are(0, 5).argmax(axis=2)
    assert np.array_equal(found, logits.argmax(axis=0))
    (said,) = notes_on("unet", {"a": score})
    assert "numbers between 0 and 1 that do not sum to 1 over classes" in said


def test_what_is_not_a_number_is_named_first(tmp_path):
    np.save(tmp_path / "a.npy", np.full((3, 5, 7), np.nan))
    with pytest.raises(InputError, match="hold NaN or infinity"):
        logits_of(tmp_path / "a.npy")


def test_no_probability_is_below_the_floor(tmp_path):
    hard = np.eye(3)[np.zeros((5, 7), dtype=int)].transpose(2, 0, 1)
    np.savez(tmp_path / "a.npz", probabilities=hard)
    assert read(tmp_path / "a.npz").min() == np.log(np.float32(FLOOR))
    score = ScoreFile(tmp_path / "a.npz", 3)
    assert score.is_probability
    assert score.kind.floored == 2 * 5 * 7
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
    refused(
        "are whole numbers, and they do not sum to 1, 100 or 255", softmax=(shares * 9).astype(int)
    )
    refused(
        "it needs pickle, which can run code", softmax=np.array([{}], dtype=object)
    )  # never unpickled
    refused("are not an array of numbers of the shape", softmax=np.stack([shares, shares], axis=1))
    np.savez_compressed(file, softmax=shares)
    whole = file.read_bytes()
    for damaged in (whole[:-50], b"nothing", whole[:80] + b"\xff" * 20 + whole[100:]):
        file.write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"a.npz cannot be read: it is damaged or no .npz file"
        ):
            read(file)


@pytest.mark.parametrize("scale", [100, 255])
@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_whole_numbers_that_are_probabilities_are_read(tmp_path, scale, dtype):
    _, shares = made()
    whole = np.rint(shares * scale).astype(dtype)
    np.save(tmp_path / "a.npy", whole)
    np.save(tmp_path / "b.npy", whole.astype("float32"))
    file = ScoreFile(tmp_path / "a.npy", 3)
    assert f"{'in per cent' if scale == 100 else 'from 0 to 255'}" in file.kind.in_words()
    with file.unpacked():
        found = file.logits(0, 5)
    np.testing.assert_array_equal(found, read(tmp_path / "b.npy"))


@pytest.mark.parametrize("how", ["float32", "uint8"])
def test_pixels_of_0_in_all_classes_are_undecided(tmp_path, how):
    _, shares = made()
    values = shares.astype("float32") if how == "float32" else np.rint(shares * 255).astype(how)
    np.save(tmp_path / "whole.npy", values)
    blank = values.copy()
    blank[:, :2] = 0
    np.save(tmp_path / "a.npy", blank)
    file = ScoreFile(tmp_path / "a.npy", 3)
    with file.unpacked():
        found = file.logits(0, 5)
    np.testing.assert_allclose(found[:2], np.log(1 / 3), rtol=1e-5)
    np.testing.assert_allclose(found[2:], read(tmp_path / "whole.npy")[2:], rtol=1e-5)
    assert "pixels of 0 in all classes are taken as undecided" in file.kind.in_words()
    np.save(tmp_path / "none.npy", np.zeros_like(shares, dtype="float32"))
    assert not ScoreFile(tmp_path / "none.npy", 3).is_probability


def test_an_archive_of_more_pixels_than_can_be_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(image_headers, "MOST_PX", 34)
    values = np.full((2, 5, 7), 0.5, dtype=np.float32)
    np.savez(tmp_path / "a.npz", probabilities=values)
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match=r"a.npz has 7 x 5 pixels, .* or write .npy"):
        ScoreFile(tmp_path / "a.npz", 2)
    assert ScoreFile(tmp_path / "a.npy", 2).shape == (2, 5, 7)  # which is read in rows
