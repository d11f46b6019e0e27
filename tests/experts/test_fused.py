"""Experts that read several encoders: cross-fitted like any other, with a linear reference, with
encoders missing."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

from pathfuse.costs import Cost  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.fitted import load_fitted  # noqa: E402
from pathfuse.experts.parts import ExpertSetup, prepare  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.serve import serve  # noqa: E402
from pathfuse.experts.train import train_expert  # noqa: E402
from pathfuse.testing.cohort import CohortPlan, write_cohort, write_labels  # noqa: E402
from pathfuse.testing.labels import ENDPOINTS, TIME_EDGES  # noqa: E402

PLAN = CohortPlan(
    n_patients=24,
    slides_per_patient=(1, 2),
    tiles_per_slide=(3, 7),
    encoders={"alpha": ("trident", 6), "beta": ("clam", 5)},
    missing_slides=0.1,
    seed=4,
)
TINY = {
    "hidden": 16,
    "attention": 4,
    "epochs": 2,
    "min_epochs": 1,
    "folds": 2,
    "attention_heads": 2,
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Features once, labels of every endpoint."""
    place = tmp_path_factory.mktemp("cohort")
    written = write_cohort(place / "multiclass", PLAN)
    labels = {
        name: write_labels(place / name, replace(PLAN, endpoint=name))[0] for name in ENDPOINTS
    }
    return written, labels


def expert_of(cohort, out, head="meta_encoder", endpoint="multiclass", features=None, **chosen):
    written, labels = cohort
    edges = TIME_EDGES if endpoint == "survival" else None
    teachers = chosen.pop("teachers", {})
    recipe = TrainingRecipe.of(
        head, **{**(TINY if head != "pca_ridge" else {"folds": 2}), **chosen}
    )
    given = features or {name: written.features[name] for name in ("alpha", "beta")}
    return ExpertSetup(
        head, given, labels[endpoint], out, recipe, written.slides, None, edges, False, teachers
    )


def read(out, name="meta_encoder"):
    return pl.read_parquet(out / "predictions" / f"{name}.parquet")


def manifest_of(out):
    return json.loads((out / "manifest.json").read_text())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("head", ["meta_encoder", "fusecpath"])
@pytest.mark.slow
def test_every_endpoint(cohort, tmp_path, head, endpoint):
    out = train_expert(expert_of(cohort, tmp_path / "out", head, endpoint, draws=2) if head == "fusecpath"
                       else expert_of(cohort, tmp_path / "out", head, endpoint))  # fmt: skip
    table, said = read(out, head), manifest_of(out)
    reference = pl.read_parquet(out / "reference" / f"{head}_pca_ridge.parquet")
    assert table.columns == reference.columns
    assert table["sample_id"].to_list() == reference["sample_id"].to_list()
    assert np.isfinite(table.drop("sample_id").to_numpy()).all()
    assert said["features"]["views"] == {"alpha": 6, "beta": 5}
    assert said["reference"]["better"] == (
        said["reference"]["loss"] < said["reference"]["reference_loss"]
    )
    cost = Cost.from_dict(said["cost"])
    assert min(cost.wall_s, cost.fit_flops, cost.predict_flops_per_sample, cost.peak_memory_mb) > 0
    whole = load_fitted(out / "models" / "all.safetensors")
    assert cost.parameters == sum(array.size for array in whole.weights.values())
    assert (out / "clusters.parquet").exists() == (head == "fusecpath")
    assert not list(tmp_path.glob(".*work"))


@pytest.mark.slow
def test_the_order_of_encoders_and_the_number_of_jobs_change_nothing(cohort, tmp_path):
    features = cohort[0].features
    turned = {name: features[name] for name in ("beta", "alpha")}
    one = train_expert(expert_of(cohort, tmp_path / "one", "fusecpath", draws=2))
    two = train_expert(
        expert_of(cohort, tmp_path / "two", "fusecpath", draws=2, features=turned), n_jobs=2
    )
    for file in (
        "predictions/fusecpath.parquet",
        "history.csv",
        "models/all.safetensors",
        "clusters.parquet",
    ):
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


