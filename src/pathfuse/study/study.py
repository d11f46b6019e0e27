"""A study: samples, truth and experts, aligned by name. Everything after this file is arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.proportional import Baseline
from pathfuse.endpoints.base import Endpoint, LabelMap, Options, RiskColumns, Truth, spread_groups
from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.errors import InputError, raise_faults, tried
from pathfuse.files.tables import Table
from pathfuse.study.fields import shared_with
from pathfuse.study.folds import folds_of
from pathfuse.study.intake import OTHER_WORDS, endpoints_in_time, samples_table, take_in
from pathfuse.study.joined import join_samples
from pathfuse.study.predictions import (
    Expert,
    PredictionInput,
    PredictionTable,
    gather_what_can_be,
    label_map_table,
    read_expert,
    read_label_map,
)
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.study.samples import Samples, read_samples
from pathfuse.types import Index, Logits, LogProbs
from pathfuse.unseen import as_html

NO_BASELINES: Mapping[str, Baseline] = {}


@dataclass(frozen=True, repr=False)
class Study:
    """Everything that ``fuse`` and ``evaluate`` read."""

    samples: Samples
    endpoint: Endpoint
    truth: dict[str, Truth]
    """Per task, one row per sample."""
    experts: tuple[Expert, ...]
    """Sorted by name."""
    inputs: dict[str, str | None] = field(default_factory=dict)
    """SHA-256 of every file read; None for data frames."""
    blanks: dict[str, int] = field(default_factory=dict)
    """How many values of which column of which file lost blanks around them."""
    left_out: tuple[dict[str, Any], ...] = ()
    """Rows of the tables that are no part of the study, a line of the manifest for each reason."""
    understood: tuple[str, ...] = ()
    """How the tables were understood where they do not have the contract's names, a sentence each."""
    own_folds: np.ndarray | None = None
    """Folds that the files of predictions are the test rows of, for samples without a role; a
    fusion needs them, an evaluation does not."""
    about_folds: tuple[str, ...] = ()
    """The same in words, or why there are none."""
    without_truth: Mapping[str, int] = field(default_factory=dict)
    """How many rows of each role have no truth and are left out; the role is empty without roles."""

    def __repr__(self) -> str:
        n, kind = len(self.samples.ids), self.endpoint.kind
        return f"Study({kind}, {n:,} samples, {len(self.experts)} experts: {', '.join(self.expert_names)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the experts, and how many samples each scored."""
        ids = set(self.samples.ids.tolist())
        rows = "".join(
            f"<tr><td>{as_html(one.name)}</td><td>{len(ids & set(one.ids)):,}</td></tr>"
            for one in self.experts
        )
        what = as_html(f"{self.endpoint.in_words}, {len(self.samples.ids):,} samples")
        head = "<tr><th>expert</th><th>samples scored</th></tr>"
        return f"<p>Study: {what}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"

    def with_own_folds(self) -> "Study":
        """The study with those folds, if its samples have no roles."""
        understood = (*self.understood, *self.about_folds)
        if self.own_folds is None:
            return replace(self, understood=understood, about_folds=())
        samples = replace(self.samples, folds=self.own_folds)
        return replace(self, samples=samples, understood=understood, own_folds=None, about_folds=())

    @property
    def expert_names(self) -> tuple[str, ...]:
        """Names of the experts, sorted."""
        return tuple(expert.name for expert in self.experts)

    def expert(self, name: str) -> Expert:
        """The expert of a name that there is."""
        return next(one for one in self.experts if one.name == name)

    def frequency(self, task: str, rows: Index) -> Float[np.ndarray, " outcome"]:
        """How often each outcome was observed among some rows.

        An observed set counts in equal parts.
        """
        observed = self.truth[task].observed[rows][self.truth[task].known[rows]]
        return np.asarray((observed / observed.sum(axis=1, keepdims=True)).mean(axis=0))

    def logits(
        self,
        task: str,
        frequency: Float[np.ndarray, " outcome"],
        baselines: Mapping[str, Baseline] = NO_BASELINES,
    ) -> Logits:
        """Log-probabilities of all experts for all samples; NaN where an expert did not score one."""
        return align(self.experts, self.samples.ids.tolist(), task, frequency, baselines)

    def scored(self, task: str, rows: Index) -> Index:
        """Those of some rows whose truth is known and that an expert scored, for one task."""
        known = self.truth[task].known[rows]
        having = [set(expert.ids) for expert in self.experts if task in expert.outputs]
        scored = np.array(
            [any(i in ids for ids in having) for i in self.samples.ids[rows]], dtype=bool
        )
        return rows[known & scored]

    def n_scored(self) -> np.ndarray:
        """How many experts scored each sample."""
        scored = [set(expert.ids) for expert in self.experts]
        return np.array([sum(i in ids for ids in scored) for i in self.samples.ids])


