"""Ctrl-C and SIGTERM: exit status 130 or 143 and one sentence, wherever they come."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pathfuse.cli import main

CHILD = """
import sys
import time
from pathlib import Path
from joblib import delayed
import pathfuse.workflows.fuse
from pathfuse.cli import main
from pathfuse.workers import in_parallel

def sleep(place):
    Path(place).touch()
    time.sleep(120)

def wait(*_, **__):
    places = [sys.argv[-1] + "." + mark for mark in "ab"]
    if {jobs}:
        list(in_parallel(2, (delayed(sleep)(place) for place in places)))
    Path(places[0]).touch()
    sleep(places[1])

pathfuse.workflows.fuse.fuse = wait
sys.exit(main())
"""
SAID = "pathfuse: stopped; no result was written, and what can be resumed is kept\n"


@pytest.mark.parametrize("jobs", [False, True])
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_a_signal_to_a_running_command(tmp_path, make_study, jobs, sent, status):
    samples, predictions = make_study(tmp_path, 12, 6)
    command = [
        "fuse",
        "--samples",
        samples,
        "--predictions",
        predictions,
        "--out",
        tmp_path / "out",
    ]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(jobs=jobs), *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        while not all((tmp_path / f"out.{mark}").exists() for mark in "ab"):
            assert child.poll() is None, child.stderr.read()
            time.sleep(0.05)
        if sent == signal.SIGINT:
            os.killpg(child.pid, sent)  # a terminal sends it to the workers, too
        else:
            child.send_signal(sent)
        _, err = child.communicate(timeout=60)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    assert child.returncode == status
    assert [line for line in err.splitlines(keepends=True) if " % " not in line] == [SAID]
    assert not (tmp_path / "out").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"samples.csv", "predictions", "out.a", "out.b"}


def test_an_interrupt_inside_a_command(tmp_path, make_study, run_cli, monkeypatch):
    import pathfuse.study.study

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pathfuse.study.study, "read_study", stop)
    samples, predictions = make_study(tmp_path, 12, 6)
    said = run_cli(
        "fuse", "--samples", samples, "--predictions", predictions, "--out", tmp_path / "out"
    )
    assert (said.status, said.err.splitlines(keepends=True)[-1]) == (130, SAID)
    assert main(["--version"]) == 0


def test_after_a_command_sigterm_means_what_it_meant():
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--version"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
