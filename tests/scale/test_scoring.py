"""Scores on a Dask cluster and in processes that die: the bytes of one process, or one sentence."""

import importlib.util

import numpy as np
import polars as pl
import pytest

import pathfuse

N = 600_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="needs the extra distributed"
    ),
]


@pytest.fixture(scope="module")
def scored(tmp_path_factory, simulate, run_cli):
    """``scored(name, *more)`` scores 600,000 samples in three ranges, and gives what was said and
    the bytes of the output; the names of one expert are not in order."""
    folder = tmp_path_factory.mktemp("scoring")
    study = simulate(n_fit=40, n_test=20, n_experts=2, classes=("normal", "tumor"))
    fused = pathfuse.fuse(
        pathfuse.read_study(study.samples, study.experts), method="uniform_product", n_resamples=0
    )
    fused.model.save(folder / "model")
    rng, ids = np.random.default_rng(0), pl.Series("sample_id", np.arange(N)).cast(pl.String)
    for name in ("expert_0", "expert_1"):
        frame = pl.DataFrame({"sample_id": ids.str.zfill(7), "logit_normal": rng.normal(size=N),
                              "logit_tumor": rng.normal(size=N)})  # fmt: skip
        rows = frame.sample(fraction=1, shuffle=True, seed=0) if name == "expert_1" else frame
        (folder / "in" / name).mkdir(parents=True)
        rows.write_parquet(folder / "in" / name / "a.parquet", row_group_size=100_000)

    def score(name, *more):
        said = run_cli("predict", "--model", folder / "model", "--predictions", folder / "in",
                       "--out", folder / name, "--stream", *more)  # fmt: skip
        out = folder / name
        found = sorted(out.iterdir()) if out.is_dir() else [out] if out.exists() else []
        return said, {file.name: file.read_bytes() for file in found}

    return score


@pytest.fixture(scope="module")
def here(scored):
    """The parts that one process writes."""
    said, parts = scored("here", "--jobs", 1)
    assert said.status == 0
    assert f"{N} samples fused" in said.out
    assert len(parts) == 5
    return parts


def test_two_processes_write_the_same_parts(scored, here):
    assert scored("two", "--jobs", 2)[1] == here


def test_two_workers_of_a_cluster_write_the_same_parts(scored, here, cluster):
    said, parts = scored("cluster", "--scheduler", cluster.address)
    assert (said.status, parts) == (0, here)
    assert "2 workers at tcp://127.0.0.1" in said.err


def test_a_worker_killed_in_a_range_costs_a_retry(scored, here, start_cluster, killed, tmp_path):
    mark = killed("part-000001.parquet.partial", once=True)
    with start_cluster(tmp_path) as running:
        said, parts = scored("retried", "--scheduler", running.address)
    assert mark.exists()
    assert (said.status, parts) == (0, here)


def test_a_process_killed_in_a_range_costs_a_retry(scored, here, killed):
    mark = killed("part-000001.parquet.partial", once=True)
    said, parts = scored("again", "--jobs", 2)
    assert mark.exists()
    assert (said.status, parts) == (0, here)


def test_a_range_that_kills_its_processes_is_a_sentence(scored, here, killed):
    killed("part-000001.parquet.partial")
    said, parts = scored("never", "--jobs", 2)
    assert said.status != 0
    assert "could not be scored: its process was ended from outside" in said.err
    assert parts.items() <= here.items()
    assert "part-000001.parquet" not in parts


def test_one_file_is_its_parts_in_order(scored, here):
    said, found = scored("one.parquet", "--jobs", 2)
    assert said.status == 0
    assert list(found) == ["one.parquet"]
