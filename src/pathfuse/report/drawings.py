"""Which figures a run has, inline for the page and as files for a paper: the same bytes every time."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.reliability import N_GROUPS, N_SURVIVAL_GROUPS
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.report.content import Content, over_all
from pathfuse.report.curve_figures import (
    disagreement_plot,
    kaplan_meier_plot,
    predicted_plot,
    roc_plot,
)
from pathfuse.report.figures import (
    forest_plot,
    interval_plot,
    reliability_plot,
    weight_map,
    weight_plot,
)
from pathfuse.report.theme import STYLE, VARIABLES
from pathfuse.report.words import drawn, number, positive_class
from pathfuse.unseen import as_html, visible

TAG = re.compile(r"<[A-Za-z][^<>]*>")
STYLED = re.compile(r'style="([^"]*)"')
RENAMED = re.compile(r'(\bid="|url\(#|href="#)')
COLOUR = re.compile("|".join(VARIABLES))


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption and its alternative text."""

    name: str
    """Of its files; also keeps its ids apart from those of other figures on the page."""
    caption: str
    alt: str
    """For those who do not see it."""
    figure: Figure = field(repr=False)

    @property
    def wide(self) -> bool:
        """Whether it would be too small to read on a phone; there it scrolls."""
        return bool(self.figure.get_figwidth() > 5.5)

    @cached_property
    def svg(self) -> str:
        """The figure as an SVG file, without a date, and without characters that XML forbids."""
        buffer = io.StringIO()
        with mpl.rc_context(STYLE), _any_script():
            # Not savefig, which draws everything twice.
            canvas: Any = FigureCanvasSVG(self.figure)
            canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
        self.figure.set_layout_engine("none")  # from now on: laying out takes as long as drawing
        return "\n".join(map(visible, buffer.getvalue().split("\n")))

    def save(self, folder: Path) -> None:
        """As SVG and as PDF, dark on white, for a paper."""
        (folder / f"{self.name}.svg").write_text(self.svg, encoding="utf-8")
        nothing = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
        with mpl.rc_context(STYLE), _any_script():
            canvas: Any = FigureCanvasPdf(self.figure)
            canvas.print_pdf(folder / f"{self.name}.pdf", metadata=nothing)

    def inline(self) -> Markup:
        """The figure as an ``<svg>`` element whose colours follow the page's, without ``style``
        attributes, which the policy of a page forbids.

        matplotlib escapes all text, so that what stands between ``<`` and ``>`` is a tag.
        """
        text = self.svg[self.svg.index("<svg") :]
        text = re.sub(
            r"<metadata>.*?</metadata>\s*|<style .*?</style>\s*", "", text, flags=re.DOTALL
        )
        text = TAG.sub(self._of_the_page, text)
        own = f'role="img" aria-label="{as_html(self.alt)}" stroke-linejoin="round"'
        return Markup(text.replace("<svg ", f"<svg {own} ", 1))  # noqa: S704 - escaped, see above

    def _of_the_page(self, found: re.Match[str]) -> str:
        """A tag with ids of its own, the page's colours, and attributes in place of a style."""
        tag = RENAMED.sub(rf"\g<1>{self.name}-", found[0])
        tag = COLOUR.sub(lambda colour: VARIABLES[colour[0]], tag)
        return STYLED.sub(lambda style: _attributes(style[1]), tag)


def _attributes(style: str) -> str:
    """The properties of a style as attributes of SVG, which have the same names; the last of a name
    counts.
    """
    properties = [one.partition(":") for one in style.split(";") if one.strip()]
    last = {name.strip(): value.strip() for name, _, value in properties}
    return " ".join(f'{name}="{value}"' for name, value in last.items())


