"""One encoder's expert from end to end: four endpoints, several slides, kills, workers, and new
slides."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, softmax

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

import pathfuse  # noqa: E402
from pathfuse.endpoints.survival import event_distribution  # noqa: E402
from pathfuse.errors import InputError, WorkerError  # noqa: E402
from pathfuse.experts.apply import apply  # noqa: E402
from pathfuse.experts.cohort import Unit  # noqa: E402
from pathfuse.experts.fitted import load_fitted  # noqa: E402
from pathfuse.experts.parts import ExpertSetup, prepare  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.serve import serve  # noqa: E402
from pathfuse.experts.train import train_expert  # noqa: E402
from pathfuse.features.folder import open_folder  # noqa: E402
from pathfuse.shard import Shard  # noqa: E402
from pathfuse.testing.cohort import CohortPlan, write_cohort, write_labels  # noqa: E402
from pathfuse.testing.labels import ENDPOINTS, TIME_EDGES  # noqa: E402

PLAN = CohortPlan(
    n_patients=30,
    slides_per_patient=(1, 3),
    tiles_per_slide=(3, 6),
    encoders={"alpha": ("trident", 6), "beta": ("stamp", 5)},
    missing_slides=0.1,
    seed=4,
)
TINY = {
    "hidden": 8,
    "attention": 4,
    "epochs": 3,
    "min_epochs": 1,
    "learning_rate": 1e-2,
    "folds": 3,
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


def expert_of(cohort, out, endpoint="multiclass", head="abmil", encoder="alpha", **chosen):
    written, labels = cohort
    edges = TIME_EDGES if endpoint == "survival" else None
    recipe = TrainingRecipe.of(head, **{**TINY, **chosen})
    return ExpertSetup(
        encoder,
        written.features[encoder],
        labels[endpoint],
        out,
        recipe,
        written.slides,
        time_edges=edges,
    )


def predictions(out, name="alpha"):
    return pl.read_parquet(out / "predictions" / f"{name}.parquet")


def expected_ids(cohort, encoder="alpha"):
    """Patients with at least one feature file, told from the folder alone."""
    written, _ = cohort
    there = {p.stem for p in written.features[encoder].glob("*.h5")}
    pairs = pl.read_csv(written.slides)
    return (
        sorted(set(pairs.filter(pl.col("slide_id").is_in(list(there)))["sample_id"].to_list())),
        there,
        pairs,
    )


@pytest.mark.parametrize("head", ["abmil", "linear_probe"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.slow
def test_all_endpoints(cohort, tmp_path, endpoint, head):
    out = train_expert(expert_of(cohort, tmp_path / "out", endpoint, head))
    edges = TIME_EDGES if endpoint == "survival" else None
    study = pathfuse.read_study(out / "samples.csv", out / "predictions", time_edges=edges)
    assert study.expert_names == ("alpha",)
    table = predictions(out)
    wanted, there, pairs = expected_ids(cohort)
    assert table["sample_id"].to_list() == wanted
    values = table.drop("sample_id").to_numpy()
    assert np.isfinite(values).all()
    assert (values.std(axis=0) > 0).sum() >= 2
    if endpoint == "regression":
        assert set(table.columns) >= {"mean_ESR1", "sd_ESR1", "mean_MKI67", "sd_MKI67"}
        assert table.select((pl.col("^sd_.*$") > 0).all()).row(0) == (True, True)
    manifest = json.loads((out / "manifest.json").read_text())
    left = {one["reason"]: one["n"] for one in manifest["left_out"]}
    assert left.get("slide without a feature file", 0) == len(set(pairs["slide_id"]) - there) > 0
    assert left["feature file of no sample"] == 1
    assert left.get("sample without any usable slide", 0) == 30 - len(wanted)
    assert manifest["rows"] == {"read": 30, "predicted": len(wanted)}
    history = pl.read_csv(out / "history.csv")
    assert history["part"].unique().sort().to_list() == ["all", "fold_0", "fold_1", "fold_2"]
    assert history.filter("chosen").height == 4
    drawn = set() if head == "linear_probe" else {"figures"}
    assert {p.name for p in out.iterdir()} == drawn | {
        "predictions", "models", "samples.csv", "history.csv", "expert.json", "manifest.json", ".pathfuse.json"
    }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    again = serve(out, cohort[0].features["alpha"], cohort[0].slides).table()
    test = pl.read_csv(out / "samples.csv").filter(pl.col("split") == "test")["sample_id"].to_list()
    kept = table.filter(pl.col("sample_id").is_in(test))
    np.testing.assert_allclose(
        again.filter(pl.col("sample_id").is_in(test)).drop("sample_id"),
        kept.drop("sample_id"),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "head", ["abmil", pytest.param("trans_mil", marks=pytest.mark.slow), "linear_probe"]
)
@pytest.mark.parametrize("several", ["bag", "mean"])
@pytest.mark.slow
def test_the_test_slides_again(cohort, tmp_path, head, several):
    out = train_expert(
        expert_of(cohort, tmp_path / "out", head=head, several=several, standardize=True)
    )
    test = (
        pl.read_csv(cohort[1]["multiclass"])
        .filter(pl.col("split") == "test")["sample_id"]
        .to_list()
    )
    rows = pl.read_csv(cohort[0].slides).filter(pl.col("sample_id").is_in(test))
    pl.concat([rows, rows.head(3)]).sample(fraction=1, shuffle=True, seed=0).write_csv(
        tmp_path / "new.csv"
    )
    got = serve(out, cohort[0].features["alpha"], tmp_path / "new.csv").table()
    assert got.equals(predictions(out).filter(pl.col("sample_id").is_in(test)))


def read_models(out, cohort, units, encoder="alpha"):
    """Each model's outputs of some units, by hand through ``models/*.safetensors``."""
    folder = open_folder(cohort[0].features[encoder])
    fitted = {p.stem: load_fitted(p) for p in sorted((out / "models").glob("*.safetensors"))}
    return {name: apply(one, folder, units).outputs for name, one in fitted.items()}


