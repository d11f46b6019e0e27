"""The bridge to a Dask cluster (extra ``distributed``): tasks from file to file run on its workers.

Inside ``on_cluster`` whatever pathfuse gives to ``workers.file_to_file`` travels: a function, paths
and settings, no arrays. Each task runs in the caller's working directory, on one thread, and works
in one process; so a path means the same there, and the files that it writes are those of a run on
this machine, byte for byte.

Dask's futures and not joblib's Dask backend: where the workers of a task die again and again, that
backend (joblib 1.6) is never told, and waits for ever.
"""

import asyncio
import os
import pydoc
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pathfuse
from pathfuse.errors import InputError, WorkerError
from pathfuse.files.json import read_json
from pathfuse.files.temporary import PROBE, sweep, temporary_name, work_folder
from pathfuse.progress import Say
from pathfuse.workers import Lost, Task, using

REACHED_S = 5.0
"""So long an address is tried."""
JOINED_S = 60.0
"""So long the first worker is waited for: a queue starts it after the scheduler."""
ALONE_S = 600.0
"""So long a cluster without any worker is waited for while there is work: a node that is needed
elsewhere comes back later."""
SEEN_S = 5.0
"""So long a new file may take to be seen through a network file system."""
POLL_S = 2.0
"""How often the cluster is looked at while no task ends."""
NAMED = "pathfuse"
"""What hidden files for the workers are called after."""
DECISIVE = ("numpy", "scipy", "scikit-learn", "polars", "torch")
"""Packages whose version may show in the last digits."""


@contextmanager
def on_cluster(
    address: str | None,
    *,
    reads: Iterable[str | Path] = (),
    out: str | Path | None = None,
    say: Say | None = None,
) -> Iterator[None]:
    """Inside the block studies, experts' models and cells of a benchmark run on a Dask cluster.

    The workers must see the same files under the same paths, and run the same version of pathfuse,
    one task at a time each.

    Args:
        address: Of the scheduler, such as ``tcp://10.0.0.5:8786`` or ``tls://...``, or the file that
            ``dask scheduler --scheduler-file`` wrote; None: the work stays on this machine.
        reads: Files and folders that the tasks read.
        out: Where they write.
        say: Called with a sentence on what was found.

    Raises:
        InputError: The scheduler cannot be reached, no worker joins, or one of them has another
            version, several threads, or other files. The extra is not installed.
        WorkerError: In the block: the scheduler has gone, or all workers for ten minutes.
    """
    if not address:  # also an environment variable that is empty
        yield
        return
    address = _written(address)
    client = _connect(address)
    try:
        found = _checked(client, address, [Path(one) for one in reads], out)
        if say is not None:
            say(found)
        folder = partial(work_folder, _shared(out) / NAMED)
        with using(lambda tasks: _run(client, address, tasks), folder):
            yield
    finally:
        with suppress(Exception):  # it may have gone
            client.close(timeout=5)


def _written(address: str) -> str:
    """The address itself, or the one in the file that a scheduler wrote.

    Raises:
        InputError: The file is none of a scheduler.
    """
    file = Path(address)
    if not file.is_file():
        return address
    content = read_json(file)
    found = content.get("address") if isinstance(content, dict) else None
    if not isinstance(found, str):
        raise InputError(f"{file} is no file of 'dask scheduler --scheduler-file'")
    return found


def _connect(address: str) -> Any:
    """A client of a scheduler.

    Raises:
        InputError: dask is not installed, or nothing answers.
    """
    if find_spec("distributed") is None:
        raise InputError(
            "a scheduler needs dask, which is not installed: pip install 'pathfuse[distributed]'"
        )
    import logging

    import distributed  # sets the levels of its loggers itself

    for name in ("distributed.client", "distributed.comm"):  # what matters is said in sentences
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # in a thread of its own, since a notebook's has a loop already
        with ThreadPoolExecutor(1) as apart:
            apart.submit(asyncio.run, _greet(address)).result()
        return distributed.Client(address, timeout=2 * REACHED_S, set_as_default=False)
    except Exception as error:  # noqa: BLE001 - whatever answers there may say anything
        why = " ".join(str(error).split()) or f"nothing in {REACHED_S:g} seconds"
        raise InputError(
            f"no Dask scheduler answers at {address} ({why[:160]}); 'dask scheduler' starts one"
        ) from None


