"""Scores in blocks are the scores of one table, whatever the files, ranges and shards."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from joblib import parallel_config

import pathfuse
from pathfuse.errors import InputError
from pathfuse.scale.merge import blocks
from pathfuse.scale.partitions import partitions_of
from pathfuse.scale.sorted_files import sorted_files_of
from pathfuse.shard import Shard
from pathfuse.study.predictions import SEEN
from pathfuse.workflows.scoring import plan, run
from pathfuse.workflows.scoring.run import predict_blocks, predict_files

N, M = 150, 3


def multiclass(rng):
    label = rng.integers(3, size=N)
    truth = {"label": [f"c{k}" for k in label]}
    return truth, {f"logit_c{k}": 2.0 * (label == k) for k in range(3)}


def multilabel(rng):
    labels = rng.integers(2, size=(N, 2))
    truth = {f"label_{name}": labels[:, k] for k, name in enumerate(("kras", "braf"))}
    return truth, {
        f"logit_{name}": 3.0 * labels[:, k] - 1.5 for k, name in enumerate(("kras", "braf"))
    }


def survival(rng):
    time, event = rng.exponential(20, N) + 0.1, rng.integers(2, size=N)
    return {"time": time, "event": event}, {f"hazard_logit_{k}": -time / 20 for k in (1, 2, 3)}


def regression(rng):
    value = rng.normal(size=(N, 2))
    truth = {f"target_{name}": value[:, k] for k, name in enumerate(("ki67", "er"))}
    return truth, {f"mean_{name}": value[:, k] for k, name in enumerate(("ki67", "er"))}


ENDPOINTS = {one.__name__: one for one in (multiclass, multilabel, survival, regression)}


def study_of(endpoint):
    """Samples, and what the experts say of them; the second expert misses a fifth."""
    rng = np.random.default_rng(0)
    ids = [f"s{n}" for n in rng.permutation(1000)[:N]]
    truth, signal = ENDPOINTS[endpoint](rng)
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit"] * 100 + ["test"] * 50, **truth})
    experts = {}
    for m in range(M):
        columns = {name: one + rng.normal(size=N) for name, one in signal.items()}
        frame = pl.DataFrame({"sample_id": ids, **columns})
        experts[f"e{m}"] = frame.filter(pl.Series(rng.random(N) > 0.2)) if m == 1 else frame
    return samples, experts


@pytest.fixture(scope="module")
def models():
    """The fitted model of each endpoint, and what its experts say."""
    made = {}
    for endpoint in ENDPOINTS:
        samples, experts = study_of(endpoint)
        edges = (0, 10, 20, float("inf")) if endpoint == "survival" else None
        study = pathfuse.read_study(samples, experts, time_edges=edges)
        result = pathfuse.fuse(study, method="static_product", n_resamples=0)
        made[endpoint] = result.model, experts
    return made


@pytest.fixture
def small(monkeypatch):
    """Ranges of some forty samples, in blocks of at most sixteen."""
    monkeypatch.setattr(plan, "sorted_files_of", partial(sorted_files_of, rows=16))
    monkeypatch.setattr(plan, "partitions_of", partial(partitions_of, rows=40))
    monkeypatch.setattr(run, "blocks", partial(blocks, rows=16))


def written(folder, experts, pieces=3, order="sorted"):
    """A folder of files per expert."""
    for name, frame in experts.items():
        (folder / name).mkdir(parents=True)
        rows = frame.sort("sample_id") if order == "sorted" else frame
        step = -(-rows.height // pieces)
        for k in range(pieces):
            rows.slice(k * step, step).write_parquet(
                folder / name / f"part-{k}.parquet", row_group_size=10
            )
    return folder


def in_memory(model, experts):
    whole = model.predict(experts)
    return whole if SEEN in whole.columns else whole.with_columns(pl.lit(False).alias(SEEN))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("order", ["sorted", "as they come"])
def test_files_folders_and_blocks_are_the_table_in_memory(tmp_path, models, small, endpoint, order):
    model, experts = models[endpoint]
    places = written(tmp_path / "in", experts, order=order)
    wanted = in_memory(model, experts)
    found = predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    assert found.fused == found.samples == wanted.height
    assert found.seen == wanted[SEEN].sum() == 100
    assert found.lacking == model.read(experts).lacking
    assert found.summary(M) == model.read(experts).summary()
    predict_files(model, places, tmp_path / "out", n_jobs=1)
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert len(parts) > 1
    for one in (
        pl.read_parquet(tmp_path / "out.parquet"),
        pl.concat([pl.read_parquet(part) for part in parts]),
        pl.concat(list(predict_blocks(model, places))),
    ):
        assert one.equals(wanted)


def test_two_jobs_and_shards_write_the_same_bytes(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    for number in (2, 1):
        predict_files(model, places, tmp_path / "shards", shard=Shard(number, 2), n_jobs=1)
    with parallel_config(backend="threading"):  # processes would not know of the small ranges
        predict_files(model, places, tmp_path / "two", n_jobs=2)
    one = {file.name: file.read_bytes() for file in (tmp_path / "shards").iterdir()}
    assert len(one) > 4
    assert one == {file.name: file.read_bytes() for file in (tmp_path / "two").iterdir()}


def test_parts_that_are_there_stay_and_others_are_refused(tmp_path, models, small):
    model, experts = models["multiclass"]
    places, out = written(tmp_path / "in", experts), tmp_path / "out"
    first = predict_files(model, places, out, n_jobs=1)
    before = {f.name: f.stat().st_mtime_ns for f in out.glob("part-*")}
    (out / "part-000001.parquet").unlink()
    assert predict_files(model, places, out, n_jobs=1) == first
    after = {f.name: f.stat().st_mtime_ns for f in out.glob("part-*")}
    assert {name for name in before if before[name] != after[name]} == {"part-000001.parquet"}
    with pytest.raises(
        InputError, match="was not made of these predictions and this model; --force"
    ):
        predict_files(model, places, out, min_experts=2, n_jobs=1)
    predict_files(model, places, out, min_experts=2, n_jobs=1, force=True)
    (out / "mine.txt").touch()
    with pytest.raises(InputError, match=r"holds mine.txt, which pathfuse did not write"):
        predict_files(model, places, out, n_jobs=1, force=True)


def test_samples_with_too_few_experts_are_left_out(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    found = predict_files(model, places, tmp_path / "out.parquet", min_experts=3, n_jobs=1)
    wanted = model.predict(experts, min_experts=3)
    assert found.fused == wanted.height < N
    assert pl.read_parquet(tmp_path / "out.parquet").equals(wanted)
    with pytest.raises(InputError, match=r"--require-all: the sample '.*' was not scored by e1"):
        predict_files(model, places, tmp_path / "all.parquet", require_all=True, n_jobs=1)


def test_a_file_that_is_missing_makes_its_samples_missing_and_never_zero(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    gone = pl.read_parquet(places / "e0" / "part-1.parquet")["sample_id"]
    (places / "e0" / "part-1.parquet").unlink()
    predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.filter(found["weight_e0"] == 0)["sample_id"].to_list() == gone.sort().to_list()
    left = {**experts, "e0": experts["e0"].filter(~pl.col("sample_id").is_in(gone.to_list()))}
    assert found.equals(in_memory(model, left))


def rename(frame):
    return frame.rename({"logit_c0": "logit_c9"})


def narrow(frame):
    return frame.with_columns(pl.col("logit_c0").cast(pl.Float32))


def worded(frame):
    return frame.with_columns(pl.col("logit_c0").cast(pl.String))


def broken(frame):
    return frame.with_columns(pl.lit(float("nan")).alias("logit_c0"))


def repeated(frame):
    return pl.concat([frame, frame.tail(1)])


FAULTS = {
    "renamed": (rename, "part-2.parquet has no column 'logit_c0', unlike"),
    "another type": (narrow, "part-2.parquet, column 'logit_c0': float, but double in"),
    "text": (worded, "part-2.parquet, column 'logit_c0': large_string, but double in"),
    "not a number": (broken, "column 'logit_c0', sample '.*': the value is empty or not a number"),
    "twice": (repeated, "part-2.parquet, column 'sample_id': '.*' occurs twice"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_a_fault_in_a_later_file_is_one_sentence_and_leaves_nothing_half(
    tmp_path, models, small, fault, name
):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    change, sentence = FAULTS[fault]
    file = places / "e2" / "part-2.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    with pytest.raises(InputError, match=sentence):
        predict_files(model, places, tmp_path / name, n_jobs=1)
    left = {one.name for one in tmp_path.iterdir()} - {"in"}
    assert left <= {"out"} - {"out.parquet"}
    for part in tmp_path.glob("out/*.parquet"):
        assert pl.read_parquet(part).height


def test_names_in_another_spelling_are_refused(tmp_path, models, small):
    model, experts = models["multiclass"]
    other = {**experts, "e2": experts["e2"].with_columns(pl.col("sample_id").str.replace("s", "S"))}
    places = written(tmp_path / "in", other)
    for name in ("out.parquet", "out"):
        with pytest.raises(InputError, match="the expert 'e2' shares no sample with the others"):
            predict_files(model, places, tmp_path / name, n_jobs=1)
        assert not (tmp_path / name).exists()


def test_a_full_disk_is_one_sentence(tmp_path, models, small, monkeypatch):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    assert {one.name for one in tmp_path.iterdir()} == {"in"}


def test_what_cannot_be_read_in_blocks_is_said(tmp_path, models):
    model, experts = models["multiclass"]
    experts["e0"].write_csv(tmp_path / "e0.csv")
    with pytest.raises(InputError, match="must be Parquet"):
        predict_files(model, tmp_path / "e0.csv", tmp_path / "out.parquet")
    single = experts["e0"].rename({"logit_c0": "c0", "logit_c1": "c1", "logit_c2": "c2"})
    single.write_parquet(tmp_path / "e0.parquet")
    with pytest.raises(InputError, match=r"e0\.parquet"):
        predict_files(model, tmp_path / "e0.parquet", tmp_path / "out.parquet")
    with pytest.raises(InputError, match=r"as Parquet; name a \.parquet file or a folder"):
        predict_files(model, written(tmp_path / "in", experts), tmp_path / "out.csv")


def test_an_expert_that_the_model_does_not_know_is_refused(tmp_path, models):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", {"uni": experts["e0"]})
    with pytest.raises(InputError, match="the model does not know the expert 'uni'"):
        predict_files(model, places, tmp_path / "out.parquet")


def test_the_command_reads_several_files_in_blocks(tmp_path, models, run_cli):
    model, experts = models["multiclass"]
    model.save(tmp_path / "model")
    places = written(tmp_path / "in", experts)
    base = ("predict", "--model", tmp_path / "model", "--predictions", places)
    said = run_cli(*base, "--out", tmp_path / "out.parquet", "--jobs", 1)
    assert said.status == 0, said.err
    assert "150 samples fused" in said.out
    assert "of 150 samples lack an expert: e1 on" in said.out
    assert "100 of the 150 samples were among the fit rows" in said.err
    for shard in ("1/2", "2/2"):
        said = run_cli(*base, "--out", tmp_path / "parts", "--shard", shard, "--jobs", 1)
        assert said.status == 0, said.err
    said = run_cli(*base, "--out", tmp_path / "b.parquet", "--shard", "3/2")
    assert (said.status, "--shard 3/2" in said.err) == (2, True)
    said = run_cli(*base, "--out", tmp_path / "b.parquet", "--no-stream")
    assert said.status == 2
    assert not Path(tmp_path / "b.parquet").exists()
