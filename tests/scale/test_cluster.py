"""Work on a Dask cluster of real processes: the bytes of a run on this machine, or one sentence."""

import importlib.util
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from joblib import delayed

from pathfuse.errors import InputError, WorkerError
from pathfuse.evaluation import resampling
from pathfuse.scale import cluster as bridge
from pathfuse.scale.cluster import on_cluster, unseen
from pathfuse.workers import file_to_file

STUDIES = ("one", "two")
SMALL = {"n_fit": 12, "n_test": 12, "n_experts": 2, "classes": ("normal", "tumor")}
ARGUMENTS = ("--resamples", 120, "--method", "static_product")
MEASURED = ("manifest.json", "report.html", "suite.csv", "ranking.html")
"""They say how long the work took and how much memory, and how the program was called."""
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="needs the extra distributed"
)


@pytest.fixture(scope="module")
def suite(tmp_path_factory, make_study, run_cli):
    """``suite(*more)`` runs over two small studies, always into the same place, and gives what
    was said and the folder."""
    folder = tmp_path_factory.mktemp("suite")
    for seed, name in enumerate(STUDIES):
        make_study(folder / "studies" / name, seed=seed, **SMALL)

    def run(*more):
        shutil.rmtree(folder / "out", ignore_errors=True)
        said = run_cli(
            "suite", "run", folder / "studies", "--out", folder / "out", *ARGUMENTS, *more
        )
        return said, folder / "out"

    return run


def content(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes, but those that say what the run cost."""
    return {
        str(file.relative_to(folder)): b"" if file.name in MEASURED else file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def here(suite):
    """What a run on this machine writes, in processes that draw real figures as the workers do."""
    said, out = suite("--jobs", 2)
    assert said.status == 0
    return content(out)


@needs_dask
@pytest.mark.slow
def test_a_suite_on_two_workers_has_the_bytes_of_this_machine(suite, here, cluster, tmp_path):
    said, out = suite("--scheduler", cluster.address)
    assert (said.status, content(out)) == (0, here)
    assert "2 workers at tcp://127.0.0.1" in said.err


@needs_dask
@pytest.mark.slow
def test_a_worker_killed_in_a_study_costs_a_retry(suite, here, start_cluster, killed, tmp_path):
    mark = killed("/out/.two.", once=True)
    with start_cluster(tmp_path) as running:
        said, out = suite("--scheduler", running.file)
    assert mark.exists()
    assert (said.status, content(out)) == (0, here)


@needs_dask
@pytest.mark.slow
def test_a_study_that_kills_its_workers_is_one_that_failed(suite, start_cluster, killed, tmp_path):
    killed("/out/.two.")
    with start_cluster(tmp_path) as running:
        said, _ = suite("--scheduler", running.address)
    assert said.status == 1
    assert "pathfuse: two failed: the workers that ran it ended, 4 in turn" in said.err
    assert "Studies: 1 done, 1 failed, 0 skipped" in said.out


@needs_dask
@pytest.mark.slow
def test_a_scheduler_that_goes_is_a_sentence(start_cluster, tmp_path, monkeypatch):
    import dask

    monkeypatch.setattr(bridge, "POLL_S", 0.2)
    with (
        start_cluster(tmp_path) as running,
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        on_cluster(running.address),
    ):
        naps = (delayed(time.sleep)(seconds) for seconds in (0.1, 60))
        found = file_to_file(None, naps, lambda *_: None)
        assert next(found) is None
        running.scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(WorkerError, match="has gone; what is done is kept"):
            next(found)


@needs_dask
@pytest.mark.slow
def test_workers_that_stay_away_are_a_sentence(start_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(bridge, "JOINED_S", 0.5)
    with (
        start_cluster(tmp_path, workers=0) as running,
        pytest.raises(InputError, match=r"no worker has joined tcp://\S+ in 0.5 seconds"),
        on_cluster(running.address),
    ):
        pass


@needs_dask
@pytest.mark.slow
def test_workers_of_another_version_are_refused(suite, start_cluster, tmp_path):
    other = tmp_path / "other/pathfuse"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.7"\n')
    with start_cluster(tmp_path, workers=1, PYTHONPATH=str(other.parent)) as running:
        said, out = suite("--scheduler", running.address)
    assert said.status == 2
    assert "has pathfuse 0.0.7, and this is" in said.err
    assert said.err.count("\n") == 1
    assert not out.exists()


@needs_dask
@pytest.mark.slow
def test_workers_with_several_threads_are_refused(start_cluster, tmp_path):
    with (
        start_cluster(tmp_path, workers=1, options=("--nthreads", "3")) as running,
        pytest.raises(InputError, match="runs 3 tasks at a time in one process"),
        on_cluster(running.address),
    ):
        pass


@needs_dask
@pytest.mark.slow
def test_workers_with_other_files_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(bridge, "SEEN_S", 0.5)
    mine = Path(f"/proc/self/task/{os.getpid()}")  # the same path is something else to a worker
    if not mine.exists():
        pytest.skip("no /proc here")
    with (
        pytest.raises(InputError, match=f"cannot see {mine}: all workers need the same files"),
        on_cluster(cluster.address, reads=[mine]),
    ):
        pass


@needs_dask
@pytest.mark.slow  # dask takes a second or two to import
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "nonsense://x", "tcp://"])
def test_an_address_without_a_scheduler_is_a_sentence(tmp_path, run_cli, monkeypatch, address):
    monkeypatch.setattr(bridge, "REACHED_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        place = address.format(port=free.getsockname()[1])
        (tmp_path / "studies/one/predictions").mkdir(parents=True)
        said = run_cli(
            "suite", "run", tmp_path / "studies", "--out", tmp_path / "out", "--scheduler", place
        )
    assert said.status == 2
    assert said.err.startswith(f"pathfuse: no Dask scheduler answers at {place} (")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(bridge, "find_spec", lambda name: None)
    with (
        pytest.raises(InputError, match=r"pip install 'pathfuse\[distributed\]'"),
        on_cluster("tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_nothing_changes(address):
    with on_cluster(address):
        assert list(file_to_file(None, [delayed(abs)(-1)], lambda *_: None)) == [1]


def test_what_a_worker_cannot_see(tmp_path):
    assert unseen([str(tmp_path)], str(tmp_path)) == ""
    assert unseen([str(tmp_path), str(tmp_path / "no")], None) == str(tmp_path / "no")


@needs_dask
@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "fuse"])
def test_resamples_go_to_the_workers_and_have_the_bytes_of_this_machine(
    command, make_study, run_cli, cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(resampling, "KEPT", 0)
    monkeypatch.setattr(resampling, "CHUNK", 2000)
    samples, predictions = make_study(tmp_path / "study", seed=0, **{**SMALL, "n_test": 60})
    method = () if command == "evaluate" else ("--method", "static_product")

    def run(*more):
        said = run_cli(
            command, "--samples", samples, "--predictions", predictions, "--out", tmp_path / "out",
            "--resamples", 120, "--force", *method, *more,
        )  # fmt: skip
        return said, content(tmp_path / "out")

    said, here = run()
    assert said.status == 0
    said, there = run("--scheduler", cluster.address)
    assert (said.status, there) == (0, here)
    assert "2 workers at" in said.err
