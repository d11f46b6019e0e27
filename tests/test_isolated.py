"""The core in an environment of its own: no torch, no GPU, none of the test tools; the demo runs
there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    if os.environ.get("PATHFUSE_OFFLINE"):
        pytest.skip("PATHFUSE_OFFLINE is set: no package index to install from")
    place = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    pip = [
        place / "venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", ROOT], check=True, timeout=600)
    return place


@pytest.mark.slow
def test_the_demo_runs_without_torch(bare):
    python, out = bare / "venv/bin/python", bare / "demo"
    for heavy in ("torch", "h5py", "pandas", "pytest"):
        assert (
            subprocess.run([python, "-c", f"import {heavy}"], capture_output=True).returncode != 0
        )
    run = subprocess.run(
        [bare / "venv/bin/pathfuse", "demo", "--out", out],
        capture_output=True,
        text=True,
        cwd=bare,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "logitprod" in run.stdout
    assert "Certificate holds" in run.stdout
    files = {p.name for p in out.iterdir()}
    assert files >= {
        "fused.parquet",
        "metrics.csv",
        "comparisons.csv",
        "certificate.json",
        "model",
        "manifest.json",
    }
    assert (out / "report.html").stat().st_size > 10_000
    metrics = pl.read_csv(out / "metrics.csv")
    nll = dict(metrics.filter(pl.col("metric") == "nll").select("method", "value").iter_rows())
    assert nll["fused"] < nll["mean_probability"]
    assert json.loads((out / "manifest.json").read_text())["rows"]["judged"] == 228
