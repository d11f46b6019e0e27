"""Macro averages over labels or targets, resample by resample."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pathfuse.evaluation.estimates import Estimate, Estimates

Pairs = Mapping[tuple[str, str], tuple[Estimates, Estimates] | None]
"""Both sides of each contrast; None where they share no row."""


class Averages:
    """Running means of methods' and pairs' estimates; a task that does not define a figure is left out of it."""

    def __init__(self) -> None:
        self._sums: dict[Any, dict[str, list[Any]]] = {}

    def add(self, everything: Mapping[str, Estimates], pairs: Pairs) -> None:
        """One more task."""
        for name, values in everything.items():
            self._add(name, values)
        for contrast, pair in pairs.items():
            if pair is not None:
                self._add((*contrast, 0), pair[0])
                self._add((*contrast, 1), pair[1])

    def methods(self) -> dict[str, Estimates]:
        """The mean estimates of every method."""
        return {key: self._means(key) for key in self._sums if isinstance(key, str)}

    def pairs(self) -> dict[tuple[str, str], tuple[Estimates, Estimates] | None]:
        """The mean estimates of both sides of every contrast."""
        contrasts = [key[:2] for key in self._sums if not isinstance(key, str) and key[2] == 0]
        return {c: (self._means((*c, 0)), self._means((*c, 1))) for c in contrasts}

    def _add(self, key: Any, values: Estimates) -> None:
        slot = self._sums.setdefault(key, {})
        for metric, value in values.items():
            all_of_it = np.concatenate([[value.point], value.resampled, value.left_out])
            empty = np.zeros(len(all_of_it))
            total = slot.setdefault(metric, [empty, empty.copy(), 1 + len(value.resampled)])
            total[0] += np.where(np.isnan(all_of_it), 0.0, all_of_it)
            total[1] += ~np.isnan(all_of_it)

    def _means(self, key: Any) -> Estimates:
        result = {}
        for metric, (total, count, n) in self._sums[key].items():
            mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
            result[metric] = Estimate(float(mean[0]), mean[1:n], mean[n:])
        return result