async def _greet(address: str) -> None:
    """Speaks to a scheduler; a client would try on, and take half a minute to give up."""
    from distributed.core import rpc
    from distributed.security import Security

    with_what = Security().get_connection_args("client")
    async with asyncio.timeout(REACHED_S), rpc(address, connection_args=with_what) as scheduler:
        await scheduler.identity()


def _checked(client: Any, address: str, reads: Sequence[Path], out: str | Path | None) -> str:
    """What was found, once nothing is wrong with the workers.

    Raises:
        InputError: Something is.
    """
    try:
        client.wait_for_workers(1, timeout=JOINED_S)
    except TimeoutError:
        raise InputError(
            f"no worker has joined {address} in {JOINED_S:g} seconds; 'dask worker {address} "
            "--nthreads 1' starts one"
        ) from None
    _check_versions(client)
    for worker, facts in client.scheduler_info()["workers"].items():
        if facts["nthreads"] != 1:
            raise InputError(
                f"worker {worker} runs {facts['nthreads']} tasks at a time in one process, where "
                "they would disturb each other; start it with --nthreads 1 (and --nworkers for more)"
            )
    _check_files(client, reads, out)
    n = len(client.scheduler_info()["workers"])
    return f"{n} worker{'' if n == 1 else 's'} at {address}{_differing(client)}"


def _check_versions(client: Any) -> None:
    """Refuses workers of another version of Python or pathfuse.

    Raises:
        InputError: There is one.
    """
    versions = client.get_versions()
    own = _minor(versions["client"])
    for worker, facts in versions["workers"].items():
        if _minor(facts) != own:
            raise InputError(f"worker {worker} runs Python {_minor(facts)}, and this is {own}")
    # a function of the standard library: of ours the worker may know nothing
    for worker, version in _ask(client, pydoc.locate, "pathfuse.__version__").items():
        if version is None:
            raise InputError(f"worker {worker} has no pathfuse: install {pathfuse.__version__}")
        if version != pathfuse.__version__:
            raise InputError(
                f"worker {worker} has pathfuse {version}, and this is {pathfuse.__version__}"
            )


def _minor(facts: dict[str, Any]) -> str:
    return ".".join(facts["packages"]["python"].split(".")[:2])


def _differing(client: Any) -> str:
    """What workers have in other versions, as the end of a sentence."""
    versions = client.get_versions(packages=DECISIVE)
    own = versions["client"]["packages"]
    others = sorted(
        {
            f"{name} {facts['packages'][name]}, not {own[name]}"
            for facts in versions["workers"].values()
            for name in DECISIVE
            if facts["packages"].get(name) != own[name]
        }
    )
    return f"; last digits may differ: a worker has {', '.join(others)}" if others else ""


