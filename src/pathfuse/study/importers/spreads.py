"""Columns that say something of another column's values: their spread, limits, number or rank."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pathfuse.errors import InputError
from pathfuse.study.importers.metric_names import MEANS, find_metric, words_of

Values: TypeAlias = "Sequence[float | None]"

SPREAD = r"std|sd|stdev|stddev|st(an)?d(ard)?(dev(iation)?|err(or)?)|se|sem|var|variance|iqr|mad|pm|errorbar"
CI = r"(95|90|99)?(ci|confidenceinterval)(95|90|99)?"
SIDE = r"lower|low|lo|upper|up|high|hi|min|max|lb|ub|lcl|ucl"
LIMIT = r"(lower|upper|lb|ub|lcl|ucl)(limit|bound)?"
SURE = re.compile(
    rf"(deltasign|{SPREAD}|{CI}|{CI}({SIDE})(limit|bound)?|({SIDE})(limit|bound)?{CI}|{LIMIT})"
)
"""What can only be about another column's values; the words of the name joined."""
MAYBE = frozenset(("se", "pm", "mad", "var"))
"""Spreads that may also be a part of a name (SE-ResNet): they are smaller than half the values."""
BEHIND = frozenset(("low", "high"))
"""Words of limits that stand behind the name of what they limit: ``low_grade`` is a task."""
DIFFERENCE = re.compile(r"delta|diff|difference|gain|change|improvement")
LOW = re.compile(r"(low|lo|min)(limit|bound)?|q1|p5|p25")
HIGH = re.compile(r"(up|high|hi|max)(limit|bound)?|q3|p95|p75")
COUNT = re.compile(
    r"(n|num|no|count|support|size|number)(of)?(test)?(samples|patients|slides|images|cases|runs|seeds|folds)?"
    r"|samples|patients|slides|images|cases|runs|seeds|folds"
)
P_VALUE = re.compile(r"p|p?adj|pval(ue)?s?|qval(ue)?s?|fdr")
RANK = re.compile(r"rank|ranking|place|position")
ROUNDED = 0.005
"""How far a limit that is printed may lie on the wrong side."""
SMALL_P = 0.05
"""A column ``crc_p`` without any number below this may hold scores."""
ALONE = frozenset(("std", "stdev", "stddev", "stderr", "sem"))
"""Words that no task is named with."""


def about_others(source: str, cells: Mapping[str, Values], *, sure: bool = False) -> dict[str, str]:
    """Names that say something of the values of another one, ``crc_std`` of ``crc``, and that one.

    Words that may also be a part of a task's name count where the values fit them: of most of the
    tasks that have a column with these words. ``crc_low`` and ``crc_high`` are limits only together,
    and if ``crc`` lies between them.

    Args:
        source: The table, for the sentence.
        cells: Name to values.
        sure: Only spreads and confidence intervals, whose names cannot be those of anything else.

    Raises:
        InputError: It is in doubt whether a column is a limit: ``upper_gi`` next to ``gi``.

    Examples:
        >>> crc = [0.8, 0.7]
        >>> about_others("t.csv", {"crc": crc, "crc_std": [0.1, 0.2], "crc CI low": [0.7, 0.6], "luad_std": [1.0, 2.0]})
        {'crc_std': 'crc', 'crc CI low': 'crc'}
        >>> about_others("t.csv", {"grade": [0.8, 0.7], "grade_low": [0.75, 0.6]})
        {}
    """
    may_be: dict[str, list[tuple[str, str, bool]]] = {}
    for name in cells:
        others = [
            (rest, other, fits)
            for other in cells
            if other != name
            for rest in _remainders(name, other)
            if (fits := _fits(name, rest, other, cells, sure)) is not None
        ]
        if others:
            rest, other, fits = max(others, key=lambda one: one[2])
            may_be.setdefault(rest, []).append((name, other, fits))
    found = {
        name: base
        for same in may_be.values()
        if 2 * sum(fits for _, _, fits in same) > len(same)
        for name, base, _ in same
    }
    for name, base in found.items():
        _check_limit(source, name, base, cells)
    _check_common(source, found, cells)
    return {name: found[name] for name in cells if name in found}


def _check_limit(source: str, name: str, base: str, cells: Mapping[str, Values]) -> None:
    """Complains about values on the wrong side of those whose limit they may be.

    Raises:
        InputError: Some are, and no word says that this is an interval.
    """
    for word, sign in (("lower", 1), ("upper", -1)):
        if word in words_of(name) and word not in words_of(base):
            pairs = list(zip(cells[name], cells[base], strict=True))
            wrong = [
                v for v, b in pairs if v is not None and b is not None and sign * (v - b) > ROUNDED
            ]
            if wrong and not re.search(CI, "".join(words_of(name))):
                raise InputError(
                    f"{source}: '{name}' may be the {word} limit of '{base}' or scores of its own, and in {len(wrong)} "
                    f"of {len(pairs)} it is on the wrong side of it: take it out of the table, or give it another name"
                )


