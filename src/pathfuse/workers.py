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
    with nullcontext() if n_jobs in (None, 1) else _workers_ignore_interrupts():
        results: Iterator[Any] = run(
            (partial(_ignoring_interrupts, function), args, words)
            for function, args, words in tasks
        )
    return results


def _ignoring_interrupts(function: Callable[..., Any], *args: Any, **words: Any) -> Any:
    """Calls a function; a worker ignores Ctrl-C: the main process receives it, and ends the worker."""
    if _in_main_thread() and multiprocessing.current_process().name != "MainProcess":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return function(*args, **words)


@contextmanager
def _workers_ignore_interrupts() -> Iterator[None]:
    """Processes that the block starts ignore Ctrl-C even before their first task."""
    if _started.is_set() or not (_in_main_thread() and hasattr(signal, "pthread_sigmask")):
        yield  # later calls find the workers there; with their threads about, a signal could be lost
        return
    _started.set()
    blocked = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT}
    )  # what comes now is received after the block
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # children inherit this
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _in_main_thread() -> bool:
    """Whether this thread is the one that signals reach."""
    return threading.current_thread() is threading.main_thread()