def align(
    experts: tuple[Expert, ...],
    ids: list[str],
    task: str,
    frequency: Float[np.ndarray, " outcome"],
    baselines: Mapping[str, Baseline] = NO_BASELINES,
) -> Logits:
    """Puts experts' rows where their ``sample_id`` stands in ``ids``, never by position.

    ``baselines`` turn the risks of experts that give nothing else into hazards.
    """
    position = {name: n for n, name in enumerate(ids)}
    result = np.full((len(ids), len(experts), len(frequency)), np.nan)
    for m, expert in enumerate(experts):
        rows = np.array([position[i] for i in expert.ids if i in position], dtype=np.int64)
        kept = np.array([i in position for i in expert.ids], dtype=bool)
        said = outcomes_of(expert.name, expert.outputs.get(task), frequency, baselines)
        if said is not None:
            result[rows, m] = said[kept]
    return result


def outcomes_of(
    name: str,
    outputs: Any,
    frequency: Float[np.ndarray, " outcome"],
    baselines: Mapping[str, Baseline] = NO_BASELINES,
) -> LogProbs | None:
    """Log-probabilities of the study's outcomes from what an expert says of its own.

    Args:
        name: The expert's.
        outputs: ``ExpertColumns`` or ``RiskColumns`` of a task; None if it says nothing of it.
        frequency: Of the outcomes on the fit rows.
        baselines: What turns risks into hazards.

    Returns:
        Float, (row, outcome); None where nothing is known.
    """
    if isinstance(outputs, RiskColumns):
        return baselines[name].log_prob(outputs.risk[:, 0]) if name in baselines else None
    return None if outputs is None else spread_groups(outputs.log_prob, outputs.group, frequency)


def read_study(
    samples: str | Path | Any,
    predictions: PredictionInput,
    label_maps: Mapping[str, Any] | None = None,
    endpoint: str | None = None,
    time_edges: Sequence[float] | None = None,
    censoring: str = "later",
    reading: Reading = DEFAULT,
    positive: str | None = None,
    unit: str = "sample",
) -> Study:
    """Reads and aligns a study.

    Args:
        samples: Path or data frame (pandas, polars, pyarrow) with ``sample_id``, roles and truth.
        predictions: Paths, folders, a long table, or a mapping of expert names to paths or frames.
        label_maps: Expert name to a map (path, data frame or mapping) from the study's labels to
            the expert's own.
        endpoint: Name of the endpoint, if the samples table has target columns of several.
        time_edges: Survival: bin edges; default: ``time_edges`` in the metadata of a Parquet file.
        censoring: Survival: ``later``, or ``half``: a case censored inside a bin says half of that
            bin.
        reading: How tables are understood that do not have the contract's names.
        positive: Of two classes the one that a single probability per sample is of.
        unit: With ``patient`` an expert whose rows are patients speaks for each of their samples.

    Raises:
        InputError: Anything in the tables is wrong; the message names the file, the column and the
            value.

    Examples:
        >>> import polars as pl
        >>> import pathfuse
        >>> ids = [f"s{i}" for i in range(20)]
        >>> samples = pl.DataFrame(
        ...     {"sample_id": ids, "split": ["fit"] * 10 + ["test"] * 10, "label": ["normal", "tumor"] * 10}
        ... )
        >>> uni = pl.DataFrame({"sample_id": ids, "logit_tumor": [-1.0, 2.0] * 10, "logit_normal": [0.5, 0.3] * 10})
        >>> conch = pl.DataFrame({"sample_id": ids, "prob_normal": [0.7, 0.2] * 10, "prob_tumor": [0.3, 0.8] * 10})
        >>> study = pathfuse.read_study(samples, {"uni": uni, "conch": conch.head(18)})
        >>> study.expert_names, study.endpoint.kind
        (('conch', 'uni'), 'multiclass')
        >>> int(study.n_scored().sum())
        38
    """
    of_samples, unread = tried([samples], lambda s: samples_table(s, reading))
    tables, faults = gather_what_can_be(predictions, reading)
    if unread or not tables:
        raise_faults([*unread, *faults] or ["no predictions were given"])
    (table,) = of_samples
    of_the_table = _about_samples(table, tables, with_targets(table, tables, reading))
    taken, wrong = tried([table], lambda t: take_in(t, endpoint, of_the_table))
    if not taken:
        raise_faults([*wrong, *faults])
    (intake,) = taken
    people, kind = read_samples(intake.table), intake.kind
    columns = people.columns(intake.targets)
    _check_options(kind, time_edges, censoring, table, reading)
    edges = (
        tuple(time_edges)
        if time_edges is not None
        else edges_in_metadata([table, *(t.table for t in tables)])
    )
    judged = kind.from_columns(columns, Options(edges, censoring, people.sections is not None))
    truth = judged.truth(columns)
    labels = _labels(people, judged, truth)
    maps = _read_maps(label_maps or {}, tables, whole=not faults)

    def read(table: PredictionTable) -> tuple[Expert, PredictionTable, list[dict[str, Any]]]:
        without = (intake.without, intake.patients_without)
        joined, lines = join_samples(table, people, without, reading, unit)
        listed = replace(joined, targets={**intake.called, **joined.targets})
        expert = read_expert(
            listed, judged, maps.get(table.name), reading, positive, labels, targets=intake.targets
        )
        return expert, joined, lines

    found, wrong = tried(tables, read)
    raise_faults([*faults, *wrong])
    experts = tuple(expert for expert, _, _ in found)
    inputs, blanks = _described([table, *(t.table for t in tables)], label_maps or {})
    inputs |= intake.inputs
    for one in tables:
        if one.inputs:
            inputs.pop(one.table.source, None)
            inputs |= one.inputs
    left_out = (*intake.left_out, *(line for _, _, lines in found for line in lines))
    understood = (*intake.notes, *(note for expert in experts for note in expert.notes))
    folds = folds_of(people, [(one.name, one.folds) for _, one, _ in found])
    return Study(
        people,
        judged,
        truth,
        experts,
        inputs,
        blanks,
        left_out,
        understood,
        *folds,
        without_truth=intake.without_by_role,
    )


