"""TransMIL written out from the papers with the same weights, and its exact alternative against
torch's own attention layer, one bag at a time."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.networks.transmil import exact, nystrom  # noqa: E402
from pathfuse.experts.networks.transmil.position import Positions, squared  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402

HEADS = 8


def head_of(seed=0, **chosen):
    torch.manual_seed(seed)
    recipe = TrainingRecipe.of("trans_mil", **{"hidden": 16, "layers": 2, **chosen})
    return make_head(recipe, Inputs({"features": 5}), 3).eval()


def nystrom_by_hand(layer, tokens, landmarks):
    """Xiong et al. (2021), equations 10 to 13, head by head; the length is a multiple of the
    landmarks or not larger. Output of the layer, and its matrix for the first token."""
    x = layer.norm(tokens)
    n, width = x.shape
    size, m = width // HEADS, min(landmarks, n)
    query, key, value = (x @ w.T for w in layer.mix.weight.split(width))
    mixed, rows = [], []
    for h in range(HEADS):
        part = slice(h * size, (h + 1) * size)
        q, k, v = query[:, part] / math.sqrt(size), key[:, part], value[:, part]
        ql, kl = (one.reshape(m, n // m, size).mean(1) for one in (q, k))
        f, a, b = (
            torch.softmax(left @ right.T, dim=1) for left, right in ((q, kl), (ql, kl), (ql, k))
        )
        z = a.T / (a.abs().sum(0).max() * a.abs().sum(1).max())
        one = torch.eye(m)
        for _ in range(6):
            z = 0.25 * z @ (13 * one - a @ z @ (15 * one - a @ z @ (7 * one - a @ z)))
        kernel, padded = layer.local.weight[h, 0, :, 0], functional.pad(v, (0, 0, 16, 16))
        local = sum(kernel[j] * padded[j : j + n] for j in range(33))
        mixed.append(f @ z @ b @ v + local)
        rows.append((f @ z @ b)[0])
    return tokens + layer.out(torch.cat(mixed, dim=1)), torch.stack(rows).mean(0)


def positions_by_hand(positions, tokens, side):
    """PPEG: three depthwise convolutions and the tokens themselves, summed."""
    grid = tokens.reshape(side, side, -1).permute(2, 0, 1)[None]
    total = grid + sum(conv(grid) for conv in positions.convolutions)
    return total[0].permute(1, 2, 0).reshape(side * side, -1)


@pytest.mark.parametrize(("tiles", "side"), [(5, 3), (9, 3), (60, 8), (1, 1)])
def test_the_forward_pass(tiles, side):
    """side * side + 1 tokens: at most 8 landmarks, or a multiple of as many as there are here."""
    head = head_of(hidden={3: 32, 8: 26, 1: 16}[side])
    width = head.norm.normalized_shape[0]
    for layer in head.body.layers:
        layer.landmarks = {3: 5, 8: 13, 1: 8}[side]
    x = torch.randn(tiles, 5)
    output = head(torch.cat([torch.randn(9, 5), x]), torch.tensor([0] * 9 + [1] * tiles), 2)
    projected = torch.relu(x @ head.project[0].weight.T + head.project[0].bias)
    square = torch.cat([projected, projected[: side**2 - tiles]])
    assert square.shape == (side**2, width)
    first, second = head.body.layers
    tokens, _ = nystrom_by_hand(first, torch.cat([head.body.token[None], square]), first.landmarks)
    placed = positions_by_hand(head.body.positions, tokens[1:], side)
    tokens, row = nystrom_by_hand(second, torch.cat([tokens[:1], placed]), second.landmarks)
    wanted = head.decide(head.norm(tokens[0]))
    torch.testing.assert_close(output.outputs[1], wanted, rtol=1e-3, atol=1e-4)
    row = row.clamp(min=0)
    looked = row[1 : tiles + 1].clone()
    looked[: side**2 - tiles] += row[tiles + 1 :]
    torch.testing.assert_close(output.attention[9:], looked / looked.sum(), rtol=1e-3, atol=1e-4)


def test_the_published_size():
    head = make_head(TrainingRecipe.of("trans_mil"), Inputs({"features": 1024}), 2)
    layer = 2 * 512 + 3 * 512**2 + 8 * 33 + 513 * 512
    places = 512 * (49 + 25 + 9 + 3)
    wanted = 1025 * 512 + 512 + 2 * layer + places + 2 * 512 + 513 * 2
    assert sum(p.numel() for p in head.parameters()) == wanted
    assert [one.landmarks for one in head.body.layers] == [256, 256]


def test_short_sequences_have_exact_attention():
    """With as many landmarks as tokens, Nystroem attention is S pinv(S) S = S."""
    torch.manual_seed(0)
    matrix = (torch.randn(1, 6, 4) @ torch.randn(1, 4, 6) / 2).softmax(dim=-1)
    again = matrix @ nystrom.pseudo_inverse(matrix, 40) @ matrix
    torch.testing.assert_close(again, matrix, rtol=1e-3, atol=1e-4)


def test_the_pseudo_inverse_of_one_matrix_does_not_depend_on_others():
    one, other = torch.rand(1, 5, 5).softmax(-1), 30 * torch.rand(1, 5, 5)
    together = nystrom.pseudo_inverse(torch.cat([one, other]))[0]
    torch.testing.assert_close(together, nystrom.pseudo_inverse(one)[0])
    torch.testing.assert_close(
        nystrom.pseudo_inverse(one, 30)[0], torch.linalg.pinv(one[0]), rtol=1e-3, atol=1e-2
    )


@pytest.mark.parametrize(("n", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (100, 10), (101, 11)])
def test_squares(n, side):
    tiles = torch.arange(n, dtype=torch.float32)[:, None]
    square = squared(tiles)
    assert len(square) == side**2
    assert square[:, 0].tolist() == [*range(n), *range(side**2 - n)]


def test_positions_without_gradients_are_the_same(monkeypatch):
    monkeypatch.setattr("pathfuse.experts.networks.transmil.position.CHANNELS", 3)
    torch.manual_seed(0)
    positions, tokens = Positions(8), torch.randn(25, 8)
    wanted = positions(tokens)
    with torch.no_grad():
        torch.testing.assert_close(positions(tokens.clone()), wanted)


def attended(layer, tokens):
    """What torch's multi-head attention makes of the tokens, and the mean weights of its heads."""
    width = tokens.shape[-1]
    return functional.multi_head_attention_forward(
        tokens[:, None], tokens[:, None], tokens[:, None], width, 8, layer.mix.weight, layer.mix.bias, None, None,
        False, 0.0, layer.out.weight, layer.out.bias, training=False,
    )  # fmt: skip