TO_PROBABILITIES = {
    "multiclass": lambda raw: softmax(raw, axis=1),
    "multilabel": expit,
    "survival": lambda raw: np.exp(event_distribution(raw)),
    "regression": lambda raw: raw,
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_mean_of_the_folds(cohort, tmp_path, endpoint):
    expert = expert_of(cohort, tmp_path / "out", endpoint, test_from="mean")
    prepared = prepare(expert)
    out = train_expert(expert)
    samples = prepared.cohort.people.samples
    test = np.flatnonzero((samples.roles == "test") & prepared.cohort.having)
    by_model = read_models(out, cohort, prepared.cohort.units_of(test))
    assert sorted(by_model) == ["fold_0", "fold_1", "fold_2"]
    wanted = np.mean([TO_PROBABILITIES[endpoint](raw) for raw in by_model.values()], axis=0)
    table = predictions(out).filter(pl.col("sample_id").is_in(samples.ids[test].tolist()))
    means = table.select(pl.exclude("sample_id", "^sd_.*$")).to_numpy()
    np.testing.assert_allclose(TO_PROBABILITIES[endpoint](means), wanted, rtol=1e-4, atol=1e-5)
    if endpoint == "regression":
        residual = [
            load_fitted(p).scales["residual_sd"] for p in sorted((out / "models").iterdir())
        ]
        spread = np.sqrt(
            np.mean(np.square(residual), axis=0) + np.var(list(by_model.values()), axis=0)
        )
        np.testing.assert_allclose(table.select("^sd_.*$").to_numpy(), spread, rtol=1e-4)


@pytest.mark.slow
def test_several_slides_as_a_mean_of_predictions(cohort, tmp_path):
    expert = expert_of(cohort, tmp_path / "out", several="mean")
    out = train_expert(expert)
    _, there, pairs = expected_ids(cohort)
    roles = dict(pl.read_csv(cohort[1]["multiclass"]).select("sample_id", "split").iter_rows())
    own = {}
    for sample, slide in pairs.iter_rows():
        if slide in there and roles[sample] == "test":
            own.setdefault(sample, []).append(slide)
    sample, slides = max(own.items(), key=lambda item: len(item[1]))
    assert len(slides) > 1
    raw = read_models(out, cohort, [Unit(k, (slide,)) for k, slide in enumerate(slides)])["all"]
    row = predictions(out).filter(pl.col("sample_id") == sample).drop("sample_id").to_numpy()
    np.testing.assert_allclose(
        softmax(row, axis=1)[0], softmax(raw, axis=1).mean(axis=0), rtol=1e-5
    )
    whole = train_expert(expert_of(cohort, tmp_path / "bag", several="bag"))
    raw = read_models(whole, cohort, [Unit(0, tuple(sorted(slides)))])["all"]
    row = predictions(whole).filter(pl.col("sample_id") == sample).drop("sample_id").to_numpy()
    np.testing.assert_allclose(row, raw, rtol=1e-4, atol=1e-6)


def test_outer_folds_are_written(cohort, tmp_path):
    frame = pl.read_csv(cohort[1]["multiclass"]).drop("split")
    frame.write_csv(tmp_path / "samples.csv")
    expert = replace(
        expert_of(cohort, tmp_path / "out", group="site"), samples=tmp_path / "samples.csv"
    )
    out = train_expert(expert)
    written = pl.read_csv(out / "samples.csv")
    assert written.group_by("site").agg(pl.col("fold").n_unique())["fold"].to_list() == [1, 1, 1]
    study = pathfuse.read_study(out / "samples.csv", out / "predictions")
    assert study.samples.ids.tolist() == predictions(out)["sample_id"].to_list()
    fold = dict(written.select("sample_id", "fold").iter_rows())
    prepared = prepare(expert)
    rows = np.flatnonzero([fold.get(name) == 1 for name in prepared.cohort.people.samples.ids])
    raw = read_models(out, cohort, prepared.cohort.units_of(rows))["fold_1"]
    kept = predictions(out).filter(
        pl.col("sample_id").is_in([k for k, f in fold.items() if f == 1])
    )
    np.testing.assert_allclose(kept.drop("sample_id"), raw, rtol=1e-4, atol=1e-6)


def test_fit_rows_without_any_test(cohort, tmp_path):
    frame = pl.read_csv(cohort[1]["regression"]).with_columns(split=pl.lit("fit"))
    frame.write_csv(tmp_path / "samples.csv")
    expert = replace(
        expert_of(cohort, tmp_path / "out", "regression"), samples=tmp_path / "samples.csv"
    )
    assert predictions(train_expert(expert))["sample_id"].to_list() == expected_ids(cohort)[0]


@pytest.mark.slow
def test_seeds(cohort, tmp_path):
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = train_expert(expert_of(cohort, tmp_path / name, seed=seed))
        files.append((out / "predictions" / "alpha.parquet").read_bytes())
    assert files[0] == files[1] != files[2]


def test_workers_and_threads_change_nothing(cohort, tmp_path):
    wide = {"hidden": 256, "attention": 64, "epochs": 1, "folds": 2}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        one = train_expert(expert_of(cohort, tmp_path / "one", **wide))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    seen = []
    logging = replace(expert_of(cohort, tmp_path / "two", **wide), log_dir=tmp_path / "logs")
    two = train_expert(logging, n_jobs=2, progress=lambda message, share: seen.append(message))
    for part in ("fold_0", "fold_1", "all"):
        epoch = next(line for line in seen if line.startswith(f"alpha {part} epoch 1: loss "))
        assert seen.index(epoch) < seen.index(f"alpha {part} done")
        assert (tmp_path / "logs" / "alpha" / f"{part}.csv").is_file()
    for name in (
        "predictions/alpha.parquet",
        "history.csv",
        "models/all.safetensors",
        "samples.csv",
    ):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_devices_and_shards_change_nothing(cohort, tmp_path):
    """The shard after which no part is missing writes the folder, and one that comes late is quiet."""
    wanted = train_expert(expert_of(cohort, tmp_path / "wanted", epochs=1, folds=2))
    expert = expert_of(cohort, tmp_path / "out", epochs=1, folds=2)
    assert train_expert(expert, devices=("cpu", "cpu"), shard=Shard(2, 3)) is None
    assert train_expert(expert, shard=Shard(3, 3)) is None
    assert not expert.out.exists()
    done = sorted(p.parent.name for p in expert.work.glob("*/model.safetensors"))
    assert done == ["fold_1"]  # the model of all rows waits for both folds
    out = train_expert(expert, shard=Shard(1, 3))
    assert train_expert(expert, shard=Shard(2, 3)) == out
    assert not expert.work.exists()
    for name in ("predictions/alpha.parquet", "history.csv", "models/all.safetensors"):
        assert (out / name).read_bytes() == (wanted / name).read_bytes(), name


@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cpu")])
def test_named_devices_train_every_part(cohort, tmp_path, devices):
    wanted = train_expert(expert_of(cohort, tmp_path / "wanted", epochs=1, folds=2))
    expert = expert_of(cohort, tmp_path / "out", epochs=1, folds=2)
    out = train_expert(expert, devices=devices)
    for name in ("predictions/alpha.parquet", "models/all.safetensors"):
        assert (out / name).read_bytes() == (wanted / name).read_bytes(), name


def test_shards_whose_features_have_changed_start_anew(cohort, tmp_path):
    expert = expert_of(cohort, tmp_path / "out", epochs=1, folds=2)
    assert train_expert(expert, shard=Shard(1, 2)) is None
    other = replace(expert, recipe=expert.recipe.model_copy(update={"seed": 1}))
    assert train_expert(other, shard=Shard(2, 2)) is None
    assert len(list(expert.work.glob("*/model.safetensors"))) == 1
    assert not list(expert.work.parent.glob("*.old-*"))


@pytest.mark.slow
def test_a_killed_run_goes_on(cohort, tmp_path):
    """SIGKILL in the middle of a model; the second run trains only what is missing and writes the
    same bytes."""
    chosen = {"epochs": 12, "max_tiles": 2, "patience": 50}
    wanted = train_expert(expert_of(cohort, tmp_path / "wanted", **chosen))
    expert = expert_of(cohort, tmp_path / "out", **chosen)
    script = f"""
import time
from pathlib import Path, PosixPath
from pathfuse.experts.parts import ExpertSetup
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.train import train_expert
expert = ExpertSetup({expert.name!r}, {expert.features!r}, {expert.samples!r}, {expert.out!r},
                TrainingRecipe.read({expert.recipe.model_dump()!r}), {expert.slides!r})
def slow(message, share):
    print(message, flush=True)
    if "fold_1 epoch 5" in message:
        time.sleep(60)
train_expert(expert, progress=slow)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(pathfuse.__file__).parents[1])}
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env
    )
    try:
        assert any("fold_1 epoch 5" in line for line in run.stdout)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    assert not expert.out.exists()
    there = {p.name for p in expert.work.iterdir() if ".partial" not in p.name}
    assert there == {"stamp.json", "fold_0", ".fold_1.checkpoint.safetensors"}
    said = []
    out = train_expert(expert, progress=lambda message, share: said.append(message))
    assert "3 models to train, 1 there already" in said
    assert not any("fold_0 epoch" in line or "fold_1 epoch 5:" in line for line in said)
    assert any("fold_1 epoch 6:" in line for line in said)
    for name in (
        "predictions/alpha.parquet",
        "history.csv",
        "models/fold_1.safetensors",
        "models/all.safetensors",
    ):
        assert (out / name).read_bytes() == (wanted / name).read_bytes(), name
    assert not expert.work.exists()


@pytest.mark.slow
def test_other_inputs_start_afresh(cohort, tmp_path):
    expert = expert_of(cohort, tmp_path / "out")
    assert prepare(expert).stamp == prepare(expert).stamp
    others = [
        expert_of(cohort, tmp_path / "out", epochs=4),
        expert_of(cohort, tmp_path / "out", seed=1),
        expert_of(cohort, tmp_path / "out", "regression"),
        expert_of(cohort, tmp_path / "out", encoder="beta"),
    ]
    assert len({prepare(one).stamp for one in (expert, *others)}) == 5
    (expert.work / "fold_0").mkdir(parents=True)
    (expert.work / "stamp.json").write_text(json.dumps({"stamp": "of something else"}))
    assert len(predictions(train_expert(expert))) > 20


@pytest.mark.slow
def test_the_output_is_not_overwritten(cohort, tmp_path):
    expert = expert_of(cohort, tmp_path / "out", head="linear_probe")
    train_expert(expert)
    with pytest.raises(InputError, match="out exists already; --force overwrites it"):
        train_expert(expert)
    train_expert(expert, force=True)


@pytest.mark.slow
def test_strict(cohort, tmp_path):
    with pytest.raises(InputError, match="slide without a feature file: "):
        train_expert(replace(expert_of(cohort, tmp_path / "out"), strict=True))
    out = train_expert(expert_of(cohort, tmp_path / "out", head="linear_probe"))
    with pytest.raises(InputError, match="slide without a feature file: '"):
        serve(out, cohort[0].features["alpha"], cohort[0].slides, strict=True).table()
    assert not (tmp_path / ".out.work").exists()


@pytest.mark.slow
def test_what_cannot_be_predicted(cohort, tmp_path):
    out = train_expert(expert_of(cohort, tmp_path / "out"))
    features = cohort[0].features
    with pytest.raises(
        InputError, match=r"features_alpha is not a trained expert \(cannot read expert.json\)"
    ):
        serve(features["alpha"], features["alpha"]).table()
    with pytest.raises(
        InputError, match="has features of length 5, but the expert was trained on 6"
    ):
        serve(out, features["beta"]).table()
    other = write_cohort(tmp_path / "other", replace(PLAN, encoders={"delta": ("trident", 6)}))
    with pytest.raises(InputError, match="is of encoder 'delta', the expert of 'alpha'"):
        serve(out, other.features["delta"]).table()
    pl.DataFrame({"sample_id": ["a"], **{f"f{k}": [0.5] for k in range(6)}}).write_csv(
        tmp_path / "vectors.csv"
    )
    with pytest.raises(
        InputError, match="holds one vector per sample, and the head 'abmil' pools bags of tiles"
    ):
        serve(out, tmp_path / "vectors.csv").table()
    pl.DataFrame({"sample_id": ["a"], "slide_id": ["nobody"]}).write_csv(tmp_path / "slides.csv")
    with pytest.raises(InputError, match=r"slides.csv: none of its slides has features"):
        serve(out, features["alpha"], tmp_path / "slides.csv").table()
    name = next(iter(open_folder(features["alpha"]).slides))
    (tmp_path / "slides.csv").write_text(f"sample_id,slide_id\na,{name}\nb,{name}\n")
    with pytest.raises(InputError, match=f"'{name}' belongs to both 'a' and 'b'"):
        serve(out, features["alpha"], tmp_path / "slides.csv").table()
    (out / "expert.json").write_text("[]")
    with pytest.raises(InputError, match=r"expert.json is not an expert that pathfuse .* reads"):
        serve(out, features["alpha"]).table()


@pytest.mark.slow
def test_every_slide_is_a_sample_without_a_table(cohort, tmp_path):
    out = train_expert(expert_of(cohort, tmp_path / "out", head="mean_pool"))
    got = serve(out, cohort[0].features["alpha"]).table()
    assert got["sample_id"].to_list() == sorted(
        p.stem for p in cohort[0].features["alpha"].glob("*.h5")
    )
    stamp = pl.read_csv(cohort[0].slides).rename({"sample_id": "PATIENT", "slide_id": "FILENAME"})
    stamp.with_columns(pl.col("FILENAME") + ".h5").write_csv(tmp_path / "stamp.csv")
    one = serve(out, cohort[0].features["alpha"], tmp_path / "stamp.csv").table()
    assert one.equals(serve(out, cohort[0].features["alpha"], cohort[0].slides).table())


def test_a_table_of_vectors(tmp_path):
    rng = np.random.default_rng(0)
    label = np.arange(60) % 2
    ids = [f"t{k:02d}" for k in range(60)]
    vectors = {f"f{k}": rng.normal(size=60) + (k == 0) * 3 * label for k in range(4)}
    pl.DataFrame({"sample_id": ids, **vectors}).write_csv(tmp_path / "vectors.csv")
    split = ["fit" if k < 40 else "test" for k in range(60)]
    pl.DataFrame({"sample_id": ids, "split": split, "label": [f"c{k}" for k in label]}).write_csv(
        tmp_path / "s.csv"
    )
    recipe = TrainingRecipe.of("tile_mlp", **{**TINY, "epochs": 16, "cache_mb": 0})
    out = train_expert(
        ExpertSetup("tiles", tmp_path / "vectors.csv", tmp_path / "s.csv", tmp_path / "out", recipe)
    )
    table = predictions(out, "tiles")
    right = (table["logit_c1"] > table["logit_c0"]).to_numpy() == label.astype(bool)
    assert right.mean() > 0.8


@pytest.mark.slow
def test_a_model_whose_process_is_killed(cohort, tmp_path, killed):
    """Once: it is tried again. Always: a sentence, the others are kept, and a later call goes on."""
    wanted = train_expert(expert_of(cohort, tmp_path / "wanted", epochs=1))
    expert = expert_of(cohort, tmp_path / "out", epochs=1)
    mark = killed(".fold_1.partial-")
    with pytest.raises(WorkerError, match="not trained: alpha fold_1: its process was ended"):
        train_expert(expert, n_jobs=2)
    assert mark.exists()
    done = sorted(p.parent.name for p in expert.work.glob("fold_*/model.safetensors"))
    assert (done, expert.out.exists()) == (["fold_0", "fold_2"], False)
    mark = killed(".fold_1.partial-", once=True)
    out = train_expert(expert, n_jobs=2)
    assert mark.exists()
    for name in ("predictions/alpha.parquet", "history.csv", "models/all.safetensors"):
        assert (out / name).read_bytes() == (wanted / name).read_bytes(), name
