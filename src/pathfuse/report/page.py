"""``report.html``: one self-contained page that opens offline, in light and dark, and prints well."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import polars as pl

from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.resampling import MIN_PATIENTS
from pathfuse.report.answer import answer
from pathfuse.report.content import Content, left_out_line, over_all
from pathfuse.report.costs import COLUMNS, cost_lines, cost_sentence
from pathfuse.report.drawings import Drawing, contrasts, draw
from pathfuse.report.headline import alarmed
from pathfuse.report.learning_curves import draw_learning_curves
from pathfuse.report.methods import methods
from pathfuse.report.sections.registry import SECTIONS
from pathfuse.report.slopes import slope_sentence
from pathfuse.report.template import render_page
from pathfuse.report.theme import STYLE
from pathfuse.report.words import caveat, counted, drawn, number, positive_class

MAX_LINES = 100
"""Lines of a table about labels or targets; the rest stands in the CSV files."""
MAX_TESTS = 25
"""Further tests: the first of them are against the best expert."""
MAX_NOTES = 40


def render(content: Content, drawings: list[Drawing] | None = None) -> str:
    """The page as text.

    Args:
        content: The tables of a run.
        drawings: From ``draw_all``; default: they are drawn here.
    """
    drawings = draw_all(content) if drawings is None else drawings
    overall = over_all(content.ranked)
    subject, others, differences = contrasts(content)
    sites = by_site(content.sites)
    return render_page(
        "report/page.html",
        {"metric": metric, "order": order, "left_out": left_out_line},
        answer=answer(content),
        alarm=alarmed(content.manifest),
        gain="" if alarmed(content.manifest) else gain_sentence(content.gains),
        metrics=[metric(name) for name in content.metric_names],
        ranking=ranking(overall),
        subject=subject,
        others=others,
        differences=_of_first(differences, content.metric_names),
        per_output=by_output(content.ranked, content.comparisons),
        sets=content.of_sets.to_dicts(),
        sites=[line for line in sites if not line["small"]],
        small_sites={line["site"]: line["n_patients"] for line in sites if line["small"]},
        site_columns=site_columns(content.sites),
        tests=sorted(_rows(content.tests), key=_relevance),
        ablation=_rows(content.ablation),
        figures={d.name: (d.inline(), d.caption, d.wide) for d in drawings},
        learning_names=[d.name for d in drawings if d.name.startswith("learning_")],
        manifest=content.manifest,
        certificate=content.certificate,
        methods=methods(content),
        has_intervals=content.has_intervals,
        n_folds=content.n_folds,
        slope=slope_sentence(content.manifest),
        temperature=temperature_sentence(content.manifest.get("inner_cross_validation", [])),
        drawn=drawn(content.manifest),
        fit_on=counted(content.manifest["rows"], "fit"),
        judged_on=counted(content.manifest["rows"], "judged"),
        caveat=caveat(content.manifest["rows"], "judged"),
        positive=positive_class(content.manifest),
        nothing_known=(content.manifest.get("null_model") or {}).get("what", ""),
        costs=cost_lines(content.manifest),
        cost_columns=COLUMNS.values(),
        cost_sentence=cost_sentence(content.manifest),
        max_lines=MAX_LINES,
        max_tests=MAX_TESTS,
        max_notes=MAX_NOTES,
        own_sections=[
            {"id": one.id, "title": one.title, "after": one.after, "template": one.template}
            | {"shown": shown}
            for one in SECTIONS
            if (shown := one.shown(content)) is not None
        ],
    )


def draw_all(content: Content) -> list[Drawing]:
    """Every figure of the page: of the tables, of the sections, then the experts' learning curves."""
    with mpl.rc_context(STYLE):
        own = [drawing for one in SECTIONS for drawing in one.draw(content)]
    return [*draw(content), *own, *draw_learning_curves(content.histories)]


def gain_sentence(gains: pl.DataFrame | None) -> str:
    """The fusion's gain over the mean of the single experts, in the first metric that is better
    when higher and has a per cent; else in the first that has one.
    """
    if gains is None:
        return ""
    rows = gains.filter((pl.col("method") == "fused") & pl.col("gain_percent").is_not_null())
    found = sorted(rows.to_dicts(), key=lambda row: metric(row["metric"]).lower_is_better)
    if not found:
        return ""
    row = found[0]
    interval = (
        "no interval"
        if row["ci_low"] is None
        else f"95 % interval {row['ci_low']:+.1f} to {row['ci_high']:+.1f} %"
    )
    return (
        f"Gain over the mean of the single experts in {metric(row['metric']).label}: "
        f"{row['gain_percent']:+.1f} % ({number(row['value'])} against "
        f"{number(row['mean_of_experts'])}; {interval})."
    )


