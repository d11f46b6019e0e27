"""Images segmented by a fitted fusion, one task each: masks, and probabilities where asked for, go
to files; what was counted comes back.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from joblib import delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles
from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.confusion import Confusion
from pathfuse.dense.evaluation.counting import ImageCount, open_count
from pathfuse.dense.evaluation.masks import write_mask
from pathfuse.dense.evaluation.separation import WATERSHED, Separation
from pathfuse.dense.fusion.fused_model import FUSED, DenseFusion
from pathfuse.dense.fusion.pixel_counts import PixelCounter
from pathfuse.dense.fusion.pixel_sample import check_size
from pathfuse.errors import WorkerError
from pathfuse.workers import file_to_file

PROCESSES_FROM = 2**25
"""Numbers (pixels x models x classes) of all images from which on further processes are started:
for fewer, starting them takes longer than the work."""

MIN_CELLS = 2**19
"""Numbers of one strip, however many processes share what one would hold."""


@dataclass(frozen=True)
class Job:
    """How the images are segmented; it travels to worker processes."""

    fusion: DenseFusion
    files: LogitFiles
    masks: Path
    """Folder of ``<image_id>.png``."""
    probabilities: Path | None = None
    """Folder of ``<image_id>.npy``; None: none are written."""
    names: Collection[str] | None = None
    """Of the masks that are counted; None: all."""
    things: Collection[int] = ()
    """Classes that have instances."""
    ignore: int = IGNORE
    cells: int = CHUNK_CELLS
    separation: Separation = WATERSHED
    """How instances are told apart: those of the fusion and of all models alike."""


class Judged(ImageCount):
    """What was counted of an image, perhaps in another process, without the image."""

    def __init__(
        self, n_classes: int, cms: dict[str, Confusion], instances: dict[str, dict[str, float]]
    ) -> None:
        super().__init__(np.zeros((0, 0), dtype=np.uint8), n_classes)
        self.cms, self._found = cms, instances

    def instance_metrics(self) -> dict[str, dict[str, float]]:
        """See ``ImageCount``."""
        return self._found


def segment(
    job: Job, items: Sequence[Item], n_jobs: int | None
) -> Iterator[tuple[Item, Judged | None]]:
    """Segments images, in any order.

    Args:
        job: How.
        items: The images; those with a mask are judged.
        n_jobs: Images at a time, as in joblib; no file and no count depends on it.

    Yields:
        Images, and what was counted of those with a mask.

    Raises:
        InputError: A file is wrong.
        WorkerError: A process was ended from outside.
    """
    if enough_for_processes(job.files, [item.image_id for item in items]):
        n_processes = effective_n_jobs(n_jobs)
        if job.fusion.pool_px == 1:  # else strips round the averages of gate features
            job = replace(job, cells=min(job.cells, max(MIN_CELLS, job.cells // n_processes)))
    else:
        n_jobs = 1
    tasks = (delayed(_segment_image)(job, item) for item in items)
    for done in file_to_file(n_jobs, tasks, lambda why, _, item: (item, why)):
        item, judged = done
        if isinstance(judged, str):
            raise WorkerError(f"the image '{item.image_id}' was not segmented: {judged}")
        yield item, judged


def enough_for_processes(files: LogitFiles, image_ids: Sequence[str]) -> bool:
    """Whether the images are so large that further processes are worth their start."""
    pixels = sum(float(np.prod(files.shape(image_id))) for image_id in image_ids)
    return pixels * len(files.folders) * files.n_classes >= PROCESSES_FROM


def _segment_image(job: Job, item: Item) -> tuple[Item, Judged | None]:
    with threadpool_limits(1):  # small matrices: threads cost time, and must not change a bit
        return _segmented(job, item)


def _segmented(job: Job, item: Item) -> tuple[Item, Judged | None]:
    files, n_classes = job.files, job.files.n_classes
    shape = files.shape(item.image_id)
    count = open_count(item, n_classes, job.ignore, job.things, job.separation)
    if count is not None:
        check_size(count.truth, shape, item)
    fused = np.empty(shape, dtype=np.uint8)
    shares = None
    if job.probabilities is not None:
        shares = ShareFile(job.probabilities / f"{item.image_id}.npy", (n_classes, *shape))
    for rows, masks, probabilities in job.fusion.strips(
        files, item.image_id, job.cells, names=job.names, probabilities=shares is not None
    ):
        fused[rows] = masks[FUSED]
        if count is not None:
            _count(count, rows, masks, by_instance=item.instances is not None)
        if shares is not None and probabilities is not None:
            shares.put(rows, probabilities)
    write_mask(fused, job.masks / f"{item.image_id}.png")
    if count is None:
        return item, None
    return item, Judged(n_classes, count.cms, count.instance_metrics())


def _count(
    count: ImageCount,
    rows: slice,
    masks: dict[str, UInt8[np.ndarray, "row column"]],
    *,
    by_instance: bool,
) -> None:
    """Counts some rows of every mask; the same mask under two names is counted once."""
    if by_instance:
        for name, own in masks.items():
            count.add(name, rows, own)
        return
    counter, known = PixelCounter(count.truth[rows], count.n_classes), dict[int, Confusion]()
    for name, own in masks.items():
        place = own.ctypes.data
        if place not in known:
            known[place] = counter.confusion(own)
        before = count.cms.get(name)
        count.cms[name] = known[place] if before is None else before + known[place]


class ShareFile:
    """Probabilities of one image, float16 (K, H, W), written rows by rows.

    Args:
        path: ``.npy`` to write.
        shape: (K, H, W).
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._path = path
        np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)

    def put(self, rows: slice, shares: Float32[np.ndarray, "outcome row column"]) -> None:
        """Writes some rows."""
        # Opened anew for every strip: pages that were written would pile up in resident memory.
        np.lib.format.open_memmap(self._path, mode="r+")[:, rows] = shares