@contextmanager
def _any_script() -> Iterator[None]:
    """The page shows names in the reader's font.

    That matplotlib's own lacks a glyph does not matter.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font", category=UserWarning
        )
        yield


def save_drawings(drawings: list[Drawing], folder: Path) -> None:
    """Every figure as SVG and PDF."""
    folder.mkdir()
    for drawing in drawings:
        drawing.save(folder)


def draw(content: Content) -> list[Drawing]:
    """Every figure that the tables of a run allow, in the order of the page."""
    with mpl.rc_context(STYLE):
        figures = [
            _ranking(content),
            _forest(content),
            _roc(content),
            _kaplan_meier(content),
            _predicted(content),
            _reliability(content),
            *_weights(content),
            _disagreement(content),
        ]
    return [one for one in figures if one is not None]


def _ranking(content: Content) -> Drawing | None:
    names, everybody = content.metric_names[:2], over_all(content.ranked)
    overall = everybody.filter(pl.col("method") != NULL_MODEL)
    defined = overall.filter(pl.col("metric").is_in(names) & pl.col("value").is_not_null())
    if not defined.height:
        return None
    labels = " and ".join(
        f"{metric(name).label} ({metric(name).better} is better)" for name in names
    )
    n = defined["method"].n_unique()
    alt = f"{labels} of {n} methods with their intervals; the table above has the numbers."
    lines = (
        f"; lines are 95 % intervals by {drawn(content.manifest)}" if content.has_intervals else ""
    )
    caption = f"{labels} of every method{lines}.{_off_scale(everybody, names[0])}"
    return Drawing("ranking", caption, alt, interval_plot(overall, names))


def _off_scale(metrics: pl.DataFrame, name: str) -> str:
    """Says where ``null_model`` lies, which is not drawn: its value would press the others
    together.
    """
    value = metrics.filter((pl.col("method") == NULL_MODEL) & (pl.col("metric") == name))[
        "value"
    ].to_list()
    return f" Not drawn: {NULL_MODEL}, {metric(name).label} {number(value[0])}." if value else ""


def contrasts(content: Content) -> tuple[str, str, pl.DataFrame]:
    """Whom the differences are about, the column that names the others, and the differences of the
    whole study.

    Of ``fuse``: the fusion against every other method. Of ``evaluate``: every expert against one
    reference.
    """
    table = over_all(content.comparisons)
    if not table.height:
        return "", "reference", table
    if "fused" in table["method"]:
        return "fused", "reference", table.filter(pl.col("method") == "fused")
    reference = str(table["reference"][0])
    return reference, "method", table.filter(pl.col("reference") == reference)


def _forest(content: Content) -> Drawing | None:
    subject, others, table = contrasts(content)
    table = table.filter(pl.col("reference") != NULL_MODEL)
    names = content.metric_names[:2]
    table = table.filter(pl.col("metric").is_in(names) & pl.col("difference").is_not_null())
    if not table.height:
        return None
    who = (
        "the fusion minus each other method"
        if others == "reference"
        else f"each expert minus {subject}"
    )
    labels = " and ".join(metric(name).label for name in names)
    filled = (
        " Filled: the 95 % interval excludes 0 (the dotted line)." if content.has_intervals else ""
    )
    caption = (
        f"Paired differences in {labels}: {who}, on the same {drawn(content.manifest)}s.{filled} "
        f"Shaded: the side that favours {'the fusion' if others == 'reference' else 'the expert'}."
    )
    lines = ", with 95 % intervals" if content.has_intervals else ""
    alt = f"Differences in {labels}, {who}{lines}; the table below has the numbers."
    return Drawing("differences", caption, alt, forest_plot(table, others, names))


def _outputs(points: pl.DataFrame, content: Content) -> str:
    """Says that some outputs are not drawn."""
    shown, there = (
        points["output"].n_unique(),
        content.metrics.filter(pl.col("output") != "all")["output"].n_unique(),
    )
    return f" Drawn: the first {shown} of {there}." if shown < there else ""


def _roc(content: Content) -> Drawing | None:
    points = content.points("roc")
    if not points.height:
        return None
    if points["group"].n_unique() > 1:
        what = f"each class against the others, by {points['method'][0]}"
    else:
        marked = {"fused": "thick: the fusion", "best_expert": "dashed: the best expert"}
        labels = [words for name, words in marked.items() if name in points["method"]]
        others = "thin: all others" if labels else "in colour: the experts; thin: pools of them"
        what = "; ".join([*labels, others])
        positive = positive_class(content.manifest)
        what = f"{what}; {positive}" if positive else what
        what += "; positive: the label is 1" if ENDPOINTS[content.kind].of_labels else ""
    folds = " Mean of the folds' curves." if content.n_folds else ""
    caption = f"ROC curves: {what}. In brackets the area under the curve.{folds}{_outputs(points, content)}"
    alt = f"ROC curves, {what}; the method table has the areas."
    return Drawing(
        "roc",
        caption,
        alt,
        roc_plot(
            points,
            (content.manifest.get("positive_class") or {}).get("name"),
            list(content.manifest["experts"]),
        ),
    )


def _kaplan_meier(content: Content) -> Drawing | None:
    points = content.points("kaplan_meier")
    if not points.height:
        return None
    test = content.manifest.get("risk_groups")
    tied = " stratified by fold," if test and test["stratified_by_fold"] else ""
    p = f" Log-rank test over the groups,{tied} p {p_text(test['p_value'])}." if test else ""
    caption = f"Kaplan-Meier survival in thirds of the risk predicted by {points['method'][0]}.{p}"
    counts = ", ".join(f"{g} {n} patients or samples" for g, n in points.group_by("group", maintain_order=True).agg(
        pl.col("n").first()).iter_rows())  # fmt: skip
    return Drawing(
        "kaplan_meier", caption, f"Survival curves of {counts}.{p}", kaplan_meier_plot(points)
    )


def p_text(value: float) -> str:
    """A p-value as it stands in a sentence."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _predicted(content: Content) -> Drawing | None:
    points = content.points("predicted")
    if not points.height:
        return None
    counts = points.group_by("output").len()["len"]
    caption = (
        f"Observed values against those predicted by {points['method'][0]}, {_range(counts)} samples each, taken "
        f"evenly. On the line: predicted exactly.{_outputs(points, content)}"
    )
    return Drawing("predicted", caption, f"Scatter plots. {caption}", predicted_plot(points))