def test_exact_attention():
    head = head_of(attention_kind="exact")
    x = torch.randn(6, 5)
    output = head(torch.cat([torch.randn(9, 5), x]), torch.tensor([0] * 9 + [1] * 6), 2)
    tokens = torch.cat([head.body.token[None], head.project(x)])
    for layer in head.body.layers:
        mixed, weights = attended(layer, layer.norm(tokens))
        tokens = tokens + mixed[:, 0]
        tokens = tokens + layer.feed(layer.norm_2(tokens))
    torch.testing.assert_close(
        output.outputs[1], head.decide(head.norm(tokens[0])), rtol=1e-4, atol=1e-5
    )
    looked = weights[0, 0, 1:]
    torch.testing.assert_close(output.attention[9:], looked / looked.sum(), rtol=1e-4, atol=1e-5)


def test_exact_attention_knows_no_order_and_no_groups(monkeypatch):
    head = head_of(attention_kind="exact")
    bags = [torch.randn(n, 5) for n in (4, 1, 7, 2)]
    index = torch.repeat_interleave(torch.arange(4), torch.tensor([4, 1, 7, 2]))
    together = head(torch.cat(bags), index, 4)
    turned = head(torch.cat([bag.flip(0) for bag in bags]), index, 4)
    torch.testing.assert_close(turned.outputs, together.outputs, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(exact, "ROOM", 4)
    apart = head(torch.cat(bags), index, 4)
    torch.testing.assert_close(apart.outputs, together.outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apart.attention, together.attention, rtol=1e-4, atol=1e-5)


def test_exact_attention_predicts_from_a_limited_number_of_tiles():
    assert TrainingRecipe.of("trans_mil").max_tiles_predict is None
    assert TrainingRecipe.of("trans_mil", attention_kind="exact").max_tiles_predict == 4096
    chosen = TrainingRecipe.of("trans_mil", attention_kind="exact", max_tiles_predict=9)
    assert chosen.max_tiles_predict == 9
    with pytest.raises(InputError, match=r"'attention_kind'.*not 'linear'"):
        TrainingRecipe.of("trans_mil", attention_kind="linear")


def test_widths_are_rounded_up_to_the_heads():
    assert head_of(hidden=13).body.token.shape == (16,)
