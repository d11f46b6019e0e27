"""``suite run``: fuse every study under a folder, then rank over them.

A stopped run goes on where it was.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import polars as pl
from joblib import delayed

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.at_work import claim_output
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.write import remove_folder, write_file
from pathfuse.progress import Progress, shown_here
from pathfuse.shard import Shard
from pathfuse.workers import check_jobs, file_to_file
from pathfuse.workflows.options import (
    SUITE,
    FuseOptions,
    SuiteKeywords,
    chosen,
    shows_options,
)
from pathfuse.workflows.ranking.rank import rank
from pathfuse.workflows.steps.evaluating import check_options
from pathfuse.workflows.suite.cohorts import read_cohorts, shared_cohorts
from pathfuse.workflows.suite.layout import find_layouts
from pathfuse.workflows.suite.one_study import (
    MANIFEST,
    Row,
    StudyPlan,
    done_row,
    lost_study,
    plan_study,
    run_study,
)

RANKING, TABLE, COHORTS = "ranking", "suite.csv", "cohorts.csv"
KIND = "suite"


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


@outputs_claimed()
@shows_options(only=SUITE)
def run_suite(
    folder: str | Path,
    out: str | Path,
    *,
    only: list[str] | None = None,
    cohorts: str | Path | None = None,
    n_jobs: int | None = None,
    shard: Shard | str | None = None,
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
        shard: Such as ``"1/4"``: fit these of the studies alone, in the order of their names, and
            leave the joint tables to a call without it: shards run at the same time.
        force: Fit all again.
        command: How the program was called, for the manifest.
        progress: Called whenever a study is through; default: a bar in a notebook, and nothing elsewhere.
        **options: Of ``FuseOptions`` the fields ``method``, ``seed``, ``n_resamples``, ``interval``
            and ``margin``, each by its name, for all studies.

    Raises:
        InputError: There is no study, an option is wrong, or ``out`` holds something else.
    """
    start, progress = time.perf_counter(), progress or shown_here()
    share = Shard.parse(shard)
    source, place, settings = Path(folder), Path(out), chosen(**options)
    check_options(settings)
    _check_jobs(n_jobs)
    layouts = find_layouts(source)
    names = [layout.name for layout in layouts]
    wanted = _wanted(names, only)
    wanted = wanted if share is None else share.among(sorted(wanted))
    given = read_cohorts(Path(cohorts), names) if cohorts is not None else {}
    output = OutputFolder(place)
    claim_output(place, None if share is None else share.share)
    output.check(KIND, "a suite", [source])
    output.claim(KIND)
    plans = [plan_study(layout, place, settings.named(SUITE)) for layout in layouts]
    about = _about(source, command, settings)
    if share is None:
        output.finish({**about, "finished": False})
    unchanged = [plan for plan in plans if plan.current and not (force and plan.name in wanted)]
    rows = _run_wanted(plans, unchanged, wanted, n_jobs, progress)
    table = pl.DataFrame([asdict(row) for row in rows.values()], schema=_schema())
    kept = tuple(plan.name for plan in unchanged)
    if share is not None:
        own = table.filter(pl.col("study").is_in(wanted))
        return SuiteResult(
            place, own, kept, None, f"shard {share} leaves it to a run of all", share
        )
    write_file(table, place / TABLE, force=True)
    of_cards = shared_cohorts({plan.name: plan.card for plan in plans if plan.card})
    ranking, note = _rank(place, table, of_cards | given)
    result = SuiteResult(place, table, kept, ranking, note)
    output.finish(about | _report(result, plans, time.perf_counter() - start))
    return result


def _check_jobs(n_jobs: int | None) -> None:
    check_jobs(n_jobs)


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
    rows |= {plan.name: done_row(plan) for plan in unchanged}
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
    work = file_to_file(n_jobs, (delayed(run_study)(plan) for plan in by_size), lost_study)
    for row in work:
        rows[row.study] = row
        end = f"failed: {row.error}" if row.status == "failed" else f"done in {row.seconds:.1f} s"
        progress(f"{row.study} {end}", (behind + len(rows)) / total)
    return rows


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
