"""Macro averages over labels or targets, resample by resample."""

from collections.abc import Mapping

from pathfuse.evaluation.estimates import Estimates, over_parts

Pairs = Mapping[tuple[str, str], tuple[Estimates, Estimates] | None]
"""Both sides of each contrast; None where they share no row."""


class Averages:
    """Means of methods' and pairs' estimates over tasks.

    A task that does not define a figure on all rows is left out of it; a resample that lacks one of
    the others is left out of the interval. Both sides of a pair are averaged over the tasks that
    define both.
    """

    def __init__(self) -> None:
        self._methods: dict[str, list[Estimates]] = {}
        self._pairs: dict[tuple[str, str], list[tuple[Estimates, Estimates]]] = {}

    def add(self, everything: Mapping[str, Estimates], pairs: Pairs) -> None:
        """One more task."""
        for name, values in everything.items():
            self._methods.setdefault(name, []).append(values)
        for contrast, pair in pairs.items():
            if pair is not None:
                self._pairs.setdefault(contrast, []).append(pair)

    def methods(self) -> dict[str, Estimates]:
        """The mean estimates of every method."""
        return {name: _mean(tasks) for name, tasks in self._methods.items()}

    def pairs(self) -> dict[tuple[str, str], tuple[Estimates, Estimates] | None]:
        """The mean estimates of both sides of every contrast."""
        return {
            c: (_mean([p[0] for p in tasks]), _mean([p[1] for p in tasks]))
            for c, tasks in self._pairs.items()
        }


def _mean(tasks: list[Estimates]) -> Estimates:
    metrics = dict.fromkeys(metric for task in tasks for metric in task)
    return {
        metric: over_parts([task[metric] for task in tasks if metric in task]) for metric in metrics
    }
