"""What all tests share: a seeded study of simulated experts, and the command line in process."""

import io
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import settings
from joblib.externals.loky import get_reusable_executor
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pathfuse.cli import main
from pathfuse.experts import recipe
from pathfuse.fusion import inner_cv
from pathfuse.study.study import Study, read_study

settings.register_profile("pathfuse", deadline=None)  # a busy machine is not a bug
settings.load_profile("pathfuse")

CLASSES = ("adipose", "stroma", "tumor")
LIMITS = {"SMALL": inner_cv.SMALL, "LARGE": inner_cv.LARGE}
"""Numbers of rows below which inner cross-validation is repeated."""


@pytest.fixture(autouse=True, scope="session")
def one_network():
    """Trained heads have one network per part here unless a test says more: three take three times
    as long, and show nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "NETWORKS", 1)
        yield


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str


class Simulated(NamedTuple):
    """A study in memory."""

    samples: pl.DataFrame
    experts: dict[str, pl.DataFrame]


def _simulate(
    n_fit: int = 60,
    n_test: int = 40,
    n_experts: int = 3,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
    *,
    n_train: int = 0,
    n_folds: int = 0,
    per_patient: int = 1,
    coverage: float = 1.0,
) -> Simulated:
    """Simulated experts: better than chance everywhere, and good in a region of the samples that is
    their own.

    Every class occurs in every split and fold (classes go round robin inside each). With
    ``n_folds`` the column ``fold`` takes the place of ``split``. With ``coverage`` below 1 an
    expert scored only some samples, but one expert scored all.
    """
    rng = np.random.default_rng(seed)
    n, k = n_fit + n_test + n_train, len(classes)
    ids = [f"s{i:03d}" for i in range(n)]
    split = ["fit"] * n_fit + ["test"] * n_test + ["train"] * n_train
    unit = np.concatenate([np.arange(size) for size in (n_fit, n_test, n_train)]) // per_patient
    truth = unit % k
    columns: dict[str, object] = {"sample_id": ids}
    if per_patient > 1:
        columns["patient_id"] = [f"{role}-{u}" for role, u in zip(split, unit, strict=True)]
    if n_folds:
        columns["fold"] = (np.arange(n) // per_patient) // k % n_folds
        truth = (np.arange(n) // per_patient) % k
        if per_patient > 1:
            columns["patient_id"] = [f"p{u}" for u in np.arange(n) // per_patient]
    else:
        columns["split"] = split
    columns["label"] = [classes[c] for c in truth]
    region = rng.integers(n_experts, size=n)
    experts = {}
    for m in range(n_experts):
        logits = rng.normal(size=(n, k))
        logits[np.arange(n), truth] += np.where(region == m, 3.0, 0.8)
        frame = pl.DataFrame(
            {"sample_id": ids, **{f"logit_{c}": logits[:, j] for j, c in enumerate(classes)}}
        )
        kept = rng.random(n) < coverage if m else np.ones(n, dtype=bool)
        experts[f"expert_{m}"] = frame.filter(pl.Series(kept))
    return Simulated(pl.DataFrame(columns), experts)


def _write_study(folder: Path, study: Simulated, suffix: str = ".csv") -> tuple[Path, Path]:
    samples, predictions = folder / f"samples{suffix}", folder / "predictions"
    predictions.mkdir(parents=True)
    for path, frame in [
        (samples, study.samples),
        *((predictions / f"{n}{suffix}", f) for n, f in study.experts.items()),
    ]:
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    return samples, predictions


def _run_cli(*args: object) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([str(a) for a in args])
    return Said(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session", autouse=True)
def quick_figures() -> Iterator[None]:
    """PDF figures in name only, and SVG figures without layout: most of what writing a run costs.

    ``tests/report`` draws real ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            FigureCanvasPdf, "print_pdf", lambda _, path, **__: Path(path).write_bytes(b"%PDF-")
        )
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def quick_inner_folds() -> Iterator[None]:
    """One division in five in place of five in ten, where inner cross-validation is not what is
    tested.

    With few rows its fits are most of what a run costs. ``tests/fusion`` and
    ``test_shared_studies`` keep them all; so do processes that a test starts.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        patch.setattr(inner_cv, "LARGE", 0)
        yield


@pytest.fixture
def all_inner_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes ``quick_inner_folds`` for a test whose worker processes must do as this one does."""
    for name, size in LIMITS.items():
        monkeypatch.setattr(inner_cv, name, size)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Simulated]:
    """``simulate(n_fit=60, n_test=40, n_experts=3, classes=..., seed=0, ...) -> (samples, experts
    by name)``."""
    return _simulate


