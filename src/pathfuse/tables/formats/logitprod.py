"""``pathfuse import logitprod``: the expert dumps of the LogitProd authors (formats.md, 3; logitprod.md, 1.10).

Written from a description of the files, not from the code that writes them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import pathfuse
from pathfuse.errors import InputError
from pathfuse.tables.formats.imported import Imported, ImportOptions, edges_text
from pathfuse.tables.formats.logitprod_bins import NAMES, TimeBins, check_bins, check_survival_labels, time_bins
from pathfuse.tables.formats.logitprod_files import (
    STEMS,
    Dump,
    Log,
    Part,
    complete_experts,
    endpoint_kind,
    find_dump,
    read_part,
)
from pathfuse.tables.formats.logitprod_ids import IdList, name_rows, read_id_list

ROLES = {"train": "train", "val": "fit", "test": "test"}
"""Part to role (contract, section 6)."""
VAL_NOTE = (
    "the 'fit' rows are the dump's validation rows: the epoch of every expert was chosen on them, so the experts look "
    "somewhat better there than on new patients"
)


def read(source: Path, options: ImportOptions) -> Imported:
    """Reads a folder ``<root>/<model>/split_<k>/`` or, for tiles, ``<root>/<model>/``.

    Rows are joined by ``sample_id`` only: a sample that an expert lacks is missing for it, nothing is cut or shifted
    (logitprod.md, defects 4 and 5).

    Args:
        source: The folder of the experts' folders.
        options: Class names or time edges are required; see ``ImportOptions``.

    Returns:
        The samples (``sample_id``, ``patient_id`` if known, truth, ``split`` or ``fold``), each expert's
        ``logit_<class>`` or ``hazard_logit_<k>`` columns, and the manifest.

    Raises:
        InputError: A file is missing or damaged, rows cannot be named, labels contradict each other, or one sample has
            two roles. One sentence names the file and the value.
    """
    log, dump = Log(), find_dump(source)
    splits = _splits(dump, options)
    kind = endpoint_kind(dump, splits)
    needed = ("test",) if options.folds else tuple(STEMS)
    experts, places = complete_experts(dump, splits, kind, needed, options.skip_incomplete, log)
    places += _extra_places(dump, experts, splits, kind) if options.folds else []
    parts = [read_part(dump, expert, *place, kind, log) for expert in experts for place in places]
    n_read = {expert: {part.place: len(part.values) for part in parts if part.expert == expert} for expert in experts}
    _check_width(parts)
    classes, bins = _meaning(kind, parts, options)
    for part in parts:
        if bins is not None:
            check_survival_labels(part)
            check_bins(part, bins, options.trust_time_edges or (options.folds and part.name == "val"), log)
        else:
            _check_class_labels(part, classes, log)
    id_list = read_id_list(options.ids, dump, splits, log) if options.ids is not None else None
    named = name_rows(parts, dump, options, id_list, log)
    _check_roles(named, options.folds)
    if options.folds:
        named = _test_only(named, log)
    _check_conflicts(named, classes, id_list)
    usable = [_usable(part, kind, log) for part in named]
    samples = _samples(usable, classes, options.folds, id_list.patients if id_list is not None else {})
    columns = [f"logit_{name}" for name in classes] or [f"hazard_logit_{k + 1}" for k in range(parts[0].values.shape[1])]
    predictions = {expert: _predictions(expert, usable, columns) for expert in experts}
    if not options.folds:
        _note_roles(samples, log)
    _note_classes(samples, classes, log)
    if bins is not None and bins.left_closed:
        log.note("the experts' bins are [a, b) and ours (a, b]: each inner edge was moved to the next smaller number")
    edges = bins.right_closed() if bins is not None else None
    manifest = _manifest(source, options, kind, classes, edges, samples, predictions, n_read, log)
    return Imported(samples, predictions, manifest, edges)


def _splits(dump: Dump, options: ImportOptions) -> tuple[int | None, ...]:
    """Which splits to read; ``(None,)`` in the tile layout."""
    available = ", ".join(map(str, dump.splits))
    if options.split is not None and options.folds:
        raise InputError("--split and --folds exclude each other: --folds takes the test rows of all splits")
    if not dump.splits:
        if options.split is not None or options.folds:
            asked = "--folds" if options.folds else f"--split {options.split}"
            raise InputError(f"{dump.root} has no folders split_<k>, so {asked} does not apply")
        return (None,)
    if options.folds:
        if len(dump.splits) < 2:
            raise InputError(f"{dump.root} has one split only ({available}); --folds needs at least two")
        return dump.splits
    if options.split is None:
        if len(dump.splits) > 1:
            raise InputError(f"{dump.root} has the splits {available}; say which: --split K, or --folds for all")
        return dump.splits
    if options.split not in dump.splits:
        raise InputError(f"{dump.root} has no folder split_{options.split}; its splits are {available}")
    return (options.split,)


def _extra_places(
    dump: Dump, experts: Sequence[str], splits: tuple[int | None, ...], kind: str
) -> list[tuple[int | None, str]]:
    """With ``--folds``: train and val parts, read only to see that no test row is among them."""
    places = []
    for split in splits:
        for part in ("train", "val"):
            quiet = Log()
            try:
                found, _ = complete_experts(dump, (split,), kind, (part, "test"), False, quiet)
            except InputError:
                continue
            if set(experts) <= set(found) and not quiet.notes:
                places.append((split, part))
    return places


def _check_width(parts: Sequence[Part]) -> None:
    first = parts[0]
    for part in parts:
        if part.values.shape[1] != first.values.shape[1]:
            raise InputError(
                f"{part.file} has {part.values.shape[1]} columns, but {first.file} has {first.values.shape[1]}"
            )


def _meaning(
    kind: str, parts: Sequence[Part], options: ImportOptions
) -> tuple[tuple[str, ...], TimeBins | None]:
    """What the columns stand for: class names, or time bins. The dump does not say."""
    file, width = parts[0].file, parts[0].values.shape[1]
    if kind == "survival":
        if options.classes is not None:
            raise InputError(f"{file} holds hazards of survival experts, so --classes does not apply")
        return (), time_bins(options.time_edges, options.left_closed, parts)
    if options.time_edges is not None:
        raise InputError(f"{file} holds logits of classes, so --time-edges does not apply")
    if width < 2:
        raise InputError(f"{file} has one column; at least two classes are needed")
    if options.classes is None:
        raise InputError(
            f"{file} has {width} columns, but no file of the dump holds the names of the classes: "
            f"give the {width} names in the order of the columns, --classes {','.join(f'NAME{k}' for k in range(width))}"
        )
    if len(options.classes) != width:
        raise InputError(
            f"--classes gives {len(options.classes)} names ({', '.join(options.classes)}), but {file} has {width} columns"
        )
    return options.classes, None


def _check_class_labels(part: Part, classes: tuple[str, ...], log: Log) -> None:
    wrong = ~np.isnan(part.labels) & ~np.isin(part.labels, np.arange(len(classes)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{part.label_file}, row {row} (counted from 0): the class index is {part.labels[row]:g}; with "
            f"{len(classes)} classes ({', '.join(classes)}) it must be a whole number from 0 to {len(classes) - 1}"
        )
    values = part.values[~np.isnan(part.values).any(axis=1)]
    if len(values) and values.min() >= 0 and np.abs(values.sum(axis=1) - 1).max() < 1e-3:
        log.note(f"{part.file} looks like probabilities (each row sums to 1), not like logits; it was read as logits")


def _check_roles(parts: Sequence[Part], folds: bool) -> None:
    """One sample, one role: published validation sets are sometimes the test set (logitprod.md, defect 20)."""
    where: dict[tuple[int | None, str], Part] = {}
    fold: dict[str, Part] = {}
    for part in parts:
        for sample in part.ids or ():
            first = where.setdefault((part.split, sample), part)
            if first.name != part.name:
                raise InputError(
                    f"sample '{sample}' is in both {first.place} ({first.file}) and {part.place} ({part.file}); "
                    "a sample must stay in one"
                )
            if folds and part.name == "test" and (first := fold.setdefault(sample, part)).split != part.split:
                raise InputError(
                    f"sample '{sample}' is in both {first.place} ({first.file}) and {part.place} ({part.file}); "
                    "--folds needs test sets that share no sample; import one split with --split K"
                )
    held = {(part.expert, part.split, part.name): part for part in parts}
    for (expert, split, name), part in held.items():
        test = held.get((expert, split, "test"))
        if name == "val" and test is not None and part.values.shape == test.values.shape:
            if np.allclose(part.values, test.values, rtol=1e-6, atol=0, equal_nan=True):
                raise InputError(
                    f"{part.file} and {test.file} hold the same logits: the validation set is the test set; "
                    "a sample must stay in one"
                )


def _test_only(parts: Sequence[Part], log: Log) -> list[Part]:
    for part in parts:
        if part.name != "test":
            log.leave(part, np.ones(len(part.values), dtype=bool), "--folds imports test rows only")
    return [part for part in parts if part.name == "test"]


def _check_conflicts(parts: Sequence[Part], classes: tuple[str, ...], id_list: IdList | None) -> None:
    """Experts agree on the truth of a sample; the published code never compares (logitprod.md, defect 19)."""

    def shown(label: Any) -> str:
        if isinstance(label, float):
            return "NaN" if np.isnan(label) else f"'{classes[int(label)]}'"
        return ", ".join(f"{name.split()[-1]} {value:g}" for name, value in zip(NAMES, label, strict=True))

    seen: dict[str, tuple[Part, Any]] = {}
    for part in parts:
        for sample, label in zip(part.ids or (), part.labels.tolist(), strict=True):
            first, other = seen.setdefault(sample, (part, label))
            if other == label or np.allclose(other, label, rtol=1e-6, atol=0, equal_nan=True):
                continue
            shared = part.name == "train" and id_list is not None and id_list.of(part) is not None
            hint = "; training rows lie in an order of their own for each expert" if shared else ""
            raise InputError(
                f"sample '{sample}' has two labels: {shown(other)} in {first.label_file} (expert '{first.expert}') and "
                f"{shown(label)} in {part.label_file} (expert '{part.expert}'){hint}"
            )


def _usable(part: Part, kind: str, log: Log) -> Part:
    """Rows with a label and with logits; the others are counted."""
    unscored = np.isnan(part.values).all(axis=1)
    reasons = [(unscored, "all logits are NaN: the expert did not score the sample")]
    if kind == "survival":
        reasons += [(np.isnan(part.labels[:, k]), f"{name} is missing (NaN)") for k, name in enumerate(NAMES)]
        reasons.append((part.labels[:, 2] == 0, "the time is 0; it must be above 0"))
    else:
        reasons.append((np.isnan(part.labels), "the label is missing (NaN)"))
    left = np.zeros(len(unscored), dtype=bool)
    for rows, reason in reasons:
        log.leave(part, rows & ~left, reason)
        left |= rows
    return part.only(~left)


def _samples(parts: Sequence[Part], classes: tuple[str, ...], folds: bool, patients: dict[str, str]) -> pl.DataFrame:
    """One row per sample that any expert scored, sorted by ``sample_id``."""
    rows = {s: (part, label) for part in parts for s, label in zip(part.ids or (), part.labels.tolist(), strict=True)}
    if not rows:
        raise InputError("no row is left to import: all logits or all labels are NaN")
    ids = sorted(rows)
    _check_patients(ids, rows, patients)
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


def _check_patients(ids: Sequence[str], rows: dict[str, tuple[Part, Any]], patients: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for sample in ids:
        if sample not in patients:
            continue
        first = seen.setdefault(patients[sample], sample)
        one, other = rows[first][0], rows[sample][0]
        if (one.split, one.name) != (other.split, other.name):
            raise InputError(
                f"patient '{patients[sample]}' is in both {one.place} (sample '{first}') and {other.place} "
                f"(sample '{sample}'); a patient must stay in one"
            )


def _predictions(expert: str, parts: Sequence[Part], columns: list[str]) -> pl.DataFrame:
    own = [part for part in parts if part.expert == expert]
    ids = [sample for part in own for sample in part.ids or ()]
    if not ids:
        raise InputError(f"{own[0].file.parent}: no row of the expert '{expert}' is left to import" if own else expert)
    values = np.concatenate([part.values for part in own])
    order = sorted(range(len(ids)), key=ids.__getitem__)
    table = {name: values[order, k] for k, name in enumerate(columns)}
    return pl.DataFrame({"sample_id": [ids[row] for row in order], **table})


def _note_roles(samples: pl.DataFrame, log: Log) -> None:
    roles = set(samples["split"])
    if "fit" in roles:
        log.note(VAL_NOTE)
    else:
        log.note("no row has the role 'fit', so a fusion has nothing to learn from")


def _note_classes(samples: pl.DataFrame, classes: tuple[str, ...], log: Log) -> None:
    present = set(samples["label"]) if classes else set()
    for name in classes:
        if name not in present:
            log.note(f"no imported row has the label '{name}'")


def _manifest(
    source: Path,
    options: ImportOptions,
    kind: str,
    classes: tuple[str, ...],
    edges: tuple[float, ...] | None,
    samples: pl.DataFrame,
    predictions: dict[str, pl.DataFrame],
    n_read: dict[str, dict[str, int]],
    log: Log,
) -> dict[str, Any]:
    endpoint = {"kind": kind, "classes": list(classes)} if edges is None else {"kind": kind, "time_edges": edges_text(edges)}
    column = samples["fold"] if options.folds else samples["split"]
    return {
        "pathfuse": pathfuse.__version__,
        "format": "logitprod",
        "source": str(source),
        "options": {
            "split": options.split,
            "folds": options.folds,
            "ids": None if options.ids is None else str(options.ids),
            "confirm_row_order": options.confirm_row_order,
            "time_edges": None if options.time_edges is None else edges_text(options.time_edges),
            "left_closed": options.left_closed if kind == "survival" else None,
            "trust_time_edges": options.trust_time_edges,
            "skip_incomplete": options.skip_incomplete,
        },
        "endpoint": endpoint,
        "inputs": dict(sorted(log.inputs.items())),
        "rows": {
            "samples": samples.height,
            "fold" if options.folds else "split": {str(role): int((column == role).sum()) for role in sorted(set(column))},
        },
        "left_out": list(log.left_out.values()),
        "experts": {
            name: {"rows_read": n_read[name], "rows_written": frame.height} for name, frame in predictions.items()
        },
        "notes": log.notes,
    }
