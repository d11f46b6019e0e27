"""A head that starts at a linear model: epoch 0 is that model, and a correction has to earn its
place.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts import linear_start  # noqa: E402
from pathfuse.experts.batches import BagReader, fit_scale  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.experts.fitted import load_fitted  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.parts import ExpertSetup  # noqa: E402
from pathfuse.experts.pooled import probe  # noqa: E402
from pathfuse.experts.pooled.probe import fit_reduced  # noqa: E402
from pathfuse.experts.pooled.statistics import Standard, standard_of  # noqa: E402
from pathfuse.experts.predicting import predict  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.serve import serve  # noqa: E402
from pathfuse.experts.targets.table import Targets  # noqa: E402
from pathfuse.experts.train import train_expert  # noqa: E402
from pathfuse.experts.training import train  # noqa: E402
from pathfuse.experts.work import Work  # noqa: E402

N, DIM = 60, 6
SMALL = {"hidden": 8, "attention": 4, "attention_heads": 2, "epochs": 3, "device": "cpu"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fewer penalties to choose from: the same path, in a tenth of the time."""
    monkeypatch.setattr(probe, "STRENGTHS", (1e-2, 1.0))
    monkeypatch.setattr(probe, "REPEATS", 1)


def targets_of(kind, rng):
    """Truth that follows nothing; a tenth of the labels and numbers is blank."""
    one, known = np.ones((N, 1), dtype=bool), rng.random((N, 2)) > 0.1
    if kind == "multiclass":
        return Targets(kind, ("a", "b", "c"), np.eye(3)[rng.integers(3, size=N)], one)
    if kind == "survival":  # three bins and the tail; a censored case may have any later outcome
        first, censored = rng.integers(4, size=N), rng.random(N) < 0.3
        allowed = np.arange(4) == first[:, None]
        allowed |= censored[:, None] & (np.arange(4) > first[:, None])
        return Targets(kind, ("1", "2", "3"), allowed.astype(float), one)
    values = rng.normal(size=(N, 2)) if kind == "regression" else rng.integers(2, size=(N, 2))
    return Targets(kind, ("x", "y"), np.where(known, values, 0.0), known)


def work_of(memory_folder, kind="multiclass", tiles=4, missing=True, held=0):
    """Bags, or vectors, of two encoders; one of them lacks some tiles and whole bags."""
    rng = np.random.default_rng(0)
    bags = {f"s{k:02d}": rng.normal(2, 3, size=(tiles, DIM)) for k in range(N)}
    for k in range(0, N if missing else 0, 7):
        bags[f"s{k:02d}"][: 1 + k % 2 * tiles, 4:] = np.nan
    folder = memory_folder(bags)
    folder.views = {"one": 4, "two": 2}
    units = [Unit(k, (f"s{k:02d}",)) for k in range(N)]
    scale = replace(fit_scale(folder, units[: N - held]), clip=5.0)
    reader = BagReader(folder, 1, scale, masks=True)
    inputs = Inputs(folder.views, single=tiles == 1)
    return Work(reader, units[: N - held], units[N - held :], targets_of(kind, rng), inputs)


def reference(work, units, seed):
    """Outputs of the linear model of some units, for all of them."""

    def means(chosen):
        with np.errstate(invalid="ignore"):
            bags = [work.reader.read(unit).astype(float) for unit in chosen]
            known = [np.nansum(b, axis=0) / (~np.isnan(b)).sum(axis=0) for b in bags]
        return np.stack(known)

    standard = standard_of(means(units), 5.0)
    if work.inputs.single:  # scaled and cut by the reader
        standard = Standard(np.zeros(DIM), np.ones(DIM), 5.0)
    rows = np.array([unit.sample for unit in units])
    table = standard.apply(means(units))
    slopes, start, _ = fit_reduced(table, rows, work.targets, rows, seed, 256)
    return standard.apply(means([*work.fitted, *work.validation])) @ slopes + start


def outputs(trained, work, recipe):
    units = [*work.fitted, *work.validation]
    return predict(trained.head, work.reader, units, recipe).outputs


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "survival"])
@pytest.mark.parametrize("tiles", [1, 4])
def test_epoch_0_is_the_linear_model(memory_folder, kind, tiles):
    work = work_of(memory_folder, kind, tiles)
    recipe = TrainingRecipe.of("meta_encoder", **SMALL)
    none = recipe.model_copy(update={"epochs": 0, "min_epochs": 0})
    trained = train(work, none, 3)
    np.testing.assert_allclose(
        outputs(trained, work, none), reference(work, work.fitted, 3), rtol=1e-6, atol=1e-6
    )
    (line,) = trained.history
    assert (line["epoch"], line["chosen"]) == (0, True)


def test_a_correction_that_harms_is_dropped(memory_folder):
    """The linear model that serves is that of all rows, those of early stopping too."""
    work = work_of(memory_folder, held=20)
    recipe = TrainingRecipe.of("meta_encoder", **SMALL, learning_rate=1.0)
    trained = train(work, recipe, 3)
    assert [line["epoch"] for line in trained.history if line["chosen"]] == [0]
    every = [*work.fitted, *work.validation]
    close = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(outputs(trained, work, recipe), reference(work, every, 3), **close)
    trained.head.load_state_dict(trained.unrefitted)
    np.testing.assert_allclose(
        outputs(trained, work, recipe), reference(work, work.fitted, 3), **close
    )


