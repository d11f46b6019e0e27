"""Scores as nested JSON: ``{data set: {model: {metric: {"mean": ...}}}}`` or ``{model: {task: number}}``."""

from pathlib import Path
from typing import Any

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.study.importers.scoreboard import Scoreboard, checked, frame_of
from pathfuse.study.importers.words import SCORE, is_property, measure_of

NAME = "nested_json"
VALUES = ("mean", "value", "score")
LOW, HIGH = ("ci_lower", "ci_low", "lower"), ("ci_upper", "ci_high", "upper")


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable else None


def _cell(value: Any) -> tuple[float | None, float | None, float | None] | None:
    """Value and limits of a number or an object with a mean; None if it is neither."""
    if _number(value) is not None or value is None:
        return _number(value), None, None
    if not isinstance(value, dict):
        return None
    name = next((one for one in VALUES if _number(value.get(one)) is not None), None)
    if name is None:
        return None
    low, high = (
        _number(next((value[k] for k in keys if k in value), None)) for keys in (LOW, HIGH)
    )
    both = low is not None and high is not None
    return _number(value[name]), low if both else None, high if both else None


def _depth(content: Any) -> int:
    """How many names lead to a value; 0 if this is none."""
    if not isinstance(content, dict) or not content or _cell(content) is not None:
        return 0
    first = next(iter(content.values()))
    return 1 + _depth(first)


def recognises(content: Any) -> bool:
    """Whether the content of a JSON file is of this kind."""
    return _depth(content) in (2, 3)


def read(content: Any, file: Path) -> Scoreboard:
    """Reads the scores.

    Raises:
        InputError: Something in it is neither a number nor an object with a mean.
    """
    rows: list[list[Any]] = []
    three = _depth(content) == 3
    for outer, inside in content.items():
        for inner, own in (inside if isinstance(inside, dict) else {}).items():
            cells = own if three and isinstance(own, dict) else {SCORE: own}
            for metric, value in cells.items():
                found = _cell(value)
                if found is None:
                    raise InputError(f"{file}: '{outer}', '{inner}', '{metric}' holds no number")
                study, method = (outer, inner) if three else (inner, outer)
                rows.append([study, study, method, metric, *found])
    better: list[str] = []
    if not three:
        idle = list(dict.fromkeys(row[0] for row in rows if is_property(row[0])))
        rows = [row for row in rows if row[0] not in idle]
        metric, words = measure_of(str(file), list(dict.fromkeys(row[0] for row in rows)))
        rows = [[*row[:3], metric, *row[4:]] for row in rows]
        better = [f"{file}: {words}"]
        if idle:
            better.append(f"{file}: names that are no studies: {', '.join(idle)}")
    if not rows:
        raise InputError(f"{file} holds no scores of tasks")
    scores, empty = checked(
        str(file), frame_of([list(column) for column in zip(*rows, strict=True)])
    )
    shape = "data set, model, metric" if three else "model, task"
    notes = [f"{file}: its names are taken as {shape}, from the outside", *better]
    metrics = scores["metric"].unique(maintain_order=True).to_list()
    return Scoreboard(
        str(file), NAME, scores, {str(file): file_digest(file)}, metrics[0] if len(metrics) == 1 else None,
        empty_cells=empty, notes=tuple(notes),
    )  # fmt: skip