def _ask(client: Any, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """What a function returns on every worker.

    Raises:
        InputError: It cannot be run on one of them.
    """
    found: dict[str, Any] = client.run(function, *args, on_error="return")
    for worker, answer in found.items():
        if isinstance(answer, BaseException):
            raise InputError(
                f"worker {worker} cannot run pathfuse: {' '.join(str(answer).split())}"
            )
    return found


def _check_files(client: Any, reads: Sequence[Path], out: str | Path | None) -> None:
    """Refuses workers with other files, or that cannot write where the results go.

    Raises:
        InputError: There is one.
    """
    here = Path.cwd()
    seen = [here, *(here / path for path in reads if path.exists())]
    folder = _shared(out)
    if out is None or not os.access(folder, os.W_OK):  # whoever writes there says so
        _check_seen(client, seen, None)
        return
    sweep(folder / NAMED)
    mark = temporary_name(folder / NAMED, PROBE)
    try:
        mark.touch()
        _check_seen(client, [*seen, folder, mark], folder)
    finally:
        mark.unlink(missing_ok=True)


def _shared(out: str | Path | None) -> Path:
    """A folder that the workers see and write to: that of the results, or the nearest above it."""
    place = Path.cwd() if out is None else (Path.cwd() / out).absolute()
    return next(one for one in (place, *place.parents) if one.is_dir())


def _check_seen(client: Any, paths: Sequence[Path], folder: Path | None) -> None:
    until = monotonic() + SEEN_S
    while True:
        answers = _ask(client, unseen, [str(path) for path in paths], folder and str(folder))
        wrong = next(((worker, path) for worker, path in answers.items() if path), None)
        if wrong is None:
            return
        if monotonic() > until:
            break
        sleep(0.5)
    worker, path = wrong
    if folder is not None and path == str(paths[-1]):
        path = str(folder)
        raise InputError(f"worker {worker} does not see what is written to the folder {path} here")
    if path.startswith("!"):
        raise InputError(f"worker {worker} may not write to the folder {path[1:]}")
    raise InputError(f"worker {worker} cannot see {path}: all workers need the same files")


def unseen(paths: Sequence[str], folder: str | None) -> str:
    """On a worker: the first of some paths that is not there, or empty.

    Args:
        paths: Of files and folders.
        folder: That must take new files, if any: after a ``!``.
    """
    missing = next((path for path in paths if not os.path.exists(path)), "")  # noqa: PTH110
    if not missing and folder is not None and not os.access(folder, os.W_OK):
        return f"!{folder}"
    return missing


def _run(client: Any, address: str, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
    """Tasks by their place in the list with their results, as they end.

    Dask runs a task again whose worker died, and gives up after several deaths. What waited on the
    same worker is blamed with it: whatever was given up is tried once more, on its own.
    """
    given_up: list[int] = []
    for number, result in _submitted(client, address, list(enumerate(tasks))):
        if isinstance(result, Lost):
            given_up.append(number)
        else:
            yield number, result
    for number in sorted(given_up):
        yield from _submitted(client, address, [(number, tasks[number])])


def _submitted(
    client: Any, address: str, tasks: Sequence[tuple[int, Task]]
) -> Iterator[tuple[int, Any]]:
    here, ended = str(Path.cwd()), queue.SimpleQueue[Any]()
    numbers = {}
    try:
        for number, task in tasks:
            future = client.submit(on_worker, pathfuse.__version__, here, *task, pure=False)
            numbers[future] = number
            future.add_done_callback(ended.put)
        while numbers:
            future = _next(client, address, ended)
            result = _result(future, address)
            yield numbers.pop(future), result
    finally:
        if numbers:
            with suppress(Exception):  # the scheduler may have gone
                client.cancel(list(numbers), force=True)


def _next(client: Any, address: str, ended: "queue.SimpleQueue[Any]") -> Any:
    """The next future that has ended.

    Raises:
        WorkerError: The scheduler has gone, or all workers for a long time.
    """
    alone_since = None
    while True:
        with suppress(queue.Empty):
            return ended.get(timeout=POLL_S)
        if client.status != "running":
            raise _gone(address)
        n_workers = 1  # the client tries to come back; its status says when it has given up
        with suppress(OSError, TimeoutError):
            n_workers = client.scheduler_info()["n_workers"]
        if n_workers:
            alone_since = None
        elif alone_since is None:
            alone_since = monotonic()
        elif monotonic() - alone_since > ALONE_S:
            raise WorkerError(
                f"all workers have left {address}, and none has come back in {ALONE_S:g} seconds; "
                "what is done is kept, and the same command goes on from there"
            )


def _result(future: Any, address: str) -> Any:
    """What a task returned, or ``Lost``; raises what it raised.

    Raises:
        WorkerError: It has no end: the scheduler has gone.
    """
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise _gone(address)
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Lost(
            f"the workers that ran it ended, {error.allowed_failures + 1} in turn, also when it ran "
            "alone: perhaps their memory does not hold it; their logs say more"
        )
    raise error


def _gone(address: str) -> WorkerError:
    return WorkerError(
        f"the scheduler at {address} has gone; what is done is kept, and the same command goes on "
        "from there"
    )


def on_worker(
    version: str,
    here: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    words: dict[str, Any],
) -> Any:
    """On a worker: calls a function in the caller's folder, in one process and on one thread.

    Args:
        version: Of the caller's pathfuse: workers may have joined since it looked.
        here: The caller's working directory.
        function: What to do.
        args: Its arguments.
        words: Those by name.

    Raises:
        InputError: This worker has another version, or other files.
    """
    from joblib import parallel_config
    from threadpoolctl import threadpool_limits

    if version != pathfuse.__version__:
        raise InputError(
            f"a worker that joined later has pathfuse {pathfuse.__version__}, and this is {version}"
        )
    if not Path(here).is_dir():
        raise InputError(f"a worker that joined later cannot see the folder {here}")
    with chdir(here), threadpool_limits(1), parallel_config("sequential"):
        return function(*args, **words)
