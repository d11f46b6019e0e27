"""The server as a process: stops when it is asked to, and outlives a worker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120


class Running:
    """A server in a process of its own."""

    def __init__(self, folder, *words, env=()):
        paths = os.pathsep.join([str(ROOT / "src"), *sys.path])
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.job = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pathfuse",
                    "serve",
                    folder / "model",
                    "--port",
                    "0",
                    *words,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": paths, **dict(env)},
            )
        self.said = self.job.stdout.readline()
        self.address = self.said.split(" at ")[1].split(" ")[0]

    def lines(self, event=None):
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in found if event in (None, line.get("event"))]

    def wait_for(self, n_ready):
        until = time.monotonic() + PATIENCE
        while len(self.lines("ready")) < n_ready:
            assert time.monotonic() < until, self.log.read_text()
            assert self.job.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def stop(self):
        self.job.send_signal(signal.SIGTERM)
        return self.job.wait(PATIENCE)


@pytest.fixture
def start(served, tmp_path):
    served().model.save(tmp_path / "model")
    started = []

    def run(*words, env=()):
        started.append(Running(tmp_path, *words, env=env))
        return started[-1]

    yield run
    for one in started:
        if one.job.poll() is None:
            one.stop()
        one.job.stdout.close()


def test_a_worker_answers_its_supervisor_before_it_imports_anything_large():
    """A machine where the imports take long would start it again for ever."""
    code = "import sys, pathfuse.serving.worker; print(*{'numpy', 'polars', 'fastapi'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []


@pytest.mark.slow
def test_a_worker_that_is_killed_under_load_is_replaced_while_the_others_answer(
    served, start, tmp_path
):
    server = start("--workers", "2")
    server.wait_for(2)
    body = served().body()["samples"][:1]
    stop, answered, broken = threading.Event(), [], []

    def load():
        with httpx.Client(base_url=server.address, timeout=30) as client:
            while not stop.is_set():
                try:
                    time.sleep(0.02)  # the new worker needs some of this machine, too
                    answered.append(client.post("/predict", json={"samples": body}).status_code)
                except httpx.TransportError:  # the connections of the killed worker
                    broken.append(time.monotonic())

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        while len(answered) < 40:
            time.sleep(0.05)
        shutil.rmtree(tmp_path / "model")  # the new worker reads the copy
        victim = server.lines("request")[-1]["pid"]
        os.kill(victim, signal.SIGKILL)
        before = len(answered)
        server.wait_for(3)  # a new one
        while len(answered) < before + 40:
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answered) == {200}
    assert len(broken) <= len(threads)  # what was in the hands of the killed one
    workers = {line["pid"] for line in server.lines("ready")}
    assert len(workers) == 3
    assert victim in workers
    counted = 0.0
    for line in httpx.get(f"{server.address}/metrics").text.splitlines():
        if line.startswith('pathfuse_requests_total{route="/predict",status="200"}'):
            counted = float(line.split()[-1])
    assert len(answered) <= counted <= len(answered) + len(broken)  # also those of the killed one
    assert server.stop() == 0
    assert not {line["level"] for line in server.lines()} - {"info", "warning"}


@pytest.mark.slow
def test_workers_do_not_outlive_their_supervisor(start):
    server = start("--workers", "2")
    server.wait_for(2)
    server.job.kill()
    until = time.monotonic() + PATIENCE
    while answers(server.address):
        assert time.monotonic() < until
        time.sleep(0.1)


def answers(address):
    try:
        return httpx.get(f"{address}/v2/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_a_request_in_work_is_answered_before_the_server_ends(served, start):
    token = "a-token-of-some-length"  # noqa: S105 - of this test
    server = start("--name", "lung", env={"PATHFUSE_TOKEN": token})
    server.wait_for(1)
    assert "as 'lung'" in server.said
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.post(f"{server.address}/predict", json={}).status_code == 401
    whole = json.dumps(served().body()).encode()

    def slowly():
        yield whole[:100]
        server.job.send_signal(signal.SIGTERM)
        time.sleep(1)
        yield whole[100:]

    answer = httpx.post(
        f"{server.address}/predict",
        content=slowly(),
        headers={**headers, "content-type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 200
    assert len(answer.json()["samples"]) == len(served().body()["samples"])
    assert server.job.wait(PATIENCE) == 0
    assert token not in server.log.read_text()
    assert server.lines("request")[-1]["rows"] == len(served().body()["samples"])


@pytest.mark.slow
def test_a_body_that_is_too_long_is_refused_over_a_real_connection(served, start):
    server = start("--max-body-mb", "1", "--max-seconds", "2")
    server.wait_for(1)
    long = b" " * (3 << 20)
    with httpx.Client(
        base_url=server.address, headers={"content-type": "application/json"}
    ) as client:
        for content in (long, (long[k : k + 65536] for k in range(0, len(long), 65536))):
            answer = client.post("/predict", content=content)
            assert answer.status_code == 413
            assert "more than 1,048,576 bytes" in answer.json()["error"]

        def never():
            yield b"{"
            time.sleep(4)
            yield b"}"

        assert client.post("/predict", content=never()).status_code == 408
        assert client.get("/v2/health/ready").json() == {"ready": True}
