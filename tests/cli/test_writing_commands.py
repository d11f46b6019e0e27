"""What every command that writes owes its output: one run at a time, nothing left behind by a kill,
and one sentence where the disk is full or an input has gone.
"""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pathfuse.errors import FULL
from pathfuse.files import places
from pathfuse.files.at_work import ALONE, AT_WORK
from pathfuse.files.owner import Owner
from pathfuse.testing.cohort import CohortPlan
from pathfuse.testing.demo import write_demo

pytest.importorskip("timm")
pytest.importorskip("peft")
h5py = pytest.importorskip("h5py")
Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.slow

STUDY_FILES = {"run": "study.yaml", "dense run": "grid.yaml"}
OUTS = {"inspect": "--json", "dense datasets": "--cards"}
SUFFIXES = {
    "predict": ".csv",
    "experts predict": ".csv",
    "score": ".csv",
    "inspect": ".json",
    "suite list": ".csv",
    "init": ".yaml",
    "dense init": ".yaml",
}
"""Of the outputs that are files; others are folders, or may be called anyhow."""
KEPT = {".pathfuse.json", ".claims"}
"""Hidden names that belong to a result."""
COHORT = CohortPlan(
    n_patients=24,
    tiles_per_slide=(3, 5),
    slides_per_patient=(1, 1),
    encoders={"alpha": ("clam", 4)},
    missing_slides=0,
)
QUICK = ("--head", "mean_pool", "--jobs", 1, "--set", "epochs=1", "min_epochs=1", "folds=2")


def _tables(place: Path) -> list[object]:
    return ["--samples", place / "study/samples.csv", "--predictions", place / "study/predictions"]


def _model(place: Path) -> list[object]:
    return ["--model", place / "results/a/model", "--predictions", place / "study/predictions"]


def _features(place: Path) -> list[object]:
    features, slides = place / "cohort/features/alpha", place / "cohort/slides.csv"
    return ["--features", f"alpha={features}", "--slides", slides]


def _training(place: Path) -> list[object]:
    return [*_features(place), "--samples", place / "cohort/labels.csv", *QUICK]


def _logits(place: Path) -> list[object]:
    return [f"{name}={place / name}" for name in ("first", "second")]


def _data(place: Path) -> list[object]:
    return ["--data", place / "data"]


SMALL_NET = ("--set", "epochs=1", "size_px=32", "decoder_width=16", "device=cpu")
NO_RESAMPLES = ("--resamples", 0)
COMMANDS: dict[str, Callable[[Path], list[object]]] = {
    "fuse": lambda p: [*_tables(p), "--method", "static_product", *NO_RESAMPLES],
    "evaluate": lambda p: [*_tables(p), *NO_RESAMPLES],
    "predict": _model,
    "drift": _model,
    "adapt": lambda p: [*_model(p), "--samples", p / "study/samples.csv"],
    "rank": lambda p: [p / "results"],
    "suite run": lambda p: [p / "studies", "--method", "static_product", *NO_RESAMPLES],
    "suite list": lambda _: [],
    "bins": lambda p: ["--samples", p / "survival.csv"],
    "import": lambda p: ["logitprod", p / "dump", "--classes", "lum,her2"],
    "inspect": lambda p: [p / "cohort/features/alpha"],
    "demo": lambda _: [],
    "init": lambda _: [],
    "run": lambda _: ["--jobs", 1],
    "score": lambda p: [p / "studied", *_features(p)],
    "experts train": _training,
    "experts tune": lambda p: [*_training(p), "--space", "dropout=0.1|0.2", "--trials", 2],
    "experts predict": lambda p: ["--model", p / "expert", *_features(p)],
    "dense init": lambda _: [],
    "dense datasets": lambda _: [],
    "dense convert": lambda p: ["glas", p / "download"],
    "dense train": lambda p: ["--encoder", "tiny:dim=12,depth=1", *_data(p), *SMALL_NET],
    "dense predict": lambda p: ["--model", p / "net", *_data(p), "--device", "cpu"],
    "dense fuse": lambda p: [*_data(p), "--logits", *_logits(p), *NO_RESAMPLES, "--jobs", 1],
    "dense apply": lambda p: ["--model", p / "fused", "--logits", *_logits(p), "--jobs", 1],
    "dense evaluate": lambda p: [*_data(p), "--predictions", *_logits(p), *NO_RESAMPLES],
    "dense tokens": lambda p: ["--encoder", "tiny:dim=12", *_data(p), "--size-px", 64, "--device", "cpu"],
    "dense run": lambda _: [],
}  # fmt: skip