def test_what_is_missing_is_masked_and_counted(cohort, tmp_path):
    out = train_expert(expert_of(cohort, tmp_path / "out"))
    written = cohort[0]
    there = [{p.stem for p in written.features[name].rglob("*.h5")} for name in ("alpha", "beta")]
    counted = {item["reason"]: item["n"] for item in manifest_of(out)["left_out"]}
    pairs = pl.read_csv(written.slides)
    known = set(pairs["slide_id"])
    assert counted["slide without features of encoder 'alpha' (masked)"] == len(
        (there[1] - there[0]) & known
    )
    either = pairs.filter(pl.col("slide_id").is_in(list(there[0] | there[1])))
    assert set(read(out)["sample_id"]) == set(either["sample_id"])
    dropped = prepare(expert_of(cohort, tmp_path / "drop", incomplete="drop"))
    assert set(dropped.cohort.folder.slides) == there[0] & there[1]


@pytest.mark.slow
def test_one_of_two_encoders_predicts(cohort, tmp_path):
    out = train_expert(expert_of(cohort, tmp_path / "out", incomplete="mask"))
    features = cohort[0].features
    both = {name: features[name] for name in ("alpha", "beta")}
    whole = serve(out, both, cohort[0].slides).table()
    alone = serve(out, {"alpha": features["alpha"]}, cohort[0].slides)
    assert {"reason": "encoder 'beta' is not given: masked in all slides", "n": len(alone.folder.slides), "first": []} \
        in alone.left_out  # fmt: skip
    table = alone.table()
    common = whole.join(table, on="sample_id", how="semi")
    assert np.isfinite(table.drop("sample_id").to_numpy()).all()
    assert not np.allclose(
        common.drop("sample_id").to_numpy(), table.drop("sample_id").to_numpy(), atol=1e-3
    )
    with pytest.raises(
        InputError, match="the expert knows no encoder 'gamma'; it reads alpha, beta"
    ):
        serve(out, {"gamma": features["alpha"]}).table()
    with pytest.raises(
        InputError, match="has features of length 5, but the expert was trained on 6"
    ):
        serve(out, {"alpha": features["beta"]}).table()
    with pytest.raises(
        InputError, match="the expert reads alpha, beta; name each encoder's features: alpha=PATH"
    ):
        serve(out, features["alpha"]).table()


def test_a_broken_file_of_one_encoder_masks_it_there(cohort, tmp_path):
    place = tmp_path / "beta"
    shutil.copytree(cohort[0].features["beta"] / "h5_files", place)
    first = min(place.glob("*.h5"))
    with h5py.File(first, "r+") as content:
        content["features"][0, 2] = np.nan
    features = {"alpha": cohort[0].features["alpha"], "beta": place}
    prepared = prepare(expert_of(cohort, tmp_path / "out", features=features))
    reasons = [item["reason"] for item in prepared.cohort.left_out]
    assert any(
        "'beta' could not be used: column 2 of tile 0 (both counted from 0) is NaN" in why
        for why in reasons
    )


def test_grids_that_share_no_tile(cohort, tmp_path):
    place = tmp_path / "beta"
    shutil.copytree(cohort[0].features["beta"] / "h5_files", place)
    for file in place.glob("*.h5"):
        with h5py.File(file, "r+") as content:
            content["coords"][...] = content["coords"][...] + 1_000_000
    with pytest.raises(
        InputError, match=r"none of the \d+ slides that several .*: .*'alpha'.*'beta'"
    ):
        prepare(
            expert_of(
                cohort,
                tmp_path / "out",
                features={"alpha": cohort[0].features["alpha"], "beta": place},
            )
        )


@pytest.mark.slow
def test_teachers(cohort, tmp_path):
    slides = pl.read_csv(cohort[0].slides)["slide_id"].to_list()
    rng = np.random.default_rng(0)
    some = slides[::2]
    vectors = {f"t{k}": rng.normal(size=len(some)) for k in range(4)}
    pl.DataFrame({"sample_id": some} | vectors).write_csv(tmp_path / "titan.csv")
    teachers = {"titan": tmp_path / "titan.csv"}
    out = train_expert(expert_of(cohort, tmp_path / "out", "fusecpath", draws=2, teachers=teachers))
    plain = train_expert(expert_of(cohort, tmp_path / "plain", "fusecpath", draws=2))
    assert manifest_of(out)["teachers"] == {"titan": 4}
    fitted = load_fitted(out / "models" / "all.safetensors")
    assert fitted.inputs.teachers == {}  # prediction needs none
    assert not any("teacher" in name for name in fitted.weights)
    gaps = {item["reason"]: item["n"] for item in manifest_of(out)["left_out"]}
    there = set(prepare(expert_of(cohort, tmp_path / "x", "fusecpath")).cohort.folder.slides) & set(
        slides
    )
    assert gaps["slide that the teacher 'titan' does not know (no distillation from it)"] == len(
        there - set(some)
    )
    one, two = read(out, "fusecpath"), read(plain, "fusecpath")
    assert one["sample_id"].to_list() == two["sample_id"].to_list()
    assert not np.allclose(
        one.drop("sample_id").to_numpy(), two.drop("sample_id").to_numpy(), atol=1e-4
    )
    both = {name: cohort[0].features[name] for name in ("alpha", "beta")}
    assert serve(out, both, cohort[0].slides).table().height > 0  # no teacher is needed
    with pytest.raises(
        InputError, match="the head 'meta_encoder' takes no teachers; fusecpath does"
    ):
        prepare(expert_of(cohort, tmp_path / "no", teachers=teachers))
    with pytest.raises(
        InputError, match="holds bags of tiles, but a teacher is one vector per slide"
    ):
        prepare(
            expert_of(
                cohort,
                tmp_path / "no",
                "fusecpath",
                teachers={"titan": cohort[0].features["alpha"]},
            )
        )


