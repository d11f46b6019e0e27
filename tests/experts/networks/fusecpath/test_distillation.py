"""The loss against scipy, term by term; where its gradients go."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.special import expit, rel_entr, softmax

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from pathfuse.experts.networks.fusecpath.distillation import distillation_loss  # noqa: E402
from pathfuse.experts.networks.fusecpath.model import Distilled, FuseCPath  # noqa: E402
from pathfuse.experts.targets.distances import Distance  # noqa: E402
from pathfuse.experts.targets.registry import target_kind  # noqa: E402

N, M, K, D = 4, 3, 3, 5
PRESENT = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
Y = torch.tensor([0, 2, 1, 1])
DIRECTIONS = ("teacher_student", "student_teacher")


def said(seed=0):
    draws = torch.Generator().manual_seed(seed)
    return Distilled(
        torch.randn(N, K, generator=draws, dtype=torch.float64) * 2,
        torch.full((N,), 1.0),
        torch.randn(N, D, generator=draws, dtype=torch.float64),
        torch.randn(N, M, K, generator=draws, dtype=torch.float64) * 2,
        torch.randn(N, M, D, generator=draws, dtype=torch.float64),
        torch.from_numpy(PRESENT),
    )


def cross_entropy(outputs):
    return functional.cross_entropy(outputs, Y, reduction="none")


def nothing(outputs):
    return outputs.sum(dim=1) * 0


def kl(p, q):
    return rel_entr(p, q).sum()


def events(hazard_logit):
    """Probabilities of an event in each bin, and of none, of one row."""
    hazard = expit(hazard_logit)
    survival = np.cumprod(np.concatenate([[1], 1 - hazard]))
    return np.append(survival[:-1] * hazard, survival[-1])


def averaged(distance):
    """Mean of ``distance(bag, teacher)`` over the teachers that are there; 0 where none is."""
    each = [[distance(n, m) for m in range(M) if PRESENT[n, m]] for n in range(N)]
    return np.array([np.mean(row) if row else 0.0 for row in each])


def distance(batch, kind, **chosen):
    """The distillation term alone."""
    known = chosen.pop("known", None)
    way, how = target_kind(kind), Distance(**chosen)
    return distillation_loss(batch, nothing, way, alpha=0.0, beta=0.0, how=how, known=known).numpy()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_multiclass(direction, temperature):
    batch = said()

    def wanted(n, m):
        student, teacher = (
            softmax(x / temperature) for x in (batch.outputs[n], batch.teacher_outputs[n, m])
        )
        pair = (teacher, student) if direction == "teacher_student" else (student, teacher)
        return temperature**2 * kl(*(p.numpy() if hasattr(p, "numpy") else p for p in pair))

    got = distance(batch, "multiclass", direction=direction, temperature=temperature)
    np.testing.assert_allclose(got, averaged(wanted), rtol=1e-9)
    assert (got[:3] > 0.01).all()


def test_multiclass_by_hand():
    """Teacher 3:1, student 1:1: 0.75 log 1.5 + 0.25 log 0.5, and the reverse 0.5 log(1/1.5) + 0.5
    log(1/0.5)."""
    ones, one = torch.zeros(1, 4), torch.ones(1, 1, dtype=torch.bool)
    teacher = torch.tensor([[[np.log(3.0), 0.0]]], dtype=torch.float32)
    batch = Distilled(torch.zeros(1, 2), torch.ones(1), ones, teacher, ones[:, None], one)
    assert distance(batch, "multiclass", temperature=1.0) == pytest.approx(0.130812, abs=1e-6)
    backward = distance(batch, "multiclass", temperature=1.0, direction="student_teacher")
    assert backward == pytest.approx(0.143841, abs=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_multilabel(direction, masked):
    batch = said()
    known = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]], dtype=torch.bool)
    counted = known.numpy() if masked else np.ones((N, K), dtype=bool)

    def wanted(n, m):
        each = []
        for o in range(K):
            sides = [
                expit(x.item() / 3) for x in (batch.outputs[n, o], batch.teacher_outputs[n, m, o])
            ]
            student, teacher = (np.array([p, 1 - p]) for p in sides)
            each.append(
                kl(teacher, student) if direction == "teacher_student" else kl(student, teacher)
            )
        return 9 * np.mean(np.array(each)[counted[n]]) if counted[n].any() else 0.0

    got = distance(batch, "multilabel", direction=direction, known=known if masked else None)
    np.testing.assert_allclose(got, averaged(wanted), rtol=1e-9)


@pytest.mark.parametrize("feature", ["cosine", "mse"])
def test_regression(feature):
    batch = said()
    student, teacher = batch.embedding.numpy(), batch.teacher_embeddings.numpy()

    def wanted(n, m):
        if feature == "cosine":
            return cosine(student[n], teacher[n, m])
        return np.mean((student[n] - teacher[n, m]) ** 2)

    np.testing.assert_allclose(
        distance(batch, "regression", feature=feature), averaged(wanted), rtol=1e-9
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_survival(direction):
    batch = said()
    student, teacher = batch.outputs.numpy(), batch.teacher_outputs.numpy()

    def of_features(n, m):
        return cosine(batch.embedding[n].numpy(), batch.teacher_embeddings[n, m].numpy())

    def wanted(n, m):
        pair = events(teacher[n, m]), events(student[n])
        return of_features(n, m) + kl(*(pair if direction == "teacher_student" else pair[::-1]))

    got = distance(batch, "survival", direction=direction)
    np.testing.assert_allclose(got, averaged(wanted), rtol=1e-9)


def test_the_three_terms():
    batch = said()
    apart = distance(batch, "multiclass")
    own = cross_entropy(batch.outputs).numpy()
    taught = averaged(lambda n, m: cross_entropy(batch.teacher_outputs[:, m])[n].item())
    got = distillation_loss(
        batch, cross_entropy, target_kind("multiclass"), alpha=0.3, beta=0.7
    ).numpy()
    np.testing.assert_allclose(got[:3], (0.3 * own + 0.7 * apart + 0.7 * taught)[:3], rtol=1e-9)
    assert got[3] == pytest.approx(own[3])  # no teacher: the task in full


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "survival"])
def test_no_teachers_at_all(kind):
    batch = said()._replace(teacher_outputs=None, teacher_embeddings=None, teacher_present=None)
    got = distillation_loss(batch, cross_entropy, target_kind(kind))
    torch.testing.assert_close(got, cross_entropy(batch.outputs))


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "survival"])
def test_a_teacher_that_says_the_same_is_at_no_distance(kind):
    batch = said()
    same = batch._replace(
        teacher_outputs=batch.outputs[:, None].expand(N, M, K),
        teacher_embeddings=batch.embedding[:, None].expand(N, M, D),
    )
    np.testing.assert_allclose(distance(same, kind), 0, atol=1e-12)


def test_logits_of_any_size_are_finite():
    batch = said()
    loud = batch._replace(
        outputs=(batch.outputs * 500).requires_grad_(), teacher_outputs=batch.teacher_outputs * -500
    )
    for kind in ("multiclass", "multilabel", "survival"):
        loss = distillation_loss(loud, nothing, target_kind(kind))
        (gradient,) = torch.autograd.grad(loss.sum(), loud.outputs)
        assert torch.isfinite(loss).all()
        assert torch.isfinite(gradient).all()


def trained(kind, alpha, beta, **chosen):
    """A model with the gradients of the loss on a small batch."""
    torch.manual_seed(0)
    model = FuseCPath(6, {"a": 4, "b": 3}, K, dim=16, heads=4, pool_width=8, **chosen).eval()
    draws = torch.Generator().manual_seed(1)
    teachers = torch.randn(N, 7, generator=draws)
    teachers[1, 4:], teachers[3] = torch.nan, torch.nan
    index = torch.repeat_interleave(torch.arange(N), torch.tensor([5, 1, 8, 3]))
    out = model(
        torch.randn(17, 6, generator=draws),
        index,
        torch.randint(3, (17,), generator=draws),
        N,
        teachers,
    )
    distillation_loss(out, cross_entropy, target_kind(kind), alpha, beta).sum().backward()
    return model


def gradients(part):
    return [
        torch.zeros_like(weight) if weight.grad is None else weight.grad
        for weight in part.parameters()
    ]


every_kind = pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "survival"])


@every_kind
@pytest.mark.parametrize("separate", [False, True])
def test_distillation_does_not_reach_the_teachers(kind, separate):
    model = trained(kind, 0.5, 0.0, separate_teacher_heads=separate)
    assert not any(
        gradient.any() for gradient in gradients(model.teachers) + gradients(model.teacher_heads)
    )
    assert all(gradient.any() for gradient in gradients(model.student.project))


@every_kind
def test_the_task_reaches_the_teachers_and_nothing_else_does(kind):
    model, heavier = trained(kind, 0.5, 1.0), trained(kind, 0.1, 1.0)
    assert all(gradient.any() for gradient in gradients(model.teachers))
    for one, other in zip(gradients(model.teachers), gradients(heavier.teachers), strict=True):
        torch.testing.assert_close(
            one, other
        )  # the distance weighs more, the teachers do not notice


@every_kind
def test_the_teachers_task_does_not_reach_the_student(kind):
    without, model = trained(kind, 0.5, 0.0), trained(kind, 0.5, 5.0)
    for one, other in zip(gradients(without.student), gradients(model.student), strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(
        without.decide.weight.grad, model.decide.weight.grad
    )  # which they share


@every_kind
def test_every_parameter_of_the_student_learns(kind):
    model = trained(kind, 0.5, 1.0)
    assert all(gradient.any() for gradient in gradients(model.student) + gradients(model.decide))


def test_distillation_moves_the_student():
    """At alpha 0 the student follows its teachers alone."""
    model = trained("multiclass", 0.0, 0.0)
    assert all(gradient.any() for gradient in gradients(model.student.project))
