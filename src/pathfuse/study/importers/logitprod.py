"""``pathfuse import logitprod``: the expert dumps of the LogitProd authors.

Written from a description of the files (docs/design/formats.md, section 3), not from the code that
writes them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import pathfuse
from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.errors import InputError
from pathfuse.study.importers.imported import Imported, edges_text
from pathfuse.study.importers.importer import Importer
from pathfuse.study.importers.logitprod_bins import (
    NAMES,
    TimeBins,
    check_bins,
    check_survival_labels,
    time_bins,
)
from pathfuse.study.importers.logitprod_checks import (
    check_class_labels,
    check_conflicts,
    check_patients,
    check_roles,
    check_val_is_not_test,
    check_width,
)
from pathfuse.study.importers.logitprod_files import (
    STEMS,
    Dump,
    DumpPart,
    Log,
    complete_experts,
    endpoint_kind,
    find_dump,
    full_places,
    read_part,
)
from pathfuse.study.importers.logitprod_ids import FOLDS_REASON, name_rows, read_id_list
from pathfuse.study.importers.logitprod_options import LogitProdOptions

ROLES = {"train": "train", "val": "fit", "test": "test"}
"""Part to role (docs/design/architecture.md, section 6)."""
VAL_NOTE = (
    "the 'fit' rows are the dump's validation rows: the epoch of every expert was chosen on them, so the experts look "
    "somewhat better there than on new patients"
)


def read(source: Path, options: LogitProdOptions) -> Imported:
    """Reads a folder ``<root>/<model>/split_<k>/`` or, for tiles, ``<root>/<model>/``.

    Rows are joined by ``sample_id`` only: a sample that an expert lacks is missing for it, nothing
    is cut or shifted (docs/design/logitprod.md, section 3.1, defects 4 and 5).

    Args:
        source: The folder of the experts' folders.
        options: Class names or time edges are required; see ``LogitProdOptions``.

    Returns:
        The samples (``sample_id``, ``patient_id`` if known, truth, ``split`` or ``fold``), each
        expert's ``logit_<class>`` or ``hazard_logit_<k>`` columns, and the manifest.

    Raises:
        InputError: A file is missing or damaged, rows cannot be named, labels contradict each
            other, or one sample has two roles. One sentence names the file and the value.
    """
    log, dump = Log(), find_dump(source)
    splits = _splits(dump, options)
    kind = endpoint_kind(dump, splits)
    experts, parts = _read_parts(dump, splits, kind, options, log)
    classes, bins = _meaning(kind, parts, options)
    _check_labels(parts, classes, bins, options, log)
    named, patients = _name_and_check(parts, dump, splits, classes, options, log)
    usable = [_usable(part, bins is not None, log) for part in named]
    samples = _samples(usable, classes, options.folds, patients)
    _note_roles(samples, classes, log)
    columns = [f"logit_{name}" for name in classes] or [
        f"hazard_logit_{k + 1}" for k in range(named[0].values.shape[1])
    ]
    predictions = {expert: _predictions(expert, usable, columns) for expert in experts}
    if bins is not None and bins.left_closed:
        log.note(
            "the experts' bins are [a, b) and ours (a, b]: each inner edge was moved to the next smaller number"
        )
    edges = bins.right_closed() if bins is not None else None
    endpoint: dict[str, Any] = {"kind": kind}
    endpoint |= {"classes": list(classes)} if edges is None else {"time_edges": edges_text(edges)}
    manifest = {
        "pathfuse": pathfuse.__version__,
        "format": LOGITPROD.name,
        "source": str(source),
        "options": _options(options),
        "endpoint": endpoint,
        "inputs": dict(sorted(log.inputs.items())),
        "rows": _row_counts(samples),
        "left_out": list(log.left_out.values()),
        "experts": _expert_counts(parts, predictions),
        "notes": log.notes,
    }
    return Imported(samples, predictions, manifest, edges)


LOGITPROD = Importer(
    "logitprod",
    "the expert dumps of the LogitProd authors",
    "Folder that holds one folder per expert.",
    LogitProdOptions,
    read,
)
"""``pathfuse import logitprod``."""


def _check_labels(
    parts: Sequence[DumpPart],
    classes: tuple[str, ...],
    bins: TimeBins | None,
    options: LogitProdOptions,
    log: Log,
) -> None:
    for part in parts:
        if bins is None:
            check_class_labels(part, classes, log)
        elif not options.folds or part.name != "val":
            check_survival_labels(part)
            check_bins(part, bins, options.trust_time_edges, log)


def _expert_counts(
    parts: Sequence[DumpPart], predictions: dict[str, pl.DataFrame]
) -> dict[str, Any]:
    """Rows read, part by part, and rows written of every expert."""
    return {
        expert: {
            "rows_read": {p.place: len(p.values) for p in parts if p.expert == expert},
            "rows_written": frame.height,
        }
        for expert, frame in predictions.items()
    }


def _splits(dump: Dump, options: LogitProdOptions) -> tuple[int | None, ...]:
    """Which splits to read; ``(None,)`` in the tile layout."""
    available = ", ".join(map(str, dump.splits))
    if options.split is not None and options.folds:
        raise InputError(
            "--split and --folds exclude each other: --folds takes the test rows of all splits"
        )
    if not dump.splits:
        if options.split is not None or options.folds:
            asked = "--folds" if options.folds else f"--split {options.split}"
            raise InputError(f"{dump.root} has no folders split_<k>, so {asked} does not apply")
        return (None,)
    if options.folds:
        if len(dump.splits) < 2:
            raise InputError(
                f"{dump.root} has one split only ({available}); --folds needs at least two"
            )
        return dump.splits
    if options.split is None:
        if len(dump.splits) > 1:
            raise InputError(
                f"{dump.root} has the splits {available}; say which: --split K, or --folds for all"
            )
        return dump.splits
    if options.split not in dump.splits:
        raise InputError(
            f"{dump.root} has no folder split_{options.split}; its splits are {available}"
        )
    return (options.split,)


def _read_parts(
    dump: Dump, splits: tuple[int | None, ...], kind: str, options: LogitProdOptions, log: Log
) -> tuple[tuple[str, ...], list[DumpPart]]:
    """With ``--folds``, train and val rows are read as well where they are, to see that no test row
    is among them.
    """
    needed = ("test",) if options.folds else tuple(STEMS)
    experts, places = complete_experts(dump, splits, kind, needed, options.skip_incomplete, log)
    if options.folds:
        places += full_places(dump, experts, splits, kind, ("train", "val"))
    parts = [read_part(dump, expert, *place, kind, log) for expert in experts for place in places]
    check_width(parts)
    return experts, parts


def _meaning(
    kind: str, parts: Sequence[DumpPart], options: LogitProdOptions
) -> tuple[tuple[str, ...], TimeBins | None]:
    """What the columns stand for: class names, or time bins. The dump does not say."""
    file, width = parts[0].file, parts[0].values.shape[1]
    if ENDPOINTS[kind].in_time:
        if options.classes is not None:
            raise InputError(
                f"{file} holds hazards of survival experts, so --classes does not apply"
            )
        return (), time_bins(options.time_edges, options.left_closed, parts)
    if options.time_edges is not None:
        raise InputError(f"{file} holds logits of classes, so --time-edges does not apply")
    if width < 2:
        raise InputError(f"{file} has one column; at least two classes are needed")
    if options.classes is None:
        example = ",".join(f"NAME{k}" for k in range(width))
        raise InputError(
            f"{file} has {width} columns, but no file of the dump holds the names of the classes: "
            f"give the {width} names in the order of the columns, --classes {example}"
        )
    if len(options.classes) != width:
        names = ", ".join(options.classes)
        raise InputError(
            f"--classes gives {len(options.classes)} names ({names}), but {file} has {width} columns"
        )
    return options.classes, None


def _name_and_check(
    parts: Sequence[DumpPart],
    dump: Dump,
    splits: tuple[int | None, ...],
    classes: tuple[str, ...],
    options: LogitProdOptions,
    log: Log,
) -> tuple[list[DumpPart], dict[str, str]]:
    """The parts to write, with a name for every row, and the patients of the samples."""
    check_val_is_not_test(parts)
    id_list = read_id_list(options.ids, dump, splits, log) if options.ids is not None else None
    named = name_rows(parts, options, id_list, log)
    check_roles(named, options.folds)
    if options.folds:
        for part in named:
            if part.name != "test":
                log.leave(part, np.ones(len(part.values), dtype=bool), FOLDS_REASON)
        named = [part for part in named if part.name == "test"]
    check_conflicts(named, classes, id_list)
    patients = id_list.patients if id_list is not None else {}
    check_patients(named, patients)
    return named, patients


def _usable(part: DumpPart, survival: bool, log: Log) -> DumpPart:
    """Rows with a label and with logits; the others are counted."""
    reasons = [
        (
            np.isnan(part.values).all(axis=1),
            "all logits are NaN: the expert did not score the sample",
        )
    ]
    if survival:
        reasons += [
            (np.isnan(part.labels[:, k]), f"{name} is missing (NaN)")
            for k, name in enumerate(NAMES)
        ]
        reasons.append((part.labels[:, 2] == 0, "the time is 0; it must be above 0"))
    else:
        reasons.append((np.isnan(part.labels), "the label is missing (NaN)"))
    left = np.zeros(len(part.values), dtype=bool)
    for rows, reason in reasons:
        log.leave(part, rows & ~left, reason)
        left |= rows
    return part.only(~left)


def _samples(
    parts: Sequence[DumpPart], classes: tuple[str, ...], folds: bool, patients: dict[str, str]
) -> pl.DataFrame:
    """One row per sample that any expert scored, sorted by ``sample_id``."""
    rows = {
        i: (part, label)
        for part in parts
        for i, label in zip(part.ids or (), part.labels.tolist(), strict=True)
    }
    ids = sorted(rows)
    columns: dict[str, Any] = {"sample_id": ids}
    if any(sample in patients for sample in ids):
        columns["patient_id"] = [patients.get(sample) for sample in ids]
    if classes:
        columns["label"] = [classes[int(rows[sample][1])] for sample in ids]
    else:
        columns["time"] = [rows[sample][1][2] for sample in ids]
        columns["event"] = [1 - int(rows[sample][1][1]) for sample in ids]
    if folds:
        columns["fold"] = [rows[sample][0].split for sample in ids]
    else:
        columns["split"] = [ROLES[rows[sample][0].name] for sample in ids]
    return pl.DataFrame(columns)


def _predictions(expert: str, parts: Sequence[DumpPart], columns: list[str]) -> pl.DataFrame:
    """One expert's rows, sorted by ``sample_id``."""
    own = [part for part in parts if part.expert == expert]
    ids = [sample for part in own for sample in part.ids or ()]
    if not ids:
        raise InputError(
            f"{own[0].file}: no row of the expert '{expert}' is left: all logits or labels are NaN"
        )
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__))
    values = np.concatenate([part.values for part in own])[order]
    return pl.DataFrame(
        {
            "sample_id": [ids[n] for n in order],
            **{name: values[:, k] for k, name in enumerate(columns)},
        }
    )


def _note_roles(samples: pl.DataFrame, classes: tuple[str, ...], log: Log) -> None:
    if "split" in samples.columns:
        fit = "fit" in set(samples["split"])
        log.note(
            VAL_NOTE if fit else "no row has the role 'fit', so a fusion has nothing to learn from"
        )
    present = set(samples["label"]) if classes else set()
    for name in classes:
        if name not in present:
            log.note(f"no imported row has the label '{name}'")


def _row_counts(samples: pl.DataFrame) -> dict[str, Any]:
    column = "fold" if "fold" in samples.columns else "split"
    counts = {
        str(role): int((samples[column] == role).sum()) for role in samples[column].unique().sort()
    }
    return {"samples": samples.height, column: counts}


def _options(options: LogitProdOptions) -> dict[str, Any]:
    return {
        "split": options.split,
        "folds": options.folds,
        "ids": None if options.ids is None else str(options.ids),
        "confirm_row_order": options.confirm_row_order,
        "time_edges": None if options.time_edges is None else edges_text(options.time_edges),
        "left_closed": options.left_closed,
        "trust_time_edges": options.trust_time_edges,
        "skip_incomplete": options.skip_incomplete,
    }
