"""A whole grid at the smallest size: trained, judged, fused, resumed; failures that stay in their
cells."""

import json
import resource
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler

import numpy as np
import polars as pl
import pytest
import yaml

pytest.importorskip("timm")

from PIL import Image

from pathfuse.dense.benchmark.cells import CellWork, record_failure
from pathfuse.dense.benchmark.config import read_benchmark
from pathfuse.dense.benchmark.plan import plan
from pathfuse.dense.benchmark.run import run_benchmark
from pathfuse.dense.evaluation.confusion import read_confusions
from pathfuse.dense.evaluation.metrics import metrics
from pathfuse.errors import InputError
from pathfuse.shard import Shard

N = {"train": 4, "val": 3, "test": 12}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Discs on a ground, 32 x 24, in a split file; two masks more than images are judged on."""
    root, rng = tmp_path_factory.mktemp("grid"), np.random.default_rng(0)
    y, x = np.mgrid[:24, :32]
    parts = {}
    for part, n in N.items():
        parts[part] = []
        for k in range(n):
            mask = ((y - rng.integers(6, 18)) ** 2 + (x - rng.integers(6, 26)) ** 2 < 40).astype(
                np.uint8
            )
            image = np.where(mask[..., None], (150, 60, 160), (230, 200, 220)) + rng.normal(
                0, 8, (24, 32, 3)
            )
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(root / f"{part}{k}.png")
            Image.fromarray(mask).save(root / f"{part}{k}_mask.png")
            mask_name = f"{part}{k}_mask.png"  # one disc in each: the mask numbers instances, too
            parts[part].append(
                {
                    "image_path": f"{part}{k}.png",
                    "mask_path": mask_name,
                    "instances_path": mask_name,
                }
            )
    content = {"num_classes": 2, "class_names": ["ground", "disc"], "data": parts}
    (root / "discs.json").write_text(json.dumps(content))
    return root


def grid(place, out, **changes):
    content = {
        "models": {
            "a": "tiny:patch=8,dim=12,depth=1",
            "b": "tiny:patch=14,dim=12,depth=1,registers=4",
        },
        "datasets": {"discs": str(place / "discs.json")},
        "strategies": ["frozen", "lora"],
        "recipe": {
            "epochs": 2,
            "warmup": 1,
            "batch": 2,
            "size_px": 32,
            "decoder_width": 16,
            "device": "cpu",
        },
        "per_strategy": {"lora": {"rank": 2}},
        "fusion": {"pixels": 500},
        "resamples": 50,
        "out": str(out),
        **changes,
    }
    file = place / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(content))
    return read_benchmark(file)


@pytest.fixture(scope="module")
def run(place):
    return run_benchmark(grid(place, place / "out"))


def test_every_cell_and_fusion_stands_in_the_leaderboard(run):
    board = run.tables.leaderboard
    assert len(run.trained) == 4
    assert not run.failed
    assert board["metric"].n_unique() == 8 + 4
    names = board.filter(pl.col("strategy") == "lora", pl.col("metric") == "mDice")[
        "model"
    ].to_list()
    assert names[:2] == ["a", "b"]
    assert {"best_expert", "static_product", "logitprod", "mean_probability", "fused"} <= set(names)
    assert board["value"].is_between(0, 1).all()
    assert (board["n_images"] == N["test"]).all()
    models = board.filter(pl.col("kind") == "model")
    assert models.filter(pl.col("strategy") == "lora")["matched_modules"].unique().to_list() == [2]
    assert models.filter(pl.col("strategy") == "frozen")["matched_modules"].unique().to_list() == [
        0
    ]
    assert (models["trainable_parameters"] > 1000).all()
    assert (models["seconds"] > 0).all()
    assert set(models["size_policy"]) == {
        "multiple of 8",
        "multiple of 14, padded from 32 to 42 px",
    }
    stands_for = set(board.select("strategy", "base_strategy", "rank", "size_px").iter_rows())
    assert stands_for == {("frozen", "frozen", None, 32), ("lora", "lora", 2, 32)}  # fusions too


def test_values_are_those_of_the_cells_matrices(run):
    for model in ("a", "b"):
        table = read_confusions(
            run.folder / "cells" / "discs" / "lora" / model / "seed0" / "confusion.parquet"
        )
        row = run.tables.leaderboard.filter(
            pl.col("strategy") == "lora", pl.col("model") == model, pl.col("metric") == "mIoU"
        )
        assert row["value"][0] == pytest.approx(
            float(metrics(table.cms[model].sum(axis=0))["mIoU"])
        )
        assert table.cms[model].sum() == N["test"] * 24 * 32


def test_instances_are_judged_beside_the_pixels(run):
    for model, place in (
        ("b", "cells/discs/frozen/b/seed0"),
        ("fused", "fused/discs/frozen/seed0"),
    ):
        of_images = pl.read_parquet(run.folder / place / "instances.parquet").filter(
            expert=model, metric="pq"
        )
        row = run.tables.leaderboard.filter(strategy="frozen", model=model, metric="pq")
        assert of_images.height == N["test"]
        assert row["value"].item() == pytest.approx(of_images["value"].mean())
    page = (run.folder / "datasets" / "discs.html").read_text()
    assert page.count(">AJI</button>") == page.count(">PQ</button>") == 2
    overview = (run.folder / "leaderboard.html").read_text()
    assert overview.count(">AJI</button>") == overview.count(">PQ</button>") == 1


def test_the_best_single_is_a_model_and_bears_its_figures(run):
    board = run.tables.leaderboard.filter(
        pl.col("strategy") == "frozen", pl.col("metric") == "mDice"
    )
    best = board.filter(pl.col("model") == "best_expert").row(0, named=True)
    assert best["note"] in ("a", "b")
    assert best["value"] == board.filter(pl.col("model") == best["note"])["value"][0]


def test_strategies_are_compared_per_model_and_as_means(run):
    figures = run.tables.strategies.filter(pl.col("metric") == "mDice")
    assert figures["strategy"].to_list() == ["frozen", "lora"]
    assert figures["n_models"].to_list() == [2, 2]
    board = run.tables.leaderboard.filter(
        pl.col("metric") == "mDice", pl.col("kind") == "model", pl.col("strategy") == "lora"
    )
    assert figures["value"][1] == pytest.approx(board["value"].mean())
    pairs = run.tables.strategy_comparisons.filter(pl.col("metric") == "mDice")
    assert {"a", "b", "fused", "all"} <= set(pairs["model"])
    mean = pairs.filter(pl.col("model") == "all").row(0, named=True)
    of_models = pairs.filter(pl.col("model").is_in(["a", "b"]))
    assert mean["difference"] == pytest.approx(of_models["difference"].mean())
    assert (mean["strategy"], mean["reference"]) == ("frozen", "lora")


def test_the_page_of_a_data_set_shows_masks_over_images(run):
    page = (run.folder / "datasets" / "discs.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 4  # two of each strategy
    assert "Worst image by Dice" in page
    assert "Median image by Dice" in page


def test_the_folder_is_complete(run):
    for name in (
        "leaderboard.csv",
        "classes.csv",
        "comparisons.csv",
        "strategies.csv",
        "strategy_comparisons.csv",
        "leaderboard.html",
        "datasets/discs.html",
        "manifest.json",
    ):
        assert (run.folder / name).stat().st_size > 100
    assert pl.read_csv(run.folder / "leaderboard.csv").height == run.tables.leaderboard.height
    assert set(run.tables.classes["output"]) == {"ground", "disc"}


def test_a_second_run_trains_nothing_and_says_the_same(place, run):
    again = run_benchmark(grid(place, place / "out"))
    assert again.trained == ()
    assert len(again.unchanged) == 4
    assert again.tables.leaderboard.equals(run.tables.leaderboard)
    assert again.tables.comparisons.equals(run.tables.comparisons)


@pytest.mark.slow
def test_only_what_changed_is_done_again_and_a_failure_stays_in_its_cell(place):
    base = grid(place, place / "more", strategies=["frozen"], per_strategy={}, keep_logits=False)
    first = run_benchmark(base)
    assert not list(first.folder.rglob("logits"))
    wrong = place / "wrong.safetensors"
    wrong.write_bytes(b"nothing")
    models = {
        "a": "tiny:patch=8,dim=12,depth=1",
        "b": "tiny:patch=14,dim=12,depth=1,seed=5",
        "c": {"encoder": "tiny:patch=8,dim=12,depth=1", "weights": str(wrong)},
    }
    config = grid(
        place,
        place / "more",
        strategies=["frozen"],
        per_strategy={},
        models=models,
        keep_logits=False,
    )
    second = run_benchmark(config)
    assert [cell.model for cell in second.trained] == ["b"]
    assert [cell.model for cell in second.unchanged] == ["a"]
    (failed,) = second.failed
    assert (failed["model"], failed["strategy"]) == ("c", "frozen")
    assert str(wrong) in failed["sentence"]
    assert "wrong.safetensors" in (second.folder / "leaderboard.html").read_text()
    names = set(second.tables.leaderboard["model"])
    assert {"a", "b", "fused"} <= names
    assert "c" not in names


def test_a_bad_test_mask_is_found_before_anything_is_trained_and_costs_no_model(place, tmp_path):
    """Its size and values are looked at first; once it is right, models of the same training images
    stay."""
    for file in place.glob("*.png"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "discs.json").write_bytes((place / "discs.json").read_bytes())
    config = grid(tmp_path, tmp_path / "out", strategies=["frozen"], per_strategy={}, fuse=False)
    good = (tmp_path / "test1_mask.png").read_bytes()
    Image.fromarray(np.full((24, 32), 7, dtype=np.uint8)).save(tmp_path / "test1_mask.png")
    with pytest.raises(
        InputError, match=r"data set 'discs': the mask .*test1_mask.png has the value 7"
    ):
        run_benchmark(config)
    assert not (tmp_path / "out").exists()
    (tmp_path / "test1_mask.png").write_bytes(good)
    run_benchmark(config)
    models = sorted((tmp_path / "out").rglob("model.safetensors"))
    before = [file.stat().st_mtime_ns for file in models]
    Image.fromarray(np.zeros((24, 32), dtype=np.uint8)).save(tmp_path / "test1_mask.png")
    again = run_benchmark(config)
    assert len(again.trained) == len(models) == 2  # judged anew
    assert [file.stat().st_mtime_ns for file in models] == before


def test_jobs_that_cannot_be(place):
    for jobs in (0, -5):
        with pytest.raises(InputError, match=f"--jobs {jobs}: give a number from 1"):
            run_benchmark(grid(place, place / "nobody"), n_jobs=jobs)
    assert not (place / "nobody").exists()


def test_a_cell_travels_to_another_process(place, run):
    task = next(iter(plan(grid(place, place / "out")).values()))
    there = ForkingPickler.loads(ForkingPickler.dumps(task))
    assert there == task
    assert CellWork(there, logits=True).ready


def test_several_seeds_are_summed(place):
    config = grid(
        place, place / "seeds", strategies=["frozen"], per_strategy={}, seeds=[0, 1], fuse=False
    )
    run = run_benchmark(config)
    board = run.tables.leaderboard.filter(pl.col("metric") == "mDice", pl.col("model") == "a")
    by_seed = dict(zip(board["seed"], board["value"], strict=True))
    assert set(by_seed) == {"0", "1", "all"}
    cms = [
        read_confusions(
            run.folder / "cells" / "discs" / "frozen" / "a" / f"seed{seed}" / "confusion.parquet"
        ).cms["a"]
        for seed in (0, 1)
    ]
    assert by_seed["0"] != by_seed["1"]
    assert by_seed["all"] == pytest.approx(float(metrics(sum(cms).sum(axis=0))["mDice"]))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"strategies": ["frozen", "magic"], "per_strategy": {}}, "no strategy is called 'magic'"),
        (
            {"models": {"a": "uni_v1", "b": "uni_v9"}},
            "the model 'b': No encoder is called 'uni_v9'",
        ),
        (
            {"models": {"a": {"encoder": "uni_v1", "weights": "no"}, "b": "uni_v2"}},
            "weights of the model 'a'",
        ),
        ({"datasets": {"discs": "absent.json"}}, "the data set 'discs' has no split"),
        ({"recipe": {"epochz": 3}}, "'epochz' is unknown"),
        ({"per_strategy": {"lora": {"rank": 0}}}, "strategy 'lora' on data set 'discs'"),
    ],
)
def test_nothing_runs_if_something_is_wrong(place, changes, sentence):
    out = place / "refused"
    with pytest.raises(InputError, match=sentence):
        run_benchmark(grid(place, out, **changes))
    assert not out.exists()


def test_a_data_set_without_validation_images_cannot_be_fused(place):
    content = json.loads((place / "discs.json").read_text())
    content["data"]["val"] = []
    (place / "bare.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no validation image to fit a fusion on"):
        plan(grid(place, place / "bare", datasets={"bare": "bare.json"}))
    assert plan(grid(place, place / "bare", datasets={"bare": "bare.json"}, fuse=False))


def test_another_folder_is_not_overwritten(place):
    out = place / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="holds something else"):
        run_benchmark(grid(place, out))


def test_a_grid_in_which_nothing_can_be_trained(place):
    models = {
        name: {"encoder": "tiny:dim=12,depth=1", "weights": str(place / "discs.json")}
        for name in "ab"
    }
    with pytest.raises(InputError, match="no cell of the benchmark could be trained"):
        run_benchmark(
            grid(place, place / "lost", models=models, strategies=["frozen"], per_strategy={})
        )


@contextmanager
def full_beyond(n_bytes):
    """No file can be longer, as where the disk is full in the middle of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_costs_one_cell(place):
    models = {"a": "tiny:patch=8,dim=12,depth=1", "b": "tiny:patch=8,dim=300,depth=1"}
    config = grid(place, place / "full", models=models, strategies=["frozen"], per_strategy={})
    with full_beyond(300_000):
        found = run_benchmark(config)
    assert [cell.model for cell in found.trained] == ["a"]
    (failed,) = found.failed
    assert failed["model"] == "b"
    assert failed["sentence"].startswith("the disk is full; free some space and run it again (")
    assert not list((place / "full").rglob("*.partial*"))
    again = run_benchmark(config)
    assert [cell.model for cell in again.trained] == ["b"]
    assert again.failed == ()