def _check_common(source: str, found: Mapping[str, str], cells: Mapping[str, Values]) -> None:
    """Complains about limits by plain words, ``glioma_low``, that only one of several columns has.

    Raises:
        InputError: There are some.
    """
    sides = re.compile(rf"{LOW.pattern}|{HIGH.pattern}")
    limits = {
        name: base
        for name, base in found.items()
        if any(sides.fullmatch(rest) for rest in _remainders(name, base))
    }
    plain = [name for name in cells if name not in found]
    if len({*limits.values()}) == 1 and len(plain) > 1:
        name, base = next(iter(limits.items()))
        raise InputError(
            f"{source}: '{name}' may be a limit of '{base}' or scores of its own, since no other one has limits: "
            "take it out of the table, or give it another name"
        )


def check_none_alone(source: str, names: Sequence[str]) -> None:
    """Complains about a spread whose values are not there.

    Raises:
        InputError: There is one.
    """
    alone = next((name for name in names if ALONE & set(words_of(name))), None)
    if alone is not None:
        raise InputError(
            f"{source}: '{alone}' is named after a spread, and there is no column of the values that it belongs to: "
            "take it out of the table, or call it by its task if it holds scores"
        )


def _remainders(name: str, other: str) -> list[str]:
    """What a name says more than another one, in every way in which it may hold that one."""
    words, base = (
        words_of(re.sub("[\u0394\u2206]", " deltasign ", name.replace("±", " pm "))),
        words_of(other),
    )
    metric = find_metric(other)
    ways = [base, [word for word in base if word not in MEANS]]
    if metric is not None:
        ways.append(list(metric.rest))
    left = [_without(words, way) for way in ways if way]
    return ["".join(rest) for rest in left if rest]


def _without(words: Sequence[str], part: Sequence[str]) -> list[str] | None:
    """Words without those of a part, which stand in its order; None if they are not all there."""
    rest, wanted = [], list(part)
    for word in words:
        if wanted and word == wanted[0]:
            wanted.pop(0)
        else:
            rest.append(word)
    return None if wanted else rest


def _fits(name: str, rest: str, other: str, cells: Mapping[str, Values], sure: bool) -> bool | None:
    """Whether the values of a name are what the rest of it says of another one; None if it says nothing."""
    sides = [side for side in (LOW, HIGH) if side.fullmatch(rest)]
    if not sides:
        return _says(rest, cells[name], cells[other], sure)
    if sure or words_of(name)[0] in BEHIND:
        return None
    opposite = HIGH if sides[0] is LOW else LOW
    partners = [
        one
        for one in cells
        if one not in (name, other) and any(opposite.fullmatch(r) for r in _remainders(one, other))
    ]
    if not partners:
        return None
    pairs = [(name, one) if sides[0] is LOW else (one, name) for one in partners]
    return any(_between(cells[low], cells[other], cells[high]) for low, high in pairs)


def _between(low: Values, values: Values, high: Values) -> bool:
    """Whether values lie between limits, wherever all three are known."""
    rows = [row for row in zip(low, values, high, strict=True) if None not in row]
    return bool(rows) and all(
        a <= b <= c for a, b, c in rows if a is not None and b is not None and c is not None
    )


def _says(rest: str, values: Values, base: Values, sure: bool) -> bool | None:
    """Whether values are what words say of others; None if the words say nothing of others."""
    there = [(v, b) for v, b in zip(values, base, strict=True) if v is not None and b is not None]
    if rest in MAYBE:
        return 2 * sum(abs(v) < abs(b) / 2 for v, b in there) > len(there)
    if SURE.fullmatch(rest):
        return True
    if sure or not there:
        return None
    if DIFFERENCE.fullmatch(rest):
        moved = [[v + sign * b for v, b in there] for sign in (1, -1)]
        return any(max(one) - min(one) <= ROUNDED for one in moved) or any(v <= 0 for v, _ in there)
    if COUNT.fullmatch(rest):
        return all(v >= 1 and float(v).is_integer() for v, _ in there)
    own = [v for v, _ in there]
    if P_VALUE.fullmatch(rest):
        return all(0 <= v <= 1 for v in own) and (rest != "p" or any(v < SMALL_P for v in own))
    if RANK.fullmatch(rest):
        return all(1 <= 2 * v <= 2 * len(values) for v in own)
    return None
