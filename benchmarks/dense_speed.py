"""CPU seconds per million pixels of fusing segmentations, before and after, beside the floor.

Before: what ``dense fuse`` did at first: log-probabilities of all models in double
precision, the method's pool, its normalisation, and the argmax of it, of every pixel; and a
confusion matrix by fancy indexing. After: ``dense.fusion``. The floor is one argmax over one
model's logits, which no fusion can do without. Both give the same class in every pixel, or the
table says in how many not.

The logits are made up: a smooth field per class, which all models see with noise of their own, so
that they disagree in the share of pixels that the table gives (borders, mostly). ``dense apply`` is
measured whole: reading float16 files, fusing, writing the PNG; its floor is the same for one model.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from benchmarks.feature_fusion import Row
from pathfuse.dense.data.logit_files import LogitFiles, Strip
from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.evaluation.masks import write_mask
from pathfuse.dense.fusion.fused_model import DenseFusion
from pathfuse.dense.fusion.methods.base import DenseMethod, FitData
from pathfuse.dense.fusion.methods.registered import Registered
from pathfuse.dense.fusion.methods.registry import METHODS
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.pixel_counts import PixelCounter
from pathfuse.dense.fusion.segmenting import Job, segment
from pathfuse.dense.fusion.strips import PixelStrip
from pathfuse.fusion.categorical.experts import Experts

SIDE, N_MODELS, FIT, REPEATS, SEED = 1000, 3, 4000, 3, 0
SHOWN = ("mean_logit", "static_product", "mean_probability", "logitprod", "logistic", "majority", "staple")  # fmt: skip


def dense_speed() -> list[Row]:
    """One row per method and number of classes, then counting, then ``dense apply``."""
    with threadpool_limits(1):
        return [row for n_classes in (2, 7) for row in _rows(n_classes)]


def _rows(n_classes: int) -> list[Row]:
    rng = np.random.default_rng(SEED)
    planes, truth = _made(n_classes, rng)
    some = rng.choice(SIDE * SIDE, FIT, replace=False)
    flat = planes.reshape(N_MODELS, n_classes, -1)
    observed = np.eye(n_classes, dtype=bool)[truth.ravel()[some]]
    experts = Experts.from_logits(flat[:, :, some].transpose(2, 0, 1))
    data = FitData(experts, observed, some % 8, np.zeros(n_classes), tuple(range(N_MODELS)))
    methods = {name: METHODS[name]().fit(data, SEED) for name in SHOWN}
    interleaved = np.ascontiguousarray(flat.transpose(2, 0, 1))
    floor, _ = _seconds(lambda: flat[0].argmax(axis=0))
    shared = PixelStrip(Strip(0, SIDE, 0, planes)).disputed.size / SIDE**2
    rows: list[Row] = []
    for name, method in methods.items():
        before = None
        if isinstance(method, Registered):
            fusion = method.fusion
            before, said = _seconds(
                lambda f=fusion: f.combine(Experts.from_logits(interleaved)).argmax(axis=1)
            )
        after, now = _seconds(lambda m=method: _classes(m, planes))
        differ = None if before is None else int((said != now).sum())
        rows.append(_row(name, n_classes, shared, before, after, floor, differ))
    label = truth.copy()
    label[:20] = IGNORE
    mask = now.reshape(SIDE, SIDE)
    before, old = _seconds(lambda: confusion(label, mask, n_classes))
    counter = PixelCounter(label, n_classes)
    after, new = _seconds(lambda: counter.confusion(mask))
    off = int(np.abs(old - new).sum())
    rows.append(_row("count one mask", n_classes, shared, before, after, floor, off))
    once = [methods[name] for name in ("static_product", "logitprod", "mean_probability")]
    rows.append(_applied(n_classes, shared, planes, once))
    return rows


def _classes(method: DenseMethod, planes: np.ndarray) -> np.ndarray:
    """From logits to classes, with all that is shared between methods worked out anew."""
    strip, patterns = PixelStrip(Strip(0, SIDE, 0, planes)), None
    if method.reads_patterns:
        patterns = Patterns(planes.shape[1])
        patterns.add(strip.decisions)
    return method.of_image(patterns).classes(strip)


def _applied(
    n_classes: int, shared: float, planes: np.ndarray, methods: Sequence[DenseMethod]
) -> Row:
    """``dense apply``, from files to a file; before, it worked out every method of the fusion."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        names = tuple("abc")
        for name, own in zip(names, planes, strict=True):
            (place / name).mkdir()
            np.save(place / name / "im.npy", own.astype(np.float16))
        files = LogitFiles({name: place / name for name in names}, n_classes)
        classes = tuple(str(k) for k in range(n_classes))
        fusion = DenseFusion(
            classes, names, {"static_product": methods[0]}, "static_product", names
        )
        job = Job(fusion, files, place, names=("fused",))
        item = Item("im", Path("im"), None, "im")
        pools = [one.fusion for one in methods if isinstance(one, Registered)]

        def old() -> None:
            fresh = replace(files, _opened={})
            mask = np.empty((SIDE, SIDE), dtype=np.uint8)
            for strip in fresh.strips("im"):
                logits = np.ascontiguousarray(strip.logits)  # as strips lay in memory
                experts = Experts.from_logits(logits.reshape(-1, N_MODELS, n_classes))
                said = [one.combine(experts).argmax(axis=1) for one in pools]
                mask[strip.start : strip.stop] = said[0].reshape(-1, SIDE)
            write_mask(mask, place / "o.png")

        def lone() -> None:
            fresh = replace(files, _opened={}, folders={"a": place / "a"})
            parts = [strip.planes[0].argmax(axis=0) for strip in fresh.strips("im")]
            write_mask(np.concatenate(parts).astype(np.uint8), place / "f.png")

        (before, _), (floor, _) = _seconds(old), _seconds(lone)

        def new() -> None:
            list(segment(replace(job, files=replace(files, _opened={})), [item], 1))

        after, _ = _seconds(new)
        differ = int((place / "o.png").read_bytes() != (place / "im.png").read_bytes())
    return _row("apply static_product", n_classes, shared, before, after, floor, differ)


def _made(n_classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Float32 (model, class, row, column), as float16 files hold it, and the truth."""
    fields = np.stack([gaussian_filter(rng.normal(size=(SIDE, SIDE)), 12) for _ in range(n_classes)])  # fmt: skip
    fields /= fields.std()
    noise = [
        gaussian_filter(rng.normal(size=(n_classes, SIDE, SIDE)), (0, 4, 4))
        for _ in range(N_MODELS)
    ]
    planes = np.stack([4 * fields + own / own.std() for own in noise])
    return planes.astype(np.float16).astype(np.float32), fields.argmax(axis=0).astype(np.uint8)


def _seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Least CPU seconds of some runs, and what the last one gave."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        found = work()
        times.append(time.process_time() - start)
    return min(times), found


def _row(
    what: str,
    n_classes: int,
    disputed: float,
    before: float | None,
    after: float,
    floor: float,
    differ: int | None,
) -> Row:
    per_mpx = 1e6 / SIDE**2
    return {
        "what": what,
        "models": N_MODELS,
        "classes": n_classes,
        "disputed": round(disputed, 3),
        "before_s_per_mpx": None if before is None else round(before * per_mpx, 4),
        "after_s_per_mpx": round(after * per_mpx, 4),
        "floor_s_per_mpx": round(floor * per_mpx, 4),
        "times_faster": None if before is None else round(before / after, 1),
        "pixels_that_differ": differ,
    }
