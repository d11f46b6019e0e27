"""A study from features to the report: what is done again, what is not, and that a kill loses
nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import polars as pl
import pytest
import yaml

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.heads.registry import HEADS
from pathfuse.features import folder
from pathfuse.features.formats import h5
from pathfuse.files.write import new_folder
from pathfuse.shard import Shard
from pathfuse.testing.cohort import CohortPlan
from pathfuse.testing.demo import write_demo
from pathfuse.workflows.study_file.config import read_config
from pathfuse.workflows.study_file.run import run_study

SMALL = CohortPlan(n_patients=40, tiles_per_slide=(4, 8), slides_per_patient=(1, 2))
MAIN = "import sys; from pathfuse.cli import main; sys.exit(main())"


QUICK = [{"head": "mean_pool", "epochs": 2, "min_epochs": 1, "folds": 2}]


def changed(file, **changes):
    """The study with other content, and with models that train in no time."""
    content = yaml.safe_load(file.read_text()) | {"experts": QUICK} | changes
    file.write_text(yaml.safe_dump(content))
    return read_config(file)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One real run of three encoders, and its folder."""
    file = write_demo(tmp_path_factory.mktemp("study"), SMALL, heads=("mean_pool",))
    config = changed(file, fuse={"method": "static_product", "resamples": 20})
    return file, run_study(config, log_dir=file.parent / "logs")


def test_a_study_ends_in_a_report(ran):
    _, done = ran
    assert done.trained == ("alpha", "beta", "gamma")
    assert (done.folder / "fused/report.html").is_file()
    predictions = [
        done.folder / f"experts/{name}/predictions/{name}.parquet" for name in done.trained
    ]
    study = pathfuse.read_study(done.folder / "samples.csv", predictions)
    again = pathfuse.fuse(study, "static_product", 0, n_resamples=20)
    assert again.metrics.equals(done.result.metrics)
    reasons = {item["reason"] for item in done.manifest["left_out"]["alpha"]}
    assert "feature file of no sample" in reasons
    lost = {"expert": "alpha", **done.manifest["left_out"]["alpha"][0]}
    said = json.loads((done.folder / "fused/manifest.json").read_text())["left_out"]
    assert lost in said
    page = (done.folder / "fused/report.html").read_text()
    assert "<li>alpha: left out 1 (feature file of no sample: unlabelled.1)</li>" in page
    assert "No row was left out" not in page


@pytest.mark.slow
def test_each_encoder_is_read_once(tmp_path, monkeypatch):
    """However many heads are planned; and when nothing has changed once more, for its contents."""
    file = write_demo(tmp_path, SMALL, heads=("mean_pool",))
    heads = [*QUICK, QUICK[0] | {"head": "abmil"}, {"head": "linear_probe", "folds": 2}]
    config = changed(file, experts=heads, fuse={"method": "uniform_product", "resamples": 0})
    opened, looked_at = [], []
    chunks = h5.chunks
    monkeypatch.setattr(
        "pathfuse.features.formats.h5.chunks",
        lambda path, *layer: looked_at.append(path) or chunks(path, *layer),
    )
    digest = folder.file_digest
    monkeypatch.setattr(folder, "file_digest", lambda path: opened.append(path) or digest(path))
    run_study(config)
    assert len(looked_at) == len(set(looked_at)) > 100
    assert sorted(opened) == sorted(looked_at)
    opened.clear()
    assert run_study(read_config(file)).trained == ()
    assert len(opened) == len(set(opened)) == len(set(looked_at))


@pytest.mark.slow
def test_shards_of_a_study_end_in_the_same_fusion(ran, tmp_path):
    file = write_demo(tmp_path, SMALL, heads=("mean_pool",))
    config = changed(file, fuse={"method": "static_product", "resamples": 20})
    assert run_study(config, shard=Shard(1, 2)) is None
    assert not (config.out / "fused").exists()
    done = run_study(config, shard=Shard(2, 2))
    assert done.result.metrics.equals(ran[1].result.metrics)
    assert run_study(config, shard=Shard(1, 2)).trained == ()