def test_a_failure_that_cannot_be_recorded_is_said_all_the_same(tmp_path, monkeypatch):
    with full_beyond(0):
        record_failure(tmp_path / "failed.json", "stamp", "the disk is full")
    assert not (tmp_path / "failed.json").exists()


def test_shards_share_the_cells_and_the_rest_writes_the_tables(place, run):
    config, found = grid(place, place / "shards"), []
    for number in (1, 2, 3):
        part = run_benchmark(config, shard=Shard(number, 3))
        assert part.tables is None
        assert not (place / "shards" / "leaderboard.csv").exists()
        found += part.trained
    assert sorted(map(str, found)) == sorted(map(str, run.trained))
    whole = run_benchmark(config)
    assert (whole.trained, len(whole.unchanged)) == ((), 4)
    costs = ["seconds", "memory_mb"]
    assert whole.tables.leaderboard.drop(costs).equals(run.tables.leaderboard.drop(costs))


def test_a_square_of_a_single_patch_is_refused_before_anything_runs(place):
    models = {
        "a": {"encoder": "tiny:patch=8,dim=12,depth=1", "size_px": 9},
        "b": {"encoder": "tiny:patch=14,dim=12,depth=1", "size_px": 9},
    }
    with pytest.raises(
        InputError,
        match=r"model 'b': the encoder 'tiny:.*' sees patches of 14 pixels; a square of 9 is no more",
    ):
        run_benchmark(grid(place, place / "small", models=models))
    assert not (place / "small").exists()


