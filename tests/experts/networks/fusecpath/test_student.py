"""The student against plain numpy, one bag and one cluster at a time; and what must not matter to
it."""

import numpy as np
import pytest
from scipy.special import softmax

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.networks.fusecpath.student import Attention, Groups, Student  # noqa: E402

DIM_IN, DIM, HEADS, SLOTS = 6, 16, 4, 3
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
BAGS = ([0, 0, 0, 1, 1, 2], [4], [2, 2, 2, 2, 2, 2, 2, 2, 2, 0], [7, 3, 7, 3, 5])
"""Clusters of the tiles of four bags: uneven, one tile, two clusters, in no order."""

options = pytest.mark.parametrize(
    "options",
    [
        {},
        {"across": "slots"},
        {"activation": "relu", "blocks": 2},
        {"sparse_k": 2},
        {"sparse_k": 3, "across": "slots"},
        {"positional": True, "blocks": 2},
        {"positional": True, "sparse_k": 2, "across": "slots"},
    ],
    ids=str,
)


def student_of(seed=0, **chosen):
    """In evaluation; with weights of a size at which attention is far from uniform, and no zero
    biases."""
    torch.manual_seed(seed)
    student = Student(DIM_IN, DIM, HEADS, representatives=SLOTS, pool_width=8, **chosen).eval()
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if "norm" not in name:
                weight.copy_(torch.randn_like(weight) * (0.5 if weight.ndim > 1 else 0.2))
    return student


def tiles_of(bags=BAGS, seed=0):
    rng = np.random.default_rng(seed)
    return [
        torch.from_numpy(rng.normal(size=(len(bag), DIM_IN)).astype(np.float32)) for bag in bags
    ]


def output_of(student, tiles, bags=BAGS):
    index = torch.repeat_interleave(
        torch.arange(len(bags)), torch.tensor([len(bag) for bag in bags])
    )
    return student(
        torch.cat(tiles), index, torch.tensor([c for bag in bags for c in bag]), len(bags)
    )


class Reference:
    """The same in numpy, for one bag, by the formulas of the document."""

    def __init__(
        self,
        student,
        across="joint",
        activation="tanh",
        blocks=1,
        sparse_k=None,
        positional=False,
    ):
        assert positional == ("within.0.attend.local.weight" in student.state_dict())
        self.weights = {
            name: value.double().numpy() for name, value in student.state_dict().items()
        }
        self.across, self.blocks, self.sparse_k = across, blocks, sparse_k
        self.activate = np.tanh if activation == "tanh" else lambda x: np.maximum(x, 0)

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0)

    def norm(self, name, x):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attend(self, name, x):
        query, key, value = np.split(self.linear(f"{name}.mix", x), 3, axis=1)
        size, out = DIM // HEADS, np.zeros_like(x)
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = query[:, part] @ key[:, part].T / np.sqrt(size)
            if f"{name}.local.weight" in self.weights:
                scores = scores + self.convolved(f"{name}.local", head, scores)
            if self.sparse_k is not None and self.sparse_k < len(x):
                for row in scores:
                    row[row < np.sort(row)[-self.sparse_k]] = -np.inf
            out[:, part] = softmax(scores, axis=1) @ value[:, part]
        return self.linear(f"{name}.out", out)

    def convolved(self, name, head, scores):
        """Of each key, the scores of 15 queries around each query, weighted."""
        kernel = self.weights[f"{name}.weight"][head, 0, :, 0]
        added = np.zeros_like(scores)
        for i in range(len(scores)):
            for j in range(len(scores)):
                if abs(j - i) <= 7:
                    added[i] += kernel[j - i + 7] * scores[j]
        return added

    def __call__(self, tiles, clusters):
        clusters = np.array(clusters)
        x = np.maximum(self.linear("project.0", tiles.double().numpy()), 0)
        of = [np.flatnonzero(clusters == c) for c in np.unique(clusters)]
        for block in range(self.blocks):
            normed = self.norm(f"within.{block}.norm", x)
            for tiles_here in of:
                x[tiles_here] += self.attend(f"within.{block}.attend", normed[tiles_here])
        normed = self.norm("across.norm", x)
        scores = self.linear("across.slots", normed)
        sent = np.stack(
            [softmax(scores[here], axis=0).T @ normed[here] for here in of]
        )  # (cluster, slot, dim)
        if self.across == "joint":
            output = self.attend("across.attend", sent.reshape(-1, DIM)).reshape(sent.shape)
        else:
            output = np.stack(
                [self.attend("across.attend", sent[:, s]) for s in range(SLOTS)], axis=1
            )
        for c, here in enumerate(of):
            low, high = scores[here].min(axis=0), scores[here].max(axis=0)
            scaled = (scores[here] - low + 0.01) / (high - low + 0.01)
            x[here] += (scaled * softmax(scores[here], axis=1)) @ output[c]
        x = self.norm("norm", x)
        attention = softmax(
            self.linear("pool.score.2", self.activate(self.linear("pool.score.0", x)))[:, 0]
        )
        return attention @ x, attention


