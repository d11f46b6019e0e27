"""Work in processes: a killed process costs a retry, then one result, and nobody waits for it."""

import os
import signal
from pathlib import Path

import pytest
from joblib import delayed

from pathfuse.errors import WorkerError
from pathfuse.workers import Lost, file_to_file, in_parallel, runs_elsewhere, runs_here, using


def double(number: int) -> int:
    return 2 * number


def dies(number: int, place: str, always: bool) -> int:
    """Ends its own process, at the first try or at every one, if it is number 3."""
    mark = Path(place) / f"{number}.tried"
    tried = mark.exists()
    mark.touch()
    if number == 3 and (always or not tried):
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def lost(sentence: str, number: int, *_: object) -> tuple[str, int]:
    return sentence, number


def test_without_processes_tasks_run_here_in_order():
    assert list(file_to_file(None, (delayed(double)(n) for n in range(4)), lost)) == [0, 2, 4, 6]
    assert runs_here(None)
    assert runs_here(1)
    assert not runs_here(2)


def test_an_engine_gets_the_tasks_and_says_which_is_lost():
    def engine(tasks):
        for number, (function, args, words) in reversed(list(enumerate(tasks))):
            yield number, Lost("gone") if number == 1 else function(*args, **words)

    tasks = [delayed(double)(n) for n in range(3)]
    with using(engine):
        assert runs_elsewhere()
        assert not runs_here(None)
        assert list(file_to_file(None, tasks, lost)) == [4, ("gone", 1), 0]
        assert list(in_parallel(None, tasks)) == [0, 2, 4]  # fits on arrays stay here
    assert not runs_elsewhere()


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True])
def test_a_killed_process_is_tried_again_alone(tmp_path, always):
    tasks = (delayed(dies)(n, str(tmp_path), always) for n in range(12))
    found = list(file_to_file(2, tasks, lost))
    sentences = [one for one in found if isinstance(one, tuple)]
    assert sorted(one for one in found if not isinstance(one, tuple)) == [
        2 * n for n in range(12) if n != 3 or not always
    ]
    assert [number for _, number in sentences] == ([3] if always else [])
    assert all("its process was ended from outside, twice" in one for one, _ in sentences)


@pytest.mark.slow
def test_a_killed_process_of_a_fit_is_a_sentence(tmp_path):
    with pytest.raises(WorkerError, match="a worker process was ended from outside"):
        list(in_parallel(2, (delayed(dies)(n, str(tmp_path), True) for n in range(6))))


@pytest.mark.slow
def test_what_a_task_raises_is_raised():
    with pytest.raises(TypeError):
        list(file_to_file(2, [delayed(double)(None), delayed(double)(1)], lost))
