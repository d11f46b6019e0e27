"""Training: repeatable, resumable, stopped at the best epoch, and loud when it fails."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.linear_model import LogisticRegression  # noqa: E402
from torch.nn import functional  # noqa: E402

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.batches import BagReader, FeatureScale  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.experts.predicting import predict  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.targets.table import Targets  # noqa: E402
from pathfuse.experts.training import mean_loss, rate_at, train  # noqa: E402
from pathfuse.experts.work import Work  # noqa: E402

N = 30
SMALL = {
    "hidden": 8,
    "attention": 4,
    "epochs": 6,
    "min_epochs": 1,
    "learning_rate": 1e-2,
    "batch": 8,
}


@pytest.fixture
def work(memory_folder):
    rng = np.random.default_rng(0)
    label = np.arange(N) % 3
    bags = {
        f"s{k:02d}": rng.normal(size=(int(rng.integers(2, 7)), 4)) + 0.7 * label[k]
        for k in range(N)
    }
    units = [Unit(k, (f"s{k:02d}",)) for k in range(N)]
    targets = Targets("multiclass", ("a", "b", "c"), np.eye(3)[label], np.ones((N, 1), dtype=bool))
    return Work(BagReader(memory_folder(bags), 1), units[:20], units[20:], targets)


def recipe(head="abmil", **chosen):
    return TrainingRecipe.of(head, **{**SMALL, **chosen})


def weights(trained):
    return {name: value.numpy().tobytes() for name, value in trained.head.state_dict().items()}


class StopError(Exception):
    pass


def killed_after(epochs):
    def told(line):
        if line["epoch"] == epochs:
            raise StopError

    return told


@pytest.mark.parametrize("head", ["abmil", "trans_mil"])
@pytest.mark.slow
def test_seeds(work, head):
    chosen = recipe(head, epochs=2)
    torch.manual_seed(1)
    one = train(work, chosen, 5)
    torch.manual_seed(2)
    np.random.default_rng(3)
    two = train(work, chosen, 5)
    assert weights(one) == weights(two)
    assert one.history == two.history
    assert weights(one) != weights(train(work, chosen, 6))


def test_the_global_generator_is_left_alone(work):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    train(work, recipe(epochs=1), 0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize(
    ("head", "epochs"), [("abmil", 1), ("abmil", 4), ("abmil", 6), ("tile_mlp", 3)]
)
def test_a_killed_run_goes_on(work, tmp_path, head, epochs, validated):
    work = work if validated else Work(work.reader, work.fitted, [], work.targets)
    chosen, file = recipe(head, dropout=0.3, max_tiles=3), tmp_path / "state.safetensors"
    wanted = train(work, chosen, 5)
    with pytest.raises(StopError):
        train(work, chosen, 5, file, killed_after(epochs))
    output = []
    resumed = train(work, chosen, 5, file, lambda line: output.append(line["epoch"]))
    assert output == list(range(epochs + 1, 7))
    assert weights(resumed) == weights(wanted)
    assert len(resumed.history) == 6
    for one, other in zip(resumed.history, wanted.history, strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_equal(one, other)


def test_the_best_epoch_is_returned(work):
    chosen = recipe(learning_rate=0.3, epochs=12, schedule="constant", patience=50)
    trained = train(work, chosen, 1)
    losses = [line["validation_loss"] for line in trained.history]
    best = int(np.argmin(losses))
    assert best < 11, "the fixture is to overfit"
    raw = predict(trained.head, work.reader, work.validation, chosen).outputs
    label = torch.tensor([unit.sample % 3 for unit in work.validation])
    assert float(functional.cross_entropy(torch.from_numpy(raw), label)) == pytest.approx(
        losses[best], rel=1e-5
    )
    assert [line["chosen"] for line in trained.history] == [k == best for k in range(12)]
    assert mean_loss(trained.head, work, work.validation, chosen, "cpu") == losses[best]


def test_patience_and_the_first_epoch_that_counts(work):
    chosen = recipe(learning_rate=0.3, epochs=40, schedule="constant", patience=3)
    losses = [line["validation_loss"] for line in train(work, chosen, 1).history]
    assert len(losses) == int(np.argmin(losses)) + 1 + 3 < 40
    first = int(np.argmin(losses)) + 2  # the epoch after the best one, counted from 1
    late = train(work, chosen.model_copy(update={"min_epochs": first}), 1).history
    (best,) = (line["epoch"] for line in late if line["chosen"])
    assert best == first + int(np.argmin([line["validation_loss"] for line in late[first - 1 :]]))


def test_without_validation_the_last_epoch_counts(work):
    trained = train(Work(work.reader, work.fitted, [], work.targets), recipe(patience=1), 0)
    assert [line["chosen"] for line in trained.history] == [False] * 5 + [True]
    assert all(math.isnan(line["validation_loss"]) for line in trained.history)


def test_it_learns_what_scikit_learn_learns(work):
    """Mean pooling without dropout is logistic regression on the pooled tiles."""
    chosen = recipe(
        "mean_pool",
        dropout=0.0,
        epochs=150,
        schedule="cosine",
        learning_rate=0.1,
        batch=20,
        weight_decay=0.0,
    )
    label = np.random.default_rng(3).integers(3, size=N)
    targets = Targets("multiclass", ("a", "b", "c"), np.eye(3)[label], np.ones((N, 1), dtype=bool))
    noisy = Work(work.reader, work.fitted, [], targets)
    trained = train(noisy, chosen, 0)
    table = np.stack([work.reader.read(unit).mean(axis=0) for unit in work.fitted])
    model = LogisticRegression(C=1e6, max_iter=5000).fit(table, label[:20])
    wanted = -np.log(model.predict_proba(table)[np.arange(20), label[:20]]).mean()
    assert 0.2 < wanted < 1
    assert mean_loss(trained.head, noisy, work.fitted, chosen, "cpu") == pytest.approx(
        wanted, abs=0.01
    )


def test_one_step_by_hand(work):
    """One full batch, with class weights: the gradient step of torch's own weighted cross-entropy."""
    fitted = [unit for unit in work.fitted if unit.sample % 3 != 2 or unit.sample < 6]
    label = torch.tensor([unit.sample % 3 for unit in fitted])
    assert torch.bincount(label).tolist() == [7, 7, 2]
    chosen = recipe(
        "mean_pool", dropout=0.0, epochs=1, batch=50, class_weights=True, weight_decay=0.0
    )
    one = Work(work.reader, fitted, [], work.targets)
    trained = train(one, chosen, 0)
    start = train(one, chosen.model_copy(update={"learning_rate": 1e-30}), 0).head.decide[1]
    weight, bias = (p.detach().clone().requires_grad_() for p in (start.weight, start.bias))
    table = torch.from_numpy(np.stack([work.reader.read(unit).mean(axis=0) for unit in fitted]))
    inverse = 1 / torch.bincount(label).float()
    functional.cross_entropy(table @ weight.T + bias, label, weight=inverse).backward()
    adam = torch.optim.Adam([weight, bias], lr=1e-2)
    adam.step()
    torch.testing.assert_close(
        trained.head.decide[1].weight.detach(), weight.detach(), rtol=1e-4, atol=1e-6
    )
    plain = train(one, chosen.model_copy(update={"class_weights": False, "epochs": 3}), 0)
    weighed = train(one, chosen.model_copy(update={"epochs": 3}), 0)
    assert weights(plain) != weights(weighed)


