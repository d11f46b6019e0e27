"""``pathfuse predict`` file to file over tables larger than memory, beside one ``log_softmax`` of the
same files.

Six made-up experts of nine classes, a folder of Parquet files each, float32; the third lacks every
fiftieth sample. The model is the default council. Memory is the sum over all processes of the
command of what is theirs alone and their share of what is not (PSS), read four times a second; it
must not grow with the rows. The rival reads the same files with pyarrow and calls
``scipy.special.log_softmax`` once on each expert's block, in one process, joins nothing and writes
nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from scipy.special import log_softmax

import pathfuse
from benchmarks.feature_fusion import Row

ROWS = (5_000_000, 50_000_000)
EXPERTS, CLASSES, FILE_ROWS, GROUP_ROWS, BLOCK = 6, 9, 1_000_000, 131_072, 16_384
LIMIT_MB = 1500
METHODS = ("auto", "logitprod")


def scoring() -> list[Row]:
    """A row per size and method."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        models = _models(place)
        for n in ROWS:
            files = _write(place / "predictions", n)
            alone = _log_softmax_seconds(files)
            for method, model in models.items():
                found.append(_scored(place, model, method, n, alone))
    return found


def _drawn(rng: np.random.Generator, label: np.ndarray, m: int) -> np.ndarray:
    logits = rng.normal(size=(len(label), CLASSES)).astype(np.float32)
    logits[np.arange(len(label)), label] += 1 + 0.3 * m
    return logits


def _table(ids: pl.Series, logits: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"sample_id": ids, **{f"logit_c{k}": logits[:, k] for k in range(CLASSES)}})


def _models(place: Path) -> dict[str, Path]:
    rng, n = np.random.default_rng(1), 1500
    label = rng.integers(CLASSES, size=n)
    ids = pl.Series("sample_id", [f"fit{i:05d}" for i in range(n)])
    split = ["fit"] * 1000 + ["test"] * 500
    samples = pl.DataFrame({"sample_id": ids, "split": split, "label": [f"c{k}" for k in label]})
    experts = {f"e{m}": _table(ids, _drawn(rng, label, m)) for m in range(EXPERTS)}
    experts["e2"] = experts["e2"].head(1400)
    study, models = pathfuse.read_study(samples, experts), {}
    for method in METHODS:
        models[method] = place / method
        pathfuse.fuse(study, method=method, n_resamples=0).model.save(models[method])
    return models


def _write(folder: Path, n: int) -> list[Path]:
    """Files up to n rows per expert; those of a smaller size stay."""
    files = []
    for number, start in enumerate(range(0, n, FILE_ROWS)):
        rng, rows = np.random.default_rng([2, number]), np.arange(start, min(start + FILE_ROWS, n))
        ids = pl.Series("sample_id", rows).cast(pl.String).str.zfill(10)
        label = rng.integers(CLASSES, size=len(rows))
        for m in range(EXPERTS):
            file = folder / f"e{m}" / f"part-{number:04d}.parquet"
            files.append(file)
            if file.exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            table = _table(ids, _drawn(np.random.default_rng([3, number, m]), label, m))
            kept = table.filter(pl.Series(rows % 50 != 0)) if m == 2 else table
            pq.write_table(kept.to_arrow(), file, row_group_size=GROUP_ROWS, compression="lz4")
    return files


def _log_softmax_seconds(files: list[Path]) -> float:
    begun, columns = time.process_time(), [f"logit_c{k}" for k in range(CLASSES)]
    for file in files:
        with pq.ParquetFile(file) as content:
            for batch in content.iter_batches(BLOCK, columns=columns, use_threads=False):
                values = np.stack([batch[name].to_numpy() for name in columns], axis=1)
                log_softmax(values.astype(np.float64), axis=1)
    return time.process_time() - begun


def _scored(place: Path, model: Path, method: str, n: int, alone: float) -> Row:
    out = place / f"scores-{method}-{n}"
    command = ["predict", "--model", model, "--predictions", place / "predictions", "--out", out]
    begun, before = time.perf_counter(), os.times()
    job = subprocess.Popen(
        [sys.executable, "-m", "pathfuse", *map(str, command), "--stream"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    most = 0.0
    while job.poll() is None:
        most = max(most, sum(map(_pss_mb, _tree(job.pid))))
        time.sleep(0.25)
    seconds, after = time.perf_counter() - begun, os.times()
    cpu = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    assert job.stdout is not None
    assert job.returncode == 0, job.stdout.read()
    rows = sum(pq.read_metadata(file).num_rows for file in out.glob("part-*.parquet"))
    assert rows == n
    for file in out.iterdir():
        file.unlink()
    return {
        "rows": n,
        "method": method,
        "seconds": seconds,
        "rows_per_second": n / seconds,
        "cpu_seconds": cpu,
        "log_softmax_cpu_seconds": alone,
        "cpu_in_log_softmax": cpu / alone,
        "most_mb": most,
        "below_limit": most < LIMIT_MB,
    }


def _tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split()]
            except OSError:  # it has ended
                continue
    return found


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
