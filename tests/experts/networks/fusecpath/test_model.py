"""Student and teachers together: widths, absent teachers, and what they learn on made-up slides."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.experts.networks.fusecpath.distillation import distillation_loss  # noqa: E402
from pathfuse.experts.networks.fusecpath.model import FuseCPath  # noqa: E402
from pathfuse.experts.networks.fusecpath.selection import cluster, draw  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402

TEACHERS = {"titan": 4, "giga.path": 3}
"""In the order of their names: giga.path, titan. A module's name could hold no dot."""
SIZES = (5, 1, 8)


def model_of(seed=0, teachers=TEACHERS, **chosen):
    torch.manual_seed(seed)
    return FuseCPath(6, teachers, 2, dim=16, heads=4, pool_width=8, **chosen).eval()


def batch(seed=0):
    """Features, index, clusters, number of bags; teachers: both, only the second, none."""
    draws = torch.Generator().manual_seed(seed)
    features = torch.randn(sum(SIZES), 6, generator=draws)
    index = torch.repeat_interleave(torch.arange(3), torch.tensor(SIZES))
    clusters = torch.randint(3, (sum(SIZES),), generator=draws)
    teachers = torch.randn(3, 7, generator=draws)
    teachers[1, :3] = torch.nan
    teachers[2] = torch.nan
    return (features, index, clusters, len(SIZES)), teachers


def test_published_widths():
    model = FuseCPath(4864, {"gigapath_slide": 768, "titan": 768, "prism": 1280}, 2)

    def millions(*parts):
        return sum(weight.numel() for part in parts for weight in part.parameters()) / 1e6

    student = model.student
    assert millions(student.project) == pytest.approx(2.49, abs=0.005)
    assert millions(student.within, student.across, student.norm) == pytest.approx(2.11, abs=0.005)
    assert millions(student.pool) == pytest.approx(0.066, abs=0.0005)
    assert millions(model.teachers) == pytest.approx(1.44, abs=0.005)
    assert millions(model) == pytest.approx(6.11, abs=0.005)
    biases = [weight for name, weight in model.named_parameters() if name.endswith("bias")]
    assert not any(bias.any() for bias in biases)
    spread = (2 / (4864 + 512)) ** 0.5
    assert student.project[0].weight.std().item() == pytest.approx(spread, rel=0.01)


def test_what_is_said():
    bags, teachers = batch()
    said = model_of()(*bags, teachers)
    assert said.outputs.shape == (3, 2)
    assert said.embedding.shape == (3, 16)
    assert said.attention.shape == (sum(SIZES),)
    assert said.teacher_outputs.shape == (3, 2, 2)
    assert said.teacher_embeddings.shape == (3, 2, 16)
    assert said.teacher_present.tolist() == [[True, True], [False, True], [False, False]]
    assert all(torch.isfinite(part).all() for part in said[:5])


def test_teachers_are_projected_in_the_order_of_their_names_and_share_the_last_layer():
    model, (bags, teachers) = model_of(), batch()
    said = model(*bags, teachers)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    one = teachers[0].numpy()
    for k, part in enumerate((one[:3], one[3:])):
        vector = weights[f"teachers.{k}.weight"] @ part + weights[f"teachers.{k}.bias"]
        np.testing.assert_allclose(said.teacher_embeddings[0, k].detach(), vector, atol=1e-6)
        out = weights["decide.weight"] @ vector + weights["decide.bias"]
        np.testing.assert_allclose(said.teacher_outputs[0, k].detach(), out, atol=1e-6)
    own = said.embedding.detach().numpy() @ weights["decide.weight"].T + weights["decide.bias"]
    np.testing.assert_allclose(said.outputs.detach(), own, atol=1e-6)


def test_separate_teacher_heads():
    model, (bags, teachers) = model_of(separate_teacher_heads=True), batch()
    said = model(*bags, teachers)
    for k in range(2):
        wanted = model.teacher_heads[k](said.teacher_embeddings[:, k])
        torch.testing.assert_close(said.teacher_outputs[:, k], wanted)
    assert not torch.allclose(said.teacher_outputs, model.decide(said.teacher_embeddings))
    said.teacher_outputs.sum().backward()
    assert model.decide.weight.grad is None


def test_the_student_alone():
    bags, teachers = batch()
    model = model_of()
    alone = model(*bags)
    assert alone[3:] == (None, None, None)
    torch.testing.assert_close(alone.outputs, model(*bags, teachers).outputs)
    assert model_of(teachers={})(*bags, torch.zeros(3, 0))[3:] == (None, None, None)


