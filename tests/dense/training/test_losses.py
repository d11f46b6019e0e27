"""Losses against loops over pixels, and what ignored pixels and absent classes do to them."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.dense.training.losses import LOSSES, ce, dice, dice_ce  # noqa: E402

B, K, H, W = 3, 4, 5, 7


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K, (B, H, W)).astype(np.uint8)
    truth[rng.random((B, H, W)) < 0.2] = 255
    truth[0][truth[0] == 2] = 1  # the first image has no class 2
    return torch.from_numpy(rng.normal(size=(B, K, H, W))).requires_grad_(), torch.from_numpy(truth)


def by_hand(logits, truth, absent):
    """Dice as the formula has it, one image and class at a time."""
    terms = []
    for scores, labels in zip(logits.detach().float().numpy(), truth.numpy(), strict=True):
        shares = np.exp(scores) / np.exp(scores).sum(axis=0)
        counted = labels != 255
        for k in range(K):
            p, t = shares[k][counted], (labels[counted] == k).astype(float)
            if t.sum() or absent:
                terms.append(1 - (2 * (p * t).sum() + 1e-5) / (p.sum() + t.sum() + 1e-5))
    return np.mean(terms)


@pytest.mark.parametrize(("parity", "absent"), [("fixed", False), ("paper", True)])
def test_dice_by_hand(made, parity, absent):
    logits, truth = made
    assert dice(logits, truth, parity=parity).item() == pytest.approx(
        by_hand(logits, truth, absent), abs=1e-6
    )
    assert by_hand(logits, truth, True) > by_hand(
        logits, truth, False
    )  # an absent class gives about 1


def test_ce_by_hand(made):
    logits, truth = made
    log = logits.detach().log_softmax(1).numpy()
    terms = [-log[b, truth[b, i, j], i, j] for b, i, j in np.argwhere(truth.numpy() != 255)]
    assert ce(logits, truth).item() == pytest.approx(np.mean(terms), abs=1e-6)
    assert dice_ce(logits, truth).item() == pytest.approx(
        (dice(logits, truth) + ce(logits, truth)).item()
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_ignored_pixels_do_not_count(made, name, parity):
    logits, truth = made
    loss = LOSSES[name](logits, truth, parity=parity)
    loss.backward()
    ignored = (truth == 255).unsqueeze(1).expand_as(logits)
    assert (logits.grad[ignored] == 0).all()
    assert (logits.grad[~ignored] != 0).any()
    other = logits.detach().masked_fill(ignored, 9.0)
    assert LOSSES[name](other, truth, parity=parity).item() == pytest.approx(loss.item(), abs=1e-6)


def test_the_published_dice_without_a_mask_is_another():
    """Defect 3: as published it fails on 255; counting those pixels as background instead changes
    the value."""
    logits = torch.zeros(1, 2, 2, 2)
    truth = torch.tensor([[[1, 1], [255, 255]]])
    with pytest.raises(RuntimeError):
        functional.one_hot(truth, 2)
    # Half of each class's mass on two pixels of class 1: 1 - 2 * 1 / (1 + 2) over the class that is
    # there.
    assert dice(logits, truth).item() == pytest.approx(1 / 3, abs=1e-4)
    unmasked = truth.masked_fill(truth == 255, 0)
    assert dice(logits, unmasked, parity="paper").item() == pytest.approx(1 / 2, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_wholly_ignored_image(made, name):
    logits, truth = made
    nothing = LOSSES[name](logits, torch.full_like(truth, 255))
    nothing.backward()
    assert nothing.item() == 0
    assert (logits.grad == 0).all()
    both = LOSSES[name](logits, torch.cat([truth[:2], torch.full_like(truth[:1], 255)]))
    assert both.item() == pytest.approx(LOSSES[name](logits[:2], truth[:2]).item(), abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction(made, name):
    _, truth = made
    sure = functional.one_hot(truth.long().clamp(max=K - 1), K).movedim(-1, 1) * 50.0
    assert LOSSES[name](sure, truth).item() == pytest.approx(0, abs=1e-4)


def test_another_ignored_label_and_half_precision(made):
    logits, truth = made
    other = truth.long().masked_fill(truth == 255, -1)
    assert dice(logits, other, ignore=-1) == dice(logits, truth)
    loud = dice_ce((1e4 * logits).half(), truth)
    assert loud.dtype == torch.float32
    assert math.isfinite(loud.item())
