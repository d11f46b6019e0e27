"""Gain over the mean of the single experts, in per cent: the headline of Meta-Encoder's paper."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pathfuse.evaluation.estimates import Estimate, Estimates, over_parts
from pathfuse.evaluation.judged import Gain
from pathfuse.evaluation.metrics.base import ANY
from pathfuse.evaluation.rules import Rules


def gain_over_mean(method: Estimate, experts: Sequence[Estimate]) -> tuple[Estimate, Estimate]:
    """The mean of the experts' figures, and the gain of a method on it in per cent.

        mean = (1 / M) Σ_m f_m        gain = 100 (f - mean) / mean

    ``f_m`` is the metric of expert m and ``f`` that of the method, each on the rows that it
    predicts and in every resample; where less is better, the sign is turned. A mean of 0 or less
    has no per cent: the gain is NaN there. Experts that do not define the metric do not count.

    Args:
        method: Of the method.
        experts: Of the single experts, on the same resamples.
    """
    mean = over_parts(experts)
    bottom = np.where(mean.values > 0, mean.values, np.nan)
    gain = 100 * method.metric.sign * (method.values - bottom) / bottom
    return mean, replace(method, parts=gain[:, None], shares=np.ones(1), metric=ANY)


def gains(
    everything: Mapping[str, Estimates],
    methods: Sequence[str],
    experts: Sequence[str],
    output: str,
    rules: Rules,
) -> list[Gain]:
    """Rows of ``gains.csv`` of one output.

    Args:
        everything: Every metric of every predictor.
        methods: Whose gain is asked for.
        experts: The single experts.
        output: What the rows are about.
        rules: Which intervals.
    """
    there = [name for name in experts if name in everything]
    found = []
    for name in (one for one in methods if one in everything and there):
        for metric, value in everything[name].items():
            if any(metric not in everything[expert] for expert in there):
                continue  # coverage of the fusion's own sets
            mean, gain = gain_over_mean(value, [everything[expert][metric] for expert in there])
            ends = gain.interval(rules.interval)
            figures = (value.point, mean.point, gain.point, ends.low, ends.high)
            found.append(Gain(name, output, metric, *figures))
    return found