def _about_samples(table: Table, tables: Sequence[PredictionTable], reading: Reading) -> Reading:
    """What a person said of the samples table: names of columns that only predictions have are not
    about it.
    """
    elsewhere = {name for one in tables for name in one.header}
    return shared_with(
        reading, [*table.frame.columns, *(set(reading.columns.values()) - elsewhere)]
    )


def with_targets(table: Table, tables: Sequence[PredictionTable], reading: Reading) -> Reading:
    """What a person said, and the target that the predictions name, if the samples have no other."""
    own = any(kind.target_columns(table.frame.columns) for kind in ENDPOINTS.values())
    named = {tuple(one.targets.items()) for one in tables if one.targets}
    if own or len(named) != 1:
        return reading
    targets = dict(named.pop())
    there = all(column in table.frame.columns for column in targets.values())
    given = {OTHER_WORDS.get(word, word) for word in reading.columns}
    if not there or set(targets) & given:
        return reading
    return reading.model_copy(update={"columns": {**reading.columns, **targets}})


def _labels(samples: Samples, endpoint: Endpoint, truth: Mapping[str, Truth]) -> dict[str, str]:
    """The class of each sample; empty where classes are not what is predicted."""
    if not endpoint.of_classes:
        return {}
    own = truth["all"].observed.argmax(axis=1)
    return {i: endpoint.outcomes[k] for i, k in zip(samples.ids.tolist(), own, strict=True)}


def _read_maps(
    label_maps: Mapping[str, Any], tables: Sequence[PredictionTable], *, whole: bool
) -> dict[str, LabelMap]:
    """The experts' label maps by name.

    Args:
        label_maps: Where they are.
        tables: The experts' tables.
        whole: Whether these are all experts.

    Raises:
        InputError: A map is wrong, or belongs to none of the experts.
    """
    maps = {name: read_label_map(name, source) for name, source in label_maps.items()}
    names = {table.name for table in tables}
    unknown = next((name for name in maps if name not in names), None)
    if unknown is not None and whole:
        raise InputError(f"a label map was given for '{unknown}', which is none of the experts")
    return maps


def _described(
    tables: Sequence[Table], label_maps: Mapping[str, Any]
) -> tuple[dict[str, str | None], dict[str, int]]:
    """SHA-256 of every file, and how many values lost blanks; maps that are mappings are no file."""
    maps = [
        label_map_table(name, source)
        for name, source in label_maps.items()
        if not isinstance(source, Mapping)
    ]
    inputs = {table.source: table.sha256 for table in tables}
    inputs |= {table.source: table.sha256 for table in maps if table.sha256 is not None}
    blanks = {place: n for table in [*tables, *maps] for place, n in table.counted_blanks().items()}
    return inputs, blanks


def _check_options(
    kind: type[Endpoint],
    time_edges: Sequence[float] | None,
    censoring: str,
    table: Table,
    reading: Reading,
) -> None:
    if not kind.in_time and (time_edges is not None or censoring != "later"):
        option = "--time-edges" if time_edges is not None else f"--censoring {censoring}"
        others = endpoints_in_time(table, reading)
        raise InputError(
            f"{option} is for survival, but the samples have the target of endpoint '{kind.kind}'"
            f"{''.join(f'; --endpoint {name} takes the follow-up instead' for name in others[:1])}"
        )


def edges_in_metadata(tables: Sequence[Table]) -> tuple[float, ...] | None:
    """``time_edges`` of the Parquet files that carry them.

    Raises:
        InputError: They are no numbers, or two files disagree.
    """
    found = {t.metadata["time_edges"]: t.source for t in tables if "time_edges" in t.metadata}
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise InputError(f"the time edges differ: {one} in {first}, {other} in {second}")
    return parse_edges(next(iter(found)), next(iter(found.values()))) if found else None


def parse_edges(text: str, source: str) -> tuple[float, ...]:
    """``0,12,24,inf`` as numbers; brackets and blanks do no harm.

    Raises:
        InputError: A part is not a number.
    """
    parts = [part.strip(" []\"'") for part in text.split(",")]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise InputError(
            f"{source}: the time edges '{text}' are not a list of numbers such as 0,12,24,inf"
        ) from None
