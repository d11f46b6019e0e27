"""``pathfuse experts``, ``init`` and ``run`` on the command line."""

import json

import numpy as np
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
        cohort.slides, "--out", out, "--jobs", 1, *QUICK, *more,
    )  # fmt: skip


@pytest.mark.slow
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
    status, said, err = run_cli(
        "experts", "predict", "--model", out, "--features", cohort.features["gamma"], "--slides", cohort.slides,
        "--out", file, "--attention", maps, "--um-per-px", 0.5, "--origin", "100,30",
    )  # fmt: skip
    assert status == 0
    assert "the GeoJSON is counted from the corner of QuPath's image (origin)" in err
    one = next((out / "attention").glob("*.geojson")).name
    there, moved = (
        np.array(json.loads((place / one).read_text())["features"][0]["geometry"]["coordinates"][0])
        for place in (out / "attention", maps)
    )
    assert (there - moved).tolist() == [[100, 30]] * 5
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
    assert (
        f"left out: {len(missing)} (slide without a feature file: {', '.join(missing[:5])})" in err
    )
    assert "left out: 1 (feature file of no sample: unlabelled.1)" in err
    gone = (
        wanted["sample_id"].n_unique()
        - wanted.filter(pl.col("slide_id").is_in(there))["sample_id"].n_unique()
    )
    assert ("sample without any usable slide" in err) == (gone > 0)
    (out / "expert.json").write_text('{"format": 2}')
    status, _, err = run_cli(*arguments, "--out", tmp_path / "q.csv")
    assert (status, "expert.json is damaged: 'name' is missing" in err) == (2, True)


def test_slides_of_samples_without_a_label_are_named(run_cli, cohort, tmp_path):
    labels = tmp_path / "labels.csv"
    table = pl.read_csv(cohort.labels)
    table[2:].write_csv(labels)
    gone = set(table[:2]["sample_id"])
    slides = (
        pl.read_csv(cohort.slides).filter(pl.col("sample_id").is_in(gone))["slide_id"].to_list()
    )
    there = [s for s in slides if (cohort.features["alpha"] / f"{s}.h5").exists()]
    arguments = (
        "experts",
        "train",
        "--features",
        cohort.features["alpha"],
        "--samples",
        labels,
        "--slides",
    )
    status, said, _ = run_cli(
        *arguments,
        cohort.slides,
        "--out",
        tmp_path / "e",
        *QUICK,
        "--jobs",
        1,
        "--head",
        "mean_pool",
    )
    assert status == 0
    assert (
        f"Left out: {len(there)} (slide of a sample that is not in the samples table: {', '.join(there)})"
        in said
    )


