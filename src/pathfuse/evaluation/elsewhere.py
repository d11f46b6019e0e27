"""Values on resamples by other processes, here or those of an engine.

They are given the path of a file with the judged rows, not the rows. They work on the same pieces,
so the values are the same to the last bit.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from joblib import delayed
from threadpoolctl import threadpool_limits

from pathfuse.errors import WorkerError
from pathfuse.evaluation.judged import EndpointLike, Judged
from pathfuse.evaluation.judged_file import read_judged, write_judged
from pathfuse.evaluation.resampling import Resamples
from pathfuse.evaluation.value_table import Table, rows_by_fold, table_of
from pathfuse.workers import file_to_file, runs_here, temporary_folder

PIECES = 4
"""So many pieces are one task: reading the rows and sorting them is dear as well."""


def table_elsewhere(
    endpoint: EndpointLike,
    judged: Judged,
    names: Sequence[str],
    rows: Bool[np.ndarray, " sample"],
    resamples: Resamples,
) -> Table | None:
    """The values of all pieces; None where this process should work them out.

    Raises:
        WorkerError: One of the others was ended, twice.
    """
    if runs_here(resamples.n_jobs):
        return None
    pieces = resamples.pieces
    tasks = [pieces[n : n + PIECES] for n in range(0, len(pieces), PIECES)]
    with temporary_folder() as folder:
        place = write_judged(folder, judged, names, rows, resamples)
        todo = [
            delayed(table_from_file)(place, endpoint, some, number)
            for number, some in enumerate(tasks)
        ]
        found = dict(file_to_file(resamples.n_jobs, todo, _lost))
    return np.concatenate([found[number] for number in range(len(tasks))], axis=2)


def table_from_file(
    place: Path, endpoint: EndpointLike, pieces: Sequence[range], number: int
) -> tuple[int, Table]:
    """In another process: the values of some pieces, and the number of the task."""
    judged, rows, resamples = read_judged(place)
    inside = rows_by_fold(judged, rows)
    with threadpool_limits(1):  # as in fuse
        scores = {
            name: [judged.scores(endpoint, name, own, fold) for fold, own in inside.items()]
            for name in judged.predictions
        }
        return number, table_of(scores, endpoint.metrics, inside, resamples, pieces)


def _lost(reason: str, *_task: object) -> tuple[int, Table]:
    raise WorkerError(f"the resamples could not be worked out: {reason}")
