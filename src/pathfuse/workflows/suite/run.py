"""``suite run``: fuse every study under a folder, then rank over them.

A stopped run goes on where it was.
"""

import shlex
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import polars as pl
from joblib import delayed

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.json import read_object
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.tables import parquet_frame, read_table
from pathfuse.files.write import check_out, remove_folder, write_file
from pathfuse.progress import Progress, shown_here
from pathfuse.shard import Shard
from pathfuse.study.samples import read_samples
from pathfuse.workers import file_to_file
from pathfuse.workflows.fuse import fuse
from pathfuse.workflows.options import (
    SUITE,
    FuseOptions,
    SuiteKeywords,
    chosen,
    option_name,
    shows_options,
)
from pathfuse.workflows.ranking.rank import rank
from pathfuse.workflows.steps.evaluating import check_options
from pathfuse.workflows.suite.cards import Card
from pathfuse.workflows.suite.cohorts import read_cohorts, shared_cohorts
from pathfuse.workflows.suite.layout import Layout, find_layouts
from pathfuse.workflows.suite.paper import POSITIVE, positive_f1

RANKING, TABLE, COHORTS, MANIFEST = "ranking", "suite.csv", "cohorts.csv", "manifest.json"
KIND = "suite"
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


@dataclass(frozen=True)
class SuiteResult:
    """What a suite run found; everything is on disk already."""

    folder: Path
    table: pl.DataFrame
    """``suite.csv``."""
    unchanged: tuple[str, ...]
    """Studies whose result of an earlier run still holds."""
    ranking: Path | None
    ranking_note: str | None
    """Why there is no ranking."""
    shard: Shard | None = None
    """Which share of the studies this run fitted; None: all, and their joint tables."""

    def count(self, status: str) -> int:
        """How many studies are ``done``, ``failed`` or ``skipped``."""
        return int((self.table["status"] == status).sum())

    @property
    def whole(self) -> bool:
        """Whether nothing failed: no study, and not the ranking over two or more."""
        ranked = self.ranking is not None or self.count("done") < 2 or self.shard is not None
        return ranked and not self.count("failed")


@shows_options(only=SUITE)
def run_suite(
    folder: str | Path,
    out: str | Path,
    *,
    only: list[str] | None = None,
    cohorts: str | Path | None = None,
    n_jobs: int | None = None,
    shard: Shard | None = None,
    force: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[SuiteKeywords],
) -> SuiteResult:
    """Fuses every study under a folder and ranks methods over them.

    A study whose result is whole and comes from the same inputs, options and version is not fitted
    again. A study that fails gets a line with the reason and the others go on; what an earlier run
    left of it stays, unranked.

    Args:
        folder: One sub-folder per study, each with ``samples.csv`` (or ``.parquet``) and
            ``predictions/``; optional ``time_edges.txt``, ``label_map_<expert>.csv`` and
            ``card.json``.
        out: Gets a folder per study, ``ranking/``, ``suite.csv``, ``cohorts.csv`` and
            ``manifest.json``.
        only: Fit only these studies; results that others have already still count.
        cohorts: Table ``study,cohort``, for ``rank``: which studies share patients. Where it says
            nothing, the cards do.
        n_jobs: Studies at a time, as in joblib; results do not depend on it.
        shard: Fit these of the studies alone, in the order of their names, and leave the joint tables
            to a call without it: shards run at the same time.
        force: Fit all again.
        command: How the program was called, for the manifest.
        progress: Called whenever a study is through; default: a bar in a notebook, and nothing elsewhere.
        **options: Of ``FuseOptions`` the fields ``method``, ``seed``, ``n_resamples``, ``interval``
            and ``margin``, each by its name, for all studies.

    Raises:
        InputError: There is no study, an option is wrong, or ``out`` holds something else.
    """
    start, progress = time.perf_counter(), progress or shown_here()
    source, place, settings = Path(folder), Path(out), chosen(**options)
    check_options(settings)
    _check_jobs(n_jobs)
    layouts = find_layouts(source)
    names = [layout.name for layout in layouts]
    wanted = _wanted(names, only)
    wanted = wanted if shard is None else shard.among(sorted(wanted))
    given = read_cohorts(Path(cohorts), names) if cohorts is not None else {}
    output = OutputFolder(place)
    output.check(KIND, "a suite", [source])
    output.claim(KIND)
    plans = [_plan(layout, place, settings.named(SUITE)) for layout in layouts]
    about = _about(source, command, settings)
    if shard is None:
        output.finish({**about, "finished": False})
    unchanged = [plan for plan in plans if plan.current and not (force and plan.name in wanted)]
    rows = _run_wanted(plans, unchanged, wanted, n_jobs, progress)
    table = pl.DataFrame([asdict(row) for row in rows.values()], schema=_schema())
    kept = tuple(plan.name for plan in unchanged)
    if shard is not None:
        own = table.filter(pl.col("study").is_in(wanted))
        return SuiteResult(
            place, own, kept, None, f"shard {shard} leaves it to a run of all", shard
        )
    write_file(table, place / TABLE, force=True)
    of_cards = shared_cohorts({plan.name: plan.card for plan in plans if plan.card})
    ranking, note = _rank(place, table, of_cards | given)
    result = SuiteResult(place, table, kept, ranking, note)
    output.finish(about | _report(result, plans, time.perf_counter() - start))
    return result


