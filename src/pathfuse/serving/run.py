"""The server itself: one process, or several that uvicorn watches over and starts again."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from uvicorn.supervisors import Multiprocess

from pathfuse.errors import InputError
from pathfuse.progress import Say
from pathfuse.serving.logs import config
from pathfuse.serving.settings import COUNTS, Settings
from pathfuse.serving.worker import application

BACKLOG = 512
GRACE_SECONDS = 10
"""After SIGTERM, for requests that are in work beyond their own limit."""
HUNG_SECONDS = 30
"""A worker that does not answer its supervisor for so long is started again."""
MOST_WORKERS = 256


def serve(
    files: Sequence[Path],
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int = 1,
    announce: Say,
) -> None:
    """Serves a model until SIGTERM or Ctrl-C; requests in work are answered before it ends.

    The workers read a copy of the model: what becomes of its folder meanwhile changes nothing, also
    for a worker that is started again.

    Args:
        files: Those of the model.
        settings: Limits, token, and what the model is called.
        host: Address to listen at.
        port: Port; 0: any that is free.
        workers: Processes.
        announce: Told the address once it is taken.

    Raises:
        InputError: The address cannot be taken.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise InputError(f"--workers {workers} must be between 1 and {MOST_WORKERS}")
    with (
        _listening(host, port) as listener,
        TemporaryDirectory(prefix="pathfuse-serve-") as place,
        _shared_counts(workers, Path(place) / "counts"),
        _signals_kept(),
    ):
        for file in files:
            shutil.copyfile(file, Path(place) / file.name)
        about = uvicorn.Config(
            partial(application, Path(place), settings),
            factory=True,
            workers=workers,
            log_config=config(),
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(settings.limits.seconds) + GRACE_SECONDS,
            timeout_worker_healthcheck=HUNG_SECONDS,
        )
        announce(_address_of(listener))
        if workers == 1:
            uvicorn.Server(about).run(sockets=[listener])
        else:
            Multiprocess(about, sockets=[listener]).run()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """The address, taken.

    Raises:
        InputError: It cannot be.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--host {host} --port {port} cannot be listened at: {reason}") from error
    with listener:
        listener.set_inheritable(True)
        yield listener


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Being asked to stop is no fault: uvicorn raises the signal again when all is answered."""
    asked = (signal.SIGTERM, signal.SIGINT)
    before = {one: signal.signal(one, lambda *_: None) for one in asked}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _shared_counts(workers: int, folder: Path) -> Iterator[None]:
    """Several workers leave their counts in a folder."""
    if workers == 1:
        yield
        return
    folder.mkdir()
    os.environ[COUNTS] = str(folder)
    try:
        yield
    finally:
        del os.environ[COUNTS]