def counts(n=60, seed=0):
    """Spots whose counts follow two encoders' vectors."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    rate = np.exp(1.0 + x[:, 0] - 0.8 * y[:, 1])
    ids = [f"s{k:03d}" for k in range(n)]
    table = {"sample_id": ids, "patient_id": [f"p{k // 3}" for k in range(n)], "split": ["fit"] * n}
    return pl.DataFrame(table | {"target_CD3": rng.poisson(rate)}), ids, x, y, rate


def vectors(place, ids, values):
    pl.DataFrame(
        {"sample_id": ids} | {f"f{k}": values[:, k] for k in range(values.shape[1])}
    ).write_csv(place)
    return place


@pytest.mark.slow
def test_counts_of_spots(tmp_path):
    samples, ids, x, y, rate = counts(240)
    samples.write_csv(tmp_path / "samples.csv")
    features = {
        "x": vectors(tmp_path / "x.csv", ids[20:], x[20:]),
        "y": vectors(tmp_path / "y.csv", ids, y),
    }
    recipe = TrainingRecipe.of(
        "meta-encoder",
        hidden=16,
        attention_heads=2,
        likelihood="poisson",
        epochs=20,
        folds=2,
        batch=16,
    )
    out = train_expert(
        ExpertSetup("meta_encoder", features, tmp_path / "samples.csv", tmp_path / "out", recipe)
    )
    table = read(out)
    assert table["sample_id"].to_list() == ids
    mean = table["mean_CD3"].to_numpy()
    assert (mean > 0).all()
    assert np.corrcoef(np.log(mean[20:]), np.log(rate[20:]))[0, 1] > 0.8
    assert not any("attention" in key or "score" in key for key in load_fitted(out / "models/all.safetensors").weights
                   if "encoder" not in key)  # fmt: skip
    samples.with_columns(target_CD3=pl.Series([-1, *samples["target_CD3"][1:]])).write_csv(
        tmp_path / "bad.csv"
    )
    with pytest.raises(
        InputError, match="'target_CD3', sample 's000': -1 is negative, and likelihood=poisson"
    ):
        prepare(ExpertSetup("m", features, tmp_path / "bad.csv", tmp_path / "no", recipe))
    with pytest.raises(InputError, match="likelihood': is poisson only for a trained head"):
        TrainingRecipe.of("pca_ridge", likelihood="poisson")


@pytest.mark.parametrize("likelihood", ["negative_binomial", "gaussian_spread"])
@pytest.mark.parametrize("head", ["tile_mlp", "meta-encoder"])
@pytest.mark.slow
def test_a_spread_for_every_sample(tmp_path, likelihood, head):
    samples, ids, x, y, rate = counts(120)
    samples.write_csv(tmp_path / "samples.csv")
    features = vectors(tmp_path / "x.csv", ids, np.concatenate([x, y], axis=1))
    own = {} if head == "tile_mlp" else {"attention_heads": 2}
    recipe = TrainingRecipe.of(
        head,
        hidden=16,
        likelihood=likelihood,
        epochs=15,
        folds=2,
        batch=8,
        learning_rate=1e-2,
        **own,
    )
    given = features if head == "tile_mlp" else {"x": features, "again": features}
    out = train_expert(ExpertSetup("e", given, tmp_path / "samples.csv", tmp_path / "out", recipe))
    table = pl.read_parquet(out / "predictions" / "e.parquet").sort("sample_id")
    mean, sd = table["mean_CD3"].to_numpy(), table["sd_CD3"].to_numpy()
    assert np.corrcoef(np.log(np.maximum(mean, 0.1)), np.log(rate))[0, 1] > 0.6
    assert len(np.unique(sd)) > 100  # each sample has its own
    assert np.corrcoef(sd, mean)[0, 1] > 0.5  # counts vary more where there are more
    if likelihood == "negative_binomial":
        assert (sd**2 > mean).all()
        shared = load_fitted(out / "models/all.safetensors").weights["shared"]
        assert shared.shape == (1,)
        assert shared[0] != 0  # learned: 0 is where it began
        if head == "tile_mlp":
            assert shared[0] < -0.1  # the counts are Poisson's
    again = serve(out, features if head == "tile_mlp" else given).table().sort("sample_id")
    assert again.columns == table.columns
    assert (again["sd_CD3"] > 0).all()


def test_what_a_recipe_refuses():
    assert TrainingRecipe.of("meta-encoder").head == "meta_encoder"
    for head, chosen, sentence in [
        ("abmil", {"strategy": "gated"}, "'strategy' is unknown"),
        ("meta_encoder", {"strategy": "sum"}, "'strategy': input should be"),
        (
            "meta_encoder",
            {"hidden": 10},
            r"'hidden' \(10\) must be a multiple of 'attention_heads' \(8\)",
        ),
        (
            "meta_encoder",
            {"projection": "identity"},
            "identity is for the strategy concat, not for self_attention",
        ),
        ("fusecpath", {"clusters": 0}, "'clusters': input should be greater than or equal to 1"),
    ]:
        with pytest.raises(InputError, match=sentence):
            TrainingRecipe.of(head, **chosen)


def test_vectors_are_no_bags(tmp_path):
    samples, ids, x, y, _ = counts()
    samples.write_csv(tmp_path / "samples.csv")
    features = {"x": vectors(tmp_path / "x.csv", ids, x), "y": vectors(tmp_path / "y.csv", ids, y)}
    with pytest.raises(
        InputError,
        match="holds one vector per sample, and the head 'fusecpath' pools bags of tiles",
    ):
        prepare(
            ExpertSetup(
                "f",
                features,
                tmp_path / "samples.csv",
                tmp_path / "out",
                TrainingRecipe.of("fusecpath"),
            )
        )


def test_a_teacher_that_knows_no_slide(cohort, tmp_path):
    place = vectors(tmp_path / "titan.csv", ["xs00", "xs01"], np.ones((2, 4)))
    with pytest.raises(
        InputError, match=r"knows no slide of the cohort: 'P.*' is wanted, 'xs00' is there"
    ):
        prepare(expert_of(cohort, tmp_path / "no", "fusecpath", teachers={"titan": place}))


def test_the_residuals_of_linear_models_are_held_out(tmp_path):
    """With more features than rows a ridge fits its rows nearly without error, and new ones not at
    all so well."""
    rng = np.random.default_rng(0)
    x, ids = rng.normal(size=(120, 80)), [f"s{k:03d}" for k in range(120)]
    target = x[:, :4].sum(axis=1) + rng.normal(size=120)
    split = ["fit"] * 60 + ["test"] * 60
    pl.DataFrame({"sample_id": ids, "split": split, "target_a": target}).write_csv(
        tmp_path / "samples.csv"
    )
    features = {
        "x": vectors(tmp_path / "x.csv", ids, x[:, :40]),
        "y": vectors(tmp_path / "y.csv", ids, x[:, 40:]),
    }
    for head in ("linear_probe", "pca_ridge"):
        expert = ExpertSetup(
            head,
            features,
            tmp_path / "samples.csv",
            tmp_path / head,
            TrainingRecipe.of(head, folds=2),
        )
        table = read(train_expert(expert), head)
        test = table["sample_id"].is_in(ids[60:]).to_numpy()
        error = np.sqrt(np.mean((table["mean_a"].to_numpy()[test] - target[60:]) ** 2))
        said = load_fitted(tmp_path / head / "models/all.safetensors").scales["residual_sd"].item()
        assert 0.75 < said / error < 1.33


@pytest.mark.slow
def test_operations_of_a_prediction_are_those_of_all_tiles_and_slides(cohort, tmp_path):
    few = train_expert(expert_of(cohort, tmp_path / "few", max_tiles=2))
    all_ = train_expert(expert_of(cohort, tmp_path / "all"))
    one, other = (Cost.from_dict(manifest_of(out)["cost"]) for out in (few, all_))
    assert one.predict_flops_per_sample == other.predict_flops_per_sample
    assert one.fit_flops < other.fit_flops