@options
def test_against_numpy(options):
    student, tiles = student_of(**options), tiles_of()
    vector, attention = output_of(student, tiles)
    start = 0
    for k, bag in enumerate(BAGS):
        wanted, weights = Reference(student, **options)(tiles[k], bag)
        np.testing.assert_allclose(vector[k].detach(), wanted, atol=2e-5)
        np.testing.assert_allclose(attention[start : start + len(bag)].detach(), weights, atol=2e-5)
        start += len(bag)


@options
def test_a_bag_is_the_same_alone_in_any_batch_and_in_any_order(options):
    student, tiles = student_of(**options), tiles_of()
    together = output_of(student, tiles).vector
    for k in range(len(BAGS)):
        torch.testing.assert_close(
            output_of(student, [tiles[k]], [BAGS[k]]).vector[0], together[k], **CLOSE
        )
    order = [2, 0, 3, 1]
    shuffled = output_of(student, [tiles[k] for k in order], [BAGS[k] for k in order]).vector
    torch.testing.assert_close(shuffled, together[order], **CLOSE)
    large = [c for c in range(9) for _ in range(c + 30)]
    longer = output_of(student, [*tiles, *tiles_of([large], 5)], [*BAGS, large]).vector
    torch.testing.assert_close(longer[:-1], together, **CLOSE)
    assert not torch.allclose(together[0], together[3], atol=1e-2)


@options
def test_the_numbers_of_clusters_and_the_order_of_tiles_do_not_matter(options):
    """The order does with a positional term, and with that alone."""
    student, tiles = student_of(**options), tiles_of()
    before = output_of(student, tiles)
    torch.testing.assert_close(
        output_of(student, tiles, [[{0: 9, 1: 4, 2: 0}[c] for c in BAGS[0]], *BAGS[1:]]).vector,
        before.vector,
        **CLOSE,
    )
    order = np.random.default_rng(0).permutation(len(BAGS[0]))
    bags = [np.array(BAGS[0])[order].tolist(), *BAGS[1:]]
    after = output_of(student, [tiles[0][order], *tiles[1:]], bags)
    if "positional" in options:
        assert not torch.allclose(after.vector[0], before.vector[0], atol=1e-2)
        return
    torch.testing.assert_close(after.vector, before.vector, **CLOSE)
    torch.testing.assert_close(
        after.attention[: len(order)], before.attention[: len(order)][order], **CLOSE
    )


def test_clusters_matter():
    student, tiles = student_of(), tiles_of()
    other = output_of(student, tiles, [[0, 1, 2, 0, 1, 2], *BAGS[1:]]).vector
    assert not torch.allclose(other[0], output_of(student, tiles).vector[0], atol=1e-2)


@options
def test_what_stands_in_the_padding_does_not_matter(options, monkeypatch):
    student, tiles = student_of(**options), tiles_of()
    before, pad = output_of(student, tiles), Groups.pad

    def with_junk(self, rows):
        padded = pad(self, rows)
        outside = ~self.mask.reshape(*self.mask.shape, *(1 for _ in rows.shape[1:]))
        return padded.masked_fill(outside, 50.0)

    monkeypatch.setattr(Groups, "pad", with_junk)
    after = output_of(student, tiles)
    torch.testing.assert_close(after.vector, before.vector, **CLOSE)
    torch.testing.assert_close(after.attention, before.attention, **CLOSE)


def test_attention_sums_to_one():
    attention = output_of(student_of(), tiles_of()).attention
    sums = [part.sum().item() for part in attention.split([len(bag) for bag in BAGS])]
    assert sums == pytest.approx([1.0] * 4, abs=1e-6)
    assert (attention > 0).all()


