"""One study of a suite: whether there is something to do, its fusion, and its line of ``suite.csv``."""

import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

import pathfuse
from pathfuse.errors import InputError, of_the_system
from pathfuse.files.json import read_object
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.tables import parquet_frame, read_table
from pathfuse.files.write import check_out
from pathfuse.study.samples import read_samples
from pathfuse.workflows.fuse import fuse
from pathfuse.workflows.options import option_name
from pathfuse.workflows.suite.cards import Card
from pathfuse.workflows.suite.layout import Layout
from pathfuse.workflows.suite.paper import POSITIVE, positive_f1

MANIFEST = "manifest.json"
COMPLETE = (
    "metrics.csv", "comparisons.csv", "certificate.json", "fused.parquet", "report.html", "model/model.json",
)  # fmt: skip
"""Files without which a study's result is not whole."""


@dataclass(frozen=True)
class Row:
    """One line of ``suite.csv``; None becomes an empty cell."""

    study: str
    task: str | None = None
    """Name of the card, if the study is one of the paper's tasks."""
    endpoint: str | None = None
    status: str = "skipped"
    """``done``, ``failed``, or ``skipped``: not asked for with ``--only``, and no result of an
    earlier run."""
    seconds: float | None = None
    n: int | None = None
    """Judged rows."""
    fused_nll: float | None = None
    best_expert_nll: float | None = None
    """Of the expert that is best on the fit rows."""
    fused_f1_macro: float | None = None
    """Mean over classes, as in ``metrics.csv``."""
    fused_f1_positive: float | None = None
    """Two classes only: of the positive class, as the paper reports it."""
    positive_class: str | None = None
    """The second in alphabetical order."""
    certificate_holds: bool | None = None
    error: str | None = None


@dataclass(frozen=True)
class StudyPlan:
    """One study, and what is to be done about it."""

    layout: Layout
    place: Path
    """Where its result goes."""
    card: Card | None
    stamp: dict[str, Any] | None
    """Version, options and SHA-256 of the inputs; None if the study is broken."""
    error: str | None = None

    @property
    def name(self) -> str:
        """The study's name: that of its folder."""
        return self.layout.name

    @property
    def blank(self) -> Row:
        """Its line before anything is known."""
        return Row(self.name, self.card.name if self.card else None)

    @property
    def current(self) -> bool:
        """Whether a whole result of the same inputs, options and version lies there already."""
        there = OutputFolder(self.place, MANIFEST, "suite", needs=COMPLETE)
        if self.stamp is None or not there.up_to_date(self.stamp):
            return False
        return self.card is None or self.card.fits(
            there.recorded.get("endpoint", {}).get("kind", "")
        )


def plan_study(layout: Layout, out: Path, options: dict[str, Any]) -> StudyPlan:
    """A study with its card and its stamp; a broken one with its error."""
    place = out / layout.name
    card = None
    try:
        card = layout.card()
        layout.check()
        stamp = {"pathfuse": pathfuse.__version__, "options": options, "inputs": layout.inputs()}
    except InputError as error:
        return StudyPlan(layout, place, card, None, str(error))
    return StudyPlan(layout, place, card, stamp)


def lost_study(reason: str, plan: StudyPlan) -> Row:
    """The line of a study whose process was ended."""
    return replace(plan.blank, status="failed", error=reason)


def run_study(plan: StudyPlan) -> Row:
    """Fuses one study and saves its folder; a broken study becomes a line with the reason."""
    start = time.perf_counter()
    try:
        if plan.error is not None:
            raise InputError(plan.error)
        check_out(plan.place, force=True)
        study = plan.layout.read()
        misfit = (
            plan.card.misfit(study.endpoint.kind, study.endpoint.outcomes) if plan.card else None
        )
        if misfit is not None:
            raise InputError(
                f"{study.samples.source}: {misfit}; a card.json in the folder names another task"
            )
        options = plan.stamp["options"] if plan.stamp else {}
        if plan.stamp and plan.layout.inputs() != plan.stamp["inputs"]:
            raise InputError(
                f"the tables in {plan.layout.folder} were changed while they were read; run it again"
            )
        result = fuse(study, **options)
        result.manifest["command"] = _command(plan, options)
        result.manifest["suite"] = plan.stamp
        result.save(plan.place, force=True)
    except (
        ValueError,
        ArithmeticError,
        LookupError,
        OSError,
        MemoryError,
    ) as error:  # the other studies go on
        seconds = round(time.perf_counter() - start, 3)
        reason = _reason(error)
        return replace(plan.blank, status="failed", seconds=seconds, error=" ".join(reason.split()))
    return done_row(plan)


def _reason(error: Exception) -> str:
    said = str(error) if isinstance(error, InputError) else of_the_system(error)
    return said or f"{type(error).__name__}: {error}"


def _command(plan: StudyPlan, options: dict[str, Any]) -> str:
    """The ``fuse`` command that repeats one study."""
    at = plan.layout
    parts: list[Any] = [
        "pathfuse",
        "fuse",
        "--samples",
        at.samples[0],
        "--predictions",
        *at.predictions,
    ]
    parts += ["--time-edges", at.edges] if at.edges else []
    parts += (
        ["--label-map", *(f"{name}={file}" for name, file in at.label_maps.items())]
        if at.label_maps
        else []
    )
    for name, value in options.items():
        parts += [option_name(name), value]
    return shlex.join(str(part) for part in [*parts, "--out", plan.place])


def done_row(plan: StudyPlan) -> Row:
    """The line of a study whose result lies on disk."""
    manifest = read_object(plan.place / MANIFEST)
    certificate = read_object(plan.place / "certificate.json")
    table = read_table(plan.place / "metrics.csv").frame.filter(pl.col("output") == "all")
    cells = {
        (metric, name): float(v)
        for metric, name, v in table.select("metric", "method", "value").iter_rows()
        if v
    }
    return replace(
        plan.blank,
        endpoint=manifest["endpoint"]["kind"],
        status="done",
        seconds=manifest["wall_time_s"],
        n=manifest["rows"]["judged"],
        fused_nll=cells.get(("nll", "fused")),
        best_expert_nll=cells.get(("nll", "best_expert")),
        fused_f1_macro=cells.get(("f1", "fused")),
        **_of_two_classes(plan, manifest["endpoint"].get("classes", ())),
        certificate_holds=certificate["holds"],
    )


def _of_two_classes(plan: StudyPlan, classes: list[str]) -> dict[str, Any]:
    """The paper's F1, where there are two classes."""
    if len(classes) != 2:
        return {}
    samples = read_samples(read_table(plan.layout.samples[0]))
    f1 = positive_f1(samples, parquet_frame(plan.place / "fused.parquet"), classes)
    return {"fused_f1_positive": f1, "positive_class": classes[POSITIVE]}
