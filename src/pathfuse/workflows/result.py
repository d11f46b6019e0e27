"""The outcome of ``fuse`` or ``evaluate``: tables in memory, and the folder they are saved to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pathfuse.files.digests import file_digest
from pathfuse.files.write import new_folder, write_json, write_table
from pathfuse.report.answer import answer
from pathfuse.report.checklists.base import filled
from pathfuse.report.checklists.registry import CHECKLISTS
from pathfuse.report.content import Content
from pathfuse.report.drawings import save_drawings
from pathfuse.report.model_card import NAME, model_card
from pathfuse.report.page import draw_all, render
from pathfuse.report.publication import save_tables, wide_metrics
from pathfuse.report.snippet import snippet
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.steps.licences import licences_of


@dataclass(frozen=True, repr=False)
class Result:
    """What a run found. ``save`` writes the files of docs/reference/commands.md."""

    metrics: pl.DataFrame
    comparisons: pl.DataFrame
    manifest: dict[str, Any]
    fused: pl.DataFrame | None = None
    """None for ``evaluate``, which fits nothing."""
    certificate: dict[str, Any] | None = None
    model: FusedModel | None = None
    reliability: pl.DataFrame | None = None
    """Points of the reliability curves."""
    tests: pl.DataFrame | None = None
    """DeLong, corrected t over folds, non-inferiority."""
    gains: pl.DataFrame | None = None
    """Of the fusions over the mean of the single experts; None for ``evaluate``."""
    ablation: pl.DataFrame | None = None
    """The fusion fitted otherwise; None unless asked for."""
    curves: pl.DataFrame | None = None
    """Points of the other curves that the report draws."""
    sites: pl.DataFrame | None = None
    """Results per site, where the samples have a column ``site``."""
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Of the parts of the report, by the name of their CSV file."""
    histories: dict[str, pl.DataFrame] = field(default_factory=dict)
    """``history.csv`` of the experts of a study file, by name."""

    def __repr__(self) -> str:
        found = answer(self.content())
        figures = "; ".join(f"{one.label} {one.value}" for one in found.figures)
        return f"Result({found.question}{f' {figures}' if figures else ''})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return snippet(self.content())

    def summary(self) -> pl.DataFrame:
        """One row per method, best first, and a column of text per metric: the figure and its 95 %
        interval, of the whole study. ``metrics`` has the numbers.
        """
        return wide_metrics(self.metrics)

    def save(self, folder: str | Path, force: bool = False) -> Path:
        """Writes a complete folder or none.

        Args:
            folder: Where to; must not exist unless ``force``.
            force: Overwrite.

        Returns:
            The folder.

        Raises:
            InputError: The folder exists, or cannot be written.
        """
        with new_folder(Path(folder), force) as partial:
            self.write(partial)
        return Path(folder)

    def write(self, place: Path) -> None:
        """Writes all files into a folder that exists."""
        write_table(self.metrics, place / "metrics.csv")
        write_table(self.comparisons, place / "comparisons.csv")
        write_json(self.manifest, place / "manifest.json")
        if self.fused is not None:
            write_table(self.fused, place / "fused.parquet")
        if self.certificate is not None:
            write_json(self.certificate, place / "certificate.json")
        further = {"tests": self.tests, "reliability": self.reliability, "ablation": self.ablation}
        further["gains"] = self.gains
        for name, table in {
            **further,
            "curves": self.curves,
            "sites": self.sites,
            **self.tables,
        }.items():
            if table is not None:
                write_table(table, place / f"{name}.csv")
        content = self.content()
        if self.model is not None:
            self.model.save(place / "model")
            _write_card(content, self.model, place / "model")
        save_tables(content, place / "tables")
        drawings = draw_all(content)
        save_drawings(drawings, place / "figures")
        (place / "report.html").write_text(render(content, drawings), encoding="utf-8")
        for checklist in CHECKLISTS:
            text = filled(checklist, content).markdown
            (place / f"{checklist.file}.md").write_text(text, encoding="utf-8")

    def content(self) -> Content:
        """What the report shows."""
        return Content(
            metrics=self.metrics,
            comparisons=self.comparisons,
            manifest=self.manifest,
            certificate=self.certificate,
            fused=self.fused,
            reliability=self.reliability,
            curves=self.curves,
            sites=self.sites,
            tests=self.tests,
            gains=self.gains,
            ablation=self.ablation,
            tables=self.tables,
            histories=self.histories,
        )


def _write_card(content: Content, model: FusedModel, place: Path) -> None:
    """Writes the model card beside the model's files."""
    digests = {file.name: file_digest(file) for file in sorted(place.iterdir())}
    text = model_card(content, digests, licences_of(model.experts))
    (place / NAME).write_text(text, encoding="utf-8")
