"""Work in several processes, which keep quiet when the program is stopped.

Two kinds of work: fits on arrays, in processes of this machine (``in_parallel``), and tasks that
read files and write files (``file_to_file``), which an engine may run elsewhere: see ``using``.
"""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from joblib import Parallel, delayed

from pathfuse.errors import InputError, WorkerError

Task: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""``joblib.delayed(function)(...)``."""


@dataclass(frozen=True)
class Lost:
    """What is left of a task whose process ended before it did, also when it was tried again."""

    sentence: str


Engine: TypeAlias = Callable[[Sequence[Task]], Iterator[tuple[int, Any]]]
"""Runs tasks from file to file: the place of each in the list, and its result or ``Lost``."""

Folder: TypeAlias = Callable[[], AbstractContextManager[Path]]
"""Makes a folder that goes at the end."""

_engine: ContextVar[Engine | None] = ContextVar("engine", default=None)
_folder: ContextVar[Folder | None] = ContextVar("folder", default=None)
"""Where files for the engine's tasks go."""
_started = threading.Event()
"""Set when this process has started workers."""
ENDED = (
    "its process was ended from outside, twice, the second time when it ran alone: perhaps the "
    "memory of this machine does not hold it"
)


@contextmanager
def using(engine: Engine, folder: Folder | None = None) -> Iterator[None]:
    """Inside the block ``file_to_file`` gives its tasks to an engine.

    Args:
        engine: What runs them.
        folder: Makes a folder for ``temporary_folder`` that the tasks see; None: where this machine
            keeps such things.
    """
    before, elsewhere = _engine.set(engine), _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(elsewhere)
        _engine.reset(before)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for files that tasks of ``file_to_file`` read; it is gone after the block."""
    with (_folder.get() or _of_this_machine)() as place:
        yield place


@contextmanager
def _of_this_machine() -> Iterator[Path]:
    with TemporaryDirectory(prefix="pathfuse-") as name:
        yield Path(name)


def check_jobs(n_jobs: int | None) -> None:
    """Refuses a number of processes that means nothing.

    Raises:
        InputError: It is 0.
    """
    if n_jobs == 0:
        raise InputError(
            "--jobs 0 would do nothing; give a number of processes, or -1 for all cores"
        )


def runs_here(n_jobs: int | None) -> bool:
    """Whether ``file_to_file`` runs its tasks one after the other in this process."""
    return n_jobs in (None, 1) and _engine.get() is None


def runs_elsewhere() -> bool:
    """Whether an engine runs the tasks of ``file_to_file``, perhaps on other machines."""
    return _engine.get() is not None


def in_parallel(n_jobs: int | None, tasks: Iterable[Task], ordered: bool = True) -> Iterator[Any]:
    """The results of some tasks, as they come.

    Runs through ``joblib.Parallel``: the caller's ``parallel_config`` chooses the backend.

    Args:
        n_jobs: Tasks at a time, as in joblib.
        tasks: ``joblib.delayed(function)(...)``.
        ordered: Whether results come in the order of the tasks.

    Raises:
        WorkerError: While the results are read: a process was ended from outside.
    """
    return _said(_results(n_jobs, tasks, ordered))


def file_to_file(
    n_jobs: int | None, tasks: Iterable[Task], lost: Callable[..., Any]
) -> Iterator[Any]:
    """The results of tasks that read files and write files, as they come, in any order.

    A task may be run again, also where an earlier try still runs. One whose process is ended from
    outside is tried again on its own; the others go on.

    Args:
        n_jobs: Tasks at a time, as in joblib, where no engine runs them.
        tasks: ``joblib.delayed(function)(...)``: paths and settings, no large arrays.
        lost: What stands for the result of a task whose process ended again: called with a sentence
            that says so and the arguments of the task.
    """
    todo, engine = list(tasks), _engine.get()
    found = _in_processes(n_jobs, todo) if engine is None else engine(todo)
    for number, result in found:
        if isinstance(result, Lost):
            _, args, words = todo[number]
            yield lost(result.sentence, *args, **words)
        else:
            yield result


def _in_processes(n_jobs: int | None, todo: Sequence[Task]) -> Iterator[tuple[int, Any]]:
    """The results of tasks on this machine.

    A broken pool does not say which task broke it: all that had begun are tried on their own.
    """
    waiting = dict(enumerate(todo))
    while waiting:
        begun: list[int] = []
        try:
            for number, result in _results(n_jobs, _numbered(dict(waiting), begun), ordered=False):
                del waiting[number]
                yield number, result
        except BrokenProcessPool:
            suspects = [number for number in begun if number in waiting]
        else:
            return
        for number in suspects:
            yield number, _on_its_own(waiting.pop(number))


def _numbered(tasks: dict[int, Task], begun: list[int]) -> Iterator[Task]:
    """Tasks that give their number with their result; notes which have been handed out."""
    for number, task in tasks.items():
        begun.append(number)
        yield delayed(_with_number)(number, *task)


def _with_number(
    number: int, function: Callable[..., Any], args: tuple[Any, ...], words: dict[str, Any]
) -> tuple[int, Any]:
    return number, function(*args, **words)


def _on_its_own(task: Task) -> Any:
    """The result of a task in a process that runs nothing else."""
    try:
        (result,) = _results(2, [task], ordered=False)  # of 1, joblib would run it in this process
    except BrokenProcessPool:
        return Lost(ENDED)
    return result


def _said(results: Iterator[Any]) -> Iterator[Any]:
    """The same results; that a process was ended becomes a sentence."""
    try:
        yield from results
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process was ended from outside: perhaps the memory of this machine is too "
            "small for so many at a time"
        ) from None


def _results(n_jobs: int | None, tasks: Iterable[Task], ordered: bool) -> Iterator[Any]:
    """The results of some tasks, which begin at once."""
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
