"""Which class a numbered column is of: said by a person, or found from the rows' true classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.class_columns import class_names
from pathfuse.errors import InputError
from pathfuse.files.tables import Table, text_column
from pathfuse.study.formats.base import Numbered


def with_class_names(
    table: Table,
    numbered: Numbered,
    endpoint: Endpoint,
    labels: Mapping[str, str],
    given: Sequence[str] = (),
    *,
    mapped: bool = False,
) -> tuple[Table, tuple[str, ...], tuple[str, ...]]:
    """A table whose numbered columns are called by class, how that was found, and the classes.

    Args:
        table: With ``sample_id``.
        numbered: Its numbered columns.
        endpoint: What is predicted.
        labels: True class of each sample whose class is known.
        given: Classes in the order of the columns, as ``--classes`` gives them.
        mapped: Whether a label map says what the expert's own classes are.

    Raises:
        InputError: The order is not known, or contradicts the rows' true classes.
    """
    n = len(numbered.columns)
    if not endpoint.of_classes:
        return table, (), ()
    pairs, n_pairs = ({}, 0) if mapped else _pairs(table, numbered.truth, labels)
    numbers = [str(k) for k in range(n)]
    if given:
        order, how = _checked(table, list(given), n, pairs, mapped, endpoint), "as --classes says"
    elif mapped or set(numbers) & set(endpoint.outcomes):
        order, how = numbers, ""
        _check_truth(table, order, pairs, "by its number")
    elif tuple(endpoint.outcomes) == ("False", "True") and n == 2:
        order, how = ["False", "True"], "0 is False, 1 is True"
        _check_truth(table, order, pairs, "by its number")
    else:
        order = _inferred(table, numbered, pairs, endpoint)
        how = f"found from the column '{numbered.truth}' and the labels of {n_pairs} samples"
    names = {
        column: numbered.prefix + one for column, one in zip(numbered.columns, order, strict=True)
    }
    kept = {old: new for old, new in names.items() if old != new}
    frame = table.frame
    if numbered.truth is not None and numbered.truth in frame.columns:
        frame = frame.drop(numbered.truth)
    shown = ", ".join(f"{old} = {one}" for old, one in zip(numbered.columns, order, strict=True))
    notes = (f"{table.source}: {shown} ({how})",) if how else ()
    return replace(table, frame=frame.rename(kept)), notes, tuple(order)


def _pairs(
    table: Table, truth: str | None, labels: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], int]:
    """Number of a class to the labels of its rows, each with the first sample that has it.

    And how many samples have both.
    """
    if truth is None:
        return {}, 0
    numbers = class_names(table.frame[truth]).to_list()
    found: dict[str, dict[str, str]] = {}
    n = 0
    for sample, number in zip(text_column(table, "sample_id"), numbers, strict=True):
        if sample is not None and sample in labels and number is not None:
            found.setdefault(number, {}).setdefault(labels[sample], sample)
            n += 1
    return found, n


def _checked(
    table: Table,
    given: list[str],
    n: int,
    pairs: Mapping[str, Mapping[str, str]],
    mapped: bool,
    endpoint: Endpoint,
) -> list[str]:
    if len(given) != n or len(set(given)) != n:
        raise InputError(
            f"{table.source} has {n} columns of classes, but --classes names {len(set(given))}: "
            f"{', '.join(given)}"
        )
    unknown = next((one for one in given if one not in endpoint.outcomes), None)
    if unknown is not None and not mapped and not set(given) & set(endpoint.outcomes):
        raise InputError(
            f"--classes '{unknown}': no sample has this label; the labels are {', '.join(endpoint.outcomes)}"
        )
    _check_truth(table, given, pairs, f"by --classes {','.join(given)}")
    return given


def _check_truth(
    table: Table, order: Sequence[str], pairs: Mapping[str, Mapping[str, str]], why: str
) -> None:
    """Refuses an order of classes that the rows' true classes contradict.

    Raises:
        InputError: Naming a sample that shows it.
    """
    for number, found in pairs.items():
        own = order[int(number)] if number.isdecimal() and int(number) < len(order) else None
        wrong = next((label for label in found if own is not None and label != own), None)
        if wrong is not None:
            raise InputError(
                f"{table.source}: class {number} is '{own}' {why}, but the sample '{found[wrong]}' of class "
                f"{number} has the label '{wrong}'"
            )


def _inferred(
    table: Table,
    numbered: Numbered,
    pairs: Mapping[str, Mapping[str, str]],
    endpoint: Endpoint,
) -> list[str]:
    """The order that the rows' true classes allow, if they allow one only."""
    n, classes = len(numbered.columns), list(endpoint.outcomes)
    ask = (
        f"{table.source}: {numbered.columns[0]} ... {numbered.columns[-1]} number the classes; say which they are, "
        f"in this order: --classes A,B,... (the labels are {', '.join(classes)})"
    )
    for number, found in pairs.items():
        if len(found) > 1:
            (one, first), (other, second) = list(found.items())[:2]
            raise InputError(
                f"{table.source}, column '{numbered.truth}': class {number} is '{one}' of sample '{first}' and "
                f"'{other}' of sample '{second}'; its classes are not those of the samples"
            )
    known = {number: next(iter(found)) for number, found in pairs.items()}
    left = [one for one in classes if one not in known.values()]
    open_ = [str(k) for k in range(n) if str(k) not in known]
    if len(left) == 1 and len(open_) == 1 and len(known) == n - 1:
        known[open_[0]] = left[0]
    order = [known.get(str(k)) for k in range(n)]
    named = [one for one in order if one is not None]
    if not known or len(named) < n or set(known) - {str(k) for k in range(n)}:
        raise InputError(ask)
    if len(set(named)) < n:
        twice = next(one for one in named if named.count(one) > 1)
        raise InputError(
            f"{table.source}, column '{numbered.truth}': several numbers are the label '{twice}' of the samples; "
            f"its {n} classes are not those of the samples, {', '.join(classes)}"
        )
    return named
