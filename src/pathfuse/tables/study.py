"""A study: samples, truth and experts, aligned by name. Everything after this file is arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.endpoints.base import Endpoint, Truth, spread_groups
from pathfuse.endpoints.detect import endpoint_of
from pathfuse.errors import InputError
from pathfuse.tables.files import read_table, table_in_memory
from pathfuse.tables.predictions import Expert, PredictionInput, gather, read_expert, read_label_map
from pathfuse.tables.samples import Samples, read_samples
from pathfuse.types import Index, Logits


@dataclass(frozen=True)
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

    @property
    def expert_names(self) -> tuple[str, ...]:
        """Names of the experts, sorted."""
        return tuple(expert.name for expert in self.experts)

    def frequency(self, task: str, rows: Index) -> Float[np.ndarray, " outcome"]:
        """How often each outcome was observed among some rows; an observed set counts in equal parts."""
        observed = self.truth[task].observed[rows][self.truth[task].known[rows]]
        return np.asarray((observed / observed.sum(axis=1, keepdims=True)).mean(axis=0))

    def logits(self, task: str, frequency: Float[np.ndarray, " outcome"]) -> Logits:
        """Log-probabilities of all experts for all samples; NaN where an expert did not score one."""
        return align(self.experts, self.samples.ids.tolist(), task, frequency)

    def n_scored(self) -> np.ndarray:
        """How many experts scored each sample."""
        scored = [set(expert.ids) for expert in self.experts]
        return np.array([sum(i in ids for ids in scored) for i in self.samples.ids])


def align(experts: tuple[Expert, ...], ids: list[str], task: str, frequency: Float[np.ndarray, " outcome"]) -> Logits:
    """Puts experts' rows where their ``sample_id`` stands in ``ids``, never by position."""
    position = {name: n for n, name in enumerate(ids)}
    result = np.full((len(ids), len(experts), len(frequency)), np.nan)
    for m, expert in enumerate(experts):
        rows = np.array([position[i] for i in expert.ids if i in position], dtype=np.int64)
        kept = np.array([i in position for i in expert.ids], dtype=bool)
        outputs = expert.outputs[task]
        result[rows, m] = spread_groups(outputs.log_prob[kept], outputs.group, frequency)
    return result


def read_study(
    samples: str | Path | Any,
    predictions: PredictionInput,
    label_maps: Mapping[str, Any] | None = None,
    endpoint: str | None = None,
) -> Study:
    """Reads and aligns a study.

    Args:
        samples: Path or data frame (pandas or polars) with ``sample_id``, roles and truth (contract, section 1).
        predictions: Paths, folders, a long table, or a mapping of expert names to paths or frames (section 2).
        label_maps: Expert name to a map (path, data frame or mapping) from the study's labels to the expert's own.
        endpoint: Name of the endpoint, if the samples table has target columns of several.

    Raises:
        InputError: Anything in the tables is wrong; the message names the file, the column and the value.
    """
    table = read_table(Path(samples)) if isinstance(samples, str | Path) else table_in_memory("samples", samples)
    people = read_samples(table)
    kind, names = endpoint_of(list(people.frame.columns), people.source, endpoint)
    columns = people.columns(names)
    judged = kind.from_columns(columns)
    tables = gather(predictions)
    if not tables:
        raise InputError("no predictions were given")
    maps = {name: read_label_map(name, source) for name, source in (label_maps or {}).items()}
    stranger = next((name for name in maps if name not in {t.name for t in tables}), None)
    if stranger is not None:
        raise InputError(f"a label map was given for '{stranger}', which is none of the experts")
    experts = tuple(read_expert(t, judged, maps.get(t.name)) for t in tables)
    for expert in experts:
        _check_ids(expert, people)
    inputs = {t.source: t.sha256 for t in [table, *(e.table for e in tables)]}
    inputs |= {str(m): read_table(Path(m)).sha256 for m in (label_maps or {}).values() if isinstance(m, str | Path)}
    return Study(people, judged, judged.truth(columns), experts, inputs)


def _check_ids(expert: Expert, samples: Samples) -> None:
    known = set(samples.ids.tolist())
    strangers = [i for i in expert.ids if i not in known]
    if len(strangers) == len(expert.ids):
        raise InputError(
            f"{expert.source}: none of its {len(expert.ids)} samples is in {samples.source} "
            f"(the first is '{expert.ids[0]}')"
        )
    if strangers:
        raise InputError(f"{expert.source}, column 'sample_id': '{strangers[0]}' is not in {samples.source}")
