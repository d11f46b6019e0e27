import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from pathfuse.dense.encoders.base import TokenEncoder, adapted_names, reflected  # noqa: E402
from pathfuse.dense.encoders.cards import find_card  # noqa: E402
from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402


@pytest.mark.parametrize(("length", "wanted"), [(5, 8), (2, 9), (1, 4), (7, 7)])
def test_reflection_is_numpys(length: int, wanted: int) -> None:
    expected = np.pad(
        np.arange(length), (0, wanted - length), mode="reflect" if length > 1 else "edge"
    )
    np.testing.assert_array_equal(reflected(length, wanted).numpy(), expected)


@pytest.mark.parametrize("patch", [8, 14, 16])
@pytest.mark.parametrize("registers", [0, 4, 8])
def test_tokens_of_odd_and_oblong_images(patch: int, registers: int) -> None:
    encoder = tiny_encoder(patch, registers, depth=1)
    for height, width in ((2 * patch, 2 * patch), (3 * patch, patch), (37, 53), (5, 3)):
        grid = encoder.tokens(torch.rand(1, 3, height, width))
        assert tuple(grid.shape) == (1, 48, -(-height // patch), -(-width // patch))
        sequence, rows, columns = encoder.sequence(torch.rand(2, 3, height, width))
        assert tuple(sequence.shape) == (2, 1 + registers + rows * columns, 48)


def test_the_grid_is_in_place() -> None:
    """With attention and positions off, a token depends on its own patch only."""
    encoder = tiny_encoder(16, 4, depth=1)
    with torch.no_grad():
        encoder.trunk.pos_embed.zero_()
        encoder.trunk.blocks[0].attn.proj.weight.zero_()
        x = torch.rand(1, 3, 32, 48)
        before = encoder.tokens(x)
        x[..., 16:, 32:] = 0.0
        changed = (encoder.tokens(x) - before).abs().amax(dim=1)[0] > 1e-6
    assert changed.tolist() == [[False, False, False], [False, False, True]]


def test_padding_is_by_reflection_and_normalised() -> None:
    encoder = tiny_encoder(8)
    x = torch.rand(2, 3, 11, 16)
    prepared = encoder.prepare(x)
    assert tuple(prepared.shape) == (2, 3, 16, 16)
    torch.testing.assert_close(prepared[..., :11, :], (x - 0.5) / 0.5)
    torch.testing.assert_close(prepared[..., 11, :], prepared[..., 9, :])
    torch.testing.assert_close(encoder.restore(prepared, 11, 16), (x - 0.5) / 0.5)


def test_one_size_is_resized_there_and_back() -> None:
    free = tiny_encoder(16)
    card = free.card.model_copy(update={"size_policy": "fixed", "size_px": 64})
    encoder = type(free)(card, free.trunk)
    assert tuple(encoder.prepare(torch.rand(1, 3, 50, 90)).shape) == (1, 3, 64, 64)
    assert tuple(encoder.tokens(torch.rand(1, 3, 50, 90)).shape) == (1, 48, 4, 4)
    back = encoder.restore(torch.ones(1, 2, 64, 64), 50, 90)
    assert tuple(back.shape) == (1, 2, 50, 90)
    torch.testing.assert_close(back, torch.ones_like(back))


@pytest.mark.parametrize("key", ["lunit_vits8", "musk", "uni_v1"])
def test_normalisation_of_the_paper_differs_for_lunit_and_musk(key: str) -> None:
    card = find_card(key)
    tiny = tiny_encoder(8)
    encoder: TokenEncoder = type(tiny)(
        card.model_copy(update={"size_policy": "multiple", "patch": 8}), tiny.trunk
    )
    x = torch.rand(1, 3, 8, 8)
    imagenet = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    own = (x - torch.tensor(card.mean).view(3, 1, 1)) / torch.tensor(card.sd).view(3, 1, 1)
    torch.testing.assert_close(encoder.prepare(x), own)
    encoder.normalise_as("paper")
    torch.testing.assert_close(encoder.prepare(x), imagenet)
    assert torch.allclose(own, imagenet) == (key == "uni_v1")


def test_a_card_that_is_wrong_about_the_tokens_is_refused() -> None:
    tiny = tiny_encoder(16, registers=4)
    encoder = type(tiny)(tiny.card.model_copy(update={"num_prefix": 1}), tiny.trunk)
    with pytest.raises(InputError, match=r"gives 9 tokens of 48 values .* says 5 of 48"):
        encoder.tokens(torch.rand(1, 3, 32, 32))


def test_adapted_names_are_attention_only() -> None:
    assert adapted_names(tiny_encoder(depth=2)) == [
        "blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.1.attn.qkv", "blocks.1.attn.proj",
    ]  # fmt: skip


def test_adapted_names_of_musks_naming() -> None:
    """The vision branch (A) of layers with two branches; the text branch (B) has no part in an
    image's tokens."""
    tiny = tiny_encoder(depth=1)
    attention = torch.nn.ModuleDict({
        name: torch.nn.ModuleDict({"A": torch.nn.Linear(2, 2), "B": torch.nn.Linear(2, 2)})
        for name in ("k_proj", "v_proj", "q_proj", "out_proj")
    })  # fmt: skip
    layer = torch.nn.ModuleDict({"self_attn": attention, "ffn": torch.nn.Linear(2, 2)})
    trunk = torch.nn.ModuleDict(
        {"beit3": torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])})}
    )
    names = adapted_names(type(tiny)(find_card("musk"), trunk))
    assert names == [
        f"beit3.layers.0.self_attn.{name}.A" for name in ("k_proj", "v_proj", "q_proj", "out_proj")
    ]


def test_seed_sets_the_tiny_encoder_and_leaves_the_generator() -> None:
    state = torch.get_rng_state()
    one, same, other = tiny_encoder(seed=1), tiny_encoder(seed=1), tiny_encoder(seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(one.tokens(x), same.tokens(x))
    assert not torch.equal(one.tokens(x), other.tokens(x))
