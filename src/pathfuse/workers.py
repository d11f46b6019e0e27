"""Work in several processes, which keep quiet when the program is stopped."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from joblib import Parallel

_started = threading.Event()
"""Set when this process has started workers."""


def in_parallel(n_jobs: int | None, tasks: Iterable[Any], ordered: bool = True) -> Iterator[Any]:
    """The results of some tasks, as they come.

    Runs through ``joblib.Parallel``: the caller's ``parallel_config`` chooses the backend.

    Args:
        n_jobs: Tasks at a time, as in joblib.
        tasks: ``joblib.delayed(function)(...)``.
        ordered: Whether results come in the order of the tasks.
    """
    run = Parallel(n_jobs=n_jobs, return_as="generator" if ordered else "generator_unordered")
    with nullcontext() if n_jobs in (None, 1) else _deaf_children():
        results: Iterator[Any] = run((partial(_deaf, function), args, words) for function, args, words in tasks)
    return results


def _deaf(function: Callable[..., Any], *args: Any, **words: Any) -> Any:
    """Calls a function; a worker no longer hears Ctrl-C: the main process does, and ends it without a traceback."""
    if _can_hear() and multiprocessing.current_process().name != "MainProcess":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return function(*args, **words)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that the block starts do not hear Ctrl-C even before their first task."""
    if _started.is_set() or not (_can_hear() and hasattr(signal, "pthread_sigmask")):
        yield  # later calls find the workers there; with their threads about, a signal could be lost
        return
    _started.set()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what comes now is heard after the block
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # children inherit this
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _can_hear() -> bool:
    """Whether this thread is the one that signals reach."""
    return threading.current_thread() is threading.main_thread()