@options
def test_gradients_do_not_cross_bags(options):
    tiles = [bag.requires_grad_() for bag in tiles_of()]
    output_of(student_of(**options), tiles).vector[2].square().sum().backward()
    assert all(tiles[k].grad is None or not tiles[k].grad.any() for k in (0, 1, 3))
    assert tiles[2].grad.abs().sum(dim=1).min() > 0


@options
def test_every_parameter_receives_a_gradient(options):
    student = student_of(**options)
    said = output_of(student, tiles_of())
    (said.vector * torch.arange(1.0, DIM + 1)).sum().backward()
    silent = [
        name
        for name, weight in student.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    assert not silent
    assert all(torch.isfinite(weight.grad).all() for weight in student.parameters())


def test_equal_tiles_and_single_tiles_have_finite_gradients():
    student, bags = student_of(), [[0, 0, 0, 1], [0]]
    tiles = [torch.ones(4, DIM_IN, requires_grad=True), torch.zeros(1, DIM_IN, requires_grad=True)]
    said = output_of(student, tiles, bags)
    (said.vector * torch.arange(1.0, DIM + 1)).sum().backward()
    assert all(torch.isfinite(bag.grad).all() for bag in tiles)
    assert said.attention.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.25, 1.0], abs=0.2)


def test_sparse_attention_keeps_the_largest_and_all_that_equal_the_last_of_them():
    attend = Attention(2, 1, 0.0, sparse_k=2)
    with torch.no_grad():
        attend.mix.weight.copy_(torch.tensor([[1.0, 0], [0, 0], [1, 0], [0, 0], [0, 0], [0, 1]]))
        attend.out.weight.copy_(torch.eye(2))
        attend.mix.bias.zero_()
        attend.out.bias.zero_()
    # The first number is query and key, the second the value: scores are products of first numbers
    # over root 2
    rows = torch.tensor([[1.0, 1], [2, 10], [2, 100], [0, 1000], [3, 10_000]])
    said = attend(rows, Groups(torch.zeros(5, dtype=torch.long), 1))[:, 1].detach().numpy()
    scores, value = np.array([3.0, 2, 2]) / np.sqrt(2), np.array([10_000.0, 10, 100])
    # The largest is 3; 2 is second and stands twice
    assert said[0] == pytest.approx(softmax(scores) @ value, rel=1e-5)
    assert said[4] == pytest.approx(softmax(3 * scores) @ value, rel=1e-5)
    assert said[3] == pytest.approx(11_111 / 5, rel=1e-5)  # all scores are 0


def test_a_large_k_keeps_all():
    dense, sparse = student_of(), student_of(sparse_k=50)
    torch.testing.assert_close(
        output_of(sparse, tiles_of()).vector, output_of(dense, tiles_of()).vector
    )


def test_groups():
    groups = Groups(torch.tensor([1, 0, 1, 2, 1]), 3)
    rows = torch.tensor([10.0, 20, 30, 40, 50])
    assert groups.pad(rows).tolist() == [[20, 0, 0], [10, 30, 50], [40, 0, 0]]
    assert groups.mask.sum(dim=1).tolist() == [1, 3, 1]
    assert groups.unpad(groups.pad(rows)).tolist() == rows.tolist()
    np.testing.assert_allclose(
        groups.softmax(rows[:, None])[1, :, 0], softmax([10, 30, 50]), atol=1e-7
    )


def test_dropout_only_where_published():
    torch.manual_seed(0)
    student = student_of(dropout=0.0, attention_dropout=0.0).train()
    torch.testing.assert_close(
        output_of(student, tiles_of()).vector, output_of(student.eval(), tiles_of()).vector
    )
    noisy = student_of(dropout=0.0).train()
    assert not torch.allclose(
        output_of(noisy, tiles_of()).vector, output_of(noisy, tiles_of()).vector
    )


def test_heads_must_divide_the_width():
    with pytest.raises(InputError, match="width 20 cannot be shared by 8 attention heads"):
        Student(4, 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cpu_and_gpu_agree():
    student, tiles = student_of(sparse_k=4), tiles_of()
    here = output_of(student, tiles).vector
    index = torch.repeat_interleave(
        torch.arange(4), torch.tensor([len(bag) for bag in BAGS])
    ).cuda()
    clusters = torch.tensor([c for bag in BAGS for c in bag]).cuda()
    there = student.cuda()(torch.cat(tiles).cuda(), index, clusters, 4).vector
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
