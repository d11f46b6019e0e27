"""Faults planted in the ready studies: which of them ``pathfuse check`` finds.

Each fault is planted in each study that it can be planted in: in the samples, in the first expert by
name, or, where it matters how well an expert ranks, in every expert that ranks clearly better than
chance (AUROC or C-index from .65, Pearson r from .3), in turn. ``found`` counts the
times that the check of that name raises an alarm, ``not_found`` names the others. The first row is
the studies as they are: there no alarm is right.

    python -m benchmarks planted_faults
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

import pathfuse
from benchmarks.feature_files import SHARED
from pathfuse.study.study import parse_edges
from pathfuse.workflows.checks.evidence import Discrimination, Evidence

Row = dict[str, object]
Table = np.ndarray
"""Float, (sample, output): an expert's columns, probabilities as their logarithm."""


@dataclass(frozen=True)
class Tables:
    """A study in memory."""

    name: str
    samples: pl.DataFrame
    experts: dict[str, pl.DataFrame]
    maps: dict[str, Path]
    edges: tuple[float, ...] | None
    planted_in: str = ""
    """An expert; empty: the first by name."""

    @property
    def kind(self) -> str:
        starts = {"label": "classes", "time": "survival"}
        return next((starts[c] for c in self.samples.columns if c in starts), self._many)

    @property
    def _many(self) -> str:
        labels = any(c.startswith("label_") for c in self.samples.columns)
        return "labels" if labels else "numbers"

    @property
    def first(self) -> str:
        return self.planted_in or min(self.candidates)

    @property
    def candidates(self) -> list[str]:
        """Experts with the classes of the study."""
        return [name for name in self.experts if name not in self.maps]

    def columns(self) -> list[str]:
        """Of the first expert's outputs."""
        starts = ("logit_", "prob_", "hazard_logit_", "mean_")
        return [c for c in self.experts[self.first].columns if c.startswith(starts)]

    def rows(self) -> pl.DataFrame:
        """The samples table in the order of the first expert's."""
        return self.experts[self.first].select("sample_id").join(
            self.samples, "sample_id", how="left", maintain_order="left"
        )  # fmt: skip

    def table(self) -> Table:
        values = self.experts[self.first].select(self.columns()).to_numpy()
        return (
            np.log(np.maximum(values, 1e-12)) if self.columns()[0].startswith("prob_") else values
        )

    def with_table(self, table: Table, name: str | None = None) -> "Tables":
        """The study with other outputs of the first expert, or with one expert more."""
        columns, frame = self.columns(), self.experts[self.first]
        if columns[0].startswith("prob_"):
            table = softmax(table)
        new = frame.with_columns(pl.Series(c, table[:, k]) for k, c in enumerate(columns))
        return replace(self, experts={**self.experts, name or self.first: new})

    def renamed(self, table: Table, prefix: str) -> "Tables":
        names = [c.removeprefix("logit_").removeprefix("prob_") for c in self.columns()]
        columns = {f"{prefix}{c}": table[:, k] for k, c in enumerate(names)}
        frame = self.experts[self.first].select("sample_id").with_columns(**columns)
        return replace(self, experts={**self.experts, self.first: frame})

    def truth(self) -> Table:
        """One-hot classes, labels, the bin of the event, or numbers, as the columns have them."""
        rows = self.rows()
        names = [c.split("_", 1)[1] for c in self.columns()]
        if self.kind == "classes":
            return np.stack([(rows["label"] == c).to_numpy() for c in names], axis=1).astype(float)
        if self.kind == "survival":
            bins = np.searchsorted(self.edges[1:-1], rows["time"].to_numpy())  # type: ignore[index]
            return rows["event"].to_numpy()[:, None] * (bins[:, None] == np.arange(len(names)))
        prefix = "label_" if self.kind == "labels" else "target_"
        return rows.select(f"{prefix}{c}" for c in names).to_numpy().astype(float)