def command(place: Path, name: str, out: Path) -> list[object]:
    """A command on the made-up data.

    Args:
        place: Of the data.
        name: Of the command.
        out: Where it shall write.
    """
    given = COMMANDS[name](place)
    if name in STUDY_FILES:  # these name their output themselves
        content = yaml.safe_load((place / STUDY_FILES[name]).read_text()) | {"out": str(out)}
        file = place / f"{name.replace(' ', '-')}-{out.parent.name}.yaml"
        file.write_text(yaml.safe_dump(content))
        return [*name.split(), file, *given]
    return [*name.split(), *given, OUTS.get(name, "--out"), out]


def out_of(folder: Path, name: str) -> Path:
    return folder / f"out{SUFFIXES.get(name, '')}"


def shades(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image and its mask of two classes."""
    mask = np.zeros((16, 24), dtype=np.uint8)
    mask[: rng.integers(4, 12)] = 1
    noise = rng.integers(0, 60, size=(16, 24, 3))
    return (noise + 120 * mask[..., None]).astype(np.uint8), mask


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_study, run_cli):
    """Small inputs of every command."""
    place = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    make_study(place / "study", 60, 16, n_experts=2)
    for seed, name in enumerate(("a", "b")):
        make_study(place / "studies" / name, 60, 12, n_experts=2, seed=seed)
        _run(run_cli, "fuse", "--samples", place / "studies" / name / "samples.csv", "--predictions",
             place / "studies" / name / "predictions", "--method", "static_product", *NO_RESAMPLES,
             "--out", place / "results" / name)  # fmt: skip
    rows = [f"s{i},{'fit' if i < 9 else 'test'},{i + 1},1" for i in range(12)]
    (place / "survival.csv").write_text("\n".join(["sample_id,split,time,event", *rows]) + "\n")
    _dump(place / "dump", rng)
    for part in ("train", "testA", "testB"):
        for kind in ("images", "masks"):
            (place / "download" / part / kind).mkdir(parents=True)
        for i in range(3):
            image, mask = shades(rng)
            Image.fromarray(image).save(place / "download" / part / "images" / f"{part}_{i}.png")
            Image.fromarray(mask).save(place / "download" / part / "masks" / f"{part}_{i}.png")
    for part in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (place / "data" / part / kind).mkdir(parents=True)
        for i in range(2):
            for kind, values in zip(("images", "masks"), shades(rng), strict=True):
                Image.fromarray(values).save(place / "data" / part / kind / f"{part}_{i}.png")
    file = write_demo(place / "cohort", COHORT, heads=("mean_pool",))
    content = yaml.safe_load(file.read_text())
    near = {key: str(place / "cohort" / content[key]) for key in ("samples", "slides")}
    features = {name: str(place / "cohort" / path) for name, path in content["features"].items()}
    experts = [{"head": "mean_pool", "epochs": 1, "min_epochs": 1, "folds": 2, "networks": 1},
               {"head": "pooled_linear"}]  # fmt: skip
    content |= {**near, "features": features, "experts": experts,
                "fuse": {"method": "static_product", "resamples": 0}}  # fmt: skip
    (place / "study.yaml").write_text(yaml.safe_dump(content))
    grid = {"models": {"a": "tiny:dim=12,depth=1"}, "datasets": {"made": str(place / "data")},
            "strategies": ["frozen"], "fuse": False, "resamples": 10, "seeds": [0],
            "recipe": {"epochs": 1, "size_px": 32, "decoder_width": 16}}  # fmt: skip
    (place / "grid.yaml").write_text(yaml.safe_dump(grid))
    for name, out in (("run", "studied"), ("experts train", "expert"), ("dense train", "net"),
                      ("dense predict", "first")):  # fmt: skip
        _run(run_cli, *command(place, name, place / out))
    shutil.copytree(place / "first", place / "second")
    _run(run_cli, *command(place, "dense fuse", place / "fused"))
    return place


def _run(run_cli: Callable[..., object], *arguments: object) -> None:
    said = run_cli(*arguments)
    assert said.status == 0, said.err


def _dump(place: Path, rng: np.random.Generator) -> None:
    """Outputs of two experts as the LogitProd authors keep them."""
    for expert in ("conch_v15", "uni_v2"):
        folder = place / expert / "split_0"
        folder.mkdir(parents=True)
        for part, stem, n in (
            ("train", "best_train", 8),
            ("val", "best_val", 8),
            ("test", "test", 6),
        ):
            labels = np.arange(n) % 2
            outputs = rng.normal(size=(n, 2)) + np.eye(2)[labels]
            np.save(folder / f"{stem}_outputs.npy", outputs.astype(np.float32))
            np.save(folder / f"{stem}_labels.npy", labels)
            with h5py.File(folder / f"{part}_features_labels.h5", "w") as file:
                file["labels"] = labels
                file["slide_ids"] = [f"TCGA-{part}-{row}" for row in range(n)]


def claim_of(out: Path, owner: Owner) -> None:
    """A claim on an output."""
    file = out.with_name(f".{out.name}{AT_WORK}") / ALONE
    file.parent.mkdir()
    file.write_text(json.dumps({**asdict(owner), "token": "x", "since": "2026-11-29 01:02:03"}))


def state(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_who_is_at_work_is_said_and_nothing_changes(made, run_cli, tmp_path, name):
    out = out_of(tmp_path, name)
    claim_of(out, Owner.here())
    before = state(tmp_path)
    said = run_cli(*command(made, name, out))
    sentence = (
        f"pathfuse: process {os.getpid()} on {Owner.here().host.split()[0]} is at work in {out} since 2026-11-29 "
        "01:02:03 UTC; wait until it has ended, or choose another place"
    )
    assert (said.status, said.err.splitlines()[-1]) == (2, sentence)
    assert state(tmp_path) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_killed_run_left_is_cleared_away(made, run_cli, tmp_path, name):
    out, dead = out_of(tmp_path, name), replace(Owner.here(), started="an earlier boot")
    claim_of(out, dead)
    beside = tmp_path / f".{out.name}.partial-{dead.tag}-0"
    beside.write_text("half") if SUFFIXES.get(name) else beside.mkdir()
    living = tmp_path / f".{out.name}.partial-{Owner.here().tag}-99999"
    living.mkdir()
    said = run_cli(*command(made, name, out))
    assert said.status in (0, 1 if name == "drift" else 0), said.err
    assert "Traceback" not in said.err
    more = {"out_predictions"} if name == "score" else set()
    assert {path.name for path in tmp_path.iterdir()} == {out.name, living.name, *more}
    assert not [path for path in out.rglob(".*") if path.name not in KEPT]


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond a size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


KILLED = {
    "evaluate": "report.html",
    "predict": ".csv.partial-",
    "adapt": "..pathfuse.json.partial-",
    "rank": "ranking.html",
    "experts train": "expert.json",
    "run": "report.html",
    "dense evaluate": "confusion.parquet",
}
"""Commands, and what they are writing when they are killed."""
VARYING = (
    "manifest.json",
    ".html",
    ".md",
    "friedman.json",
    "history.csv",
    "costs.csv",
    ".svg",
    ".pdf",
)
"""Files that hold times and command lines; figures are drawn in another way in tests."""


@pytest.mark.parametrize("name", KILLED)
def test_a_run_after_a_kill_gives_what_a_lone_run_gives(made, killed, run_cli, tmp_path, name):
    out = out_of(tmp_path, name)
    arguments = command(made, name, out)
    mark = killed(KILLED[name], once=True)
    done = subprocess.run(
        [sys.executable, "-m", "pathfuse", *map(str, arguments)], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert mark.exists()
    assert left_in(state(tmp_path))
    assert run_cli(*arguments).status == 0
    after = state(tmp_path)
    assert not left_in(after)
    lone = out_of(tmp_path / "lone", name)
    assert run_cli(*command(made, name, lone)).status == 0
    found, wanted = (
        {key: value for key, value in state(place.parent).items() if not key.endswith(VARYING)}
        for place in (out, lone)
    )
    found = {key: value for key, value in found.items() if not key.startswith("lone")}
    assert found == wanted


def left_in(found: dict[str, bytes | None]) -> list[str]:
    """Hidden names that should not outlive a command."""
    marks = (".partial-", ".old-", ".work-", ".probe-", AT_WORK)
    return [one for one in found if any(mark in one for mark in marks)]


GOES_ON = ("run", "suite run", "dense run", "experts train", "experts tune", "dense train", "score")
"""Commands that keep what can be resumed."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(made, run_cli, tmp_path, name):
    arguments, out = command(made, name, out_of(tmp_path, name)), out_of(tmp_path, name)
    statuses = []
    for n_bytes in (0, 400, 3000, 15_000):
        with files_up_to(n_bytes):
            said = run_cli(*arguments)
        statuses.append(said.status)
        if said.status != 2:
            break
        assert FULL.search(said.err.splitlines()[-1]), said.err
        assert not left_in({said.err: None})
        left = state(tmp_path)
        assert not left_in(left)
        assert name in GOES_ON or not left
    assert 2 in statuses
    assert statuses[-1] == 2 or out.exists()


KEEPS = sorted(set(COMMANDS) - {"demo", "run", "suite run", "dense run"})
"""Commands that leave an earlier output as it is until theirs is whole."""


@pytest.mark.parametrize("name", KEEPS)
def test_a_full_disk_leaves_an_earlier_output_as_it_is(made, run_cli, tmp_path, name):
    out = out_of(tmp_path, name)
    arguments = command(made, name, out)
    assert run_cli(*arguments).status in (0, 1)
    before = state(tmp_path)
    again = [*arguments, "--delay", 5] if name == "adapt" else [*arguments, "--force"]
    if name == "dense train":  # the same training would stay
        again += ["--seed", 1]
    with files_up_to(0):
        assert run_cli(*again).status == 2
    assert state(tmp_path) == before
    with files_up_to(400):
        assert run_cli(*again).status in (0, 1, 2)
    after = state(tmp_path)
    assert not left_in(after)
    if name not in ("bins", "dense apply", "score"):  # so small, or of parts
        assert {one: value for one, value in after.items() if not one.startswith(".")} == before


def refused_in(folder: Path, usual: Callable[..., None]) -> Callable[..., None]:
    """What a file system says that has turned read-only."""

    def refused(source: Path, place: Path, *words: object, **options: object) -> None:
        if Path(place).is_relative_to(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), source)
        usual(source, place, *words, **options)

    return refused


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_turns_read_only_is_a_sentence(made, run_cli, tmp_path, monkeypatch, name):
    out = out_of(tmp_path, name)
    arguments = command(made, name, out)
    for kind in ("rename", "replace", "link"):
        monkeypatch.setattr(os, kind, refused_in(tmp_path, getattr(os, kind)))
    said = run_cli(*arguments)
    assert said.status == 2
    assert "Read-only file system" in said.err.splitlines()[-1]
    assert name in GOES_ON or not left_in({said.err: None})
    assert not left_in(state(tmp_path))
    assert name in GOES_ON or not out.exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_inputs_that_vanish_are_a_sentence(made, run_cli, tmp_path, monkeypatch, name):
    out = out_of(tmp_path, name)
    arguments, usual, gone = command(made, name, out), places.claim_output, tmp_path / "gone"

    def claim_and_lose(place):
        usual(place)
        if not gone.exists():
            made.rename(gone)

    monkeypatch.setattr(places, "claim_output", claim_and_lose)
    try:
        said = run_cli(*arguments)
    finally:
        gone.rename(made)
    left = state(tmp_path)
    assert said.status in (0, 1, 2)
    assert "pathfuse: " in said.err or said.status == 0
    assert not left_in(left)
    assert said.status != 2 or name in GOES_ON or not left


