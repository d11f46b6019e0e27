"""Decision curves, and what the fusion adds to the net benefit of the best expert."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.base import Section
from pathfuse.report.sections.leaders import LEADERS, led
from pathfuse.report.theme import AXIS, DASHES, OURS, SERIES, THEIRS, panels, plain
from pathfuse.report.words import drawn

MAX_PANELS = 6
"""Outputs or classes that are drawn; the others stand in the tables."""
PER = 100
"""Differences are shown per so many patients."""
ROOM = 0.25
"""The share of a panel below 0, unless a leader's curve goes lower."""
FIXED: dict[str, tuple[str, dict[str, Any]]] = {
    "treat_all": ("treat all", {"color": THEIRS, "lw": 1.2, "ls": "-."}),
    "treat_none": ("treat none", {"color": AXIS, "lw": 1.0, "ls": "-"}),
}
"""How the policies are drawn that need no prediction."""


def _panels(table: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """One table per output or class, with its title."""
    groups = table.group_by("output", "outcome", maintain_order=True)
    return [
        (str(outcome if output == "all" else output), own) for (output, outcome), own in groups
    ][:MAX_PANELS]


def decision_plot(curves: pl.DataFrame) -> Figure:
    """Net benefit against the threshold, of methods and of treating all or none.

    Args:
        curves: Rows of ``decision_curves.csv`` without a reference.
    """
    shown = _panels(curves)
    figure, axes = panels(len(shown), 2.45 if len(shown) > 1 else 5.6, 2.5)
    for panel, (name, own) in zip(axes, shown, strict=True):
        _decision_panel(panel, own)
        panel.set_title(plain(name))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 4))
    figure.supxlabel("threshold probability", fontsize=9.5)
    figure.supylabel("net benefit", fontsize=9.5)
    return figure


def _decision_panel(panel: Axes, own: pl.DataFrame) -> None:
    top, bottom, number = 0.0, 0.0, 0
    methods = own["method"].unique(maintain_order=True).to_list()
    leader = next((name for name in LEADERS if name in methods), "")
    for name in methods:
        curve = own.filter(pl.col("method") == name)
        if name in FIXED:
            label, style = FIXED[name]
        else:
            label, style = plain(name), _style(name, number)
            number += 1
        panel.plot(curve["threshold"], curve["net_benefit"], label=label, **style)
        if name == leader and curve["ci_low"].is_not_null().all():
            limits = curve["threshold"], curve["ci_low"], curve["ci_high"]
            panel.fill_between(*limits, color=style["color"], alpha=0.15, lw=0)
            top = max(top, float(str(curve["ci_high"].max())))
        top = max(top, float(str(curve["net_benefit"].max() or 0.0)))
        if name in LEADERS:
            bottom = min(bottom, float(str(curve["net_benefit"].min() or 0.0)))
    panel.set_ylim(*_limits(bottom, top))
    panel.margins(x=0)
    panel.grid()


def _limits(bottom: float, top: float) -> tuple[float, float]:
    """From a little below the lowest point of the leaders' curves to a little above the highest;
    that treating all goes far below 0 does not matter.
    """
    high = 1.05 * max(top, -bottom / 4) or 0.01
    return min(-ROOM * high, 1.1 * bottom), high


def _style(name: str, number: int) -> dict[str, Any]:
    if name == "fused":
        return {"color": OURS, "lw": 2.0, "ls": "-", "zorder": 4}
    if name == "best_expert":
        return {"color": SERIES[1], "lw": 1.6, "ls": "--", "zorder": 3}
    colour = SERIES[(number + 2) % len(SERIES)]
    return {"color": colour, "lw": 1.2, "ls": DASHES[number % len(DASHES)]}


def difference_plot(differences: pl.DataFrame) -> Figure:
    """Difference in net benefit per 100 against the threshold, with its interval.

    Args:
        differences: Rows of ``decision_curves.csv`` with one method and one reference.
    """
    shown = _panels(differences)
    figure, axes = panels(len(shown), 2.45 if len(shown) > 1 else 5.6, 2.3)
    for panel, (name, own) in zip(axes, shown, strict=True):
        panel.axhline(0, color=AXIS, lw=1, ls=":")
        panel.plot(own["threshold"], PER * own["net_benefit"], color=OURS, lw=2)
        if own["ci_low"].is_not_null().all():
            low, high = PER * own["ci_low"], PER * own["ci_high"]
            panel.fill_between(own["threshold"], low, high, color=OURS, alpha=0.15, lw=0)
        panel.set_title(plain(name))
        panel.margins(x=0)
        panel.grid()
    figure.supxlabel("threshold probability", fontsize=9.5)
    figure.supylabel(f"difference per {PER}", fontsize=9.5)
    return figure


def draw(content: Content) -> list[Drawing]:
    """The decision curves; with a fusion also its differences to the best expert."""
    table = content.tables.get("decision_curves")
    if table is None:
        return []
    curves = table.filter(pl.col("reference") == "")
    against = table.filter((pl.col("method") == "fused") & (pl.col("reference") == "best_expert"))
    n, there = len(_panels(curves)), curves.select("output", "outcome").n_unique()
    some = f" Drawn: the first {n} of {there}." if n < there else ""
    folds = " Decisions of all folds are counted together." if content.n_folds else ""
    sure = curves["ci_low"].is_not_null().any()
    band = f" Shaded: 95 % intervals by {drawn(content.manifest)}." if sure else ""
    caption = (
        "Decision curves: net benefit of acting on a predicted probability at or above the threshold, "
        f"against treating all and treating none; higher is better.{band}{folds}{some}"
    )
    found = [Drawing("decision_curves", caption, caption, decision_plot(curves))]
    if against.height:
        caption = (
            f"Difference in net benefit, the fusion minus the best expert, per {PER} {drawn(content.manifest)}s: above "
            f"the dotted line the fusion is the more useful one.{band}{some}"
        )
        drawing = Drawing("decision_differences", caption, caption, difference_plot(against))
        found.append(drawing)
    return found


def shown(content: Content) -> Mapping[str, Any] | None:
    """The table of differences, per 100."""
    table = content.tables.get("utility")
    if table is None:
        return None
    facts = content.manifest["utility"]
    table, left = led(table, ("output", "outcome"))
    scaled = table.with_columns(pl.col("difference", "ci_low", "ci_high") * PER)
    return {
        "rows": scaled.to_dicts(),
        "left": left,
        "labelled": table["output"].n_unique() > 1,
        "several": table["outcome"].n_unique() > 1,
        "outcome": table["outcome"][0],
        "corrected": (table["p_holm"] != table["p_value"]).any(),
        "low": facts["thresholds"][0],
        "high": facts["thresholds"][1],
        "horizon": facts["horizon"],
        "per": PER,
        "unit": drawn(content.manifest),
    }


SECTION = Section("utility", "Clinical utility", "calibration", draw, shown, printed=("utility",))
