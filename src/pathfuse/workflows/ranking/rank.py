"""``rank``: which method is best across studies, and how sure that is.

See docs/design/statistics.md, section 8.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.errors import InputError
from pathfuse.evaluation.ranking import (
    MIN_COHORTS,
    Friedman,
    cohort_means,
    critical_difference,
    friedman,
    mean_rank_intervals,
    ranks,
)
from pathfuse.evaluation.rules import check_seed
from pathfuse.files.manifest import software
from pathfuse.files.write import new_folder, write_json, write_table
from pathfuse.report.drawings import save_drawings
from pathfuse.report.ranking import figures, render
from pathfuse.study.importers.scoreboard import Scoreboard
from pathfuse.study.importers.scored_studies import read_scores
from pathfuse.workflows.ranking.selection import ALPHA, FIRST, Selection, select
from pathfuse.workflows.ranking.tables import (
    pairs_frame,
    ranks_frame,
    summary_frame,
    unresolved,
    winners_frame,
)

N_RESAMPLES = 2000
"""Draws of cohorts for the intervals of mean ranks."""


@dataclass(frozen=True)
class RankResult:
    """A ranking. ``save`` writes its tables, page and figures."""

    ranks: pl.DataFrame
    """One row per study and method: ``study, cohort, method, value, ci_low, ci_high, rank,
    unresolved``; the last says whether the study can tell the method from its winner (empty where
    it has no interval)."""
    winners: pl.DataFrame
    """One row per study: ``study, cohort, winner, value, n_methods, n_unresolved,
    unresolved_with``."""
    summary: pl.DataFrame
    """One row per method, best first: ``method, mean_rank, rank_ci_low, rank_ci_high, wins,
    mean_value, n_studies, mean_rank_complete``; the last over the studies that have every method.
    """
    pairs: pl.DataFrame
    """One row per pair: ``method, reference, n, median_difference, ci_low, ci_high, wins, ties,
    losses, p_value, p_holm``, and the same with cohorts as the unit: ``n_cohorts``,
    ``median_difference_cohorts``, ..."""
    friedman: dict[str, Any]
    """Friedman's test and critical difference over ``studies`` and over ``cohorts``."""
    manifest: dict[str, Any]

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Writes a complete folder or none.

        It holds ``ranks.csv``, ``winners.csv``, ``summary.csv``, ``pairs.csv``, ``friedman.json``,
        ``manifest.json``, ``ranking.html`` and ``figures/``.

        Args:
            folder: Where to; must not exist unless ``force``.
            force: Overwrite.

        Returns:
            The folder.

        Raises:
            InputError: The folder exists, or cannot be written.
        """
        tables = {
            "ranks": self.ranks,
            "winners": self.winners,
            "summary": self.summary,
            "pairs": self.pairs,
        }
        drawn = figures(self.friedman)
        with new_folder(Path(folder), force) as place:
            for name, frame in tables.items():
                write_table(frame, place / f"{name}.csv")
            write_json(self.friedman, place / "friedman.json")
            write_json(self.manifest, place / "manifest.json")
            save_drawings(drawn, place / "figures")
            page = render(
                self.summary, self.winners, self.pairs, self.friedman, self.manifest, drawn
            )
            (place / "ranking.html").write_text(page, encoding="utf-8")
        return Path(folder)


def rank(
    sources: Sequence[str | Path],
    *,
    metric: str | None = None,
    cohorts: str | Path | None = None,
    experts: bool = False,
    higher_is_better: bool | None = None,
    models_are: str | None = None,
    seed: int = 0,
) -> RankResult:
    """Ranks methods across studies.

    Args:
        sources: Result folders of ``fuse`` or ``evaluate``, folders of such folders, or tables of
            scores.
        metric: What to rank by; default: the first metric of the results, or the table's own.
        cohorts: Table ``study,cohort``: studies that share a cohort are averaged before testing,
            and count once.
        experts: Rank single experts too, where all result folders have them.
        higher_is_better: Only for metrics that pathfuse does not know.
        models_are: ``outer`` or ``inner``: which names of nested JSON are models, where the names
            do not show it.
        seed: Seed of the intervals of mean ranks.

    Raises:
        InputError: A source cannot be understood, the metric is unknown, or too few studies or
            methods are left.

    Examples:
        >>> import tempfile
        >>> import polars as pl
        >>> scores = {"brca": (0.81, 0.79), "coad": (0.90, 0.88), "luad": (0.74, 0.75)}
        >>> rows = [
        ...     {"study": study, "method": method, "metric": "auroc", "value": value}
        ...     for study, values in scores.items()
        ...     for method, value in zip(("fused", "best_expert"), values, strict=True)
        ... ]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pl.DataFrame(rows).write_csv(f"{folder}/scores.csv")
        ...     result = rank([f"{folder}/scores.csv"])
        >>> [(method, round(mean_rank, 2)) for method, mean_rank in result.summary.select("method", "mean_rank").rows()]
        [('fused', 1.33), ('best_expert', 1.67)]
    """
    start = time.perf_counter()
    check_seed(seed)
    places = [Path(source) for source in sources]
    if not places:
        raise InputError("there is no source to rank")
    boards = read_scores(places, models_are)
    chosen = select(
        boards, metric, Path(cohorts) if cohorts is not None else None, experts, higher_is_better
    )
    table, resolved = ranks(chosen.benefit), unresolved(chosen)
    intervals = mean_rank_intervals(table, chosen.cohort_index, N_RESAMPLES, seed)
    summary = summary_frame(chosen, table, intervals)
    winners = winners_frame(chosen, resolved)
    tests = _friedman(chosen)
    notes = [*chosen.notes, *_test_notes(tests)]
    if np.isnan(intervals).all():
        notes.append(f"fewer than {MIN_COHORTS} cohorts: mean ranks have no intervals")
    manifest = _manifest(boards, chosen, winners, seed, notes)
    manifest["wall_time_s"] = round(time.perf_counter() - start, 3)
    pairs = pairs_frame(chosen, summary["method"].to_list())
    return RankResult(
        ranks_frame(chosen, table, resolved), winners, summary, pairs, tests, manifest
    )


def _manifest(
    boards: Sequence[Scoreboard],
    chosen: Selection,
    winners: pl.DataFrame,
    seed: int,
    notes: Sequence[str],
) -> dict[str, Any]:
    """``manifest.json`` without the time."""
    return {
        **software(),
        "sources": [{"source": board.source, "format": board.format} for board in boards],
        "inputs": chosen.inputs,
        "metric": chosen.metric,
        "higher_is_better": chosen.higher_is_better,
        "studies": len(chosen.studies),
        "cohorts": len(set(chosen.cohorts)),
        "methods": len(chosen.methods),
        "alpha": ALPHA,
        "seed": seed,
        "n_resamples": N_RESAMPLES,
        "mean_in_reach": _mean_in_reach(winners),
        "studies_with_intervals": int(winners["n_unresolved"].is_not_null().sum()),
        "command": None,
        "runs": _runs(boards, chosen),
        "left_out": chosen.left_out,
        "notes": list(notes),
    }


def _runs(boards: Sequence[Scoreboard], chosen: Selection) -> list[dict[str, Any]]:
    """Of values that are means of runs: how many, and their standard deviation."""
    metric = pl.col("metric").str.to_lowercase() == chosen.metric.lower()
    return [
        row
        for board in boards
        for row in board.runs.filter(metric).drop("metric").iter_rows(named=True)
    ]


def _mean_in_reach(winners: pl.DataFrame) -> float | None:
    """Over studies, how many methods cannot be told from the winner, the winner included.

    None without intervals.
    """
    mean = winners["n_unresolved"].mean()
    return None if mean is None else 1 + float(str(mean))


def _friedman(chosen: Selection) -> dict[str, Any]:
    """Over the studies that have every method; over their cohorts too, where some share one."""
    complete = ~np.isnan(chosen.values).any(axis=1)
    out = [study for study, whole in zip(chosen.studies, complete, strict=True) if not whole]
    tests = {"studies": _tested(chosen, ranks(chosen.benefit[complete]), "studies", out)}
    if len(set(chosen.cohorts)) < len(chosen.cohorts):
        members = np.unique(chosen.cohort_index[complete], return_inverse=True)[1]
        means = (
            cohort_means(chosen.benefit[complete], members)
            if complete.any()
            else chosen.benefit[:0]
        )
        tests["cohorts"] = _tested(chosen, ranks(means), "cohorts", out)
    return tests


def _test_notes(tests: dict[str, Any]) -> Iterator[str]:
    """Which tests could not be made, and what those made leave out."""
    for test in tests.values():
        if "reason" in test:
            yield test["reason"]
    out = tests["studies"]["studies_left_out"]
    if out and "chi2" in tests["studies"]:
        few = ", ".join(out[:FIRST]) + (" and others" if len(out) > FIRST else "")
        yield f"the Friedman test leaves out studies that lack a method ({len(out)}): {few}"


def _tested(chosen: Selection, table: np.ndarray, unit: str, out: list[str]) -> dict[str, Any]:
    n, k = table.shape
    result: dict[str, Any] = {"unit": unit, "n": n, "n_methods": k, "studies_left_out": out}
    if n < 2 or k < 3:
        few = f"{n} {unit} have every method" if n < 2 else f"there are {k} methods"
        return {
            **result,
            "reason": f"no Friedman test over {unit}: {few}, and it needs {2 if n < 2 else 3}",
        }
    means = table.mean(axis=0)
    order = np.argsort(means, kind="stable")
    found: Friedman = friedman(table)
    return {
        **result,
        "chi2": found.chi2,
        "df": k - 1,
        "p_value": found.p_value,
        "f": found.f if math.isfinite(found.f) else None,
        "f_df": [k - 1, (k - 1) * (n - 1)],
        "f_p_value": found.f_p_value,
        "alpha": ALPHA,
        "critical_difference": critical_difference(k, n, ALPHA),
        "mean_ranks": {chosen.methods[i]: float(means[i]) for i in order},
    }
