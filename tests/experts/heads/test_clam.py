"""CLAM with one branch and with one per class: size, forward pass and loss of the tiles in numpy, from
the formulas of the paper (Lu et al. 2021, Methods)."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp, softmax

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.heads.base import Packed, Truths  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402

SIZES, LABELS = (9, 1, 25, 6), (2, 0, 1, 1)
both = pytest.mark.parametrize("name", ["clam", "clam_mb"])


def head_of(name, **chosen):
    torch.manual_seed(0)
    recipe = TrainingRecipe.of(name, **{"hidden": 7, "attention": 4, **chosen})
    head = make_head(recipe, Inputs({"features": 5}), 3).eval()
    with torch.no_grad():
        for weight in head.parameters():
            weight.copy_(torch.randn_like(weight) / 2)
    return head


def packed_of(sizes=SIZES):
    rng = np.random.default_rng(0)
    index = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    features = rng.normal(size=(sum(sizes), 5)).astype(np.float32)
    return Packed(torch.from_numpy(features), index, len(sizes))


def truths_of(labels=LABELS, kind="multiclass"):
    values = torch.eye(3)[list(labels)]
    known = torch.ones(len(labels), 3 if kind == "multilabel" else 1, dtype=torch.bool)
    return Truths(target_kind(kind, "gaussian"), values, known)


def by_hand(head, x):
    """Projected tiles, attention (tile, branch) and outputs of one bag."""
    w = {name: p.detach().double().numpy() for name, p in head.named_parameters()}

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    tiles = np.maximum(linear("project.0", x), 0)
    hidden = np.tanh(linear("content", tiles)) * expit(linear("gate", tiles))
    attention = softmax(linear("score", hidden), axis=0)
    pooled = attention.T @ tiles
    if len(pooled) == 1:
        return tiles, attention, linear("decide", pooled[0])
    return tiles, attention, (pooled * w["decide.weight"]).sum(axis=1) + w["decide.bias"]


def loss_by_hand(head, x, label, *, subtyping=False, most=8, svm=False):
    """Total loss of one bag: 0.7 cross-entropy of the bag, 0.3 of its tiles."""
    tiles, attention, outputs = by_hand(head, x)
    task = -log_softmax(outputs)[label]
    if len(x) == 1:
        return task
    weight = head.instances.weight.detach().double().numpy().reshape(3, 2, -1)
    bias = head.instances.bias.detach().double().numpy().reshape(3, 2)
    k, losses = min(most, len(x) // 2), []
    for c in range(3):
        if c != label and not subtyping:
            continue
        order = np.argsort(attention[:, c if attention.shape[1] == 3 else 0])
        rows = [*order[-k:], *(order[:k] if c == label else [])]
        truth = [int(c == label)] * k + [0] * (k if c == label else 0)
        each = []
        for row, y in zip(rows, truth, strict=True):
            logits = weight[c] @ tiles[row] + bias[c]
            if svm:
                each.append(logsumexp(logits + (np.arange(2) != y) - logits[y]))
            else:
                each.append(-log_softmax(logits)[y])
        losses.append(np.mean(each))
    return 0.7 * task + 0.3 * np.mean(losses)


def test_the_size_of_clam():
    """CLAM's small model at D = 1024: 512 wide, attention 256, with biases, and a classifier of
    tiles with two outputs for each of two classes."""
    head = make_head(TrainingRecipe.of("clam"), Inputs({"features": 1024}), 2)
    attention = 2 * (512 + 1) * 256
    wanted = (1024 + 1) * 512 + attention + (256 + 1) + (512 + 1) * 2 + 2 * (512 + 1) * 2
    assert sum(p.numel() for p in head.parameters()) == wanted
    assert type(head.activate).__name__ == "Tanh"
    several = make_head(TrainingRecipe.of("clam_mb"), Inputs({"features": 1024}), 2)
    assert sum(p.numel() for p in several.parameters()) == wanted + 256 + 1


@both
def test_the_forward_pass(name):
    head, packed = head_of(name), packed_of()
    output = head.forward_packed(packed)
    seen = output.attention.split(SIZES)
    for bag, x in enumerate(np.split(packed.features.double().numpy(), np.cumsum(SIZES)[:-1])):
        _, attention, outputs = by_hand(head, x)
        np.testing.assert_allclose(output.outputs[bag].detach(), outputs, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(seen[bag].detach(), attention.mean(axis=1), rtol=1e-4, atol=1e-6)


@both
@pytest.mark.parametrize(
    ("chosen", "by"),
    [
        ({}, {}),
        ({"subtyping": True}, {"subtyping": True}),
        ({"instances": 2}, {"most": 2}),
        ({"instance_loss": "smooth_svm", "subtyping": True}, {"svm": True, "subtyping": True}),
    ],
    ids=str,
)
def test_the_loss(name, chosen, by):
    head, packed = head_of(name, **chosen), packed_of()
    got = head.loss(head.forward_packed(packed), packed, truths_of()).detach()
    bags = np.split(packed.features.double().numpy(), np.cumsum(SIZES)[:-1])
    wanted = [loss_by_hand(head, x, label, **by) for x, label in zip(bags, LABELS, strict=True)]
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


@both
def test_the_loss_of_tiles_is_off_where_a_sample_has_no_single_class(name):
    packed = packed_of()
    head = head_of(name)
    output = head.forward_packed(packed)
    several = truths_of(kind="multilabel")
    assert torch.equal(head.loss(output, packed, several), several.loss(output.outputs))
    either = truths_of()
    either.values[0] = torch.tensor([1.0, 1.0, 0.0])  # one of two classes
    plain, got = either.loss(output.outputs), head.loss(output, packed, either)
    assert (got == plain).tolist() == [True, True, False, False]
    off = head_of(name, bag_weight=1.0)
    assert torch.equal(off.loss(output, packed, truths_of()), truths_of().loss(output.outputs))


@both
def test_half_precision_has_a_loss(name):
    head, packed = head_of(name), packed_of()
    with torch.autocast("cpu", torch.bfloat16):
        output = head.forward_packed(packed)
    assert torch.isfinite(head.loss(output, packed, truths_of())).all()


def test_sentences():
    with pytest.raises(InputError, match="'bag_weight'"):
        TrainingRecipe.of("clam", bag_weight=0)
    with pytest.raises(InputError, match="'subtyping' is unknown"):
        TrainingRecipe.of("abmil", subtyping=True)
