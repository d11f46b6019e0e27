"""What a piece of work costs: time, memory, parameters, operations.

Standard library only, so that all may count.

Operations (FLOPs) are those of sums of products, two for each term, as torch's counter has them:
products of matrices, weighted sums over experts or features, convolutions, linear equations.
Functions of single cells (exp, log, softmax, sorting) are not counted, on neither side, so that a
network and a pool of experts can be compared.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError

if sys.platform != "win32":
    import resource

MB = 1e6
"""Bytes."""
LARGEST = 1e30
"""No cost is beyond; it keeps out infinities."""
WHOLE = ("parameters",)
LARGEST_OF = ("peak_memory_mb", "added_memory_mb")


@dataclass(frozen=True)
class Cost:
    """The cost of fitting a model and of predicting with it; None: not known.

    Examples:
        >>> uni, conch = Cost(wall_s=8.0, peak_memory_mb=900.0), Cost(wall_s=4.0, peak_memory_mb=700.0)
        >>> both = total([uni, conch])
        >>> both.wall_s, both.peak_memory_mb, both.parameters
        (12.0, 900.0, None)
        >>> ratios(both, conch)["wall_s"]
        3.0
    """

    wall_s: float | None = None
    """Seconds on the clock."""
    cpu_s: float | None = None
    """Seconds of all processors, worker processes included."""
    peak_memory_mb: float | None = None
    """Largest resident memory of the process while it worked, in 10^6 bytes: Python, libraries and
    data included, worker processes not."""
    added_memory_mb: float | None = None
    """That peak minus what was resident when the work began. None where the system does not say; the
    peak is then that of the process since its start."""
    parameters: int | None = None
    """Numbers learned from data, of the models that serve."""
    fit_flops: float | None = None
    """Operations of the fit, inner cross-validation and cross-fitting included."""
    predict_flops_per_sample: float | None = None
    """Operations of predicting one sample with all the models that serve."""

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: object) -> "Cost":
        """The inverse of ``as_dict``; missing keys are not known, other keys are not read.

        Raises:
            InputError: It holds no cost, or a value is not a number of at least 0 (of parameters:
                no whole one).
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(content, Mapping) or not any(name in content for name in names):
            raise InputError(f"a cost has some of the keys {', '.join(names)}")
        for name in names:
            value, whole = content.get(name), name in WHOLE
            number = isinstance(value, int if whole else int | float) and not isinstance(
                value, bool
            )
            if value is not None and not (number and 0 <= value < LARGEST):
                kind = "whole number" if whole else "number"
                raise InputError(f"the cost '{name}' must be a {kind} of at least 0, not {value!r}")
        return cls(**{name: content.get(name) for name in names})

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return any(value is not None for value in self.as_dict().values())


def total(costs: Iterable[Cost]) -> Cost:
    """The cost of several pieces of work: all adds up but memory, of which the largest counts.

    What is not known of one is not known of the sum. Wall time is that of one after the other, even
    if they ran side by side. A model that was fitted but does not serve has no parameters and
    nothing to predict: give it 0 for both.
    """
    parts = list(costs)
    summed: dict[str, Any] = {}
    for name in (field.name for field in fields(Cost)):
        values = [getattr(part, name) for part in parts]
        known = bool(values) and None not in values
        summed[name] = None if not known else max(values) if name in LARGEST_OF else sum(values)
    return Cost(**summed)


def ratios(cost: Cost, other: Cost) -> dict[str, float | None]:
    """How many times the other's cost this one is, per key.

    None where either is not known, or the other's is 0.
    """
    pairs = ((name, value, other.as_dict()[name]) for name, value in cost.as_dict().items())
    return {
        name: value / divisor if value is not None and divisor else None
        for name, value, divisor in pairs
    }


# Time and memory.


@dataclass(eq=False)
class Meter:
    """What ``measured`` found."""

    cost: Cost = Cost()
    """Wall and processor time, and memory; known when the block has ended."""


@dataclass(eq=False)
class _Watch:
    """The memory of one open block, in MB."""

    start: float
    peak: float


_LOCK = threading.Lock()
_OPEN: list[_Watch] = []
"""Of this process: starting a new peak must not lose that of a block around it."""


