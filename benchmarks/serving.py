"""``pathfuse serve`` beside a bare FastAPI echo, asked by a process of its own.

Six made-up experts of nine classes, the default council, one sample per request, two workers, and
a client that holds a few connections open and sends the next request when an answer came. The echo
reads the same bytes and sends them back, under the same server with as many workers. Memory is the
sum over the server's processes of what is theirs alone and their share of what is not (PSS), when a
tenth of the requests is answered and when all are. ``PATHFUSE_BENCH_REQUESTS`` asks for fewer.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.feature_fusion import Row
from benchmarks.scoring import CLASSES, EXPERTS, _models, _pss_mb, _tree

REQUESTS = int(os.environ.get("PATHFUSE_BENCH_REQUESTS", "100000"))
WORKERS = 2
CONNECTIONS = {1: REQUESTS // 10, 16: REQUESTS}
"""Requests by the number of connections: one alone shows what a sample takes, several what the server
can do."""
BODIES = 500
ECHO = """
import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/v2/health/ready")
async def ready():
    return {"ready": True}


@app.post("/predict")
async def echo(request: Request):
    return Response(await request.body(), media_type="application/json")
"""


def serving() -> list[Row]:
    """A row per server and number of connections."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "echo.py").write_text(ECHO)
        model = _models(place)["auto"]
        bodies = place / "bodies.json"
        bodies.write_text(json.dumps(_bodies()))
        for connections, requests in CONNECTIONS.items():
            for name, command in _commands(place, model).items():
                load = [str(bodies), str(connections), str(requests)]
                found.append(_measured(name, command, place, load))
    return found


def _commands(place: Path, model: Path) -> dict[str, list[str]]:
    python = [sys.executable, "-m"]
    return {
        "echo": [
            *python, "uvicorn", "echo:app", "--port", "PORT", "--workers", str(WORKERS),
            "--no-access-log", "--log-level", "warning",
        ],
        "serve": [
            *python, "pathfuse", "serve", str(model), "--port", "PORT", "--workers", str(WORKERS),
        ],
    }  # fmt: skip


def _bodies() -> list[str]:
    rng, found = np.random.default_rng(7), []
    for n in range(BODIES):
        said = {}
        for m in range(EXPERTS):
            if m == 2 and n % 50 == 0:
                continue
            logits = rng.normal(size=CLASSES).astype(np.float32).astype(float)
            said[f"e{m}"] = {f"logit_c{k}": logits[k] for k in range(CLASSES)}
        found.append(json.dumps({"samples": [{"sample_id": f"new{n}", "experts": said}]}))
    return found


def _measured(name: str, command: list[str], place: Path, load: list[str]) -> Row:
    requests = int(load[2])
    with _server(command, place) as (port, pid):
        before = _cpu_seconds(pid)
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving", str(port), *load],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdout is not None
        memory, said = [], {}
        for line in client.stdout:
            said = json.loads(line)
            if "done" in said:
                memory.append(sum(map(_pss_mb, _tree(pid))))
        assert client.wait() == 0
        cpu = _cpu_seconds(pid) - before
    return {
        "server": name,
        "connections": int(load[1]),
        "requests": requests,
        "errors": said["errors"],
        "requests_per_second": requests / said["seconds"],
        "p50_ms": said["p50_ms"],
        "p99_ms": said["p99_ms"],
        "cpu_ms_per_request": cpu / requests * 1000,
        "mb_at_a_tenth": memory[0],
        "mb_at_the_end": memory[-1],
    }


@contextmanager
def _server(command: list[str], place: Path) -> Iterator[tuple[int, int]]:
    port = _free_port()
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join([str(place), f"{root}/src", root])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
    with (place / "server.log").open("wb") as log:
        job = subprocess.Popen(
            [str(port) if word == "PORT" else word for word in command],
            stdout=log,
            stderr=log,
            env=env,
        )
    try:
        _wait_until_ready(port, job)
        yield port, job.pid
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(timeout=60)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(port: int, job: subprocess.Popen[bytes]) -> None:
    """Until all workers are there: each has its own line in the log, but the echo has none."""
    until = time.monotonic() + 120
    while time.monotonic() < until and job.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready"):
                time.sleep(10)  # for the other worker
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the server did not come up")


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for one in _tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def _ask(port: int, bodies: list[bytes], todo: Iterator[int], times: list[float]) -> int:
    """Sends requests over one connection until none is left; how many went wrong."""
    errors = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for n in todo:
        begun = time.perf_counter()
        writer.write(bodies[n % len(bodies)])
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        answer = await reader.readexactly(int(fields[b"content-length"]))
        times.append(time.perf_counter() - begun)
        errors += not (head.startswith(b"HTTP/1.1 200") and answer.endswith(b"}]}"))
    writer.close()
    return errors


async def _ask_all(port: int, bodies: list[bytes], connections: int, requests: int) -> None:
    errors, seconds, times = 0, 0.0, list[float]()
    for share in (0.1, 0.9):  # told in between, when a tenth is done
        todo = iter(range(round(requests * share)))
        begun = time.perf_counter()
        found = await asyncio.gather(*(_ask(port, bodies, todo, times) for _ in range(connections)))
        seconds += time.perf_counter() - begun
        errors += sum(found)
        p50, p99 = np.percentile(times, [50, 99]) * 1000
        told = {
            "done": len(times),
            "errors": errors,
            "seconds": seconds,
            "p50_ms": p50,
            "p99_ms": p99,
        }
        print(json.dumps(told), flush=True)
        await asyncio.sleep(1)  # while the memory is read


if __name__ == "__main__":
    asked = [
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in (text.encode() for text in json.loads(Path(sys.argv[2]).read_text()))
    ]
    asyncio.run(_ask_all(int(sys.argv[1]), asked, int(sys.argv[3]), int(sys.argv[4])))
