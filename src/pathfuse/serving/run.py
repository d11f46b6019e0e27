"""The server itself: one process, or several that uvicorn watches over and starts again."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

import uvicorn
from uvicorn.supervisors import Multiprocess

from pathfuse.errors import InputError
from pathfuse.progress import Say
from pathfuse.serving.app import create_app
from pathfuse.serving.logs import config
from pathfuse.serving.metrics import FOLDER
from pathfuse.serving.settings import Settings
from pathfuse.workflows.model import FusedModel

BACKLOG = 512
GRACE_SECONDS = 10
"""After SIGTERM, for requests that are in work beyond their own limit."""
MOST_WORKERS = 256


def serve(
    model: FusedModel,
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int = 1,
    announce: Say,
) -> None:
    """Serves a model until SIGTERM or Ctrl-C; requests in work are answered before it ends.

    The model is handed to the workers as it was read: what becomes of its folder meanwhile changes
    nothing, also for a worker that is started again.

    Args:
        model: The model.
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
    with _listening(host, port) as listener, _signals_kept(), _shared_counts(workers):
        about = uvicorn.Config(
            partial(create_app, model, settings),
            factory=True,
            workers=workers,
            log_config=config(),
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(settings.limits.seconds) + GRACE_SECONDS,
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
def _shared_counts(workers: int) -> Iterator[None]:
    """A folder where several workers leave their counts; gone at the end."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="pathfuse-serve-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]
