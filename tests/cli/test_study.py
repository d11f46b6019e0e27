"""``pathfuse experts``, ``init`` and ``run`` on the command line."""

import json

import polars as pl
import pytest

from pathfuse.testing.cohort import CohortPlan, write_cohort
from pathfuse.testing.demo import write_demo

SMALL = CohortPlan(n_patients=40, tiles_per_slide=(4, 8), slides_per_patient=(1, 2))
QUICK = ("--set", "epochs=2", "min_epochs=1", "hidden=8", "folds=2")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), SMALL)


def train(run_cli, cohort, out, encoder="gamma", *more):
    return run_cli(
        "experts", "train", "--features", cohort.features[encoder], "--samples", cohort.labels, "--slides",
        cohort.slides, "--out", out, *QUICK, *more,
    )  # fmt: skip


def test_train_then_predict(run_cli, cohort, tmp_path):
    out = tmp_path / "expert"
    status, said, _ = train(run_cli, cohort, out, "gamma", "--attention", "--um-per-px", 0.5)
    assert status == 0
    assert "Fit rows out of 2 folds by patient; test rows from one model on all fit rows" in said
    assert "Left out:" in said
    table = pl.read_parquet(out / "predictions/gamma.parquet")
    assert table.columns == ["sample_id", "logit_adipose", "logit_stroma", "logit_tumor"]
    drawing = json.loads(next((out / "attention").glob("*.geojson")).read_text())
    assert drawing["type"] == "FeatureCollection"
    file, maps = tmp_path / "new.csv", tmp_path / "maps"
    status, said, _ = run_cli(
        "experts", "predict", "--model", out, "--features", cohort.features["gamma"], "--slides", cohort.slides,
        "--out", file, "--attention", maps, "--um-per-px", 0.5,
    )  # fmt: skip
    assert status == 0
    assert f"{table.height} samples: {file}" in said
    labels = pl.read_csv(cohort.labels)
    test = table.join(labels.filter(pl.col("split") == "test"), on="sample_id", how="semi")
    again = pl.read_csv(file).join(test.select("sample_id"), on="sample_id", how="semi")
    assert again["logit_tumor"].to_list() == pytest.approx(test["logit_tumor"].to_list(), abs=1e-6)
    assert len(list(maps.glob("*.parquet"))) == len(list(maps.glob("*.geojson")))


def test_predict_says_what_it_leaves_out(run_cli, cohort, tmp_path):
    out = tmp_path / "expert"
    assert train(run_cli, cohort, out, "alpha", "--head", "mean_pool").status == 0
    arguments = (
        "experts",
        "predict",
        "--model",
        out,
        "--features",
        cohort.features["alpha"],
        "--slides",
        cohort.slides,
    )
    status, _, err = run_cli(*arguments, "--out", tmp_path / "p.csv")
    assert status == 0
    there = {p.stem for p in cohort.features["alpha"].glob("*.h5")}
    wanted = pl.read_csv(cohort.slides)
    missing = sorted(set(wanted["slide_id"]) - there)
    assert f"left out: {len(missing)} (slide without a feature file: {', '.join(missing[:5])})" in err
    assert "left out: 1 (feature file of no sample: unlabelled.1)" in err
    gone = wanted["sample_id"].n_unique() - wanted.filter(pl.col("slide_id").is_in(there))["sample_id"].n_unique()
    assert ("sample without any usable slide" in err) == (gone > 0)
    (out / "expert.json").write_text('{"format": 2}')
    status, _, err = run_cli(*arguments, "--out", tmp_path / "q.csv")
    assert (status, "expert.json is damaged: 'recipe'" in err) == (2, True)


def test_slides_of_samples_without_a_label_are_named(run_cli, cohort, tmp_path):
    labels = tmp_path / "labels.csv"
    table = pl.read_csv(cohort.labels)
    table[2:].write_csv(labels)
    gone = set(table[:2]["sample_id"])
    slides = pl.read_csv(cohort.slides).filter(pl.col("sample_id").is_in(gone))["slide_id"].to_list()
    there = [s for s in slides if (cohort.features["alpha"] / f"{s}.h5").exists()]
    arguments = ("experts", "train", "--features", cohort.features["alpha"], "--samples", labels, "--slides")
    status, said, _ = run_cli(*arguments, cohort.slides, "--out", tmp_path / "e", *QUICK, "--head", "mean_pool")
    assert status == 0
    assert f"Left out: {len(there)} (slide of a sample that is not in the samples table: {', '.join(there)})" in said


def test_heatmaps_need_thumbnails_and_sizes(run_cli, cohort, tmp_path):
    from PIL import Image

    out = tmp_path / "expert"
    assert train(run_cli, cohort, out, "alpha").status == 0
    slide = sorted(p.stem for p in cohort.features["alpha"].glob("*.h5"))[0]
    size = 200_000
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (100, 100), "white").save(images / f"{slide}.png")
    (images / "sizes.csv").write_text(f"slide_id,width_px,height_px\n{slide},{size},{size}\n")
    arguments = ("experts", "predict", "--model", out, "--features", cohort.features["alpha"], "--out")
    status, _, err = run_cli(*arguments, tmp_path / "p.csv", "--attention", tmp_path / "maps", "--images", images)
    assert status == 0
    assert [p.name for p in (tmp_path / "maps").glob("*.png")] == [f"{slide}.png"]
    assert "no thumbnail, or no line in sizes.csv" in err
    status, _, err = run_cli(*arguments, tmp_path / "q.csv", "--images", images)
    assert (status, "say where to: --attention FOLDER" in err) == (2, True)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--head", "resnet"), "'head'"),
        (("--set", "epochs"), "write KEY=VALUE"),
        (("--set", "epochs=none"), "'epochs'"),
        (("--set", "device=tpu"), "the device 'tpu' is not there"),
        (("--head", "mean_pool", "--attention"), "the head 'mean_pool' has no attention"),
        (("--head", "tile_mlp"), "reads one vector per sample"),
        (("--time-edges", "0,1,2"), "--time-edges is for survival"),
        (("--name", "../evil"), "'../evil' cannot name an expert"),
        (("--name", ""), "'' cannot name an expert"),
    ],
)
def test_wrong_options_are_named(run_cli, cohort, tmp_path, more, sentence):
    status, _, err = run_cli(
        "experts", "train", "--features", cohort.features["alpha"], "--samples", cohort.labels, "--slides",
        cohort.slides, "--out", tmp_path / "out", *more,
    )  # fmt: skip
    assert status == 2
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_init_writes_once(run_cli, tmp_path):
    file = tmp_path / "study.yaml"
    assert run_cli("init", "--out", file).status == 0
    assert "features:" in file.read_text()
    status, _, err = run_cli("init", "--out", file)
    assert (status, "exists already" in err) == (2, True)


def test_run_twice(run_cli, tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    text = (
        file.read_text().replace("    learning_rate: 1.0e-3", "    epochs: 2\n    folds: 2")
        + "fuse: {method: static_product, resamples: 20}\n"
    )
    file.write_text(text)
    status, out, _ = run_cli("run", file)
    assert status == 0
    assert "Experts: 3 trained (alpha, beta, gamma), 0 unchanged." in out
    assert "alpha: left out 1 (feature file of no sample: unlabelled.1)" in out
    status, out, _ = run_cli("run", file)
    assert status == 0
    assert "Experts: 0 trained, 3 unchanged.\nFusion unchanged." in out
    file.write_text(text.replace("labels.csv", "none.csv"))
    status, _, err = run_cli("run", file)
    assert (status, "none.csv cannot be read" in err) == (2, True)