@pytest.mark.parametrize(("gain", "helps"), [(0.3, True), (0.2, False), (-0.3, False)])
def test_a_correction_has_to_gain_a_standard_error(memory_folder, monkeypatch, gain, helps):
    """Of 16 patients with two units each, whose gains have a standard deviation of 1."""
    work = work_of(memory_folder, held=32)
    work = replace(work, patients=np.arange(N) // 2)
    each = np.repeat(np.resize([1.0, -1.0], 16), 2) + gain
    found = iter([np.zeros(32), each])
    monkeypatch.setattr(linear_start, "_losses", lambda *_: next(found))
    recipe = TrainingRecipe.of("meta_encoder", **SMALL)
    head = make_head(recipe, Inputs({"one": 4, "two": 2}), 3)
    before = head.decide.weight.clone()
    assert linear_start.correction_helps(head, work, recipe) == helps
    assert torch.equal(head.decide.weight, before)


def test_validation_rows_move_nothing_but_the_choice(memory_folder):
    """What is learned before the choice does not know them."""
    work = work_of(memory_folder, "regression", held=20)
    recipe = TrainingRecipe.of("meta_encoder", **SMALL)
    values = work.targets.values.copy()
    values[[unit.sample for unit in work.validation]] += 100
    other = replace(work, targets=replace(work.targets, values=values))
    one, two = train(work, recipe, 3), train(other, recipe, 3)
    losses = [[line["train_loss"] for line in each.history] for each in (one, two)]
    assert losses[0] == losses[1]
    path = [each.unrefitted["linear_path.coefficients"] for each in (one, two)]
    assert torch.equal(*path)
    assert not torch.equal(one.head.linear_path.coefficients, path[0])


def test_a_killed_training_resumes(memory_folder, tmp_path):
    work, recipe = work_of(memory_folder, held=20), TrainingRecipe.of("meta_encoder", **SMALL)
    wanted = train(work, recipe, 3)

    def killed(line):
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(work, recipe, 3, tmp_path / "state", killed)
    resumed = train(work, recipe, 3, tmp_path / "state")
    assert resumed.history == wanted.history
    for one, other in zip(
        resumed.head.state_dict().values(), wanted.head.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_other_likelihoods_and_the_published_recipe_have_none(memory_folder):
    work = work_of(memory_folder, "regression")
    for chosen in ({"likelihood": "gaussian_spread"}, {"recipe": "published"}):
        trained = train(work, TrainingRecipe.of("meta_encoder", **SMALL, **chosen), 0)
        assert trained.head.linear_path is None
        assert [line["epoch"] for line in trained.history] == [1, 2, 3]
    old = TrainingRecipe.of("meta_encoder").model_dump()
    del old["linear_path"]  # a model of before
    assert not TrainingRecipe.read(old).linear_path


def interacting(place, n=500):
    """Spots whose target is a product of two encoders' parts, and a little of their sum."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2, n))
    ids = [f"s{k:03d}" for k in range(n)]
    truth = hidden[0] * hidden[1] + 0.5 * hidden.sum(axis=0) + 0.2 * rng.normal(size=n)
    split = ["fit" if k < n // 2 else "test" for k in range(n)]
    samples = pl.DataFrame({"sample_id": ids, "split": split, "target_y": truth})
    samples.write_csv(place / "samples.csv")
    features = {}
    for name, part in zip(("one", "two"), hidden, strict=True):
        seen = part[:, None] * [1.0, -0.5, 0.8] + 0.1 * rng.normal(size=(n, 3))
        table = pl.DataFrame({"sample_id": ids} | {f"f{k}": seen[:, k] for k in range(3)})
        features[name] = place / f"{name}.csv"
        table.write_csv(features[name])
    return samples, features


@pytest.mark.slow
def test_parts_that_interact_are_corrected(tmp_path):
    samples, features = interacting(tmp_path)
    recipe = TrainingRecipe.of(
        "meta_encoder", hidden=32, attention_heads=4, dropout=0.0, epochs=40, folds=2,
        learning_rate=5e-3, device="cpu",
    )  # fmt: skip
    setup = ExpertSetup("meta", features, tmp_path / "samples.csv", tmp_path / "out", recipe)
    out = train_expert(setup)
    test = samples.filter(pl.col("split") == "test")

    def error(file):
        both = test.join(pl.read_parquet(file), on="sample_id", how="left")
        return float(((both["mean_y"] - both["target_y"]) ** 2).mean())

    own, linear = out / "predictions/meta.parquet", out / "reference/meta_pca_ridge.parquet"
    assert error(own) < 0.5 * error(linear)
    history = pl.read_csv(out / "history.csv")
    assert history.filter(pl.col("epoch") == 0)["part"].to_list() == ["fold_0", "fold_1", "all"]
    stated = pl.read_parquet(own).join(test, on="sample_id", how="semi")["sd_y"][0]
    assert 0.5 < stated**2 / error(own) < 2
    assert "linear_path.coefficients" in load_fitted(out / "models/all.safetensors").weights
    alone = serve(out, {"one": features["one"]}).table()
    assert alone.drop("sample_id").to_numpy().std() > 0
