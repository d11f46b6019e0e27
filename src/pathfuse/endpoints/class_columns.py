"""Columns of a prediction table that are about classes, as other tools name and scale them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from pathfuse.endpoints.base import PredictionHints
from pathfuse.endpoints.single_column import (
    SINGLE,
    numbers,
    only_0_and_1,
    only_column,
    plainly_positive,
)
from pathfuse.errors import InputError
from pathfuse.files.tables import Table

WORDS = ("pred", "prediction", "score", "p", "prob", "probs", "proba", "probability", "y_prob", "y_pred",
         "class")  # fmt: skip
"""What may stand next to a class in the name of a column of its probabilities."""
SUM_TOLERANCE = 1e-3
"""How far the probabilities of one row may be from summing to 1."""


def like_probabilities(table: np.ndarray, *, whole: bool = False) -> bool:
    """Whether all of a table's logits lie between 0 and 1, which those of a model never do.

    Args:
        table: Float, (row, column).
        whole: Its columns are all classes, so that probabilities of a row sum to 1, too.

    Examples:
        >>> like_probabilities(np.array([[0.2, 0.8], [0.9, 0.1]]), whole=True)
        True
        >>> like_probabilities(np.array([[0.2, 0.3], [0.9, 0.1]]), whole=True)
        False
    """
    if not table.size or table.min() < 0 or table.max() > 1:
        return False
    return not whole or bool((np.abs(table.sum(axis=1) - 1) < SUM_TOLERANCE).all())


def class_names(labels: pl.Series) -> pl.Series:
    """Labels as text; where all are whole numbers or all are truth values, in one spelling.

    ``0.0`` becomes ``0``, ``true`` becomes ``True``.
    """
    text = labels.cast(pl.String).replace("", None)
    known = text.drop_nulls()
    if len(known) and known.str.contains(r"^-?[0-9]+\.0+$").all():
        return text.str.replace(r"\.0+$", "")
    if len(known) and known.str.to_lowercase().is_in(["true", "false"]).all():
        return text.str.to_titlecase()
    return text


def with_class_columns(
    table: Table, classes: Sequence[str], prefixes: Sequence[str], hints: PredictionHints
) -> tuple[Table, tuple[str, ...]]:
    """A table whose columns are ``prob_<class>`` or ``logit_<class>``, and what was understood.

    Columns may be called as the classes; of two classes there may be one column alone; values may
    be per cent.

    Raises:
        InputError: What a single column is of cannot be told, or values are in per cent and nobody
            said so.
    """
    notes: list[str] = []
    frame = _in_one_spelling(table, classes, prefixes, notes)
    frame = _without_signs(table, frame, (*classes, *SINGLE), prefixes, notes)
    if not any(name.startswith(tuple(prefixes)) for name in frame.columns):
        frame = _named_by_class(table, frame, classes, notes)
    frame = _single(table, frame, classes, hints, notes)
    frame = _per_cent(table, frame, hints, notes)
    if hints.drop_absent_classes:
        frame = _without_absent(table, frame, classes, notes)
    return replace(table, frame=frame), tuple(notes)


def _in_one_spelling(
    table: Table, classes: Sequence[str], prefixes: Sequence[str], notes: list[str]
) -> pl.DataFrame:
    """Columns whose class is spelled ``1.0`` or ``true`` where the samples say ``1`` or ``True``, in
    other letters (``Prob_Normal``), or as a truth value where the samples have 0 and 1.
    """
    frame = table.frame
    names = {}
    for name in frame.columns:
        prefix = next((p for p in prefixes if name.startswith(p)), "")
        own = name.removeprefix(prefix)
        plain = str(class_names(pl.Series([own]))[0])
        if own not in classes and plain in classes and prefix + plain not in frame.columns:
            names[name] = prefix + plain
    frame = frame.rename(names)
    found: dict[str, list[str]] = {}
    for name in frame.columns:
        for ours in _in_other_letters(name, classes, prefixes):
            found.setdefault(ours, []).append(name)
    others = {
        one[0]: ours for ours, one in found.items() if len(one) == 1 and ours not in frame.columns
    }
    notes += [
        f"{table.source}: the column '{name}' is taken as {ours}" for name, ours in others.items()
    ]
    return frame.rename(others)


def _in_other_letters(name: str, classes: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    """The column of a class that a name may stand for but for the case of its letters, or with
    ``True`` for the class 1 and ``False`` for 0.
    """
    prefix = next((p for p in prefixes if name.lower().startswith(p)), None)
    if prefix is None:
        return []
    own = name[len(prefix) :].lower()
    if set(classes) == {"0", "1"}:
        own = {"false": "0", "true": "1"}.get(own, own)
    same = [one for one in classes if one.lower() == own]
    return [prefix + one for one in same if prefix + one != name] if len(same) == 1 else []


def _without_signs(
    table: Table,
    frame: pl.DataFrame,
    names: Sequence[str],
    prefixes: Sequence[str],
    notes: list[str],
) -> pl.DataFrame:
    """Cells such as ``1.4%`` as shares of 1: the sign says what they are."""
    signed = []
    for name in frame.columns:
        cells = frame[name]
        if cells.dtype == pl.String and (name in names or name.startswith(tuple(prefixes))):
            known = cells.drop_nulls()
            if len(known) and known.str.contains(r"^[0-9]+(?:[.,][0-9]+)?\s*%$").all():
                signed.append(name)
    if not signed:
        return frame
    some = ", ".join(signed[:3]) + (", ..." if len(signed) > 3 else "")
    notes.append(f"{table.source}: per cent signs in {some}: the values were divided by 100")
    number = {name: pl.col(name).str.replace(r"\s*%$", "").str.replace(",", ".") for name in signed}
    return frame.with_columns(number[name].cast(pl.Float64) / 100 for name in signed)


def _sums(values: np.ndarray) -> float | None:
    """1 or 100 where all rows have that sum, and no value is negative; else None."""
    full = values[np.isfinite(values).all(axis=1)]
    if not len(full) or (full < -1e-6).any():
        return None
    total = full.sum(axis=1)
    return next(
        (whole for whole in (1.0, 100.0) if (np.abs(total / whole - 1) < SUM_TOLERANCE).all()), None
    )


def _named_by_class(
    table: Table, frame: pl.DataFrame, classes: Sequence[str], notes: list[str]
) -> pl.DataFrame:
    found = [name for name in frame.columns if name in classes]
    if len(found) == 1 and len(classes) == 2:
        return _one_class(table, frame, found[0], notes)
    options = [
        (named, values)
        for named in _options_by_class(frame.columns, classes)
        if _sums(values := numbers(frame, list(named))) is not None
    ]
    if not options:
        return frame
    shares = [named for named, values in options if not only_0_and_1(values)]
    named = shares[0] if shares else options[0][0]
    notes.append(
        f"{table.source}: the columns {', '.join(named)} are taken as probabilities of these classes"
    )
    return frame.rename({name: f"prob_{one}" for name, one in named.items()})


def columns_by_class(header: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Columns that are called as the classes with a common word before or after them, and the class of
    each; the case of letters counts only for the classes.

    Examples:
        >>> columns_by_class(["id", "Score_a", "Score_b"], ["a", "b"])
        {'Score_a': 'a', 'Score_b': 'b'}
        >>> columns_by_class(["a_prob", "b_prob", "c_prob"], ["a", "b"])
        {'a_prob': 'a', 'b_prob': 'b'}
    """
    return next(_options_by_class(header, classes), {})


