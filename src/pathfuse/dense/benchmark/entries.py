"""What a benchmark's cells and fusions counted, by seed and name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from pathfuse.dense.benchmark.cells import CONFUSION, INSTANCES, CellTask, facts
from pathfuse.dense.benchmark.fusions import FusionTask
from pathfuse.dense.evaluation.confusion import Confusions, ConfusionTable, read_confusions
from pathfuse.dense.evaluation.counting import Counted
from pathfuse.dense.evaluation.instance_table import InstanceTable, read_instance_table

Instances: TypeAlias = Mapping[str, Float64[np.ndarray, " image"]]
"""Per instance metric its values on the images with instances; NaN where an image defines none."""


class Entry(NamedTuple):
    """One model or fusion with one seed."""

    kind: str
    cms: Confusions
    instances: Instances | None
    facts: Mapping[str, Any]


class Images(NamedTuple):
    """Images in the order of the matrices and of the instances' values."""

    with_mask: tuple[str, ...]
    with_instances: tuple[str, ...]


def entries_by_seed(
    tasks: Sequence[CellTask], fusions: Sequence[FusionTask]
) -> tuple[dict[str, dict[str, Entry]], Images]:
    """Per seed, models before fusions; and the images."""
    by_seed: dict[str, dict[str, Entry]] = {}
    images = Images((), ())
    for task in tasks:
        table, name = read_confusions(task.place / CONFUSION, task.split.n_classes), task.cell.model
        file = task.place / INSTANCES
        nuclei = read_instance_table(file) if file.is_file() else None
        images = Images(table.image_ids, () if nuclei is None else nuclei.image_ids)
        entry = Entry(
            "model", table.cms[name], None if nuclei is None else nuclei.values[name], facts(task)
        )
        by_seed.setdefault(str(task.cell.seed), {})[name] = entry
    for fusion in fusions:
        (table, nuclei), facts_of = fusion.read()
        for method, cms in table.cms.items():
            values = None if nuclei is None else nuclei.values[method]
            by_seed[str(fusion.seed)][method] = Entry(
                "fusion", cms, values, facts_of.get(method, {})
            )
    return by_seed, images


def counted(entries: Mapping[str, Entry], images: Images) -> Counted:
    """Entries of the same images as tables."""

    def every(ids: tuple[str, ...]) -> dict[str, Bool[np.ndarray, " image"]]:
        return {name: np.ones(len(ids), dtype=bool) for name in entries}

    cms = {name: entry.cms for name, entry in entries.items()}
    values = {
        name: entry.instances for name, entry in entries.items() if entry.instances is not None
    }
    nuclei = (
        InstanceTable(images.with_instances, values, every(images.with_instances))
        if values
        else None
    )
    return Counted(ConfusionTable(images.with_mask, cms, every(images.with_mask)), nuclei)


def over_seeds(by_seed: Mapping[str, Mapping[str, Entry]]) -> dict[str, Entry]:
    """Over seeds: matrices and seconds summed, AJI and PQ averaged, the largest memory, notes that
    they share.
    """
    gathered: dict[str, list[Entry]] = {}
    for entries in by_seed.values():
        for name, entry in entries.items():
            gathered.setdefault(name, []).append(entry)
    models_first = sorted(gathered, key=lambda name: gathered[name][0].kind == "fusion")
    return {name: _summed(gathered[name]) for name in models_first}


def _summed(entries: Sequence[Entry]) -> Entry:
    def values(key: str) -> list[Any]:
        return [entry.facts.get(key) for entry in entries]

    known = dict(entries[0].facts)
    for key, how in (("seconds", sum), ("memory_mb", max)):
        known[key] = None if None in values(key) else how(values(key))
    if len(set(values("note"))) > 1:
        known["note"] = "; ".join(dict.fromkeys(note for note in values("note") if note))
    found = [entry.instances for entry in entries if entry.instances is not None]
    nuclei = (
        {metric: _means(np.stack([one[metric] for one in found])) for metric in found[0]}
        if found
        else None
    )
    return Entry(entries[0].kind, np.sum([entry.cms for entry in entries], axis=0), nuclei, known)


def _means(values: Float64[np.ndarray, "seed image"]) -> Float64[np.ndarray, " image"]:
    """Over the seeds that define a value."""
    there = ~np.isnan(values)
    total, n = np.where(there, values, 0).sum(axis=0), there.sum(axis=0)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