@pytest.mark.slow
def test_a_touched_file_changes_nothing_and_a_changed_one_with_its_old_time_does(tmp_path):
    file = write_demo(tmp_path, SMALL, heads=("mean_pool",))
    config = changed(file, fuse={"method": "uniform_product", "resamples": 0})
    run_study(config)
    (first, *_) = sorted(config.features["alpha"].rglob("*.h5"))
    os.utime(first, ns=(1, 1))
    assert run_study(config).trained == ()
    with h5py.File(first, "r+") as content:
        content["features"][...] = content["features"][...] + 1
    os.utime(first, ns=(1, 1))
    assert run_study(config).trained == ("alpha",)


def test_nothing_is_done_twice(ran):
    file, first = ran
    tables = {
        p: p.read_bytes() for p in first.folder.rglob("*") if p.suffix in (".parquet", ".csv")
    }
    again = run_study(read_config(file))
    assert again.trained == ()
    assert again.result is None
    assert tables == {p: p.read_bytes() for p in tables}


@pytest.fixture
def no_fusion(monkeypatch):
    """What is about experts and steps needs no fusion."""

    class Fused:
        def __init__(self):
            self.manifest = {"notes": [], "warnings": [], "left_out": [], "understood": []}
            self.histories = {}
            columns = {"method": ["meta_encoder", "fusecpath"], "output": "all", "metric": "nll"}
            self.metrics = pl.DataFrame(columns | {"n": [12, 11], "n_patients": [10, 9]})
            self.comparisons = pl.DataFrame(
                {
                    "method": ["meta_encoder", "fusecpath"],
                    "reference": "pca_ridge",
                    "output": "all",
                    "metric": "nll",
                    "difference": [0.1, -0.1],
                    "ci_low": [0.05, -0.3],
                    "ci_high": [0.2, 0.1],
                }
            )

        def save(self, place, force):
            with new_folder(place, force) as partial:
                (partial / "manifest.json").write_text(json.dumps(self.manifest))
                (partial / "report.html").write_text("")

    monkeypatch.setattr("pathfuse.workflows.study_file.run.fuse", lambda *args, **options: Fused())


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_only_what_changed_is_done_again(tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    assert len(run_study(changed(file)).trained) == 3
    again = run_study(changed(file, fuse={"method": "uniform_product", "resamples": 20}))
    assert again.trained == ()
    assert again.result is not None
    table = pl.read_csv(file.parent / "labels.csv")
    missing = file.parent / "features/beta/h5_files"
    gone = sorted(missing.iterdir())[0]
    gone.unlink()
    (file.parent / "features/beta/pt_files" / f"{gone.stem}.pt").unlink()
    last = run_study(read_config(file))
    assert last.trained == ("beta",)
    assert last.unchanged == ("alpha", "gamma")
    table.with_columns(site=pl.lit("x")).write_csv(file.parent / "labels.csv")
    assert len(run_study(read_config(file)).trained) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_without_roles_all_encoders_share_outer_folds(tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    labels = tmp_path / "study/labels.csv"
    pl.read_csv(labels).drop("split").write_csv(labels)
    done = run_study(changed(file, fuse={"method": "uniform_product", "resamples": 0}, folds=3))
    samples = pl.read_csv(done.folder / "samples.csv")
    assert set(samples["fold"]) == {0, 1, 2}
    for name in done.trained:
        own = pl.read_csv(done.folder / f"experts/{name}/samples.csv")
        assert own.select("sample_id", "fold").equals(samples.select("sample_id", "fold"))
    assert samples.height == 40


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_rows_without_a_truth_are_in_no_fold_and_said(tmp_path):
    file = write_demo(
        tmp_path / "study", replace(SMALL, endpoint="multilabel"), heads=("mean_pool",)
    )
    labels = tmp_path / "study/labels.csv"
    table, blank = pl.read_csv(labels).drop("split"), pl.int_range(pl.len()) < 3
    table.with_columns(
        pl.when(blank).then(None).otherwise(pl.col("^label_.*$")).name.keep()
    ).write_csv(labels)
    done = run_study(changed(file))
    (item,) = done.manifest["left_out"]["samples"]
    assert item["reason"] == "row without a truth: in no fold, not trained on and not judged"
    assert (item["n"], item["first"], item["patients"]) == (3, table["sample_id"][:3].to_list(), 3)
    assert {"expert": "samples", **item} in done.result.manifest["left_out"]
    assert pl.read_csv(done.folder / "samples.csv").height == 37


@pytest.mark.usefixtures("no_fusion")
@pytest.mark.slow
def test_time_edges_may_stand_in_the_samples_file(tmp_path):
    file = write_demo(tmp_path / "study", replace(SMALL, endpoint="survival"), heads=("mean_pool",))
    labels = pl.read_csv(tmp_path / "study/labels.csv")
    labels.write_parquet(tmp_path / "study/labels.parquet", metadata={"time_edges": "0,12,24,inf"})
    done = run_study(changed(file, samples="labels.parquet", time_edges=None))
    said = pl.read_parquet(done.folder / "experts/alpha/predictions/alpha.parquet")
    assert said.columns == ["sample_id", "hazard_logit_1", "hazard_logit_2", "hazard_logit_3"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_outer_folds_by_site_keep_sites_whole(tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    labels = tmp_path / "study/labels.csv"
    pl.read_csv(labels).drop("split").write_csv(labels)
    done = run_study(changed(file, experts=[QUICK[0] | {"group": "site"}], folds=3))
    samples = pl.read_csv(done.folder / "samples.csv")
    assert samples.group_by("site").agg(pl.col("fold").n_unique())["fold"].to_list() == [1, 1, 1]
    torn = samples.with_columns(fold=pl.int_range(pl.len()) % 3)
    torn.write_csv(labels)
    with pytest.raises(
        InputError, match=r"site 'site_.' is in fold . and in fold ., but the recipe keeps"
    ):
        run_study(changed(file, experts=[QUICK[0] | {"group": "site"}], out="other"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fuse": {"method": "logitprd"}}, "method 'logitprd' is unknown"),
        ({"features": {"alpha": "."}}, "a fusion needs two experts, and 'alpha' is the only one"),
        ({"features": {"fused": ".", "alpha": "."}}, "the name 'fused' belongs to a method"),
        ({"features": {"stacking": ".", "alpha": "."}}, "the name 'stacking' belongs to a method"),
        ({"features": {"alpha": "none", "beta": "."}}, "none does not exist"),
        ({"samples": "none.csv"}, "none.csv cannot be read"),
        ({"out": "."}, "it holds"),
        ({"out": "features"}, "it holds"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, changes, sentence):
    file = write_demo(tmp_path / "study", SMALL)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        run_study(changed(file, **changes))
    assert sentence in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_another_folder_is_not_filled(tmp_path):
    file = write_demo(tmp_path / "study", SMALL)
    (tmp_path / "study/result").mkdir()
    (tmp_path / "study/result/samples.csv").write_text("mine")
    with pytest.raises(InputError, match="holds something else than a study's results"):
        run_study(read_config(file))
    assert (tmp_path / "study/result/samples.csv").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_a_killed_run_goes_on_and_gives_the_same_tables(tmp_path):
    """SIGKILL in the middle of training; finished models are not trained again."""
    files = [write_demo(tmp_path / name, SMALL) for name in ("whole", "killed")]
    for file in files:
        changed(file, experts=[{"head": "abmil", "hidden": 16, "epochs": 6, "min_epochs": 2, "folds": 2,
                              "networks": 1}],
                fuse={"method": "static_product", "resamples": 20})  # fmt: skip
    run_study(read_config(files[0]))
    place = tmp_path / "killed/result/experts"
    run = subprocess.Popen(
        [sys.executable, "-c", MAIN, "run", str(files[1]), "--jobs", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(place.glob(".*.work/fold_1")) and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = {p: p.stat().st_mtime_ns for p in place.glob(".*.work/[!.]*/model.safetensors")}
    assert finished
    assert not (tmp_path / "killed/result/fused").exists()
    said = []
    run_study(read_config(files[1]), progress=lambda message, share: said.append(message))
    assert any(
        f"{9 - len(finished)} models to train, {len(finished)} there already" in line
        for line in said
    )
    assert (tmp_path / "killed/result/fused").exists()
    for name in (
        "samples.csv",
        *(f"experts/{one}/predictions/{one}.parquet" for one in ("alpha", "beta", "gamma")),
    ):
        assert (tmp_path / "killed/result" / name).read_bytes() == (
            tmp_path / "whole/result" / name
        ).read_bytes()


def test_learning_curves_stand_in_the_report_and_with_each_expert(ran):
    folder = ran[0].parent / "result"
    page = (folder / "fused/report.html").read_text()
    assert '<h2 id="training">Training of the experts</h2>' in page
    for name in ("alpha", "beta", "gamma"):
        assert f"{name}: losses of " in page
        assert (folder / f"fused/figures/learning_{name}.svg").is_file()
        assert list((folder.parent / "logs" / name).glob("*.csv"))
        assert (folder / f"experts/{name}/figures/learning_{name}.pdf").is_file()


def test_the_manifest_says_which_steps_were_done(ran):
    file, _ = ran
    manifest = json.loads((file.parent / "result/manifest.json").read_text())
    assert manifest["kind"] == "study"
    assert set(manifest["steps"]["experts"]) == {"alpha", "beta", "gamma"}


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_fusions_of_features_stand_beside_their_reference(tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    tiny = {"hidden": 8, "attention_heads": 2, "epochs": 2, "um_per_px": 0.5}
    fused = [
        tiny | {"head": "meta_encoder"},
        tiny | {"head": "fusecpath", "clusters": 3, "draws": 2, "several": "bag"},
    ]
    done = run_study(changed(file, fused=fused, fuse={"method": "uniform_product", "resamples": 0}))
    assert set(done.trained) == {"alpha", "beta", "gamma", "pca_ridge", "meta_encoder", "fusecpath"}
    for name in ("pca_ridge", "meta_encoder", "fusecpath"):
        said = json.loads((done.folder / f"experts/{name}/manifest.json").read_text())
        assert list(said["features"]["views"]) == ["alpha", "beta", "gamma"]
        assert said["rows"]["predicted"] == 40
    manifest = done.result.manifest
    on = "pca_ridge on the same features"
    span, counted = "+0.1000, 95 % +0.0500 to +0.2000", "on 12 samples of 10 patients"
    beaten = f"meta_encoder does not beat {on} and is not recommended (NLL {span}; {counted})"
    span, counted = "-0.1000, 95 % -0.3000 to +0.1000", "on 11 samples of 9 patients"
    better = f"fusecpath beats {on} (NLL {span}; this may be chance; {counted})"
    assert manifest["warnings"][0] == beaten
    assert manifest["notes"] == [better]
    assert (
        run_study(
            changed(file, fused=fused, fuse={"method": "uniform_product", "resamples": 0})
        ).trained
        == ()
    )


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_a_study_of_fused_heads_only(tmp_path):
    """Their reference makes two experts of one head."""
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    tiny = {"hidden": 8, "attention_heads": 2, "epochs": 1, "folds": 2, "um_per_px": 0.5}
    fused = [tiny | {"head": "meta_encoder"}]
    options = {"method": "uniform_product", "resamples": 0}
    done = run_study(changed(file, experts=[], fused=fused, fuse=options))
    assert set(done.trained) == {"pca_ridge", "meta_encoder"}
    alone = changed(file, experts=[], fused=[{"head": "pca_ridge"}], out="alone")
    with pytest.raises(InputError, match="a fusion needs two experts, and 'pca_ridge' is the only"):
        run_study(alone)


@pytest.mark.slow
def test_nothing_is_left_of_a_study_whose_features_are_wrong(tmp_path):
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    fused = [{"head": "fusecpath", "teachers": {"t": "features/beta"}, "um_per_px": 0.5}]
    with pytest.raises(
        InputError, match="holds bags of tiles, but a teacher is one vector per slide"
    ):
        run_study(changed(file, fused=fused))
    assert not (tmp_path / "study/result").exists()


@pytest.mark.parametrize("name", ["nobody", "x"])
def test_a_positive_class_that_does_not_exist_is_refused_before_any_training(tmp_path, name):
    file = write_demo(tmp_path, SMALL, heads=("mean_pool",))
    config = changed(file, fuse={"method": "static_product", "positive": name})
    with pytest.raises(InputError, match=f"--positive '{name}'"):
        run_study(config)
    assert not config.out.exists()


def test_a_column_of_subgroups_that_is_not_there_is_refused_before_any_training(tmp_path):
    file = write_demo(tmp_path, SMALL, heads=("mean_pool",))
    config = changed(file, fuse={"method": "static_product", "by": "smoker"})
    with pytest.raises(InputError, match="--by smoker"):
        run_study(config)
    assert not config.out.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("no_fusion")
def test_what_somebody_else_put_into_a_study_stays(tmp_path):
    """It is found before anything is trained again."""
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    done = run_study(changed(file, seed=0))
    name = done.trained[0]
    for place in (done.folder / "fused", done.folder / "experts" / name):
        (place / "thesis.docx").write_text("years of work")
        run_study(changed(file, seed=0))  # nothing is replaced: nothing stands in the way
        with pytest.raises(
            InputError, match=r"it holds thesis\.docx, which pathfuse did not write"
        ):
            run_study(changed(file, seed=1))
        assert (place / "thesis.docx").read_text() == "years of work"
        assert not list((done.folder / "experts").glob(".*.work"))
        (place / "thesis.docx").unlink()


@pytest.mark.usefixtures("no_fusion")
@pytest.mark.slow
def test_auto_heads_fit_what_each_encoder_gives(tmp_path, monkeypatch):
    """Without the pooled ones, to be quick: bags have their network, and vectors theirs."""
    for name, facts in HEADS.items():
        if facts.pooled:
            monkeypatch.setitem(HEADS, name, replace(facts, default=False))
    monkeypatch.setitem(HEADS, "mean_pool", replace(HEADS["mean_pool"], default=True))
    file = write_demo(tmp_path / "study", SMALL, heads=("mean_pool",))
    slides = pl.read_csv(tmp_path / "study/slides.csv")["slide_id"].to_list()
    pl.DataFrame({"sample_id": slides, "f0": range(len(slides))}).write_csv(
        tmp_path / "study/titan.csv"
    )
    content = yaml.safe_load(file.read_text())
    features = {"alpha": content["features"]["alpha"], "titan": "titan.csv"}
    tiny = {"heads": "auto", "epochs": 1, "folds": 2, "hidden": 4}
    steps = []
    config = changed(file, features=features, experts=[tiny], fuse={"method": "uniform_product"})
    done = run_study(config, progress=lambda message, share: steps.append(message))
    assert done.trained == ("alpha_abmil", "alpha_mean_pool", "titan")
    assert done.manifest["auto_heads"] == {"alpha": ["abmil", "mean_pool"], "titan": ["tile_mlp"]}
    kinds = "abmil, mean_pool of alpha (bags of tiles); tile_mlp of titan (one vector per slide)"
    assert f"heads: auto is {kinds}" in steps


@pytest.mark.usefixtures("no_fusion")
@pytest.mark.slow
def test_counts_of_genes_are_normalised_once_for_all(tmp_path):
    file = write_demo(tmp_path / "study", replace(SMALL, endpoint="regression"), ("mean_pool",))
    labels = pl.read_csv(tmp_path / "study/labels.csv")
    names = [name for name in labels.columns if name.startswith("target_")]
    counts = labels.with_columns(pl.col(names).exp().round())
    counts.write_csv(tmp_path / "study/labels.csv")
    wanted = {"library_size": 100, "log1p": True}
    done = run_study(changed(file, expression=wanted, fuse={"method": "uniform_product"}))
    total = counts.select(pl.sum_horizontal(names)).to_series()
    shared = pl.read_csv(done.folder / "samples.csv")
    for name in names:
        scaled = (counts[name] * 100 / total.replace(0, 1)).log1p()
        assert (shared[name] - scaled).abs().max() < 1e-9
    assert done.manifest["expression"]["library_size"] == 100
    said = "expression: counts were scaled to 100 per sample (total of the given targets), then"
    assert done.manifest["expression"]["done"].startswith(said)
    assert done.result.manifest["notes"][0].startswith(said)
    assert run_study(changed(file, expression={"log1p": True})).trained  # other targets
