"""What must hold between the parts and the experts of a LogitProd dump.

See docs/design/logitprod.md, section 3, defects 19 and 20.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathfuse.errors import InputError
from pathfuse.study.importers.logitprod_bins import NAMES
from pathfuse.study.importers.logitprod_files import DumpPart, Log
from pathfuse.study.importers.logitprod_ids import IdList


def check_width(parts: Sequence[DumpPart]) -> None:
    """All experts have the same number of classes or bins.

    Raises:
        InputError: Two files have different numbers of columns.
    """
    first = parts[0]
    for part in parts:
        if part.values.shape[1] != first.values.shape[1]:
            raise InputError(
                f"{part.file} has {part.values.shape[1]} columns, but {first.file} has {first.values.shape[1]}"
            )


def check_class_labels(part: DumpPart, classes: Sequence[str], log: Log) -> None:
    """Class indices are whole numbers below the number of classes; NaN is a missing label.

    Raises:
        InputError: An index is something else.
    """
    wrong = ~np.isnan(part.labels) & ~np.isin(part.labels, np.arange(len(classes)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{part.label_file}, row {row} (counted from 0): the class index is {part.labels[row]:g}; with "
            f"{len(classes)} classes ({', '.join(classes)}) it must be a whole number from 0 to {len(classes) - 1}"
        )
    values = part.values[~np.isnan(part.values).any(axis=1)]
    if len(values) and values.min() >= 0 and np.abs(values.sum(axis=1) - 1).max() < 1e-3:
        log.note(
            f"{part.file} looks like probabilities (each row sums to 1), not like logits; it was read as logits"
        )


def check_val_is_not_test(parts: Sequence[DumpPart]) -> None:
    """Published validation sets are sometimes the test set (defect 20); seen here even without ids.

    Raises:
        InputError: An expert's val and test logits are the same numbers.
    """
    tests = {(part.expert, part.split): part for part in parts if part.name == "test"}
    for part in parts:
        test = tests.get((part.expert, part.split))
        if part.name != "val" or test is None or part.values.shape != test.values.shape:
            continue
        if np.allclose(part.values, test.values, rtol=1e-6, atol=0, equal_nan=True):
            raise InputError(
                f"{part.file} and {test.file} hold the same logits: the validation set is the test set; "
                "a sample must stay in one"
            )


def check_roles(parts: Sequence[DumpPart], folds: bool) -> None:
    """A sample stays in one part of a split and, with ``folds``, in one test set.

    Raises:
        InputError: One is in two.
    """
    parts_of: dict[tuple[int | None, str], DumpPart] = {}
    tests_of: dict[str, DumpPart] = {}
    for part in parts:
        for sample in part.ids or ():
            first = parts_of.setdefault((part.split, sample), part)
            if first.name != part.name:
                raise _in_both(sample, first, part, "a sample must stay in one")
            if not folds or part.name != "test":
                continue
            first = tests_of.setdefault(sample, part)
            if first.split != part.split:
                advice = (
                    "--folds needs test sets that share no sample; import one split with --split K"
                )
                raise _in_both(sample, first, part, advice)


def _in_both(sample: str, one: DumpPart, other: DumpPart, advice: str) -> InputError:
    return InputError(
        f"sample '{sample}' is in both {one.place} ({one.file}) and {other.place} ({other.file}); {advice}"
    )


def check_conflicts(
    parts: Sequence[DumpPart], classes: Sequence[str], id_list: IdList | None
) -> None:
    """Experts agree on the truth of a sample; the published code never compares (defect 19).

    Raises:
        InputError: Two experts have different labels for one sample.
    """
    seen: dict[str, tuple[DumpPart, Any]] = {}
    for part in parts:
        for sample, label in zip(part.ids or (), part.labels.tolist(), strict=True):
            first, other = seen.setdefault(sample, (part, label))
            if other == label or np.allclose(other, label, rtol=1e-6, atol=0, equal_nan=True):
                continue
            shared = part.name == "train" and id_list is not None and id_list.of(part) is not None
            hint = "; training rows lie in an order of their own for each expert" if shared else ""
            raise InputError(
                f"sample '{sample}' has two labels: {_shown(other, classes)} in {first.label_file} "
                f"(expert '{first.expert}') and {_shown(label, classes)} in {part.label_file} "
                f"(expert '{part.expert}'){hint}"
            )


def _shown(label: Any, classes: Sequence[str]) -> str:
    if isinstance(label, float):
        return "NaN" if np.isnan(label) else f"'{classes[int(label)]}'"
    return ", ".join(
        f"{name.split()[-1]} {value:g}" for name, value in zip(NAMES, label, strict=True)
    )


def check_patients(parts: Sequence[DumpPart], patients: Mapping[str, str]) -> None:
    """A patient stays in one part, or with ``--folds`` in one test set.

    Raises:
        InputError: One is in two.
    """
    seen: dict[str, tuple[str, DumpPart]] = {}
    for part in parts:
        for sample in part.ids or ():
            if sample not in patients:
                continue
            first, other = seen.setdefault(patients[sample], (sample, part))
            if (other.split, other.name) != (part.split, part.name):
                raise InputError(
                    f"patient '{patients[sample]}' is in both {other.place} (sample '{first}') and {part.place} "
                    f"(sample '{sample}'); a patient must stay in one"
                )
