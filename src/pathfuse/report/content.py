"""What the report shows: the tables of a run, and the words for their metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pathfuse.evaluation.metrics.prediction_sets import SET_METRICS
from pathfuse.evaluation.notes import listed
from pathfuse.report.words import several


@dataclass(frozen=True)
class Content:
    """The tables behind one page. What is None has no section."""

    metrics: pl.DataFrame
    """``metrics.csv``."""
    comparisons: pl.DataFrame
    """``comparisons.csv``; a column ``p_holm`` is shown where there is one."""
    manifest: dict[str, Any]
    """``manifest.json``."""
    certificate: dict[str, Any] | None = None
    """``certificate.json``; None for ``evaluate``."""
    fused: pl.DataFrame | None = None
    """``fused.parquet``; None for ``evaluate``."""
    reliability: pl.DataFrame | None = None
    """``reliability.csv``."""
    curves: pl.DataFrame | None = None
    """``curves.csv``: figure, output, method, group, x, y, n."""
    sites: pl.DataFrame | None = None
    """``sites.csv``: site, output, method, metric, value, n, n_patients, note."""
    tests: pl.DataFrame | None = None
    """method, reference, output, metric, test, difference, statistic, p_value, p_holm, margin,
    conclusion."""
    gains: pl.DataFrame | None = None
    """method, output, metric, value, mean_of_experts, gain_percent, ci_low, ci_high."""
    ablation: pl.DataFrame | None = None
    """variant, kind, output, metric, value, ci_low, ci_high, difference, difference_low,
    difference_high, p_value, note."""

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Of the parts of the report, by the name of their CSV file; see ``workflows/reporting``."""
    histories: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """``history.csv`` of the experts that this run trained, by name."""

    @property
    def ranked(self) -> pl.DataFrame:
        """The metrics that rank methods."""
        return self.metrics.filter(~pl.col("metric").is_in(SET_METRICS))

    @property
    def n_folds(self) -> int:
        """Outer folds; 0 without."""
        return len((self.certificate or {}).get("folds", ())) or int(self.manifest.get("folds", 0))

    @property
    def has_intervals(self) -> bool:
        """Whether any figure has one; few patients have none."""
        return bool(self.ranked["ci_low"].is_not_null().any())

    @property
    def of_sets(self) -> pl.DataFrame:
        """Coverage and size of prediction sets."""
        return self.metrics.filter(pl.col("metric").is_in(SET_METRICS))

    @property
    def metric_names(self) -> list[str]:
        """Metrics in the order of ``metrics.csv``, of the whole study."""
        return over_all(self.ranked)["metric"].unique(maintain_order=True).to_list()

    @property
    def kind(self) -> str:
        """Name of the endpoint."""
        return str(self.manifest["endpoint"]["kind"])

    def points(self, figure: str) -> pl.DataFrame:
        """The points of one figure; none without ``curves``."""
        if self.curves is None:
            return pl.DataFrame(schema={"output": pl.String})
        return self.curves.filter(pl.col("figure") == figure)


def left_out_line(item: dict[str, Any]) -> str:
    """A line of the manifest's ``left_out`` in words.

    One with an ``expert`` is about that expert alone, or about those whose names it joins.
    """
    first = f": {', '.join(item['first'])}" if item["first"] else ""
    touched = f"; {several(item['samples'], 'sample')}" if item.get("samples") else ""
    touched += (
        f" of {several(item['patients'], 'patient')}" if touched and "patients" in item else ""
    )
    if "expert" in item:
        return f"{item['expert']}: left out {item['n']} ({item['reason']}{first}{touched})"
    return f"Left out: {several(item['n'], 'row')} ({item['reason']}{first}{touched})"


def left_out_lines(items: Sequence[dict[str, Any]]) -> list[str]:
    """The manifest's ``left_out`` in words, one line for each cause.

    Where two steps report the same rows of an expert, the last line stands, which is that of the
    step before the fusion and names the cause. Experts that lack the same rows for the same reason
    share a line.

    Examples:
        >>> gone = {"n": 2, "first": ["s1", "s2"], "samples": 2}
        >>> seen, cause = {"reason": "not scored", **gone}, {"reason": "no slide", **gone}
        >>> left_out_lines([{"expert": e, **one} for one in (seen, cause) for e in ("uni", "conch")])
        ['uni, conch: left out 2 (no slide: s1, s2; 2 samples)']
    """
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for n, item in enumerate(items):
        of_expert = (item.get("expert"), item["n"], *item["first"]) if "expert" in item else (n,)
        kept[of_expert if item["first"] else (n,)] = item
    experts: dict[str, list[str]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for item in kept.values():
        rest = {key: value for key, value in item.items() if key != "expert"}
        cause = repr(("expert" in item, sorted(rest.items())))
        shared.setdefault(cause, item)
        experts.setdefault(cause, []).append(item.get("expert", ""))
    return [
        left_out_line({**item, "expert": listed(experts[cause])} if "expert" in item else item)
        for cause, item in shared.items()
    ]


def over_all(table: pl.DataFrame) -> pl.DataFrame:
    """The rows about the whole study: output ``all``, or the only output there is."""
    outputs = table["output"].unique(maintain_order=True).to_list()
    wanted = "all" if "all" in outputs else next(iter(outputs), "all")
    return table.filter(pl.col("output") == wanted)