def _reliability(content: Content) -> Drawing | None:
    table = content.reliability
    if table is None or not table.height:
        return None
    what = table["what"].unique(maintain_order=True).to_list()
    shown = what[0] if len(what) == 1 else "prediction"
    groups = N_SURVIVAL_GROUPS if ENDPOINTS[content.kind].in_time else N_GROUPS
    alike = f"{groups} groups of judged samples alike in it"
    shown = "the probability of each label" if ENDPOINTS[content.kind].of_labels else shown
    positive = positive_class(content.manifest)
    named = f" {positive[0].upper()}{positive[1:]}." if positive else ""
    against = f"{shown} against what was observed, in {alike}"
    caption = f"Calibration: {against}. Perfect calibration lies on the dotted line.{named}"
    if ENDPOINTS[content.kind].of_numbers:
        caption = (
            "Calibration: promised and observed coverage of central intervals. "
            "Perfect calibration lies on the dotted line."
        )
    plot = reliability_plot(
        table, shown, (content.manifest.get("positive_class") or {}).get("name")
    )
    return Drawing("reliability", caption, f"Reliability curves. {caption}", plot)


def _range(counts: pl.Series) -> str:
    ordered = sorted(counts.to_list())
    return str(ordered[0]) if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def _weights(content: Content) -> list[Drawing | None]:
    fused = content.fused
    names = [] if fused is None else [name for name in fused.columns if name.startswith("weight_")]
    if fused is None or not names or not fused.height:
        return []
    table = fused.select(names).to_numpy()
    experts, mean = [name.removeprefix("weight_") for name in names], table.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    labels = ", ".join(f"{experts[m]} {mean[m]:.2f}" for m in order[:10])
    rows = f"{fused.height:,} judged samples"
    if fused.height > 400:
        rows = f"400 of the {rows}, taken evenly"
    ordered = (
        f"Weights of the experts in {rows}; samples are ordered by the expert that weighs most."
    )
    average = "Mean weight of each expert; the line spans the middle 90 % of samples."
    return [
        Drawing(
            "weights_by_sample",
            ordered,
            f"{ordered} Mean weights: {labels}.",
            weight_map(table, experts),
        ),
        Drawing("weights", average, f"{average} {labels}.", weight_plot(table, experts)),
    ]


def _disagreement(content: Content) -> Drawing | None:
    points = content.points("disagreement")
    if not points.height:
        return None
    if ENDPOINTS[content.kind].of_numbers:
        x, y = "spread of the experts' predictions (standard deviation)", "mean absolute error"
    else:
        x, y = "disagreement of the experts (Jensen-Shannon divergence, nats)", "mean NLL"
    caption = (
        f"Disagreement against error: {y} of {points['method'][0]} in groups of samples on which the experts "
        f"disagree alike, {_range(points['n'])} samples per point.{_outputs(points, content)}"
    )
    return Drawing("disagreement", caption, caption, disagreement_plot(points, x, y))