TRUTHS: dict[str, Callable[[np.random.Generator, int], dict[str, object]]] = {
    "multiclass": lambda rng, n: {"label": [f"c{k}" for k in rng.integers(3, size=n)]},
    "multilabel": lambda rng, n: {f"label_{g}": rng.integers(2, size=n) for g in ("kras", "braf")},
    "survival": lambda rng, n: {
        "time": rng.exponential(20, n) + 0.1,
        "event": rng.integers(2, size=n),
    },
    "regression": lambda rng, n: {f"target_{g}": rng.normal(size=n) for g in ("ki67", "er")},
}
COLUMNS = {
    "multiclass": [f"logit_c{k}" for k in range(3)],
    "multilabel": ["logit_kras", "logit_braf"],
    "survival": [f"hazard_logit_{k}" for k in (1, 2, 3)],
    "regression": ["mean_ki67", "mean_er"],
}


@pytest.fixture(scope="session")
def small_study() -> Callable[..., Study]:
    """``small_study(kind, n=90, folds=False)``: noise, two samples to a patient, three experts of
    whom the second misses a fifth."""

    def make(kind: str, n: int = 90, *, folds: bool = False) -> Study:
        rng = np.random.default_rng(0)
        ids, patients = [f"s{k}" for k in range(n)], [f"p{k // 2}" for k in range(n)]
        roles = ["fit" if k < 4 * n // 9 else "test" for k in range(n)]
        where = {"fold": np.arange(n) // 2 % 3} if folds else {"split": roles}
        truth = TRUTHS[kind](rng, n)
        samples = pl.DataFrame({"sample_id": ids, "patient_id": patients, **where, **truth})
        experts = {}
        for m in range(3):
            values = {name: rng.normal(size=n) for name in COLUMNS[kind]}
            frame = pl.DataFrame({"sample_id": ids, **values})
            experts[f"e{m}"] = frame.filter(pl.Series(rng.random(n) > 0.2)) if m == 1 else frame
        edges = (0, 10, 20, float("inf")) if kind == "survival" else None
        return read_study(samples, experts, time_edges=edges)

    return make


@pytest.fixture(scope="session")
def write_study() -> Callable[..., tuple[Path, Path]]:
    """``write_study(folder, simulated, suffix=".csv") -> (samples file, predictions folder)``."""
    return _write_study


@pytest.fixture(scope="session")
def make_study() -> Callable[..., tuple[Path, Path]]:
    """``make_study(folder, suffix=".csv", **as in simulate) -> (samples file, predictions
    folder)``."""

    def make(
        folder: Path, *args: object, suffix: str = ".csv", **options: object
    ) -> tuple[Path, Path]:
        return _write_study(folder, _simulate(*args, **options), suffix)

    return make


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Said]:
    """``run_cli("fuse", "--samples", path, ...) -> (status, out, err)``, in process.

    An exception that would reach a user as a traceback is raised here and fails the test.
    """
    return _run_cli


NO_HANG_S = 400
KILLER = """
import os, signal, sys

def look(event, args):
    if event not in ("open", "os.mkdir", "os.rename") or not args:
        return
    if not isinstance(args[0], (str, bytes, os.PathLike)):
        return
    if {victim!r} not in os.fsdecode(args[0]):
        return
    try:
        os.close(os.open({mark!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        if {once!r}:
            return
    os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(look)
"""


@pytest.fixture
def killed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """``killed(victim, once=False)``: processes started from now on end themselves when they open a
    file, rename one or make a folder with that in its path. Gives a file that is there once one has done so.

    Whoever waits for a killed process for ever is stopped after some minutes."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"nothing came back in {NO_HANG_S} seconds")

    def arm(victim: str, once: bool = False) -> Path:
        place = tmp_path_factory.mktemp("killer")
        mark = place / "killed"
        code = KILLER.format(victim=victim, mark=str(mark), once=once)
        (place / "sitecustomize.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
        _new_processes()  # those that wait for work already know nothing of it
        return mark

    usual = signal.signal(signal.SIGALRM, stop)
    signal.alarm(NO_HANG_S)
    yield arm
    signal.alarm(0)
    signal.signal(signal.SIGALRM, usual)
    _new_processes()


def _new_processes() -> None:
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.fixture
def make_pipe() -> Iterator[Callable[[Path], Path]]:
    """``make_pipe(path) -> path``: a named pipe. Whoever opens it all the same waits for ten seconds
    and then finds it empty, so that a test fails and does not hang."""
    made: list[Path] = []
    ended = Event()

    def make(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        made.append(path)
        return path

    def let_go() -> None:
        if ended.wait(10):
            return
        while not ended.wait(0.1):
            for path in made:
                with suppress(OSError):  # nobody waits for it
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    watch = Thread(target=let_go, daemon=True)
    watch.start()
    yield make
    ended.set()
    watch.join()
