"""What every head answers: packed bags in, outputs of each bag out, and nothing leaks between bags."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.fitted import Fitted, load_fitted, save_fitted  # noqa: E402
from pathfuse.experts.flops import count_flops  # noqa: E402
from pathfuse.experts.heads.base import Head, Packed, Truths  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.heads.registry import HEADS, load  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402

DIM, N_OUT = 6, 3
VIEWS = Inputs({"one": 4, "two": 2})
SIZES = (4, 1, 7, 2, 1)
WITH_ATTENTION = {
    "abmil", "clam", "clam_mb", "dsmil", "trans_mil", "meta_encoder", "fusecpath",
}  # fmt: skip
CLOSE = {"rtol": 1e-5, "atol": 1e-6}

every_head = pytest.mark.parametrize(
    "name", sorted(name for name, facts in HEADS.items() if not facts.pooled)
)
attentive = pytest.mark.parametrize("name", sorted(WITH_ATTENTION))


def recipe_of(name, **chosen):
    return TrainingRecipe.of(name, **{"hidden": 16, "attention": 8, **chosen})


def head_of(name, seed=0, **chosen):
    torch.manual_seed(seed)
    return make_head(recipe_of(name, **chosen), VIEWS, N_OUT).eval()


def drawn(sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.normal(size=(n, DIM)).astype(np.float32)) for n in sizes]


def packed_of(bags):
    """Every tile's cluster is told by its content, so that it moves with the tile."""
    index = torch.repeat_interleave(
        torch.arange(len(bags)), torch.tensor([len(bag) for bag in bags])
    )
    features = torch.cat(bags)
    return Packed(features, index, len(bags), clusters=(features[:, 0] > 0).long())


def output_of(head, bags):
    return head.forward_packed(packed_of(bags))


def step(head):
    """The loss of three bags of three classes, and its gradients."""
    packed = packed_of(drawn((9, 5, 7)))
    truths = Truths(
        target_kind("multiclass", "gaussian"), torch.eye(3), torch.ones(3, 1, dtype=torch.bool)
    )
    head.loss(head.forward_packed(packed), packed, truths).sum().backward()


@pytest.mark.parametrize("name", sorted(HEADS))
def test_what_an_entry_names_is_there(name):
    facts = HEADS[name]
    assert facts.pooled or issubclass(load(facts.network), Head)
    assert type(TrainingRecipe.of(name)) is load(facts.recipe)
    assert TrainingRecipe.of(name).facts is facts
    assert set(facts.granularities) <= {"tile", "slide"}


def test_recipes_need_no_torch():
    code = "import sys, pathfuse.experts.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_head
def test_shapes(name):
    output = output_of(head_of(name), drawn())
    assert output.outputs.shape == (len(SIZES), N_OUT)
    assert output.outputs.dtype == torch.float32
    assert torch.isfinite(output.outputs).all()
    assert (output.attention is not None) == (name in WITH_ATTENTION)
    if output.attention is not None:
        assert output.attention.shape == (sum(SIZES),)


@every_head
def test_a_bag_does_not_hear_its_neighbours(name):
    head, bags = head_of(name), drawn()
    together = output_of(head, bags).outputs
    for k, bag in enumerate(bags):
        torch.testing.assert_close(output_of(head, [bag]).outputs[0], together[k], **CLOSE)
    others = [50 * bag for bag in drawn(SIZES, 1)]
    others[2] = bags[2]
    torch.testing.assert_close(output_of(head, others).outputs[2], together[2], **CLOSE)
    longer = [*drawn((30, 1, 12), 2), bags[2]]
    torch.testing.assert_close(output_of(head, longer).outputs[-1], together[2], **CLOSE)
    assert not torch.allclose(together[0], together[2], atol=1e-3)


@every_head
def test_the_order_of_bags_does_not_matter(name):
    head, bags, order = head_of(name), drawn(), [3, 0, 4, 2, 1]
    shuffled = output_of(head, [bags[k] for k in order]).outputs
    torch.testing.assert_close(shuffled, output_of(head, bags).outputs[order], **CLOSE)


@every_head
def test_gradients_do_not_cross_bags(name):
    bags = [bag.requires_grad_() for bag in drawn()]
    output_of(head_of(name), bags).outputs[2].square().sum().backward()
    assert bags[2].grad.abs().sum() > 0
    assert all(bag.grad is None or not bag.grad.any() for k, bag in enumerate(bags) if k != 2)


