"""Section ``subgroups``: the fusion and the best expert in groups of the judged rows."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.resampling import MIN_PATIENTS
from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.base import Section
from pathfuse.report.subgroup_figure import subgroup_plot
from pathfuse.report.words import drawn

MAX_GROUPS = 30
"""Groups of one figure; the others stand in the table."""
MAX_LINES = 100
LONG = 40
"""A table of more lines than this is folded away."""
NAME = "subgroups"


def _table(content: Content) -> pl.DataFrame | None:
    return content.tables.get(NAME)


def _names(table: pl.DataFrame) -> list[tuple[str, str]]:
    """Outputs that have a value, and the names of their figures."""
    there = table.filter(pl.col("value").is_not_null())
    outputs = there["output"].unique(maintain_order=True).to_list()
    if len(outputs) == 1:
        return [(outputs[0], NAME)]
    return [(output, f"{NAME}_{n}") for n, output in enumerate(outputs, start=1)]


def _draw(content: Content) -> list[Drawing]:
    table = _table(content)
    return [] if table is None else [_drawing(content, table, *one) for one in _names(table)]


def _drawing(content: Content, table: pl.DataFrame, output: str, name: str) -> Drawing:
    own = table.filter((pl.col("output") == output) & pl.col("value").is_not_null())
    keys = own.select("column", "group").unique(maintain_order=True)
    own = own.join(keys.head(MAX_GROUPS), on=["column", "group"], maintain_order="left")
    leading = str(own["method"][0])
    metrics = own["metric"].unique(maintain_order=True).to_list()
    whole = content.metrics.filter((pl.col("output") == output) & (pl.col("method") == leading))
    values = {row["metric"]: row["value"] for row in whole.iter_rows(named=True)}
    everybody = {m: values[m] for m in metrics if values.get(m) is not None}
    labels = " and ".join(metric(m).label for m in metrics)
    who = drawn(content.manifest)
    of = "" if output == "all" else f" of {output}"
    lines = ", lines their 95 % intervals" if own["ci_low"].is_not_null().any() else ""
    flagged = own["interaction"].fill_null(False).any()
    marks = " Diamonds: the difference to the rest is beyond chance (Holm)." if flagged else ""
    more = f" Drawn: the first {MAX_GROUPS} of {keys.height}." if keys.height > MAX_GROUPS else ""
    caption = (
        f"{labels}{of} in groups of the judged {who}s, whose number stands in brackets{lines}; dotted: "
        f"{leading} on everybody.{marks}{more}"
    )
    alt = f"Forest plot. {caption} The table below has the numbers."
    return Drawing(name, caption, alt, subgroup_plot(own, metrics, leading, everybody))


def _shown(content: Content) -> Mapping[str, Any] | None:
    table = _table(content)
    if table is None:
        return None
    leading = str(table["method"][0])
    others = table.filter(pl.col("method") != leading)
    key = ["column", "group", "output", "metric"]
    lines = table.filter(pl.col("method") == leading).join(
        others.select(*key, reference=pl.col("value"), other=pl.col("method")),
        on=key,
        how="left",
        maintain_order="left",
    )
    small = lines.filter(pl.col("value").is_null() & (pl.col("n_patients") < MIN_PATIENTS))
    rest = lines.join(small.select(key), on=key, how="anti", maintain_order="left").to_dicts()
    too_small = small.unique(["column", "group"], maintain_order=True)
    flagged = [row for row in rest if row["interaction"]]
    return {
        "leading": leading,
        "reference": others["method"][0] if others.height else None,
        "several": lines["output"].n_unique() > 1,
        "rows": rest[:MAX_LINES],
        "long": len(rest) > LONG,
        "more": max(0, len(rest) - MAX_LINES),
        "flagged": [
            f"{row['column']} {row['group']} ({metric(row['metric']).label}"
            f"{'' if row['output'] == 'all' else ' of ' + row['output']})"
            for row in flagged
        ],
        "notes": any(row["interaction"] or row["note"] for row in rest),
        "tested": any(row["p_value"] is not None for row in rest),
        "small": _by_column(too_small),
        "fewest": MIN_PATIENTS,
        "figures": [name for _, name in _names(table)],
    }


def _by_column(small: pl.DataFrame) -> dict[str, str]:
    """Per column the groups that are too small, with their patients."""
    found: dict[str, list[str]] = {}
    for row in small.iter_rows(named=True):
        found.setdefault(row["column"], []).append(f"{row['group']} ({row['n_patients']})")
    return {column: ", ".join(names) for column, names in found.items()}


SECTION = Section(NAME, "Subgroups", "sites", _draw, _shown, printed=("subgroups",))
