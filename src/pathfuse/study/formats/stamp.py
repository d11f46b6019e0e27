"""STAMP: ``<expert>/split-<k>/patient-preds.csv``, ``deploy`` tables and ensembles.

Layout: one row per patient; of classes ``<target>`` (the truth), ``pred``, ``<target>_<category>``
(probabilities) and ``loss``; of numbers ``<target>``, ``pred`` and ``loss``; of survival
``pred_score``.
"""

import re
from dataclasses import replace
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.tables import Table
from pathfuse.study.formats.base import Format, Predicted, Source
from pathfuse.study.reading import Reading

PREDICTIONS = "patient-preds.csv"
MEAN = "patient-preds_95_confidence_interval.csv"
MEMBER = r"patient-preds-([0-9]+)\.csv"
SPLIT = r"split-([0-9]+)"
PREDICTED, LOSS = "pred", "loss"
LABEL = "label"
"""What ``--columns`` calls the target of classes."""


def expert_name(folder: Path) -> str:
    """A folder's name, or that of the folder that holds it, where it is one split of several."""
    folder = folder.resolve()
    return folder.parent.name if re.fullmatch(SPLIT, folder.name) else folder.name


def find(path: Path) -> list[Source] | None:
    """See ``Format``.

    Raises:
        InputError: A folder holds members of an ensemble and not their mean.
    """
    if path.is_file():
        named = path.name in (PREDICTIONS, MEAN)
        return [Source(expert_name(path.parent), (path,))] if named else None
    splits = [
        (int(match[1]), place / PREDICTIONS)
        for place in path.iterdir()
        if (match := re.fullmatch(SPLIT, place.name)) and (place / PREDICTIONS).is_file()
    ]
    if splits:
        numbers, files = zip(*sorted(splits), strict=True)
        folds = tuple(str(number) for number in numbers)
        note = f"{path}: the {len(files)} files split-*/{PREDICTIONS} are one table, fold by fold"
        return [Source(expert_name(path), files, folds, (note,), path)]
    if (path / PREDICTIONS).is_file():
        return [Source(expert_name(path), (path / PREDICTIONS,))]
    members = sorted(p for p in path.iterdir() if re.fullmatch(MEMBER, p.name))
    if (path / MEAN).is_file():
        note = f"{path}: {MEAN} is the mean of the ensemble; its {len(members)} members are not read again"
        return [Source(expert_name(path), (path / MEAN,), notes=(note,) if members else ())]
    if len(members) > 1:
        raise InputError(
            f"{path} holds {len(members)} members of an ensemble ({members[0].name} ...) and not their mean, "
            f"{MEAN}; give one of the files"
        )
    return [Source(expert_name(path), (members[0],))] if members else None


def check_not_twice(files: list[Path]) -> None:
    """Refuses an ensemble's mean together with the members that it is made of.

    Raises:
        InputError: Both are among the files.
    """
    means = {file.parent.resolve(): file for file in files if file.name == MEAN}
    for file in files:
        mean = means.get(file.parent.resolve())
        if mean is not None and re.fullmatch(MEMBER, file.name):
            raise InputError(
                f"{mean} is the mean of {file.name} and the other members of the ensemble: "
                "give the mean, or the members, not both"
            )


def understand(table: Table, reading: Reading) -> Predicted | None:
    """See ``Format``.

    Raises:
        InputError: The table predicts several targets, and none was chosen.
    """
    header = table.frame.columns
    predicted = [n for n in header if n == PREDICTED or n.startswith(f"{PREDICTED}_")]
    if not predicted:
        return None
    groups = _groups(header)
    if groups:
        return _classes(table, groups, reading)
    return _number(table) if LOSS in header else None


def _groups(header: list[str]) -> dict[str, list[str]]:
    """Targets with their columns of probabilities."""
    multi = [n.removeprefix(f"{PREDICTED}_") for n in header if n.startswith(f"{PREDICTED}_")]
    targets = [n for n in header if n not in (PREDICTED, LOSS)] if PREDICTED in header else multi
    found: dict[str, list[str]] = {}
    taken: set[str] = set()
    for target in sorted(targets, key=len, reverse=True):
        own = [n for n in header if n.startswith(f"{target}_") and n not in taken]
        if len(own) > 1:
            found[target] = own
            taken.update(own)
    return found


def _classes(table: Table, groups: dict[str, list[str]], reading: Reading) -> Predicted:
    target = next(iter(groups)) if len(groups) == 1 else reading.columns.get(LABEL, "")
    if target not in groups:
        raise InputError(
            f"{table.source} predicts several targets ({', '.join(sorted(groups))}); say which one the study "
            f"is about: --columns {LABEL}={min(groups)}"
        )
    names = {name: "prob_" + name.removeprefix(f"{target}_") for name in groups[target]}
    idle = [n for n in (PREDICTED, f"{PREDICTED}_{target}", LOSS) if n in table.frame.columns]
    others = [n for other, columns in groups.items() if other != target for n in columns]
    note = f"{table.source}: columns of STAMP; '{target}_...' are probabilities of the classes of '{target}'"
    frame = table.frame.drop(idle, others).rename(names)
    return Predicted(replace(table, frame=frame), (note,), targets={LABEL: target})


def _number(table: Table) -> Predicted | None:
    others = [n for n in table.frame.columns if n not in (PREDICTED, LOSS)]
    if len(others) != 2:  # the patient and the truth
        return None
    target = others[1]
    note = f"{table.source}: columns of STAMP; '{PREDICTED}' is the predicted '{target}'"
    frame = table.frame.drop(LOSS).rename({PREDICTED: f"mean_{target}"})
    return Predicted(replace(table, frame=frame), (note,), targets={f"target_{target}": target})


STAMP = Format(
    "stamp",
    "STAMP: split-<k>/patient-preds.csv of cross-validation (one expert, fold by fold), tables of deploy, "
    "ensembles by their mean; classes, numbers and pred_score of survival",
    "docs/howto/from-stamp.md",
    find,
    understand,
)