def test_absent_teachers_do_not_poison_gradients():
    model, (bags, teachers) = model_of(), batch()
    y = torch.tensor([0, 1, 1])
    loss = distillation_loss(
        model(*bags, teachers),
        lambda out: functional.cross_entropy(out, y, reduction="none"),
        target_kind("multiclass"),
    )
    loss.sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())
    assert all(
        weight.grad.any() for name, weight in model.named_parameters() if "mix.bias" not in name
    )


def test_options_reach_the_student():
    model = model_of(
        activation="relu",
        blocks=2,
        sparse_k=3,
        representatives=5,
        across="slots",
        attention_dropout=0.3,
    )
    student = model.student
    assert isinstance(student.pool.score[1], torch.nn.ReLU)
    assert len(student.within) == 2
    assert student.across.slots.out_features == 5
    assert student.across.across == "slots"
    assert {block.attend.sparse_k for block in (*student.within, student.across)} == {3}
    assert {block.attend.drop.p for block in (*student.within, student.across)} == {0.3}
    assert student.project[2].p == 0.25
    assert student.pool.score[0].out_features == 8


class Slides:
    """Made-up slides in three views, their labels, and their tiles drawn from clusters."""

    def __init__(self, make, n_slides=100, n_clusters=6, per_cluster=4, seed=0):
        rng = np.random.default_rng(seed)
        self.y = rng.permutation(np.arange(n_slides) % 2)
        self.rng, self.per_cluster = rng, per_cluster
        self.views = [make(rng, label) for label in self.y]
        self.labels = [cluster(views, n_clusters, pca=8) for views in self.views]

    def batch(self, slides):
        drawn = [draw(self.labels[k], self.per_cluster, self.rng) for k in slides]
        features = np.concatenate(
            [np.hstack(self.views[k])[tiles] for k, tiles in zip(slides, drawn, strict=True)]
        )
        index = np.repeat(np.arange(len(slides)), [len(tiles) for tiles in drawn])
        clusters = np.concatenate(
            [self.labels[k][tiles] for k, tiles in zip(slides, drawn, strict=True)]
        )
        return (
            torch.from_numpy(features),
            torch.from_numpy(index),
            torch.from_numpy(clusters),
            len(slides),
        )

    def learnt(self, steps=40):
        """AUROC on the second half of the slides after training on the first."""
        half = len(self.y) // 2
        torch.manual_seed(0)
        model = FuseCPath(
            sum(view.shape[1] for view in self.views[0]), {}, 2, dim=16, heads=2, pool_width=8
        )
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        y = torch.from_numpy(self.y[:half])
        for _ in range(steps):
            optimiser.zero_grad()
            said = model(*self.batch(range(half)))
            distillation_loss(
                said,
                lambda out: functional.cross_entropy(out, y, reduction="none"),
                target_kind("multiclass"),
            ).mean().backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            draws = [model(*self.batch(range(half, len(self.y)))).outputs for _ in range(3)]
        outputs = torch.stack(draws).mean(dim=0)
        return roc_auc_score(self.y[half:], (outputs[:, 1] - outputs[:, 0]).numpy())


def in_one_view(rng, label):
    """The second of three views shifts along one direction in a third of the tiles; the others are
    noise."""
    views = [rng.normal(size=(60, 6)).astype(np.float32) for _ in range(3)]
    views[1][:20, 0] += 2 if label else -2
    return views


def in_a_small_cluster(rng, label):
    """4 of 150 tiles are of a kind of their own, and differ between the classes; so do no others."""
    views = [rng.normal(size=(150, 6)).astype(np.float32) for _ in range(3)]
    views[0][:75, 3] += 4
    for view in views:
        view[:4, 0] += 9
        view[:4, 1] += 2 if label else -2
    return views


@pytest.mark.slow
def test_a_signal_in_one_view_is_learnt():
    assert Slides(in_one_view).learnt() > 0.95


@pytest.mark.slow
def test_a_signal_in_a_small_cluster_is_learnt():
    slides = Slides(in_a_small_cluster)
    small = [np.bincount(labels)[labels[0]] for labels in slides.labels]
    assert (
        np.median(small) <= 6
    )  # selection does find the kind; drawn at random, 0.6 of 24 tiles were of it
    assert slides.learnt() > 0.95
