"""A real Dask cluster on loopback, for tests of what runs on one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


class DaskCluster(NamedTuple):
    """Processes of a cluster."""

    address: str
    file: Path
    """The scheduler's own description."""
    scheduler: subprocess.Popen


def wait_for(workers: int, file: Path) -> None:
    """Returns once so many workers have joined."""
    from distributed import Client

    with Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=PATIENCE_S)


@contextmanager
def started(place: Path, workers: int = 2, options: tuple[str, ...] = (), **environment: str):
    """A scheduler and workers, as a user would start them."""
    place.mkdir(parents=True, exist_ok=True)
    file = place / "scheduler.json"
    env = {**os.environ, **environment}
    if not environment:
        env["PYTHONPATH"] = os.pathsep.join(
            [env.get("PYTHONPATH", ""), str(ROOT / "src"), str(ROOT)]
        )
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-dashboard"]
    common = ["--host", "127.0.0.1", "--scheduler-file", str(file)]
    running = []

    def start(command, name):
        with (place / f"{name}.log").open("w") as log:
            running.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, env=env, cwd=place, start_new_session=True
                )
            )

    try:
        start([*dask, *common, "--port", "0"], "scheduler")
        until = time.monotonic() + PATIENCE_S
        while not (file.exists() and file.read_text().endswith("}")):
            assert running[0].poll() is None, (place / "scheduler.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        for number in range(workers):
            flags = ("--nthreads", "1", "--local-directory", str(place), *options)
            start([*worker, *common, *flags], f"worker{number}")
        if workers:
            wait_for(workers, file)
        yield DaskCluster(json.loads(file.read_text())["address"], file, running[0])
    finally:
        for one in running:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)  # with the processes that a nanny has started
            one.wait()


@pytest.fixture(scope="session")
def start_cluster():
    """``with start_cluster(place, workers=2, options=(), **environment) as cluster``."""
    return started


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[DaskCluster]:
    """A scheduler and two workers."""
    with started(tmp_path_factory.mktemp("dask")) as running:
        yield running