@every_head
def test_the_order_of_tiles_does_not_matter(name):
    head, bags = head_of(name), drawn()
    order = torch.tensor([5, 2, 0, 6, 1, 4, 3])
    plain, turned = output_of(head, [bags[2]]), output_of(head, [bags[2][order]])
    if HEADS[name].reads_order:
        assert not torch.allclose(turned.outputs, plain.outputs, atol=1e-3)
        return
    torch.testing.assert_close(turned.outputs, plain.outputs, **CLOSE)
    if plain.attention is not None:
        torch.testing.assert_close(turned.attention, plain.attention[order], **CLOSE)
        assert plain.attention.max() > plain.attention.min() + 1e-4


@attentive
def test_attention_sums_to_one(name):
    parts = torch.split(output_of(head_of(name), drawn()).attention, SIZES)
    for part in parts:
        assert (part >= 0).all()
        assert float(part.detach().sum()) == pytest.approx(1, abs=1e-6)
    assert parts[1].tolist() == parts[4].tolist() == [pytest.approx(1)]


@attentive
def test_attention_of_a_bag_does_not_hear_its_neighbours(name):
    head, bags = head_of(name), drawn()
    together = torch.split(output_of(head, bags).attention, SIZES)
    for bag, part in zip(bags, together, strict=True):
        torch.testing.assert_close(output_of(head, [bag]).attention, part, **CLOSE)


@every_head
def test_gradients_reach_all_parameters(name):
    """Those of the loss, which may be of more than the outputs."""
    head = head_of(name).train()
    step(head)
    for label, parameter in head.named_parameters():
        assert parameter.grad is not None, label
        assert torch.isfinite(parameter.grad).all(), label
        if label != "score.bias":  # shifts all scores of a bag alike
            assert parameter.grad.abs().max() > 0, label


@every_head
def test_operations_are_counted(name):
    """The counter follows every layer's inputs and refuses some that have lost their gradient."""
    head = head_of(name).train()
    assert count_flops(lambda: step(head))[1] > count_flops(lambda: output_of(head, drawn()))[1] > 0


@every_head
def test_seeds(name):
    same, again, other = (head_of(name, seed).state_dict() for seed in (3, 3, 4))
    assert same.keys() == again.keys()
    assert all(torch.equal(same[key], again[key]) for key in same)
    assert any(not torch.equal(same[key], other[key]) for key in same)


@every_head
def test_dropout_only_in_training(name):
    head, bags = head_of(name, dropout=0.5), drawn()
    assert torch.equal(output_of(head, bags).outputs, output_of(head, bags).outputs)
    head.train()
    assert not torch.equal(output_of(head, bags).outputs, output_of(head, bags).outputs)


@every_head
def test_a_file_keeps_it(name, tmp_path):
    head, bags = head_of(name), drawn()
    weights = {key: value.numpy() for key, value in head.state_dict().items()}
    fitted = Fitted(
        recipe_of(name),
        VIEWS,
        ("a", "b", "c"),
        "multiclass",
        weights,
        {"feature_mean": np.arange(3.0)},
    )
    save_fitted(fitted, tmp_path / "one.safetensors")
    read = load_fitted(tmp_path / "one.safetensors")
    other = head_of(name, 9)
    other.load_state_dict({key: torch.from_numpy(value) for key, value in read.weights.items()})
    assert torch.equal(output_of(other, bags).outputs, output_of(head, bags).outputs)
    assert read.recipe == fitted.recipe
    assert (read.inputs, read.names, read.kind) == (VIEWS, ("a", "b", "c"), "multiclass")
    assert read.scales["feature_mean"].tolist() == [0, 1, 2]


@every_head
def test_half_precision_is_near(name):
    head, bags = head_of(name), drawn()
    with torch.autocast("cpu", torch.bfloat16):
        output = output_of(head, bags)
    torch.testing.assert_close(
        output.outputs.float(), output_of(head, bags).outputs, rtol=0.05, atol=0.05
    )
    if output.attention is not None:
        assert [
            float(p.detach().sum()) for p in torch.split(output.attention, SIZES)
        ] == pytest.approx([1] * 5, abs=0.02)


@every_head
def test_large_bags_go_in_blocks(name, monkeypatch):
    """Without gradients; the numbers are those of one block."""
    head, bags = head_of(name), drawn((23, 1, 40))
    with torch.inference_mode():
        whole = output_of(head, bags)
        for module in ("blocks", "heads.meta_encoder"):
            monkeypatch.setattr(f"pathfuse.experts.{module}.BLOCK", 5)
        apart = output_of(head, bags)
    torch.testing.assert_close(apart.outputs, whole.outputs, **CLOSE)
    if whole.attention is not None:
        torch.testing.assert_close(apart.attention, whole.attention, **CLOSE)
    with_gradients = output_of(head, bags)
    torch.testing.assert_close(apart.outputs, with_gradients.outputs, **CLOSE)
