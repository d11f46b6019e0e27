"""Experts, searches and benchmarks of segmentation on a Dask cluster: the bytes of this machine."""

import importlib.util
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("distributed")

from pathfuse.testing.cohort import CohortPlan, write_cohort

pytestmark = pytest.mark.slow
PLAN = CohortPlan(
    n_patients=24, slides_per_patient=(1, 2), tiles_per_slide=(3, 6), encoders={"alpha": ("stamp", 5)}
)  # fmt: skip
MEASURED = (
    "manifest.json",
    "cell.json",
    "grid.json",
    "leaderboard.csv",
    "leaderboard.html",
    "tissue.html",
)
"""They say how long the work took and how much memory, and how the program was called."""


def content(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes, but those that say what the run cost; moves the folder away."""
    found = {
        str(file.relative_to(folder)): b"" if file.name in MEASURED else file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
    shutil.move(folder, folder.with_name(f"{folder.name}.{len(list(folder.parent.iterdir()))}"))
    return found


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), PLAN)


@pytest.fixture
def command(cohort, tmp_path):
    """``command(verb, ...)``: a command about one encoder of the cohort."""

    def of(verb, *more):
        given = ("--features", cohort.features["alpha"], "--samples", cohort.labels)
        return (
            "experts", verb, *given, "--slides", cohort.slides, "--out", tmp_path / "out", *more
        )  # fmt: skip

    return of


SMALL = ("--set", "epochs=2", "min_epochs=1", "folds=3", "hidden=8", "attention=4", "networks=1")


def test_an_expert_one_of_whose_workers_is_killed(
    command, run_cli, start_cluster, killed, tmp_path
):
    train = command("train", *SMALL)
    assert run_cli(*train).status == 0
    here = content(tmp_path / "out")
    mark = killed(".fold_1.partial-", once=True)
    with start_cluster(tmp_path / "dask") as running:
        said = run_cli(*train, "--scheduler", running.address)
    assert said.status == 0, said.err
    assert mark.exists()
    assert content(tmp_path / "out") == here


def test_a_search(command, run_cli, cluster, tmp_path):
    tune = command("tune", *SMALL, "--trials", 2, "--space", "learning_rate=1e-4:1e-2:log")
    assert run_cli(*tune).status == 0
    here = content(tmp_path / "out")
    said = run_cli(*tune, "--scheduler", cluster.address)
    assert said.status == 0, said.err
    assert content(tmp_path / "out") == here


def test_devices_of_this_machine_are_refused(command, run_cli, cluster, tmp_path):
    train = command("train", "--devices", "cpu", "--scheduler", cluster.address)
    said = run_cli(*train)
    assert said.status == 2
    assert "--devices names devices of this machine" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs the extra dense")
def test_a_benchmark_of_segmentation(run_cli, cluster, tmp_path):
    from pathfuse.testing.tissue import write_demo

    grid = write_demo(tmp_path)
    text = (
        grid.read_text()
        .replace("epochs: 20", "epochs: 1")
        .replace("[frozen, lora, cnn]", "[frozen]")
    )
    grid.write_text(text)
    assert run_cli("dense", "run", grid).status == 0
    here = content(tmp_path / "result")
    said = run_cli("dense", "run", grid, "--scheduler", cluster.address)
    assert said.status == 0, said.err
    assert content(tmp_path / "result") == here