def test_a_step_in_several_passes_is_the_same_step(work):
    """Gradients are added up: nothing but the last digits differs."""
    chosen = recipe(dropout=0.0, epochs=2, class_weights=True)
    whole, parts = (
        train(work, chosen.model_copy(update={"batch_tiles": n}), 0) for n in (10**6, 9)
    )
    one, other = whole.head.state_dict(), parts.head.state_dict()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)
    for a, b in zip(whole.history, parts.history, strict=True):
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-5)


def test_results_do_not_depend_on_cache_or_prefetching(work, monkeypatch):
    chosen, folder = recipe(dropout=0.3, epochs=3, max_tiles=3), work.reader.folder
    found = []
    for room, prefetched in ((0, 10**9), (0, 0), (1, 0)):
        monkeypatch.setattr("pathfuse.experts.batches.PREFETCHED", prefetched)
        scale = FeatureScale(np.full(4, 0.3), np.full(4, 1.1), 2.0)
        reader = BagReader(folder, room, scale)
        trained = train(Work(reader, work.fitted, work.validation, work.targets), chosen, 0)
        found.append((weights(trained), trained.history))
    assert found[0] == found[1] == found[2]


def test_max_tiles_holds_in_training_alone(work, memory_folder):
    folder = memory_folder(work.reader.folder.bags)
    train(
        Work(BagReader(folder, 0), work.fitted, [], work.targets), recipe(epochs=2, max_tiles=2), 0
    )
    assert {n for _, n in folder.reads} == {2}
    folder.reads.clear()
    trained = train(
        Work(BagReader(folder, 0), work.fitted, work.validation, work.targets), recipe(epochs=1), 0
    )
    folder.reads.clear()
    predict(trained.head, BagReader(folder, 0), work.validation, recipe(max_tiles=2))
    assert [n for _, n in folder.reads] == [
        len(folder.bags[unit.slides[0]]) for unit in work.validation
    ]


