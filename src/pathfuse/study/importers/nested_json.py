"""Scores as nested JSON, names inside names: ``{task: {model: {metric: {"mean": ...}}}}``, ``{model:
{task: number}}``, or in any other order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.study.importers.familiar import model_signs
from pathfuse.study.importers.measures import measures_of
from pathfuse.study.importers.metric_names import metric_called
from pathfuse.study.importers.scoreboard import Scoreboard, checked, frame_of
from pathfuse.study.importers.spreads import about_others, check_none_alone
from pathfuse.study.importers.words import is_average, properties, summaries

NAME = "nested_json"
FAINT = 0.1
"""Signs of a level of names that are too few to tell what it is."""
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


def read(content: Any, file: Path, models_are: str | None = None) -> Scoreboard:
    """Reads the scores; what the levels of names are is decided by the names.

    Args:
        content: Of the file.
        file: Where it is from.
        models_are: ``outer`` or ``inner``: which of the two levels that are not metrics is models.

    Raises:
        InputError: Something in it is neither a number nor an object with a mean, or the names do
            not show which of them are models.
    """
    source, depth = str(file), _depth(content)
    leaves = list(_leaves(source, content, depth))
    levels = [list(dict.fromkeys(path[k] for path, _ in leaves)) for k in range(depth)]
    metric = _metric_level(levels)
    others = [k for k in range(depth) if k != metric]
    model, study = _models_first(source, levels, others, models_are)
    of_models = _by_name(leaves, model)
    idle = properties(of_models, of_methods=True)
    idle += properties(_by_name(leaves, study), of_methods=False)
    of_models = {name: own for name, own in of_models.items() if name not in idle}
    idle += [name for name in summaries(of_models, of_methods=True) if is_average(name)]
    if metric is None:
        idle += _spreads(source, leaves, model, study, idle)
    leaves = [(path, cell) for path, cell in leaves if not {path[model], path[study]} & set(idle)]
    if not leaves:
        raise InputError(f"{file} holds no scores of tasks")
    notes = [f"{file}: its names are taken as {_in_words(depth, model, study)}, from the outside"]
    if metric is None:
        of_studies = _by_name(leaves, study)
        measures = measures_of(source, list(of_studies), of_studies)
        notes.append(f"{file}: {measures.note}")
        pairs = [(measures.names[path[study]], measures.metrics[path[study]]) for path, _ in leaves]
    else:
        pairs = [(path[study], path[metric]) for path, _ in leaves]
    if idle:
        notes.append(f"{file}: names that are no tasks or models: {', '.join(idle)}")
    rows = [
        [name, name, path[model], measure, *cell]
        for (path, cell), (name, measure) in zip(leaves, pairs, strict=True)
    ]
    scores, empty = checked(source, frame_of([list(column) for column in zip(*rows, strict=True)]))
    metrics = scores["metric"].unique(maintain_order=True).to_list()
    return Scoreboard(
        source, NAME, scores, {source: file_digest(file)}, metrics[0] if len(metrics) == 1 else None,
        empty_cells=empty, notes=tuple(notes),
    )  # fmt: skip


Cell: TypeAlias = "tuple[float | None, float | None, float | None]"


def _leaves(
    source: str, content: Any, depth: int, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Cell]]:
    """The names that lead to every value, and the value with its limits."""
    for name, own in content.items():
        path = (*above, str(name))
        if len(path) == depth:
            found = _cell(own)
            if found is None:
                raise InputError(f"{source}: {_quoted(path)} holds no number")
            yield path, found
        elif isinstance(own, dict) and _cell(own) is None:
            yield from _leaves(source, own, depth, path)
        elif own not in ({}, None):
            raise InputError(
                f"{source}: {_quoted(path)} holds a value, while other names lead to one by {depth} steps"
            )


def _by_name(
    leaves: Sequence[tuple[tuple[str, ...], Cell]], level: int
) -> dict[str, list[float | None]]:
    """Values under each name of a level, in the order of the other levels' names."""
    places: dict[tuple[str, ...], int] = {}
    for path, _ in leaves:
        places.setdefault(path[:level] + path[level + 1 :], len(places))
    found: dict[str, list[float | None]] = {}
    for path, cell in leaves:
        own = found.setdefault(path[level], [None] * len(places))
        own[places[path[:level] + path[level + 1 :]]] = cell[0]
    return found


def _spreads(
    source: str,
    leaves: Sequence[tuple[tuple[str, ...], Cell]],
    model: int,
    study: int,
    idle: Sequence[str],
) -> list[str]:
    """Names of tasks that say something of another task's values, ``crc_std`` of ``crc``."""
    models = list(dict.fromkeys(path[model] for path, _ in leaves))
    found: dict[str, dict[str, float | None]] = {}
    for path, cell in leaves:
        if path[study] not in idle:
            found.setdefault(path[study], {})[path[model]] = cell[0]
    cells = {name: [own.get(one) for one in models] for name, own in found.items()}
    about_scores = list(about_others(source, cells))
    check_none_alone(source, [name for name in cells if name not in about_scores])
    return about_scores


def _quoted(path: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in path)


def _metric_level(levels: Sequence[Sequence[str]]) -> int | None:
    """Which level of names is metrics: of two none, unless all names of one are known; of three the
    innermost, unless all names of another one are.
    """
    known = [
        k
        for k, names in enumerate(levels)
        if all(metric_called(name) is not None for name in names)
    ]
    if len(levels) == 3:
        return known[0] if len(known) == 1 else 2
    return None


def _models_first(
    source: str, levels: Sequence[Sequence[str]], others: Sequence[int], models_are: str | None
) -> tuple[int, int]:
    """The level of models and that of studies.

    Raises:
        InputError: The names do not show it.
    """
    outer, inner = others
    if models_are is None:
        signs = model_signs(levels[outer]) - model_signs(levels[inner])
        if abs(signs) < FAINT:
            raise InputError(
                f"{source}: it cannot be told from the names whether {_first(levels[outer])} or "
                f"{_first(levels[inner])} are the models: say --models-are outer or --models-are inner"
            )
        models_are = "outer" if signs > 0 else "inner"
    return (outer, inner) if models_are == "outer" else (inner, outer)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")


def _in_words(depth: int, model: int, study: int) -> str:
    words = dict.fromkeys(range(depth), "metric") | {model: "model", study: "task"}
    return ", ".join(words[k] for k in range(depth))
