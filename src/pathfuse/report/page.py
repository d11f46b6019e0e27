"""``report.html``: one self-contained page that opens offline and prints well."""

from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from pathfuse.evaluation.judged import LOWER_IS_BETTER
from pathfuse.evaluation.prediction_sets import SET_METRICS
from pathfuse.report.figures import interval_plot, reliability_plot, weight_plot


def render(
    metrics: pl.DataFrame,
    comparisons: pl.DataFrame,
    manifest: dict[str, Any],
    certificate: dict[str, Any] | None,
    fused: pl.DataFrame | None,
    reliability: pl.DataFrame | None = None,
) -> str:
    """The page as text.

    Args:
        metrics: Content of ``metrics.csv``.
        comparisons: Content of ``comparisons.csv``.
        manifest: Content of ``manifest.json``.
        certificate: Content of ``certificate.json``; None for ``evaluate``.
        fused: Content of ``fused.parquet``; None for ``evaluate``.
        reliability: Content of ``reliability.csv``; None for ``evaluate``.
    """
    of_sets = metrics.filter(pl.col("metric").is_in(SET_METRICS))
    metrics = metrics.filter(~pl.col("metric").is_in(SET_METRICS))
    overall = over_all(metrics)
    per_output = by_output(metrics, comparisons)
    names = overall["metric"].unique(maintain_order=True).to_list()
    ranked = ranking(overall)
    figures = [interval_plot(overall, name, name in LOWER_IS_BETTER) for name in names[:2]]
    environment = Environment(
        loader=PackageLoader("pathfuse", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    return environment.get_template("page.html").render(
        headline=headline(over_all(comparisons), manifest),
        metric_names=names,
        ranking=ranked,
        comparisons=contrast_rows(over_all(comparisons), names),
        figures=figures,
        per_output=per_output,
        weights=weight_plot(fused) if fused is not None else None,
        reliability=reliability_plot(reliability) if reliability is not None and reliability.height else None,
        sets=of_sets.to_dicts(),
        manifest=manifest,
        certificate=certificate,
    )  # fmt: skip


def contrast_rows(comparisons: pl.DataFrame, metrics: list[str]) -> list[dict[str, Any]]:
    """The first method's differences in the first metric."""
    if not comparisons.height:
        return []
    first = (pl.col("method") == comparisons["method"][0]) & (pl.col("metric") == metrics[0])
    return comparisons.filter(first).to_dicts()


def by_output(metrics: pl.DataFrame, comparisons: pl.DataFrame) -> list[dict[str, Any]]:
    """Per label or target, where there are several: the first metric of the fusion and its gain on the best expert."""
    outputs = [name for name in metrics["output"].unique(maintain_order=True) if name != "all"]
    if not outputs or "fused" not in metrics["method"]:
        return []
    first = metrics["metric"][0]
    fused = metrics.filter((pl.col("method") == "fused") & (pl.col("metric") == first))
    gains = comparisons.filter(
        (pl.col("method") == "fused") & (pl.col("reference") == "best_expert") & (pl.col("metric") == first)
    )
    rows = fused.join(gains, on="output", how="left", suffix="_gain").filter(pl.col("output") != "all")
    return rows.to_dicts()


def over_all(table: pl.DataFrame) -> pl.DataFrame:
    """The rows about the whole study: output ``all``, or the only output there is."""
    outputs = table["output"].unique(maintain_order=True).to_list()
    wanted = "all" if "all" in outputs else next(iter(outputs), "all")
    return table.filter(pl.col("output") == wanted)


def ranking(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    """One entry per method with all its metrics, best NLL (or first metric) first."""
    if not metrics.height:
        return []
    first = metrics["metric"][0]
    methods: dict[str, dict[str, Any]] = {}
    for row in metrics.iter_rows(named=True):
        methods.setdefault(row["method"], {"method": row["method"], "n": row["n"]})[row["metric"]] = row
    sign = 1.0 if first in LOWER_IS_BETTER else -1.0
    missing = float("inf")
    return sorted(
        methods.values(), key=lambda m: missing if m[first]["value"] is None else sign * float(m[first]["value"])
    )


def headline(comparisons: pl.DataFrame, manifest: dict[str, Any]) -> str:
    """The result in one sentence: the fusion beside the best expert."""
    rows = comparisons.filter((pl.col("method") == "fused") & (pl.col("reference") == "best_expert"))
    if not rows.height:
        return f"{len(manifest['experts'])} experts judged on {manifest['rows']['judged']} samples."
    row = rows.row(0, named=True)
    where = f"{manifest['rows']['judged']} samples of {manifest['rows']['patients_judged']} patients"
    if row["ci_low"] is None:
        return f"The fusion's {row['metric']} differs from the best expert's by {number(row['difference'])} ({where})."
    if row["difference"] == 0:
        return f"The fusion's {row['metric']} equals that of the best expert chosen on the fit rows ({where})."
    gain = -1.0 if row["metric"] in LOWER_IS_BETTER else 1.0
    verb = "better than" if gain * row["difference"] > 0 else "worse than"
    clear = row["ci_low"] * row["ci_high"] > 0
    return (
        f"The fusion's {row['metric']} is {number(abs(row['difference']))} {verb} that of the best expert chosen on "
        f"the fit rows (difference {number(row['difference'])}, 95 % interval {number(row['ci_low'])} to "
        f"{number(row['ci_high'])}; {where}){'' if clear else '; the interval includes no difference'}."
    )


def number(value: float | None) -> str:
    """A figure with three decimals; an em dash where undefined."""
    return "—" if value is None else f"{value:.3f}"
