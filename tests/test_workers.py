"""Work in several processes."""

import sys

from joblib import delayed
from joblib.externals.loky import reusable_executor

from pathfuse.workers import IDLE_S, in_parallel


def test_workers_are_still_there_for_a_later_call_of_a_long_program():
    assert list(in_parallel(2, (delayed(abs)(-i) for i in range(4)))) == [0, 1, 2, 3]
    pool = reusable_executor._executor
    assert pool is not None
    assert pool._timeout == IDLE_S


def _leak():
    from joblib.externals.loky import process_executor

    return process_executor._MAX_MEMORY_LEAK_SIZE


def test_workers_that_grow_are_not_ended():
    """A worker that imports torch grows by more than joblib allows, and would end between two tasks."""
    assert min(in_parallel(2, (delayed(_leak)() for _ in range(4)))) == sys.maxsize
