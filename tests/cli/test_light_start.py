"""A prediction does not wait for libraries that it does not need."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.drift.figures import Figure, Figures
from pathfuse.drift.reference import Reference
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.fusion import inner_cv
from pathfuse.workflows.model import FusedModel

HEAVY = {
    "sklearn", "scipy", "scipy.stats", "scipy.optimize", "pandas", "matplotlib", "jinja2", "joblib", "narwhals",
    "mapie", "torch",
}  # fmt: skip
NAMES = ("conch", "uni", "virchow2")
RUN = """
import sys
from pathfuse.cli import main
status = main(sys.argv[1:])
sys.stderr.write("\\n".join(sorted(sys.modules)))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A council, and one new sample that an expert did not score."""
    place, rng = tmp_path_factory.mktemp("light"), np.random.default_rng(0)
    y = np.arange(30) % 3
    logits = rng.normal(size=(30, 3, 3))
    logits[np.arange(30), :, y] += 1.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        patch.setattr(inner_cv, "LARGE", 0)
        council = pathfuse.Auto().fit(logits, y)
    endpoint = Multiclass(("adipose", "stroma", "tumor"))
    figures = Figures((Figure("entropy", "uni"), Figure("missing", "uni")), rng.random((60, 2)))
    FusedModel(
        endpoint,
        NAMES,
        dict.fromkeys(NAMES),
        {"all": np.full(3, 1 / 3)},
        {"all": council},
        reference=Reference.of(figures, np.arange(60), None, 0),
    ).save(place / "model")
    many = [f"s{i}" for i in range(40)]
    prob = {"prob_adipose": 0.2, "prob_stroma": 0.5, "prob_tumor": 0.3}
    for name in NAMES[:2]:
        pl.DataFrame({"sample_id": ["s1"], **prob}).write_csv(place / f"{name}.csv")
        (place / "many").mkdir(exist_ok=True)
        pl.DataFrame({"sample_id": many, **prob}).write_csv(place / "many" / f"{name}.csv")
    return place


def modules_of(arguments, folder):
    """The modules that a command loaded, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split("\n")), done.stdout


def test_predicting_one_sample_loads_nothing_that_fits_or_draws(folder):
    loaded, said = modules_of(
        [
            "predict",
            "--model",
            "model",
            "--predictions",
            "conch.csv",
            "uni.csv",
            "--out",
            "out.csv",
        ],
        folder,
    )
    assert "1 samples fused" in said
    assert (folder / "out.csv").exists()
    assert "pathfuse.workflows.model" in loaded
    assert not loaded & HEAVY


def test_looking_for_drift_loads_nothing_more(folder):
    call = ["predict", "--model", "model", "--predictions", "many", "--out", "many.csv"]
    loaded, _ = modules_of(call, folder)
    assert "pathfuse.drift.verdict" in loaded
    assert not loaded & HEAVY


def test_the_help_loads_no_numbers_at_all(folder):
    loaded, said = modules_of(["--help"], folder)
    assert "predict" in said
    assert not loaded & (HEAVY | {"numpy", "polars"})