@pytest.mark.slow
def test_devices_take_a_cell_each_and_change_nothing(place, run):
    found = run_benchmark(grid(place, place / "devices"), devices=["cpu", "cpu"])
    assert len(found.trained) == 4
    for file in (place / "out/cells").rglob("confusion.parquet"):
        other = place / "devices/cells" / file.relative_to(place / "out/cells")
        assert file.read_bytes() == other.read_bytes(), other


@pytest.mark.slow
def test_a_cell_whose_process_is_killed_fails_alone(place, run, killed):
    mark = killed("/killed/cells/discs/frozen/b/")
    found = run_benchmark(grid(place, place / "killed"), n_jobs=2)
    assert mark.exists()
    assert [one["model"] for one in found.failed] == ["b"]
    assert "its process was ended from outside, twice" in found.failed[0]["sentence"]
    assert len(found.trained) == 3
    mark = killed("/killed/cells/discs/frozen/b/", once=True)
    again = run_benchmark(grid(place, place / "killed"), n_jobs=2)
    assert mark.exists()
    assert (len(again.trained), again.failed) == (1, ())
    for file in (place / "out/cells").rglob("confusion.parquet"):
        other = place / "killed/cells" / file.relative_to(place / "out/cells")
        assert file.read_bytes() == other.read_bytes(), other