def _check_jobs(n_jobs: int | None) -> None:
    if n_jobs == 0:
        raise InputError(
            "--jobs 0 would do nothing; give a number of processes, or -1 for all cores"
        )


def _about(source: Path, command: str | None, settings: FuseOptions) -> dict[str, Any]:
    """What the manifest says from the start."""
    return {
        "kind": KIND,
        "pathfuse": pathfuse.__version__,
        "command": command,
        "studies_from": str(source),
        **settings.named(SUITE),
    }


def _run_wanted(
    plans: list[StudyPlan],
    unchanged: list[StudyPlan],
    wanted: list[str],
    n_jobs: int | None,
    progress: Progress,
) -> dict[str, Row]:
    """The line of every study, in their order; those that are wanted and have changed are fused."""
    rows = {plan.name: plan.blank for plan in plans}
    rows |= {plan.name: _done(plan) for plan in unchanged}
    todo = [plan for plan in plans if plan not in unchanged and plan.name in wanted]
    return rows | _run(todo, n_jobs, len(unchanged), progress)


def _report(result: SuiteResult, plans: list[StudyPlan], seconds: float) -> dict[str, Any]:
    """What the manifest says once all is through."""
    status = dict(result.table.select("study", "status").iter_rows())
    return {
        "finished": True,
        "unchanged": list(result.unchanged),
        "ranking": result.ranking_note or RANKING,
        "studies": {
            plan.name: {"status": status[plan.name], "stamp": plan.stamp} for plan in plans
        },
        "wall_time_s": round(seconds, 3),
    }


def _wanted(names: list[str], only: list[str] | None) -> list[str]:
    """The studies to fit."""
    taken = next((name for name in (RANKING, TABLE, COHORTS, MANIFEST) if name in names), None)
    if taken is not None:
        raise InputError(
            f"the study '{taken}' has the name of an output of the suite; rename its folder"
        )
    unknown = next((name for name in only or () if name not in names), None)
    if unknown is not None:
        raise InputError(f"--only '{unknown}' is not one of the studies: {', '.join(names)}")
    return only or names


def _plan(layout: Layout, out: Path, options: dict[str, Any]) -> StudyPlan:
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


def _run(
    plans: list[StudyPlan], n_jobs: int | None, behind: int, progress: Progress
) -> dict[str, Row]:
    """Fits studies, the largest first, and says so whenever one is through."""
    rows: dict[str, Row] = {}
    total = behind + len(plans)
    progress(
        f"{len(plans)} {'study' if len(plans) == 1 else 'studies'} to fit, {behind} unchanged",
        behind / total if total else 1.0,
    )
    by_size = sorted(plans, key=lambda plan: (-plan.layout.size, plan.name))
    work = file_to_file(n_jobs, (delayed(run_study)(plan) for plan in by_size), _lost)
    for row in work:
        rows[row.study] = row
        end = f"failed: {row.error}" if row.status == "failed" else f"done in {row.seconds:.1f} s"
        progress(f"{row.study} {end}", (behind + len(rows)) / total)
    return rows


def _lost(reason: str, plan: StudyPlan) -> Row:
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
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return replace(plan.blank, status="failed", seconds=seconds, error=" ".join(reason.split()))
    return _done(plan)


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


def _done(plan: StudyPlan) -> Row:
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


def _rank(
    out: Path, table: pl.DataFrame, cohorts: dict[str, str]
) -> tuple[Path | None, str | None]:
    """Ranks over the studies that are done, by NLL, which every endpoint has.

    No old ranking outlives its studies.
    """
    done = table.filter(pl.col("status") == "done")["study"].to_list()
    known = [(name, cohorts[name]) for name in done if name in cohorts]
    file = out / COHORTS
    file.unlink(missing_ok=True)
    if known:
        write_file(pl.DataFrame(known, schema=["study", "cohort"], orient="row"), file)
    note = (
        f"a ranking needs two studies that are done, and there is {len(done)}"
        if len(done) < 2
        else None
    )
    if note is None:
        try:
            places = [out / name for name in done]
            rank(places, metric="nll", cohorts=file if known else None).save(
                out / RANKING, force=True
            )
        except InputError as error:
            note = " ".join(str(error).split())
    if note is None:
        return out / RANKING, None
    remove_folder(out / RANKING)
    return None, note


def _schema() -> dict[str, Any]:
    special: dict[str, Any] = {"n": pl.Int64, "certificate_holds": pl.Boolean}
    names = ("seconds", "fused_nll", "best_expert_nll", "fused_f1_macro", "fused_f1_positive")
    floats = dict.fromkeys(names, pl.Float64)
    return {name: (special | floats).get(name, pl.String) for name in Row.__dataclass_fields__}