def _options_by_class(header: Sequence[str], classes: Sequence[str]) -> Iterator[dict[str, str]]:
    """The same for every common word that there is."""
    for word in ("", *WORDS):
        found = {}
        for name in header:
            for one in classes:
                if name == one if not word else _is_of(name, one, word):
                    found[name] = one
        if len(found) > 1 and len(found) == len(set(found.values())):
            yield found


def _is_of(name: str, one: str, word: str) -> bool:
    if name.endswith(one) and name[: len(name) - len(one)].lower() in (f"{word}_", f"{word} "):
        return True
    return name.startswith(one) and name[len(one) :].lower() in (f"_{word}", f" {word}")


def _one_class(table: Table, frame: pl.DataFrame, name: str, notes: list[str]) -> pl.DataFrame:
    """The column that is called as one of two classes, unless it is the truth next to a probability."""
    values = numbers(frame, [name])[:, 0]
    if not np.isfinite(values).all() or (values < 0).any() or (values > 100).any():
        return frame
    if np.isin(values, (0, 1)).all() and any(other in frame.columns for other in SINGLE):
        return frame
    notes.append(f"{table.source}: the column '{name}' is taken as the probability of this class")
    return frame.rename({name: f"prob_{name}"})


def _single(
    table: Table,
    frame: pl.DataFrame,
    classes: Sequence[str],
    hints: PredictionHints,
    notes: list[str],
) -> pl.DataFrame:
    """The other class of two, where a table has a column for one alone."""
    if len(classes) != 2:
        return frame
    for prefix in ("prob_", "logit_"):
        found = [name for name in frame.columns if name.startswith(prefix)]
        if len(found) == 1 and found[0].removeprefix(prefix) in classes:
            if prefix == "prob_":
                frame = _one_per_cent(table, frame, found[0], hints, notes)
            return _complement(table, frame, found[0], prefix, classes, notes)
    if any(name.startswith(("prob_", "logit_")) for name in frame.columns):
        return frame
    name = only_column(table.source, frame, classes)
    if name is None:
        return frame
    values = numbers(frame, [name])[:, 0]
    if hints.percent or len(np.unique(values)) > len(classes) or np.nanmax(values, initial=0) > 10:
        frame = _one_per_cent(table, frame, name, hints, notes)  # no numbers of classes
        values = numbers(frame, [name])[:, 0]
    if not np.isfinite(values).all() or (values < 0).any() or (values > 1).any():
        return frame
    positive = hints.positive or plainly_positive(classes)
    if positive not in classes:
        raise InputError(
            f"{table.source} has one column of probabilities, '{name}'; say which class it is of: "
            f"--positive {classes[1]}"
        )
    notes.append(f"{table.source}: the column '{name}' is taken as the probability of '{positive}'")
    frame = frame.rename({name: f"prob_{positive}"})
    return _complement(table, frame, f"prob_{positive}", "prob_", classes, notes)