@contextmanager
def measured() -> Iterator[Meter]:
    """Measures time and peak memory of a block; blocks may be nested, and may run in threads.

    Linux forgets the process's peak when asked to, so the peak is that of the block (and
    ``ru_maxrss`` of the process starts anew with it). Elsewhere, and where the system does not
    allow it, it is that of the process since its start, and ``added_memory_mb`` is None. Never
    fails.

    Processor time is that of all threads of this process; see ``Tally`` for worker processes.

    Examples:
        >>> with measured() as meter:
        ...     numbers = list(range(1000))
        >>> meter.cost.wall_s > 0, meter.cost.parameters is None
        (True, True)
    """
    meter, watch = Meter(), _start_watch()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield meter
    finally:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak, added = _end_watch(watch)
        meter.cost = Cost(round(wall, 6), round(cpu, 6), peak, added)


def _start_watch() -> _Watch | None:
    """Starts a new peak; None where that is not possible."""
    with _LOCK:
        now = _resident()
        if now is None:
            return None
        for outer in _OPEN:
            outer.peak = max(outer.peak, now[1])
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets VmHWM
        except OSError:
            return None
        watch = _Watch(now[0], now[0])
        _OPEN.append(watch)
        return watch


def _end_watch(watch: _Watch | None) -> tuple[float | None, float | None]:
    """Peak and what was added, in MB."""
    if watch is None:
        return _peak_of_process(), None
    with _LOCK:
        now = _resident() or (watch.start, watch.peak)
        for each in _OPEN:
            each.peak = max(each.peak, now[1])
        _OPEN.remove(watch)
    return round(watch.peak, 3), round(watch.peak - watch.start, 3)


def _resident() -> tuple[float, float] | None:
    """Resident memory now and at its peak, in MB; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        found = {name: float(rest.split()[0]) * 1024 / MB for name, _, rest in (line.partition(":") for line in lines)
                 if name in ("VmRSS", "VmHWM")}  # fmt: skip
        return found["VmRSS"], found["VmHWM"]
    except (OSError, ValueError, IndexError, KeyError):
        return None


def _peak_of_process() -> float | None:
    """Largest resident memory since the process began, in MB."""
    if sys.platform == "win32":
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(largest * (1 if sys.platform == "darwin" else 1024) / MB, 3)


# Operations.


@dataclass
class Tally:
    """Operations counted in a block, here and in the worker processes that worked for it."""

    flops: int = 0
    """Operations, as the top of this file defines them."""
    workers_cpu_s: float = 0.0
    """Processor seconds of other processes, whose tallies were absorbed."""
    cpu_s: float = 0.0
    """Processor seconds of the block in its own process."""
    process: int = 0
    """That process."""


_TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Counts what ``add_flops`` reports inside the block.

    A block inside another keeps its count to itself: ``absorb`` hands it on. A function that
    workers run opens a block and returns its tally with its result, and the caller absorbs it; so
    the count depends on no number of processes.

    Examples:
        >>> with tallied() as tally:
        ...     add_flops(2 * 3)
        >>> tally.flops
        6
    """
    tally = Tally(process=os.getpid())
    before, start = _TALLY.set(tally), time.process_time()
    try:
        yield tally
    finally:
        tally.cpu_s = time.process_time() - start
        _TALLY.reset(before)


def add_flops(flops: int) -> None:
    """Reports operations to the tally that is open, if one is."""
    tally = _TALLY.get()
    if tally is not None:
        tally.flops += int(flops)


def absorb(other: Tally) -> None:
    """Adds a finished tally to the one that is open, if one is."""
    tally = _TALLY.get()
    if tally is None:
        return
    tally.flops += other.flops
    tally.workers_cpu_s += other.workers_cpu_s + (
        other.cpu_s if other.process != os.getpid() else 0.0
    )


def pca_flops(shape: tuple[int, ...], components: int) -> int:
    """Operations of principal components: of a whole decomposition, or of the randomised one if
    that is less.
    """
    rows, columns = shape
    size, small = rows * columns, min(rows, columns)
    return min(4 * size * small, 20 * size * (components + 10))


def solve_flops(size: int, columns: int) -> int:
    """Operations of solving one system of linear equations by elimination."""
    return 2 * size**3 // 3 + 2 * size**2 * columns
