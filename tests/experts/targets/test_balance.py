"""Weights by inverse frequency, and focal loss with the probabilities that it hides."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.imbalance import offset_of  # noqa: E402
from pathfuse.experts.targets.balance import MOST, inverse_frequency  # noqa: E402
from pathfuse.experts.targets.registry import TARGET_KINDS, target_kind  # noqa: E402

CLASSES, LABELS, SURVIVAL = (target_kind(name) for name in ("multiclass", "multilabel", "survival"))


def known(rows, columns=1):
    return np.ones((rows, columns), dtype=bool)


def test_no_group_weighs_more_than_some_times_another():
    weight = inverse_frequency(np.array([0] * 500 + [1] * 250 + [2]))
    assert weight.mean() == pytest.approx(1)
    assert weight[500] / weight[0] == pytest.approx(2)
    assert weight[-1] / weight[0] == pytest.approx(MOST)


def test_classes_by_hand():
    """Six, three and one: weights 10/18, 10/9, 10/3, and logits that differ by their logarithms."""
    values = np.eye(3)[[0] * 6 + [1] * 3 + [2]]
    weights = CLASSES.class_weights(values, known(10))
    np.testing.assert_allclose(weights[[0, 6, 9], 0], [10 / 18, 10 / 9, 10 / 3])
    offset = offset_of(CLASSES, values, known(10), weights)
    np.testing.assert_allclose(offset - offset[0], np.log([1, 2, 6]))


def test_labels_by_hand():
    """Of four known rows one is yes, which weighs three times as much as a no; the other label is
    never yes."""
    values = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [1, 0]], dtype=float)
    there = known(5, 2)
    there[4, 0] = False
    weights = LABELS.class_weights(values, there)
    np.testing.assert_allclose(weights[:4, 0], [2, 2 / 3, 2 / 3, 2 / 3])
    np.testing.assert_array_equal(weights[:, 1], 1)
    np.testing.assert_allclose(
        offset_of(LABELS, values, there, weights), [np.log(3), 0], atol=1e-12
    )


def test_labels_are_drawn_by_their_rarest():
    values = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], dtype=float)
    wanted = np.array([1, 0.5, 0.5, 1]) / 0.75  # both; the first alone, twice; none
    np.testing.assert_allclose(LABELS.draw_weights(values, known(4, 2)), wanted)


def test_cases_are_drawn_by_event():
    """An event in a bin against one after the last bin, and censored ones."""
    values = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=float)
    weight = SURVIVAL.draw_weights(values, known(4))
    np.testing.assert_allclose(weight, [2, 2 / 3, 2 / 3, 2 / 3])
    offset = offset_of(SURVIVAL, values, known(4), weight[:, None])
    # First bin: one event among three whose fate there is known, then half of the weight.
    assert offset[0] == pytest.approx(np.log(2 / (4 / 3)) - np.log(1 / 2))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_has_its_minimum_where_it_is_undone(gamma):
    """The gradient of the expected focal loss at outputs that stand for known probabilities."""
    prob = torch.tensor([[0.72, 0.2, 0.08]], dtype=torch.float64)
    z = prob.log().clone().requires_grad_()
    optimiser = torch.optim.LBFGS([z], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16)

    def step():
        optimiser.zero_grad()
        each = CLASSES.emphasised_loss(
            z.expand(3, 3), torch.eye(3).double(), torch.ones(3, 1), None, gamma
        )
        loss = (prob[0] * each).sum()
        loss.backward()
        return loss

    optimiser.step(step)
    found = CLASSES.before_focus(z.detach(), gamma).softmax(dim=1)
    torch.testing.assert_close(found, prob, rtol=1e-4, atol=1e-5)
    assert (z.detach().softmax(dim=1).max() < prob.max()).item()  # too unsure before


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_two_classes_are_a_label(gamma):
    z = torch.tensor([-40.0, -3.0, 0.0, 0.4, 7.0, 900.0])
    label = LABELS.before_focus(z[:, None], gamma)[:, 0]
    two = CLASSES.before_focus(torch.stack([torch.zeros_like(z), z], dim=1), gamma)
    torch.testing.assert_close(two[:, 1] - two[:, 0], label)
    assert label.isfinite().all()
    assert (label.diff() > 0).all()
    assert label[2] == 0


def test_focal_by_hand():
    """p = .8 counts .2 squared of its logarithm; 2.5 is the weight."""
    z = torch.logit(torch.tensor([[0.8, 0.5]], dtype=torch.float64))
    values, both = torch.ones(1, 2), torch.tensor([[True, False]])
    loss = LABELS.emphasised_loss(z, values, both, torch.tensor([[2.5, 1.0]]), 2.0)
    assert loss.item() == pytest.approx(-2.5 * 0.04 * np.log(0.8), rel=1e-6)


def test_without_emphasis_it_is_the_loss():
    rng = np.random.default_rng(0)
    z, yes = (torch.from_numpy(a) for a in (rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 3))))
    for way, values, there in [
        (LABELS, yes.double(), torch.from_numpy(rng.random((5, 3)) < 0.7)),
        (CLASSES, torch.eye(3).double()[yes[:, 0]], torch.ones(5, 1, dtype=torch.bool)),
    ]:
        same = way.emphasised_loss(z, values, there, torch.ones(5, 1), 0.0)
        torch.testing.assert_close(same, way.loss(z, values, there))


def test_every_option_that_is_allowed_is_there():
    rng = np.random.default_rng(1)
    for way in TARGET_KINDS.values():
        values = np.eye(3)[rng.integers(0, 3, 6)]
        there = known(6, 3 if way is LABELS else 1)
        if "class_weights" in way.against_imbalance:
            assert way.class_weights(values, there).shape == there.shape
        if "balanced_sampling" in way.against_imbalance:
            assert way.draw_weights(values, there).mean() == pytest.approx(1)
        if "focal" in way.against_imbalance:
            assert way.before_focus(torch.zeros(2, 3), 2.0).shape == (2, 3)
