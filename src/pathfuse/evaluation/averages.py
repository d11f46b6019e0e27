"""Macro averages over labels or targets, resample by resample."""

from collections.abc import Mapping

from pathfuse.evaluation.estimates import Estimate, Estimates, over_parts

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
        self._known: dict[tuple[int, ...], Estimate] = {}

    def add(self, everything: Mapping[str, Estimates], pairs: Pairs) -> None:
        """One more task."""
        for name, values in everything.items():
            self._methods.setdefault(name, []).append(values)
        for contrast, pair in pairs.items():
            if pair is not None:
                self._pairs.setdefault(contrast, []).append(pair)

    def methods(self) -> dict[str, Estimates]:
        """The mean estimates of every method."""
        return {name: self._mean(tasks) for name, tasks in self._methods.items()}

    def pairs(self) -> dict[tuple[str, str], tuple[Estimates, Estimates] | None]:
        """The mean estimates of both sides of every contrast."""
        return {
            c: (self._mean([p[0] for p in tasks]), self._mean([p[1] for p in tasks]))
            for c, tasks in self._pairs.items()
        }

    def _mean(self, tasks: list[Estimates]) -> Estimates:
        metrics = dict.fromkeys(metric for task in tasks for metric in task)
        return {
            metric: self._over([task[metric] for task in tasks if metric in task])
            for metric in metrics
        }

    def _over(self, estimates: list[Estimate]) -> Estimate:
        """Their mean; both sides of most pairs are what the methods have anyway."""
        key = tuple(map(id, estimates))
        if key not in self._known:
            self._known[key] = over_parts(estimates)
        return self._known[key]
