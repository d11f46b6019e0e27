"""Calibration in figures: slope, intercept, observed by expected, ICI, Brier's parts, D-calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.evaluation.survival_calibration import N_BINS
from pathfuse.report.calibration_plots import MAX_BANDS, calibration_curve_plot, edge_plot
from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing, p_text
from pathfuse.report.sections.base import Section
from pathfuse.report.words import drawn

LABELS = {
    "slope": ("slope", "of logit P = a + b logit p, b; 1 is calibrated, below 1 is too sure"),
    "class_slope": (
        "slope of the class",
        "logistic, of each class against the rest; the one of all classes, above, is a power",
    ),
    "intercept_of_slope": ("its intercept", "a, fitted together with the slope"),
    "intercept": (
        "intercept",
        "calibration in the large, slope fixed at 1: 0 is calibrated, above 0 too little was predicted",
    ),
    "observed_to_expected": ("O : E", "observed by expected number; 1 is calibrated"),
    "observed": ("observed", "share with an event by the edge, Kaplan-Meier"),
    "expected": ("expected", "mean predicted share with an event by the edge"),
    "ici": (
        "ICI",
        "mean distance between the prediction and the calibration curve (isotonic regression)",
    ),
    "ici_if_calibrated": (
        "ICI by chance",
        "what so many perfectly calibrated predictions like these would show on average",
    ),
    "brier": ("Brier", "mean squared error of the probability of this one outcome"),
    "reliability": ("reliability", "what calibration would take off the Brier score (MCB)"),
    "reliability_if_calibrated": (
        "by chance",
        "the same of so many perfectly calibrated predictions",
    ),
    "resolution": (
        "resolution",
        "what the predictions gain over knowing the prevalence alone (DSC)",
    ),
    "uncertainty": (
        "uncertainty",
        "the Brier score of the prevalence (UNC); Brier = reliability - resolution + uncertainty",
    ),
    "below_q10": ("below 10 %", "share of the truth below the predicted 10 % quantile: 0.1"),
    "below_q50": ("below 50 %", "the same of the predicted median: 0.5"),
    "below_q90": ("below 90 %", "the same of the predicted 90 % quantile: 0.9"),
}
"""Figure to its heading and what it means, in the order of the columns."""
EDGES = ("observed_to_expected", "observed", "expected")
BRIER = ("brier", "reliability", "reliability_if_calibrated", "resolution", "uncertainty")
OF_NUMBERS = {
    "slope": ("slope", "of truth = a + b prediction, b; 1 is calibrated"),
    "intercept": ("mean error", "truth minus prediction; 0 is calibrated"),
}
OF_HAZARDS = {
    "slope": ("slope", "of logit h' = a + b logit h, over bins at risk; 1 is calibrated"),
    "intercept": ("intercept", "the same with the slope fixed at 1; 0 is calibrated"),
}


def _draw(content: Content) -> list[Drawing]:
    points, table = (content.tables.get(name) for name in ("calibration_curves", "calibration"))
    if points is not None and points.height:
        return [_curves(content, points)]
    if table is not None and "observed_to_expected" in table["figure"]:
        return [_edges(content, table)]
    return []


def _curves(content: Content, points: pl.DataFrame) -> Drawing:
    several = points.group_by("output").agg(pl.col("group").n_unique())["group"].max() != 1
    what = "each class against the rest" if several else "observed share"
    bands = (
        f"shaded: 95 % confidence bands point by point, of {drawn(content.manifest)}s drawn with "
        f"replacement ({content.manifest['calibration_resamples']} resamples), too narrow at the ends of small studies"
        if points["low"].null_count() == 0 and points["method"].n_unique() <= MAX_BANDS
        else "without bands"
    )
    folds = " The rows of all folds together." if content.n_folds else ""
    shown, there = (
        frame.select("output", "group").n_unique()
        for frame in (points, content.tables["calibration"])
    )
    more = f" Drawn: the first {shown} of {there}." if shown < there else ""
    caption = (
        f"Calibration curves, {what} against predicted probability: isotonic regression without bins "
        f"(CORP); {bands}. On the dotted line: calibrated.{folds}{more}"
    )
    plot = calibration_curve_plot(points, named=several)
    return Drawing("calibration_curves", caption, f"{caption} The table below has figures.", plot)


def _edges(content: Content, table: pl.DataFrame) -> Drawing:
    lines = ", lines: 95 % intervals" if table["ci_low"].is_not_null().any() else ""
    caption = (
        f"Left: observed by expected events by each edge{lines}; on the dotted line: calibrated. Right: "
        f"D-calibration, the predicted survival at each {drawn(content.manifest)}'s own time, which a "
        "calibrated prediction spreads evenly (dotted); censored ones are spread over their bin and all below."
    )
    return Drawing("calibration_edges", caption, caption, edge_plot(table))


def _shown(content: Content) -> Mapping[str, Any] | None:
    table = content.tables.get("calibration")
    if table is None or not table.height:
        return None
    endpoint = ENDPOINTS[content.kind]
    own = OF_NUMBERS if endpoint.of_numbers else OF_HAZARDS if endpoint.in_time else {}
    labels = LABELS | own
    line = [name for name in labels if name not in BRIER]
    what = "output" if set(table["output"]) != {"all"} else "class"
    parts = [("Slope, intercept, observed by expected", what, table, line)]
    if endpoint.in_time:
        first, rest = table.filter(pl.col("group") == ""), table.filter(pl.col("group") != "")
        parts = [("Slope and intercept of the hazards", "output", first, line)]
        parts.append(("Observed by expected at each edge", "edge", rest, list(EDGES)))
    parts.append(("Parts of the Brier score", what, table, list(BRIER)))
    tables = [one for part in parts if (one := _table(*part, labels))["rows"]]
    used = {name for one in tables for name in one["figures"]}
    return {
        "tables": tables,
        "terms": [meaning for name, meaning in labels.items() if name in used],
        "tests": _tests(table),
        "resamples": content.manifest["calibration_resamples"],
        "folds": bool(content.n_folds),
        "drawn": drawn(content.manifest),
    }


def _table(
    title: str,
    what: str,
    part: pl.DataFrame,
    names: Sequence[str],
    labels: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """One line per output, group and method, methods side by side; one column per figure."""
    there = set(part["figure"])
    figures = [name for name in names if name in there]
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for row in part.filter(pl.col("figure").is_in(figures)).iter_rows(named=True):
        name = _name(row["output"], row["group"])
        empty = {"name": name, "method": row["method"], "n": row["n"], "cells": {}}
        line = rows.setdefault(name, {}).setdefault(row["method"], empty)
        line["cells"][row["figure"]] = row
    return {
        "title": title,
        "what": what,
        "figures": figures,
        "heads": [labels[name][0] for name in figures],
        "rows": [line for lines in rows.values() for line in lines.values()],
        "named": len(rows) > 1,
    }


def _name(output: str, group: str) -> str:
    """An output of several by its name, a class or an edge by its own."""
    return group if output == "all" else output


def _tests(table: pl.DataFrame) -> list[str]:
    """D-calibration of each method, a sentence each."""
    tests = table.filter(pl.col("figure").is_in(["d_calibration", "d_calibration_p"]))
    sentences = []
    for (method,), own in tests.group_by("method", maintain_order=True):
        statistic, p = own["value"].to_list()
        verdict = "deviates from calibration" if p < 0.05 else "shows no deviation from calibration"
        sentences.append(
            f"D-calibration of {method}: χ² {statistic:.2f} on {N_BINS - 1} degrees of freedom, p {p_text(p)}, which "
            f"{verdict} at 5 %."
        )
    return sentences


SECTION = Section(
    "calibration_detail",
    "Calibration in figures",
    "calibration",
    _draw,
    _shown,
    printed=("calibration",),
)
