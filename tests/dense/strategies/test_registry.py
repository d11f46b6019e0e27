import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("peft")

from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.network.make import make_network  # noqa: E402
from pathfuse.dense.network.net import SegmentationNet  # noqa: E402
from pathfuse.dense.strategies.registry import STRATEGIES  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402

LOW_RANK = [name for name, strategy in STRATEGIES.items() if strategy.low_rank]
CACHEABLE = [name for name, strategy in STRATEGIES.items() if strategy.cacheable]
TRAINS_TRUNK = [name for name, strategy in STRATEGIES.items() if strategy.trains_trunk]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_class_of_a_strategy_has_its_name(strategy: str) -> None:
    assert STRATEGIES[strategy].load().name == strategy


def with_gradients(net: SegmentationNet, size: tuple[int, int] = (61, 45)) -> SegmentationNet:
    """One backward pass at weights that are not the special ones of the start (B = 0 stops A's
    gradient)."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    net(torch.rand(1, 3, *size)).square().mean().backward()
    return net


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("patch", [8, 14, 16])
def test_every_trainable_weight_learns_and_no_other(strategy: str, patch: int) -> None:
    net = with_gradients(make_network(tiny_encoder(patch, registers=4), strategy, 3, rank=4))
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
        else:
            assert parameter.grad is None, name
            assert name.startswith("encoder.trunk."), name
    inside = {
        name
        for name, p in net.named_parameters()
        if name.startswith("encoder.") and p.requires_grad
    }
    assert bool(inside) == STRATEGIES[strategy].trains_trunk
    assert all("lora_" in name for name in inside) or STRATEGIES[strategy].trains_all


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("patch", "registers", "height", "width"), [(8, 0, 31, 31), (14, 8, 40, 64), (16, 4, 33, 17)]
)
def test_logits_have_the_images_size(
    strategy: str, patch: int, registers: int, height: int, width: int
) -> None:
    net = make_network(tiny_encoder(patch, registers), strategy, 2, rank=2)
    assert tuple(net(torch.rand(1, 3, height, width)).shape) == (1, 2, height, width)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_encoders_of_one_size_give_the_images_size(strategy: str) -> None:
    tiny = tiny_encoder(16)
    card = tiny.card.model_copy(update={"size_policy": "fixed"})
    net = make_network(type(tiny)(card, tiny.trunk), strategy, 2)
    assert tuple(net(torch.rand(1, 3, 35, 90)).shape) == (1, 2, 35, 90)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_frozen_encoder_stays_in_evaluation_mode(strategy: str) -> None:
    net = make_network(tiny_encoder(), strategy, 2)
    assert net.train().decoder.training
    assert net.encoder.trunk.training == STRATEGIES[strategy].trains_all
    assert not net.eval().decoder.training
    assert not net.encoder.training


@pytest.mark.parametrize("strategy", LOW_RANK)
@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_adapters_start_as_the_encoder_itself(strategy: str, parity: str) -> None:
    x = torch.rand(1, 3, 40, 24)
    before = tiny_encoder().tokens(x)
    net = make_network(tiny_encoder(), strategy, 2, parity=parity)
    torch.testing.assert_close(net.encoder.tokens(x), before)
    assert net.matched == [
        "blocks.0.attn.qkv",
        "blocks.0.attn.proj",
        "blocks.1.attn.qkv",
        "blocks.1.attn.proj",
    ]


@pytest.mark.parametrize("strategy", LOW_RANK)
@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_nothing_to_adapt_is_an_error_under_both_parities(strategy: str, parity: str) -> None:
    tiny = tiny_encoder()
    odd = type(tiny)(tiny.card.model_copy(update={"key": "odd", "loader": "musk"}), tiny.trunk)
    with pytest.raises(InputError, match=f"{strategy} found no attention layer to adapt in odd"):
        make_network(odd, strategy, 2, parity=parity)


def test_scale_of_lora_is_alpha_over_rank_and_one_in_the_paper() -> None:
    """At rank 4, with alpha 16: 4; the published code did not divide, and its scale was 1 at every
    rank."""
    for parity, rank, scale in (
        ("fixed", 4, 4.0),
        ("paper", 4, 1.0),
        ("fixed", 16, 1.0),
        ("paper", 16, 1.0),
    ):
        net = make_network(tiny_encoder(depth=1), "lora", 2, rank=rank, parity=parity)
        layer = net.encoder.trunk.get_submodule("blocks.0.attn.proj")
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        torch.nn.init.normal_(b)
        x = torch.rand(2, 48)
        torch.testing.assert_close(layer(x), layer.base_layer(x) + scale * x @ a.T @ b.T)


def test_magnitudes_of_dora_are_one_per_row_and_one_per_layer_in_the_paper() -> None:
    def magnitudes(parity: str) -> list[int]:
        net = make_network(tiny_encoder(depth=1), "dora", 2, rank=2, parity=parity)
        return [p.numel() for name, p in net.named_parameters() if "magnitude" in name]

    assert magnitudes("fixed") == [3 * 48, 48]
    assert magnitudes("paper") == [1, 1]


def test_weight_of_the_papers_dora() -> None:
    net = make_network(tiny_encoder(depth=1), "dora", 2, rank=2, parity="paper")
    layer = net.encoder.trunk.get_submodule("blocks.0.attn.proj")
    torch.nn.init.normal_(layer.lora_B)
    with torch.no_grad():
        layer.lora_magnitude.fill_(1.5)
        changed = layer.base.weight + layer.lora_B @ layer.lora_A
        assert float(layer.weight().norm()) == pytest.approx(
            1.5 * float(layer.base.weight.norm()), rel=1e-5
        )
        ratio = layer.weight() / changed
        torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio[0, 0])))


def test_row_wise_dora_keeps_the_norm_of_each_row() -> None:
    """With the magnitudes of the start every row keeps its norm, whatever the update; the paper's
    one m does not."""

    def rows(parity: str) -> tuple[torch.Tensor, torch.Tensor]:
        net = make_network(tiny_encoder(depth=1), "dora", 2, rank=2, parity=parity)
        layer = net.encoder.trunk.get_submodule("blocks.0.attn.proj")
        base = layer.base if parity == "paper" else layer.base_layer
        torch.nn.init.normal_(layer.lora_B if parity == "paper" else layer.lora_B["default"].weight)
        with torch.no_grad():
            used = (layer(torch.eye(48)) - base.bias).T
        return used.norm(dim=1), base.weight.norm(dim=1)

    torch.testing.assert_close(*rows("fixed"), rtol=1e-4, atol=1e-5)
    used, base = rows("paper")
    assert not torch.allclose(used, base, rtol=0.01)
    assert float(used.norm()) == pytest.approx(float(base.norm()), rel=1e-4)


def test_dead_stage_of_the_cnn_adapter_is_the_papers_only() -> None:
    """10.45 of 11.89 million parameters never get a gradient.

    See docs/design/densebench.md, section 7, defect 9.
    """
    net = with_gradients(make_network(tiny_encoder(), "cnn", 2, parity="paper"))
    total = sum(p.numel() for p in net.adapter.parameters())
    dead = sum(p.numel() for p in net.adapter.parameters() if p.grad is None)
    assert total / 1e6 == pytest.approx(11.89, abs=0.005)
    assert dead / 1e6 == pytest.approx(10.45, abs=0.005)
    fixed = make_network(tiny_encoder(), "cnn", 2)
    assert sum(p.numel() for p in fixed.adapter.parameters()) == total - dead


def test_cnn_weights_are_standardised() -> None:
    from pathfuse.dense.strategies.cnn import StandardisedConv2d

    torch.manual_seed(0)
    layer = StandardisedConv2d(5, 7, 3, padding=1, bias=False)
    x = torch.rand(1, 5, 9, 8)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(3.0).add_(0.7)
    torch.testing.assert_close(layer(x), before, rtol=1e-2, atol=1e-2)
    weight = layer.weight.flatten(1)
    unit = (weight - weight.mean(1, keepdim=True)) / (
        weight.var(1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    expected = torch.nn.functional.conv2d(x, unit.view_as(layer.weight), padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dim", "expected"), [(1024, 16), (1280, 20), (384, 6), (48, 1), (130, 2)])
def test_heads_of_the_transformer_adapter(dim: int, expected: int) -> None:
    from pathfuse.dense.strategies.transformer import heads

    assert heads(dim) == expected


def test_transformer_adapter_sees_the_registers() -> None:
    net = make_network(tiny_encoder(registers=4), "transformer", 2).eval()
    with torch.no_grad():
        for block in net.adapter.blocks:
            block.ls1.gamma.fill_(1.0)
        sequence = net.encode(torch.rand(1, 3, 32, 32))
        other = sequence.clone()
        other[:, 1:5] = torch.randn(4, 48)
        grid, changed = net.adapter.after(sequence)[:, 5:], net.adapter.after(other)[:, 5:]
    assert tuple(grid.shape) == (1, 4, 48)
    assert not torch.allclose(grid, changed, atol=1e-3)


@pytest.mark.parametrize("strategy", CACHEABLE)
def test_kept_tokens_give_the_same_logits(strategy: str) -> None:
    net = make_network(tiny_encoder(), strategy, 3).eval()
    x = torch.rand(2, 3, 37, 50)
    assert net.cacheable
    torch.testing.assert_close(net.decode(net.encode(x), (37, 50)), net(x))


@pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - set(CACHEABLE)))
def test_other_strategies_cannot_start_from_kept_tokens(strategy: str) -> None:
    net = make_network(tiny_encoder(), strategy, 3)
    with pytest.raises(InputError, match=f"{strategy} strategy cannot start"):
        net.decode(torch.rand(1, 5, 48), (32, 32))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_groups_hold_each_trainable_weight_once(strategy: str) -> None:
    net = make_network(tiny_encoder(), strategy, 2)
    groups = net.parameter_groups(1e-4, 1e-3)
    assert sum(p.numel() for group in groups for p in group["params"]) == net.n_trainable
    assert [group["lr"] for group in groups] == ([1e-3] if strategy == "frozen" else [1e-4, 1e-3])
    torch.optim.AdamW(groups)  # refuses a weight that is given twice


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_trainable_state_is_all_that_training_changes(strategy: str, parity: str) -> None:
    net = with_gradients(make_network(tiny_encoder(), strategy, 2, parity=parity, seed=1)).eval()
    state = net.trainable_state()
    if not STRATEGIES[strategy].trains_all:
        frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
        assert not frozen & set(state)
    again = make_network(tiny_encoder(), strategy, 2, parity=parity, seed=2).eval()
    x = torch.rand(1, 3, 40, 24)
    assert not torch.allclose(again(x), net(x))
    again.load_trainable_state(state)
    torch.testing.assert_close(again(x), net(x))


def test_state_of_another_network_is_refused() -> None:
    state = make_network(tiny_encoder(), "frozen", 2).trainable_state()
    with pytest.raises(InputError, match="not of a frozen network on tiny with 3 classes"):
        make_network(tiny_encoder(), "frozen", 3).load_trainable_state(state)
    with pytest.raises(InputError, match="not of a lora network"):
        make_network(tiny_encoder(), "lora", 2).load_trainable_state(state)


def test_seed_sets_the_weights_and_leaves_the_generator() -> None:
    state = torch.get_rng_state()
    one, same, other = (
        make_network(tiny_encoder(), "lora", 2, seed=seed).trainable_state() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_what_cannot_be_is_refused() -> None:
    encoder = tiny_encoder()
    with pytest.raises(InputError, match=r"No strategy is called 'qlora'.*frozen, lora"):
        make_network(encoder, "qlora", 2)
    with pytest.raises(InputError, match="not 1 classes"):
        make_network(encoder, "frozen", 1)
    make_network(encoder, "lora", 2)
    with pytest.raises(InputError, match="already changed by lora"):
        make_network(encoder, "frozen", 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("parity", ["fixed", "paper"])
def test_half_precision(strategy: str, parity: str) -> None:
    net = make_network(tiny_encoder(), strategy, 2, parity=parity)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.rand(2, 3, 33, 47))
    logits.float().square().mean().backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", ["ViT", "Dinov2", "Dinov2WithRegisters"])
@pytest.mark.parametrize("strategy", TRAINS_TRUNK)
def test_models_of_transformers_are_adapted(kind: str, strategy: str) -> None:
    """Six of 17 models of the benchmark were not: phikon, phikon_v2, hibou_l, midnight12k, musk,
    PathOrchestra."""
    transformers = pytest.importorskip("transformers")
    from pathfuse.dense.encoders.cards import find_card
    from pathfuse.dense.encoders.hugging_face import load_transformers

    assert hasattr(transformers, f"{kind}Model")
    small = {
        "hidden_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 3,
        "patch_size": 16,
        "image_size": 64,
    }
    card = find_card("phikon").model_copy(
        update={"architecture": f"{kind}Model", "arguments": small, "dim": 48}
    )
    if kind == "Dinov2WithRegisters":
        card = card.model_copy(update={"num_prefix": 5})
    net = with_gradients(make_network(load_transformers(card, None), strategy, 2, rank=2))
    assert len(net.matched) == (4 if STRATEGIES[strategy].low_rank else 0)
    silent = [
        name
        for name, p in net.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert silent == []


def test_what_has_no_part_in_the_tokens_is_neither_trained_nor_counted() -> None:
    """A head, a token for masks, a branch for text: whatever their names."""
    tiny = tiny_encoder()
    trunk, own = tiny.trunk, sum(p.numel() for p in tiny.trunk.parameters())
    trunk.register_parameter("some_token", torch.nn.Parameter(torch.zeros(1, 48)))
    trunk.blocks[1].text = torch.nn.Linear(48, 48)
    trunk.last = torch.nn.LayerNorm(48)
    net = make_network(tiny, "full", 2)
    assert net.n_adapter == own
    assert net.n_trainable == own + sum(p.numel() for p in net.decoder.parameters())
    net = with_gradients(net)
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize("strategy", LOW_RANK)
def test_equal_capacity_trains_as_many_weights_per_block_in_every_architecture(
    strategy: str,
) -> None:
    """Rank 16 is 96 d weights a block where queries, keys and values are one layer, 128 d where
    they are apart."""
    pytest.importorskip("transformers")
    from pathfuse.dense.encoders.cards import find_card
    from pathfuse.dense.encoders.hugging_face import load_transformers

    def per_block(kind: str, capacity: str) -> tuple[float, int]:
        if kind == "timm":
            encoder = tiny_encoder(dim=96, depth=3)
        else:
            small = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3,
                     "patch_size": 16, "image_size": 64}  # fmt: skip
            card = find_card("phikon").model_copy(
                update={"architecture": kind, "arguments": small, "dim": 96}
            )
            encoder = load_transformers(card, None)
        net = make_network(encoder, strategy, 2, rank=16, capacity=capacity)
        low = [
            p.numel()
            for name, p in net.named_parameters()
            if ".lora_A." in name or ".lora_B." in name
        ]
        assert net.n_adapter >= sum(low)
        return sum(low) / (3 * 96), net.rank

    assert per_block("timm", "rank") == per_block("timm", "equal") == (96, 16)
    for kind in ("ViTModel", "Dinov2Model"):
        assert per_block(kind, "rank") == (128, 16)
        assert per_block(kind, "equal") == (96, 12)
