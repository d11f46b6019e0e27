"""Cosine similarity of tokens: equal to the mean over all pairs, one by one; classes under tokens;
what cannot be compared."""

import numpy as np
import pytest

pytest.importorskip("timm")
import torch

from pathfuse.dense.analysis.report import table_of, write_tokens
from pathfuse.dense.analysis.run import compare_tokens
from pathfuse.dense.analysis.token_similarity import similarities, token_classes, token_similarity
from pathfuse.dense.encoders.tiny import tiny_encoder
from pathfuse.errors import InputError
from pathfuse.testing.tissue import make_split


def test_the_means_are_those_over_all_pairs():
    rng = np.random.default_rng(0)
    tokens, classes = rng.normal(size=(40, 6)), rng.integers(-1, 3, size=40)
    (within,), (across,) = similarities([torch.from_numpy(tokens)], classes)
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    same, other = [], []
    for i in range(40):
        for j in range(40):
            if i != j and classes[i] >= 0 and classes[j] >= 0:
                (same if classes[i] == classes[j] else other).append(unit[i] @ unit[j])
    assert within == pytest.approx(np.mean(same), abs=1e-12)
    assert across == pytest.approx(np.mean(other), abs=1e-12)


def test_one_class_or_no_two_of_the_same_define_nothing():
    tokens = [torch.eye(3)]
    assert similarities(tokens, np.array([1, 1, -1])) is None
    assert similarities(tokens, np.array([0, 1, 2])) is None


def test_a_token_has_the_class_that_most_of_its_pixels_have():
    mask = np.zeros((4, 6), dtype=np.uint8)
    mask[:2, :3] = [[1, 1, 2], [1, 0, 2]]
    mask[2:, 3:] = 255
    assert token_classes(mask, (2, 2), 3, 255).tolist() == [1, 0, 0, -1]


def test_every_layer_of_an_encoder_with_registers_is_compared(tmp_path):
    split = make_split(tmp_path, train=2, val=1, test=3)
    found = token_similarity(
        tiny_encoder(patch=8, registers=4, depth=3), split, split.test, size_px=64, device="cpu"
    )
    assert found.within.shape == (3, 3) == found.across.shape
    assert (np.abs(found.within) <= 1 + 1e-9).all()
    # tokens that look like what lies under them are more alike within a class
    assert (found.within > found.across).all()
    table = table_of([found])
    assert table.height == 3 * 3
    assert table["ci_low"].is_null().all()  # three patients are too few for intervals


def test_the_same_images_give_the_same_files(tmp_path):
    (tmp_path / "data").mkdir()
    split = make_split(tmp_path / "data", train=2, val=1, test=4)
    texts = []
    for name in ("one", "two"):
        found, manifest = compare_tokens(
            ["tiny:patch=16", "tiny:patch=8"],
            split,
            split.items,
            size_px=64,
            n_images=4,
            device="cpu",
        )
        folder = tmp_path / name
        folder.mkdir()
        write_tokens(found, manifest, folder)
        texts.append(
            [
                (folder / file).read_bytes()
                for file in ("tokens.csv", "tokens.html", "figures/token_similarity.svg")
            ]
        )
    assert texts[0] == texts[1]


def test_an_image_of_one_token_cannot_be_compared(tmp_path):
    split = make_split(tmp_path, train=1, val=1, test=1)
    with pytest.raises(InputError, match="no image has tokens of two classes at 16 px"):
        token_similarity(tiny_encoder(patch=16), split, split.test, size_px=16, device="cpu")
