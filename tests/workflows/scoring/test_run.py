"""Scores in blocks are the scores of one table, whatever the files, ranges and shards."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
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
    "text": (worded, "part-2.parquet, column 'logit_c0': string, but double in"),
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
    assert left <= ({"out"} if name == "out" else set())
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
    with pytest.raises(InputError, match=r"out\.parquet cannot be written: the disk is full"):
        predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    assert {one.name for one in tmp_path.iterdir()} == {"in"}


@pytest.mark.parametrize("out", ["out.parquet", "parts"])
def test_a_table_that_changes_while_it_is_scored_is_refused(
    tmp_path, models, small, monkeypatch, out
):
    model, experts = models["multiclass"]
    places, usual = written(tmp_path / "in", experts), run.write_part
    file = next(iter((tmp_path / "in").rglob("*.parquet")))

    def write_and_change(*words):
        usual(*words)
        file.touch()

    monkeypatch.setattr(run, "write_part", write_and_change)
    with pytest.raises(InputError, match=rf"{file} was changed while it was read; run it again"):
        predict_files(model, places, tmp_path / out, n_jobs=1)
    assert {one.name for one in tmp_path.iterdir()} == {"in"}


def test_what_cannot_be_read_in_blocks_is_said(tmp_path, models):
    model, experts = models["multiclass"]
    experts["e0"].write_csv(tmp_path / "e0.csv")
    with pytest.raises(
        InputError, match=r"e0\.csv is not Parquet, and only that is read in blocks"
    ):
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
    experts["e0"].write_csv(tmp_path / "e0.csv")
    said = run_cli("predict", "--model", tmp_path / "model", "--predictions", tmp_path / "e0.csv",
                   "--out", tmp_path / "c.csv", "--scheduler", "tcp://127.0.0.1:1")  # fmt: skip
    assert said.status == 0
    assert "these tables are read as a whole on this machine" in said.err
    said = run_cli(*base, "--out", tmp_path / "b.parquet", "--no-stream")
    assert said.status == 2
    assert not Path(tmp_path / "b.parquet").exists()


def test_a_label_without_the_first_rows_is_not_taken_for_one_that_is_absent(
    tmp_path, models, small
):
    model, experts = models["multilabel"]
    late = experts["e0"].sort("sample_id").with_row_index()
    late = late.with_columns(pl.when(pl.col("index") >= 60).then(pl.col("logit_braf"))).drop(
        "index"
    )
    places = written(tmp_path / "in", {**experts, "e0": late})
    with pytest.raises(InputError, match=r"column 'logit_braf', sample '.*': the value is empty"):
        predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    never = late.with_columns(pl.lit(None, pl.Float64).alias("logit_braf"))
    places = written(tmp_path / "never", {**experts, "e0": never})
    predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    wanted = in_memory(model, {**experts, "e0": never})
    assert pl.read_parquet(tmp_path / "out.parquet").equals(wanted)


def test_names_are_those_that_a_table_in_memory_has(tmp_path, models, small):
    model, experts = models["multiclass"]
    half = pl.when(pl.int_range(pl.len()) % 2 == 0)
    names = half.then(pl.col("sample_id") + ".svs").otherwise(" " + pl.col("sample_id"))
    other = {**experts, "e2": experts["e2"].with_columns(names.alias("sample_id"))}
    found = predict_files(model, written(tmp_path / "in", other), tmp_path / "o.parquet", n_jobs=1)
    assert found.samples == N
    assert pl.read_parquet(tmp_path / "o.parquet").equals(in_memory(model, experts))


def test_half_of_the_names_in_another_spelling_are_refused(tmp_path, models, small):
    model, experts = models["multiclass"]
    half = pl.when(pl.int_range(pl.len()) % 2 == 0)
    names = half.then(pl.col("sample_id").str.to_uppercase()).otherwise(pl.col("sample_id"))
    other = {**experts, "e2": experts["e2"].with_columns(names.alias("sample_id"))}
    places = written(tmp_path / "in", other, order="as they come")
    for name in ("out.parquet", "out"):
        with pytest.raises(InputError, match="are two spellings of one name"):
            predict_files(model, places, tmp_path / name, n_jobs=1)
        assert not (tmp_path / name).exists()


def folder_inside(place):
    (place / "e0" / "site=A").mkdir()
    return "site=A is a folder inside the folder of an expert"


def dangling(place):
    (place / "e0" / "part-9.parquet").symlink_to("nowhere")
    return r"part-9\.parquet is a link to nothing"


def read_me(place):
    (place / "e0" / "README.txt").write_text("about")
    return r"README\.txt is not Parquet"


def empty_expert(place):
    (place / "e9").mkdir()
    return r"the folder .*e9 holds no Parquet file"


def long_table(place):
    for file in (place / "e0").iterdir():
        pl.read_parquet(file).with_columns(pl.lit("zz").alias("expert")).write_parquet(file)
    return "has a column 'expert': a long table is not read in blocks"


@pytest.mark.parametrize("change", [folder_inside, dangling, read_me, empty_expert, long_table])
def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path, models, change):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    sentence = change(places)
    with pytest.raises(InputError, match=sentence):
        predict_files(model, places, tmp_path / "out", n_jobs=1)


def test_experts_by_name_may_be_files_folders_and_lists(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    given = {
        "e0": sorted((places / "e0").iterdir()),
        "e1": str(places / "e1"),
        "e2": places / "e2" / "part-0.parquet",
    }
    predict_files(model, given, str(tmp_path / "out.parquet"), n_jobs=1)
    first = pl.read_parquet(places / "e2" / "part-0.parquet")
    wanted = in_memory(model, {**experts, "e2": first})
    assert pl.read_parquet(tmp_path / "out.parquet").equals(wanted)
    with pytest.raises(InputError, match="are files and folders, not DataFrame"):
        next(predict_blocks(model, experts))


def test_an_empty_first_file_and_text_of_another_kind_are_read(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", experts)
    file = places / "e0" / "part-0.parquet"
    frame = pl.read_parquet(file)
    frame.clear().write_parquet(places / "e0" / "part-.parquet")
    arrow = frame.to_arrow()
    text = arrow["sample_id"].cast(pa.string())
    pq.write_table(arrow.set_column(0, "sample_id", text), file)
    predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(in_memory(model, experts))


def test_a_damaged_part_is_made_again(tmp_path, models, small):
    model, experts = models["multiclass"]
    places, out = written(tmp_path / "in", experts), tmp_path / "out"
    predict_files(model, places, out, n_jobs=1)
    before = {part.name: part.read_bytes() for part in out.glob("part-*")}
    (out / "part-000000.parquet").write_bytes(b"PAR1")
    experts["e0"].write_parquet(out / "part-000001.parquet")
    predict_files(model, places, out, n_jobs=1)
    assert {part.name: part.read_bytes() for part in out.glob("part-*")} == before


def test_a_share_with_an_expert_of_its_own_names_is_refused(tmp_path, models, small):
    model, experts = models["multiclass"]
    other = experts["e2"].with_columns(pl.col("sample_id") + "x")
    places = written(tmp_path / "in", {"e0": experts["e0"], "e2": other})
    with pytest.raises(InputError, match="shares no sample with the others"):
        predict_files(model, places, tmp_path / "out", shard=Shard(1, 1), n_jobs=1)


def test_what_makes_no_sense_is_refused_before_any_work(tmp_path, models, small):
    model, experts = models["multiclass"]
    places = written(tmp_path / "in", {"e0": experts["e0"], "e2": experts["e2"]})
    for out in (places / "fused", places / "e0" / "fused.parquet"):
        with pytest.raises(InputError, match="which is read as predictions; name another place"):
            predict_files(model, places, out, n_jobs=1)
    with pytest.raises(InputError, match="--jobs 0 would do nothing"):
        predict_files(model, places, tmp_path / "out", n_jobs=0)
    for name in ("out.parquet", "out"):
        with pytest.raises(InputError, match="--min-experts 3 leaves no sample"):
            predict_files(model, places, tmp_path / name, min_experts=3, n_jobs=1)
        assert not (tmp_path / name).exists()


def test_risks_are_read_in_blocks_by_a_model_that_was_fitted_on_them(tmp_path, small):
    samples, experts = study_of("survival")
    risk = experts["e0"].select("sample_id", risk=pl.col("hazard_logit_1"))
    experts = {**experts, "e0": risk}
    study = pathfuse.read_study(samples, experts, time_edges=(0, 10, 20, float("inf")))
    model = pathfuse.fuse(study, method="static_product", n_resamples=0).model
    places = written(tmp_path / "in", experts)
    predict_files(model, places, tmp_path / "out.parquet", n_jobs=1)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(in_memory(model, experts))


def test_a_share_may_be_text_and_numbers_may_be_decimal(tmp_path, models, small):
    model, experts = models["multiclass"]
    cents = {
        name: frame.with_columns(pl.selectors.float().cast(pl.Decimal(20, 6)))
        for name, frame in experts.items()
    }
    places = written(tmp_path / "in", cents)
    wanted = in_memory(
        model, {name: frame.cast({pl.Decimal: pl.Float64}) for name, frame in cents.items()}
    )
    for share in ("1/2", "2/2"):
        predict_files(model, places, tmp_path / "out", shard=share, n_jobs=1)
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert pl.concat([pl.read_parquet(part) for part in parts]).equals(wanted)
    with pytest.raises(InputError, match=r"--shard 3/2: write I/N"):
        predict_files(model, places, tmp_path / "out", shard="3/2", n_jobs=1)
    with pytest.raises(InputError, match=r"was not scored by e1 \(\d+ of the \d+ samples"):
        predict_files(model, places, tmp_path / "all", require_all=True, n_jobs=1)
