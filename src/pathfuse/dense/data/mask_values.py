"""Which class the stored values of masks stand for, where they are not the numbers of classes."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8

from pathfuse.errors import InputError

MaskValues: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of a stored value and the class that it stands for, or the value that is ignored; empty
where masks hold the numbers of classes."""
WORD = "ignore"
"""In the place of a class: pixels of this value do not count."""


def read_mask_values(content: Any, names: Sequence[str], ignore: int, where: str) -> MaskValues:
    """Reads the object ``mask_values`` of a split file.

    Args:
        content: Value to the name of a class, its number, or ``ignore``.
        names: Of the classes, in the order of their numbers.
        ignore: What pixels that do not count become. A stored value of this number keeps that
            meaning unless it is named.
        where: What sentences begin with.

    Raises:
        InputError: It is no object, a value is not 0 to 255, a class is unknown, or nothing stands
            for a class.

    Examples:
        >>> read_mask_values({"0": "background", "255": "nucleus"}, ["background", "nucleus"], 255, "it")
        ((0, 0), (255, 1))
    """
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f'{where} has "mask_values" that are not like {{"0": "{names[0]}", "255": "{names[1]}"}}'
        )
    if WORD in names:
        raise InputError(
            f'{where} has "mask_values" and a class of the name "{WORD}", which says there that pixels do not count: '
            "give the class another name"
        )
    pairs = {}
    for key, meant in content.items():
        text = str(key).strip()
        if not text.isdecimal() or int(text) > 255:
            raise InputError(
                f'{where} has "mask_values" of the value {key!r}: masks hold whole numbers, 0 to 255'
            )
        pairs[int(text)] = _class_of(meant, names, ignore, where)
    if all(k == ignore for k in pairs.values()):
        raise InputError(f'{where} has "mask_values" in which no value stands for a class')
    pairs.setdefault(ignore, ignore)
    return tuple(sorted(pairs.items()))


def plain_numbers(n_classes: int, ignore: int) -> MaskValues:
    """Of masks that are known to hold the numbers of classes, so that nobody need guess it."""
    return (*((k, k) for k in range(n_classes)), (ignore, ignore))


def names_in(content: Any, n_classes: int) -> tuple[str, ...] | None:
    """Names of the classes in the order in which ``mask_values`` name them; None if they are not
    all named there.
    """
    if not isinstance(content, Mapping):
        return None
    named = dict.fromkeys(one for one in content.values() if isinstance(one, str) and one != WORD)
    return tuple(named) if len(named) == n_classes else None


def in_words(values: MaskValues, names: Sequence[str]) -> dict[str, str]:
    """What ``read_mask_values`` reads as the same again."""
    return {str(value): names[k] if k < len(names) else WORD for value, k in values}


def as_classes(
    mask: UInt8[np.ndarray, "row column"], values: MaskValues, source: str
) -> UInt8[np.ndarray, "row column"]:
    """The mask in numbers of classes.

    Raises:
        InputError: It holds a value that is not named.
    """
    if not values:
        return mask
    table, named = np.zeros(256, dtype=np.uint8), np.zeros(256, dtype=bool)
    for value, k in values:
        table[value], named[value] = k, True
    unknown = ~named[mask]
    if unknown.any():
        known = ", ".join(str(value) for value, _ in values)
        raise InputError(
            f'the mask {source} has the value {mask[unknown][0]} in {unknown.sum():,} pixels, which "mask_values" do '
            f"not name: they name {known}"
        )
    return table[mask]


def _class_of(meant: Any, names: Sequence[str], ignore: int, where: str) -> int:
    if isinstance(meant, str) and meant in names:
        return list(names).index(meant)
    if meant == WORD:
        return ignore
    if isinstance(meant, int) and not isinstance(meant, bool) and 0 <= meant < len(names):
        return meant
    raise InputError(
        f'{where} has "mask_values" with the class {meant!r}: classes are {", ".join(names)}, their numbers, '
        f'or "{WORD}" where pixels do not count'
    )