def _one_per_cent(
    table: Table, frame: pl.DataFrame, name: str, hints: PredictionHints, notes: list[str]
) -> pl.DataFrame:
    """The only column of probabilities divided by 100, if its values are in per cent.

    Raises:
        InputError: They seem to be, and nobody said so.
    """
    values = numbers(frame, [name])[:, 0]
    known = values[np.isfinite(values)]
    if not len(known) or known.min() < 0 or not 1 + SUM_TOLERANCE < known.max() <= 100:
        return frame
    if not hints.percent:
        own = name if name in table.frame.columns else name.removeprefix("prob_")
        raise InputError(
            f"{table.source}: the values of '{own}' lie between {known.min():g} and {known.max():g}; if they "
            "are probabilities in per cent, divide them by 100 (fuse and evaluate do so with --percent)"
        )
    notes.append(f"{table.source}: probabilities in per cent were divided by 100")
    return frame.with_columns(pl.col(name).cast(pl.Float64, strict=False) / 100)


def _complement(
    table: Table,
    frame: pl.DataFrame,
    name: str,
    prefix: str,
    classes: Sequence[str],
    notes: list[str],
) -> pl.DataFrame:
    other = next(one for one in classes if prefix + one != name)
    number = pl.col(name).cast(pl.Float64, strict=False)
    if prefix == "prob_":
        notes.append(
            f"{table.source}: the probability of '{other}' is 1 minus that of the other class"
        )
        return frame.with_columns((1 - number).alias(prefix + other))
    notes.append(f"{table.source}: '{name}' alone is taken as a log-odds against '{other}'")
    return frame.with_columns((0 * number).alias(prefix + other))


def _per_cent(
    table: Table, frame: pl.DataFrame, hints: PredictionHints, notes: list[str]
) -> pl.DataFrame:
    found = [name for name in frame.columns if name.startswith("prob_")]
    if not found or _sums(numbers(frame, found)) != 100.0:
        return frame
    if not hints.percent:
        raise InputError(
            f"{table.source}: {found[0]} ... {found[-1]} sum to 100 in every row, so that they are per "
            "cent; divide them by 100 (fuse and evaluate do so with --percent)"
        )
    notes.append(f"{table.source}: probabilities in per cent were divided by 100")
    return frame.with_columns((pl.col(name).cast(pl.Float64, strict=False) / 100) for name in found)


def _without_absent(
    table: Table, frame: pl.DataFrame, classes: Sequence[str], notes: list[str]
) -> pl.DataFrame:
    """Without the classes that no sample has; the rest of each row sums to 1 again."""
    for prefix in ("prob_", "logit_"):
        names = [name for name in frame.columns if name.startswith(prefix)]
        absent = [name for name in names if name.removeprefix(prefix) not in classes]
        kept = [name for name in names if name not in absent]
        if not absent or not kept:
            continue
        values = numbers(frame, names)
        if prefix == "logit_":
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values = values / values.sum(axis=1, keepdims=True)
        mass = values[:, [names.index(name) for name in absent]].sum(axis=1)
        notes.append(
            f"{table.source}: {', '.join(name.removeprefix(prefix) for name in absent)} "
            f"{'are classes' if len(absent) > 1 else 'is a class'} that no sample has; "
            f"{'they are' if len(absent) > 1 else 'it is'} left out with {np.nanmean(mass):.1%} of the "
            f"probability on average, {np.nanmax(mass):.1%} at most"
        )
        frame = frame.drop(absent)
        if prefix == "prob_":
            total = pl.sum_horizontal(pl.col(name).cast(pl.Float64, strict=False) for name in kept)
            frame = frame.with_columns(
                (pl.col(name).cast(pl.Float64, strict=False) / total).alias(name) for name in kept
            )
    return frame