@pytest.mark.parametrize("name", COMMANDS)
def test_force_replaces_nothing_of_others(made, run_cli, tmp_path, monkeypatch, name):
    here, mine = tmp_path / "here", tmp_path / "mine"
    for folder in (here, mine):
        folder.mkdir()
        (folder / "thesis.docx").write_text("years of work")
    monkeypatch.chdir(here)
    suffix = SUFFIXES.get(name, "")
    link, pipe = tmp_path / f"link{suffix}", tmp_path / f"pipe{suffix}"
    link.symlink_to(mine / "thesis.docx" if suffix else mine)
    os.mkfifo(pipe)
    force = [] if name in ("run", "dense run", "adapt") else ["--force"]
    before = sorted(path.relative_to(made).as_posix() for path in made.rglob("*"))
    for out in (link, pipe, mine, here, mine / "thesis.docx", made, made.parent):
        said = run_cli(*command(made, name, out), *force)
        assert said.status == 2, out
        assert len(said.err.splitlines()[-1]) > 20
        assert {path.name for path in tmp_path.iterdir()} == {"here", "mine", link.name, pipe.name}
        for folder in (here, mine):
            assert {one.name: one.read_text() for one in folder.iterdir()} == {
                "thesis.docx": "years of work"
            }
    given = {
        f"{name.replace(' ', '-')}-{out.name}.yaml"
        for out in (tmp_path, mine, made.parent, made.parent.parent)
    }
    after = sorted(path.relative_to(made).as_posix() for path in made.rglob("*"))
    assert [one for one in after if one not in given] == [one for one in before if one not in given]
    assert link.is_symlink()
    assert pipe.is_fifo()