def temperature_sentence(inner: Sequence[Mapping[str, Any]]) -> str:
    """The best temperature of the fusion's held-out predictions: a figure, from which nothing is
    concluded.

    Args:
        inner: ``inner_cross_validation`` of the manifest: per fold and task, among others,
            ``temperature``.
    """
    tasks = [task for part in inner for name, task in part.items() if name != "fold"]
    found = [task["temperature"] for task in tasks if "temperature" in task]
    if not found:
        return ""
    low, high = min(found), max(found)
    shown = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    return f"The best temperature of the fusion's held-out predictions in inner cross-validation is {shown}."


def _rows(table: pl.DataFrame | None) -> list[dict[str, Any]]:
    return [] if table is None else table.with_columns(pl.col(pl.Float64).fill_nan(None)).to_dicts()


def _relevance(test: dict[str, Any]) -> tuple[bool, ...]:
    """What a reader asks first: the fusion against the best expert, over all outputs."""
    return test["reference"] != "best_expert", test["method"] != "fused", test["output"] != "all"


def _of_first(differences: pl.DataFrame, metrics: list[str]) -> list[dict[str, Any]]:
    """The differences in the first metric."""
    rows = differences.filter(pl.col("metric") == metrics[0]).to_dicts() if metrics else []
    return [{"p_holm": None, **row} for row in rows]


def by_output(metrics: pl.DataFrame, comparisons: pl.DataFrame) -> list[dict[str, Any]]:
    """Per label or target, where there are several: the first metric of the fusion and its gain on
    the best expert.
    """
    outputs = [name for name in metrics["output"].unique(maintain_order=True) if name != "all"]
    if not outputs or "fused" not in metrics["method"]:
        return []
    first = metrics["metric"][0]
    fused = metrics.filter((pl.col("method") == "fused") & (pl.col("metric") == first))
    gains = comparisons.filter(
        (pl.col("method") == "fused")
        & (pl.col("reference") == "best_expert")
        & (pl.col("metric") == first)
    )
    rows = fused.join(gains, on="output", how="left", suffix="_gain").filter(
        pl.col("output") != "all"
    )
    return rows.to_dicts()


def by_site(sites: pl.DataFrame | None) -> list[dict[str, Any]]:
    """One line per site and output, sites with most patients first: ``cells`` maps (metric, method)
    to values.
    """
    if sites is None:
        return []
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sites.iter_rows(named=True):
        blank = {
            "site": row["site"],
            "output": row["output"],
            "cells": {},
            "n": 0,
            "n_patients": 0,
            "note": "",
        }
        line = lines.setdefault((row["site"], row["output"]), blank)
        line["cells"][row["metric"], row["method"]] = row["value"]
        line["n"], line["n_patients"] = (
            max(line["n"], row["n"]),
            max(line["n_patients"], row["n_patients"]),
        )
        line["note"] = line["note"] or row["note"]
    for line in lines.values():
        line["small"] = line["n_patients"] < MIN_PATIENTS
    return sorted(
        lines.values(), key=lambda line: (line["output"], -line["n_patients"], line["site"])
    )


def site_columns(sites: pl.DataFrame | None) -> list[tuple[str, str]]:
    """Metric and method of the columns, methods side by side."""
    if sites is None:
        return []
    metrics, methods = (
        sites[name].unique(maintain_order=True).to_list() for name in ("metric", "method")
    )
    return [(metric, method) for metric in metrics for method in methods]


def order(known: Metric) -> str:
    """How a table is sorted so that the best of a metric comes first."""
    return "ascending" if known.lower_is_better else "descending"


def ranking(metrics: pl.DataFrame) -> list[dict[str, Any]]:
    """One entry per method with all its metrics, best NLL (or first metric) first."""
    if not metrics.height:
        return []
    first = metrics["metric"][0]
    rows: dict[str, dict[str, Any]] = {}
    for row in metrics.iter_rows(named=True):
        rows.setdefault(row["method"], {"method": row["method"], "n": row["n"]})[row["metric"]] = (
            row
        )
    sign, missing = -metric(first).sign, float("inf")
    return sorted(
        rows.values(),
        key=lambda m: missing if m[first]["value"] is None else sign * float(m[first]["value"]),
    )