@pytest.mark.slow
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
    arguments = (
        "experts",
        "predict",
        "--model",
        out,
        "--features",
        cohort.features["alpha"],
        "--out",
    )
    status, _, err = run_cli(
        *arguments, tmp_path / "p.csv", "--attention", tmp_path / "maps", "--images", images
    )
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
        (("--origin", "5,5"), "add --attention"),
        (
            ("--attention", "--origin", "5"),
            "--origin 5 is neither X,Y in level-0 pixels nor a table",
        ),
        (("--head", "tile_mlp"), "reads one vector per sample"),
        (("--time-edges", "0,1,2"), "--time-edges is for survival"),
        (("--name", "../evil"), "'../evil' cannot name an expert"),
        (("--name", ""), "'' cannot name an expert"),
    ],
)
def test_wrong_options_are_named(run_cli, cohort, tmp_path, more, sentence):
    status, _, err = run_cli(
        "experts", "train", "--features", cohort.features["alpha"], "--samples", cohort.labels, "--slides",
        cohort.slides, "--out", tmp_path / "out", "--jobs", 1, *more,
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


@pytest.mark.slow
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


MIXED = CohortPlan(
    n_patients=24, slides_per_patient=(1, 1), tiles_per_slide=(4, 6), missing_slides=0,
    encoders={"alpha": ("trident", 4), "gamma": ("stamp", 3)},
)  # fmt: skip


@pytest.fixture
def mixed(tmp_path):
    """Pixels beside micrometres in 16 of 24 slides; in the others both are in pixels, on one grid."""
    h5py = pytest.importorskip("h5py")
    cohort = write_cohort(tmp_path / "cohort", MIXED)
    for file in sorted(cohort.features["gamma"].glob("P*.h5"))[::3]:
        with (
            h5py.File(file, "r+") as here,
            h5py.File(cohort.features["alpha"] / file.name) as other,
        ):
            here.attrs["unit"] = "px"
            here["coords"][...] = other["coords"][()]
    return cohort


LOST = (
    "16 of 24 samples with a truth (16 of 24 patients) drop out of '{}', all of them because: the encoder 'alpha' says "
    "in px where its tiles lie, but 'gamma' in um, and the size of a pixel is not known; give um_per_px"
)


DIFFER = (
    "coordinates are in different units in 16 of the 24 slides that several encoders have; in the first, 'P002.1', the "
    "encoder 'alpha' says in px where its tiles lie, but 'gamma' in um, and the size of a pixel is not known; give "
    "um_per_px: micrometres per pixel of level 0, such as --um-per-px 0.25 (um_per_px: 0.25 under the head in "
    "study.yaml)"
)


@pytest.mark.slow
def test_pixels_beside_micrometres(run_cli, mixed, tmp_path):
    """54 of 60 patients dropped out of a fusion of features once, and the report said that no row
    was left out."""
    features = [f"{name}={place}" for name, place in mixed.features.items()]
    arguments = ("experts", "train", "--features", *features, "--samples", mixed.labels, "--slides", mixed.slides,
                 "--out", tmp_path / "out", "--head", "pca_ridge", "--set", "folds=2")  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run_cli(*arguments, "--jobs", 1)
    assert (status, out) == (2, "")
    assert DIFFER in err
    assert sorted(tmp_path.rglob("*")) == before
    status, out, err = run_cli(*arguments, "--jobs", 1, "--allow-partial")
    assert status == 0
    assert f"pathfuse: warning: {LOST.format('pca_ridge')}" in err
    assert "8 of 24 samples predicted" in out
    assert "Left out: 16 (sample without any usable slide: P002, P003, P005, P006, P008; 16 samples of 16 patients)" \
        in out  # fmt: skip
    assert err.count("pathfuse: warning: ") == 1
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert LOST.format("pca_ridge") in manifest["warnings"]
    status, out, err = run_cli(*arguments, "--jobs", 1, "--um-per-px", 0.5, "--force")
    assert (status, "24 of 24 samples predicted" in out, "warning" in err) == (0, True, False)


@pytest.mark.slow
def test_a_study_of_pixels_and_micrometres(run_cli, mixed, tmp_path):
    quick = "folds: 2, hidden: 4, epochs: 1, min_epochs: 1"
    file = tmp_path / "study.yaml"
    file.write_text(
        f"samples: {mixed.labels}\nslides: {mixed.slides}\nout: result\n"
        f"features: {{alpha: {mixed.features['alpha']}, gamma: {mixed.features['gamma']}}}\n"
        f"experts: [{{head: mean_pool, {quick}}}]\nfused: [{{head: pca_ridge, folds: 2}}]\n"
        "fuse: {method: static_product, resamples: 20}\n"
    )
    status, out, err = run_cli("run", file, "--jobs", 1)
    assert (status, out) == (2, "")
    assert DIFFER in err
    assert not (tmp_path / "result").exists()
    file.write_text(file.read_text() + "allow_partial: true\n")
    for _ in range(2):  # an unchanged study says it again
        status, out, err = run_cli("run", file, "--jobs", 1)
        assert status == 0
        assert "pca_ridge: left out 16 (sample without any usable slide: P002, P003" in out
        assert "rows that this expert did not score" not in out  # one cause, one line
        assert f"pathfuse: warning: {LOST.format('pca_ridge')}" in err
    page = (tmp_path / "result/fused/report.html").read_text()
    assert (
        "pca_ridge: left out 16 (sample without any usable slide: P002, P003, P005, P006, P008; 16 samples"
        in page
    )
    assert "No row was left out" not in page
    manifest = json.loads((tmp_path / "result/manifest.json").read_text())
    assert LOST.format("pca_ridge") in manifest["warnings"]