def test_attention_comes_by_unit(work):
    trained = train(work, recipe(epochs=1), 0)
    said = predict(trained.head, work.reader, work.validation, recipe(), keep_attention=True)
    raw, attention = said.outputs, said.attention
    assert [len(one) for one in attention] == [
        len(work.reader.read(unit)) for unit in work.validation
    ]
    assert [one.sum() for one in attention] == pytest.approx([1] * 10)
    assert predict(trained.head, work.reader, work.validation, recipe()).attention is None
    assert raw.dtype == np.float64


@pytest.mark.parametrize(
    ("epochs", "batch", "validated"), [(5, 8, True), (5, 8, False), (1, 50, True)]
)
def test_divergence(work, epochs, batch, validated):
    """With one batch in one epoch the loss on the way is that of the untrained head, and tells
    nothing."""
    work = work if validated else Work(work.reader, work.fitted, [], work.targets)
    chosen = recipe(epochs=epochs, schedule="constant", batch=batch).model_copy(
        update={"learning_rate": 1e30}  # a rate that no recipe may have
    )
    with pytest.raises(
        InputError, match=r"training diverged in epoch \d; lower the learning rate or standardize"
    ):
        train(work, chosen, 0)


def test_rates_of_warm_restarts():
    """Restarts on epochs 11, 31, 71, 151, 311, counted from 1; 5.8e-6 on average at base 1e-5.

    See docs/design/logitprod.md, section 1.7.
    """
    base = TrainingRecipe.of(learning_rate=1e-5, epochs=600, schedule="warm_restarts")
    rates = [rate_at(base, epoch) for epoch in range(600)]
    assert [k + 1 for k in range(1, 600) if rates[k] > rates[k - 1]] == [11, 31, 71, 151, 311]
    assert [rates[k - 1] for k in (1, 11, 31, 71, 151, 311)] == [1e-5] * 6
    assert np.mean(rates) == pytest.approx(5.8e-6, rel=0.02)


def test_rates_are_those_of_torch():
    chosen = TrainingRecipe.of(epochs=50, schedule="warm_restarts")
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=chosen.learning_rate)
    restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(adam, 10, 2, eta_min=1e-6)
    for epoch in range(50):
        assert rate_at(chosen, epoch) == pytest.approx(adam.param_groups[0]["lr"], rel=1e-9)
        adam.step()
        restarts.step()
    plain = TrainingRecipe.of(epochs=50, schedule="cosine")
    assert rate_at(plain, 0) == 2e-4
    assert rate_at(plain, 25) == pytest.approx((2e-4 + 1e-6) / 2)
    assert {rate_at(TrainingRecipe.of(schedule="constant"), k) for k in range(20)} == {2e-4}
    low = TrainingRecipe.of(
        learning_rate=1e-7
    )  # the published tile gate rises towards eta_min; here it stays
    assert {rate_at(low, k) for k in range(20)} == {1e-7}


def test_half_precision_trains(work):
    trained = train(work, recipe(precision="bfloat16", device="cpu"), 0)
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]
    assert all(p.dtype == torch.float32 for p in trained.head.parameters())


def test_prediction_and_validation_read_evenly_spaced_tiles_if_asked(work, memory_folder):
    folder = memory_folder(work.reader.folder.bags)
    chosen = recipe(epochs=1, max_tiles_predict=2)
    one = Work(BagReader(folder, 0), work.fitted, work.validation, work.targets)
    trained = train(one, chosen, 0)
    assert {n for _, n in folder.reads[-len(work.validation) :]} == {2}
    folder.reads.clear()
    few = predict(trained.head, BagReader(folder, 0), work.validation, chosen, keep_attention=True)
    assert {n for _, n in folder.reads} == {2}
    n = len(folder.bags[work.validation[0].slides[0]])
    (read,) = np.nonzero(few.attention[0])
    assert (len(few.attention[0]), read.tolist()) == (n, [0, n // 2])
    assert few.attention[0].sum() == pytest.approx(1)


def test_which_tiles_are_read_is_said():
    assert recipe().tiles_read == {"training": "all", "prediction": "all"}
    assert TrainingRecipe.of("trans_mil", max_tiles_predict=9).tiles_read == {
        "training": "at most 4096, drawn anew in every epoch",
        "prediction": "at most 9, evenly spaced",
    }
    assert TrainingRecipe.of("linear_probe", max_tiles=3).tiles_read["training"] == "all"
    assert TrainingRecipe.of("fusecpath").tiles_read["prediction"] == (
        "at most 10 of each of at most 50 clusters, the mean of 10 draws"
    )