def softmax(table: Table) -> Table:
    weight = np.exp(table - table.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def seen(study: Tables) -> Tables:
    """The expert knows its fit rows by heart."""
    right = study.truth() if study.kind == "numbers" else 9.0 * study.truth() - 4.0
    fit = (study.rows()["split"] == "fit").to_numpy()
    return study.with_table(np.where(fit[:, None], right + 0.1 * study.table(), study.table()))


def swapped(study: Tables) -> Tables:
    return study.with_table(np.roll(study.table(), 1, axis=1))


def mirrored(study: Tables) -> Tables:
    return study.with_table(2 * study.table().mean(axis=0) - study.table())


def squeezed(study: Tables) -> Tables:
    return study.with_table(study.table() / 200)


def decisions(study: Tables) -> Tables:
    table = study.table()
    return study.renamed((table == table.max(axis=1, keepdims=True)).astype(float), "prob_")


def flipped(study: Tables) -> Tables:
    return replace(study, samples=study.samples.with_columns(event=1 - pl.col("event")))


def times(factor: float) -> Callable[[Tables], Tables]:
    return lambda study: replace(study, samples=study.samples.with_columns(pl.col("time") * factor))


def misspelt(study: Tables) -> Tables:
    first = pl.int_range(pl.len()) == 0
    label = pl.when(first).then("label" + pl.col("label").str.slice(1)).otherwise("label")
    return replace(study, samples=study.samples.with_columns(label=label))


def same_rows(study: Tables) -> Tables:
    """Ten judged samples have the predictions of ten fit samples, in all experts."""
    split = dict(study.samples.select("sample_id", "split").iter_rows())
    common = [s for s in split if all(s in set(f["sample_id"]) for f in study.experts.values())]
    fit = [s for s in common if split[s] == "fit"][:10]
    new = dict(zip([s for s in common if split[s] != "fit"][:10], fit, strict=True))
    experts = {}
    for name, frame in study.experts.items():
        source = frame.select(pl.col("sample_id").replace(new).alias("source"), "sample_id")
        values = frame.rename({"sample_id": "source"})
        experts[name] = source.join(values, "source", how="left", maintain_order="left").drop(
            "source"
        )
    return replace(study, experts=experts)


def constant(study: Tables) -> Tables:
    return study.with_table(np.repeat(study.table()[:1], len(study.table()), axis=0))


Fault = tuple[str, Callable[[Tables], Tables], tuple[str, ...]]
FAULTS: dict[str, Fault] = {
    "fit rows seen in training": ("better on fit", seen, ("classes", "survival", "numbers")),
    "two classes swapped": ("wrong way round", swapped, ("two classes",)),
    "three or more classes shifted": ("swapped columns", swapped, ("many classes",)),
    "labels or targets shifted": ("swapped columns", swapped, ("labels", "numbers")),
    "risk or numbers mirrored": ("wrong way round", mirrored, ("survival", "numbers")),
    "squeezed": ("squeezed", squeezed, ("classes", "survival")),
    "constant": ("constant", constant, ("classes", "labels", "survival", "numbers")),
    "a copy": ("copied", lambda s: s.with_table(s.table(), "zz"), ("classes", "labels", "survival", "numbers")),
    "a copy, colder": ("copied", lambda s: s.with_table(1.7 * s.table(), "zz"), ("classes", "labels", "survival")),
    "logits that are probabilities": ("no logits", lambda s: s.renamed(softmax(s.table()), "logit_"), ("classes",)),
    "decisions, no probabilities": ("decisions", decisions, ("classes",)),
    "a misspelt class": ("classes", misspelt, ("classes",)),
    "fit samples once more among the judged": ("same rows", same_rows, ("classes", "labels", "survival", "numbers")),
    "events and censored exchanged": ("events", flipped, ("survival",)),
    "days for months": ("edges", times(30.44), ("survival",)),
    "years for months": ("edges", times(1 / 12), ("survival",)),
}  # fmt: skip
"""By name: the check that should find it, how it is planted, and the kinds of study."""
IN_CLEAR_EXPERTS = {"risk or numbers mirrored", "squeezed"}
"""An expert that ranks no better than chance has no wrong way, and says nothing that is squeezed."""
CLEAR = 0.3
"""Of the way from chance to perfect ranking."""
WITH_ROLES = {"fit rows seen in training", "fit samples once more among the judged"}


def kinds_of(study: Tables) -> set[str]:
    many = {2: "two classes"}.get(len(study.columns()), "many classes")
    return {study.kind, many} if study.kind == "classes" else {study.kind}


def alarms(study: Tables) -> dict[str, str]:
    """Sentences by the check that says them; a study that is refused says why under ``refused``."""
    try:
        read = pathfuse.read_study(study.samples, study.experts, study.maps, time_edges=study.edges)
    except pathfuse.InputError as error:
        return {"refused": str(error)}
    return {alarm.check: alarm.sentence for alarm in pathfuse.check(read).alarms}


def clear_experts(study: Tables) -> list[str]:
    """Those that rank clearly better than chance."""
    read = pathfuse.read_study(study.samples, study.experts, study.maps, time_edges=study.edges)
    evidence = Evidence.of(read)
    group = next(iter(evidence.groups))
    found = {e: evidence.discrimination(e, group, evidence.open_rows) for e in study.candidates}
    return [e for e, one in found.items() if one and _share(one) >= CLEAR]


def _share(found: Discrimination) -> float:
    chance = found.metric.chance or 0.0
    return (found.value - chance) / (1 - chance)


def read_tables(folder: Path) -> Tables:
    edges = folder / "time_edges.txt"
    return Tables(
        folder.name,
        _frame(folder / "samples.csv"),
        {file.stem: _frame(file) for file in sorted((folder / "predictions").iterdir())},
        {p.stem.removeprefix("label_map_"): p for p in folder.glob("label_map_*.csv")},
        parse_edges(edges.read_text().strip(), "edges") if edges.exists() else None,
    )


def _frame(file: Path) -> pl.DataFrame:
    whole = file.suffix == ".parquet"
    texts = {"sample_id": pl.String, "patient_id": pl.String}
    return (
        pl.read_parquet(file)
        if whole
        else pl.read_csv(file, infer_schema_length=None, schema_overrides=texts)
    )


def planted_faults() -> list[Row]:
    """One row per fault."""
    place = SHARED / "studies"
    if not place.is_dir():
        print(f"planted_faults: {place} is absent")
        return []
    studies = [read_tables(folder) for folder in sorted(place.iterdir()) if folder.is_dir()]
    clear = {study.name: clear_experts(study) for study in studies}
    loud = [study.name for study in studies if alarms(study)]
    rows = [_row("none: the studies as they are", "", len(studies), loud, [])]
    for name, (check, plant, kinds) in FAULTS.items():
        chosen = [one for one in studies if kinds_of(one) & set(kinds)]
        if name in WITH_ROLES:
            chosen = [one for one in chosen if "split" in one.samples.columns]
        if name in IN_CLEAR_EXPERTS:
            chosen = [replace(one, planted_in=e) for one in chosen for e in clear[one.name]]
        said = {f"{one.name} {one.planted_in}".strip(): alarms(plant(one)) for one in chosen}
        found = [one for one, sentences in said.items() if check in sentences]
        example = said[found[0]][check] if found else ""
        rows.append(_row(name, check, len(chosen), found, sorted(set(said) - set(found)), example))
    return rows


def _row(
    fault: str, check: str, planted: int, found: list[str], others: list[str], example: str = ""
) -> Row:
    return {
        "fault": fault,
        "check": check,
        "planted": planted,
        "found": len(found),
        "not_found": ", ".join(others),
        "example": example[:160],
    }
