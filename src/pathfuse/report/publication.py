"""The main tables of a run as a paper prints them: LaTeX (booktabs), and HTML that Word opens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.report.content import Content, over_all
from pathfuse.report.policy import content_policy
from pathfuse.report.sections.registry import SECTIONS
from pathfuse.report.words import number, p_value
from pathfuse.unseen import as_html, visible

LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
}
MOST_ROWS = 500
"""Longer tables stand in the CSV files alone."""
P_VALUES = ("p", "p_value", "p_holm")
"""Columns that hold p-values."""


@dataclass(frozen=True)
class PublicationTable:
    """A table of text cells."""

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def latex(self) -> str:
        """With booktabs; the first column to the left, the others to the right."""
        lines = [" & ".join(map(latex, row)) + r" \\" for row in self.rows]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                r"\begin{table}",
                rf"\caption{{{latex(self.caption)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                " & ".join(map(latex, self.header)) + r" \\",
                r"\midrule",
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    @property
    def page(self) -> str:
        """A page with nothing but the table, to be opened in Word or pasted."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{content_policy()}">'
            f"<title>{as_html(self.caption)}</title></head><body>\n{self.element}\n</body></html>\n"
        )

    @property
    def element(self) -> str:
        """The table as an HTML element."""
        head = "".join(f'<th scope="col">{as_html(name)}</th>' for name in self.header)
        body = "\n".join(
            f'<tr><th scope="row">{as_html(first)}</th>'
            + "".join(f"<td>{as_html(cell)}</td>" for cell in rest)
            + "</tr>"
            for first, *rest in self.rows
        )
        return (
            f"<table><caption>{as_html(self.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody></table>"
        )


def latex(text: str) -> str:
    r"""Text as LaTeX prints it.

    Examples:
        >>> print(latex("50 % of uni_v2"))
        50 \% of uni\_v2
    """
    return "".join(LATEX.get(sign, sign) for sign in visible(text))


def publication_tables(content: Content) -> list[PublicationTable]:
    """The main tables of a run: metrics, differences, and what the sections print."""
    made = [metrics_table(content), differences_table(content)]
    names = [name for section in SECTIONS for name in section.printed if name in content.tables]
    made += [
        plain_table(name, content.tables[name])
        for name in names
        if 0 < content.tables[name].height <= MOST_ROWS
    ]
    return [one for one in made if one is not None]


def metrics_table(content: Content) -> PublicationTable | None:
    """Methods by metrics, a figure with its interval in each cell; best in the first metric first."""
    rows = wide_metrics(content.metrics)
    if not rows.height:
        return None
    caption = "Metrics of every method"
    caption += "; 95 % intervals in brackets" if content.has_intervals else ""
    return _of_text("metrics", f"{caption}.", rows)


def wide_metrics(metrics: pl.DataFrame) -> pl.DataFrame:
    """One row per method and one column of text per metric, best in the first metric first.

    Args:
        metrics: ``metrics.csv``.
    """
    table = over_all(metrics)
    names = table["metric"].unique(maintain_order=True).to_list()
    methods: dict[str, dict[str, Any]] = {}
    for row in table.iter_rows(named=True):
        own = methods.setdefault(row["method"], {"method": row["method"], "n": row["n"]})
        own[row["metric"]] = row
    first = metric_of(names[0]) if names else None

    def standing(own: dict[str, Any]) -> float:
        value = own[first.name]["value"] if first and first.name in own else None
        return float("inf") if value is None or first is None else -first.sign * value

    lines = [
        {"method": own["method"]}
        | {metric_of(name).label: _with_interval(own.get(name)) for name in names}
        | {"n": own["n"]}
        for own in sorted(methods.values(), key=standing)
    ]
    return pl.DataFrame(lines)


def differences_table(content: Content) -> PublicationTable | None:
    """The fusion minus every other, in the metrics that stand for what they measure."""
    table = over_all(content.comparisons).filter(pl.col("method") == "fused")
    rows = [
        (
            row["reference"],
            metric_of(row["metric"]).label,
            _with_interval(row, "difference"),
            p_value(row["p_value"]),
            p_value(row.get("p_holm")),
        )
        for row in table.iter_rows(named=True)
        if metric_of(row["metric"]).principal and row["difference"] is not None
    ]
    if not rows:
        return None
    header = ("reference", "metric", "difference (95 % interval)", "p", "p, Holm")
    return PublicationTable(
        "differences", "The fusion minus every other method, paired.", header, tuple(rows)
    )


def plain_table(name: str, table: pl.DataFrame) -> PublicationTable:
    """A table of a part of the report; the ends of an interval are joined to its figure.

    ``ci_low`` and ``ci_high`` belong to the column before them, ``x_low`` and ``x_high`` to ``x``;
    columns without any value are left out.

    Examples:
        >>> made = plain_table("x", pl.DataFrame({"a": ["uni"], "value": [0.5], "ci_low": [0.4], "ci_high": [0.6]}))
        >>> made.header, made.rows
        (('a', 'value (95 % interval)'), (('uni', '0.500 (0.400 to 0.600)'),))
    """
    filled = [c for c in table.columns if table[c].null_count() < table.height]
    ends = {of: pair for low in filled if (of := _figure_of(low, filled)) for pair in [_ends(low)]}
    gone = {end for pair in ends.values() for end in pair}
    columns = [name for name in filled if name not in gone]
    words = {c: c.replace("_", " ") for c in columns}
    header = tuple(f"{words[c]} (95 % interval)" if c in ends else words[c] for c in columns)
    rows = tuple(
        tuple(_with_interval(row, c, *ends[c]) if c in ends else _shown(c, row[c]) for c in columns)
        for row in table.iter_rows(named=True)
    )
    return PublicationTable(name, name.replace("_", " ").capitalize() + ".", header, rows)


def _ends(low: str) -> tuple[str, str]:
    return low, low.removesuffix("_low") + "_high"


def _figure_of(low: str, columns: Sequence[str]) -> str | None:
    """The column whose interval begins in a column; None if it is no such beginning."""
    if not low.endswith("_low") or _ends(low)[1] not in columns:
        return None
    own = low.removesuffix("_low")
    if own == "ci":
        return columns[columns.index(low) - 1] if columns.index(low) else None
    return own if own in columns else None


def _shown(column: str, value: Any) -> str:
    known = None if value is None or value != value else value
    return p_value(known) if column in P_VALUES else _cell(value)


def _of_text(name: str, caption: str, table: pl.DataFrame) -> PublicationTable:
    rows = tuple(tuple(_cell(value) for value in row) for row in table.rows())
    return PublicationTable(name, caption, tuple(table.columns), rows)


def _with_interval(
    row: dict[str, Any] | None, value: str = "value", low: str = "ci_low", high: str = "ci_high"
) -> str:
    if row is None:
        return "—"
    shown = _cell(row[value])
    if row[low] is None or row[high] is None or row[low] != row[low]:
        return shown
    return f"{shown} ({_cell(row[low])} to {_cell(row[high])})"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return number(None if value != value else value)
    return "—" if value is None else str(value)


def save_tables(content: Content, folder: Path) -> None:
    """``NAME.tex`` and ``NAME.html`` of every main table."""
    folder.mkdir()
    kinds: dict[str, Callable[[PublicationTable], str]] = {
        "tex": lambda one: one.latex,
        "html": lambda one: one.page,
    }
    made: Sequence[PublicationTable] = publication_tables(content)
    for one in made:
        for suffix, text in kinds.items():
            (folder / f"{one.name}.{suffix}").write_text(text(one), encoding="utf-8")
