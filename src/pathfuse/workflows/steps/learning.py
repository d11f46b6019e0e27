"""Whether anything was learned: methods compared with ``null_model``, which knows nothing
of a sample.

For the manifest.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.judged import Comparison, Verdict
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.notes import listed
from pathfuse.fusion.null_model import NULL_MODEL
from pathfuse.report.headline import knows_something, overall

METRIC = "nll"


def compare_with_null_model(
    endpoint: Endpoint, verdict: Verdict, methods: Sequence[str]
) -> dict[str, Any] | None:
    """Per output the NLL of ``null_model`` and of some methods, with their difference.

    None without ``null_model``.

    Args:
        endpoint: Says what ``null_model`` predicts.
        verdict: With the comparisons of the methods and ``null_model``.
        methods: Whose.

    Returns:
        ``what`` (in words) and ``outputs``; of each method there, ``better`` is whether the
        interval of the difference lies below 0, and None if it does by its value and has no
        interval; ``discriminates`` is the measure of discrimination whose interval lies above
        chance, None if none does.
    """
    value = {(m.method, m.output): m.value for m in verdict.metrics if m.metric == METRIC}
    above = _discriminating(verdict, methods)
    pairs = [
        c
        for c in verdict.comparisons
        if c.reference == NULL_MODEL and c.metric == METRIC and c.method in methods
    ]
    outputs: dict[str, Any] = {}
    for pair in pairs:
        if np.isnan(pair.difference):
            continue
        null = value[NULL_MODEL, pair.output]
        outputs.setdefault(pair.output, {METRIC: null, "methods": {}})["methods"][pair.method] = {
            METRIC: value[pair.method, pair.output],
            "difference": pair.difference,
            "ci_low": None if np.isnan(pair.ci_low) else pair.ci_low,
            "ci_high": None if np.isnan(pair.ci_high) else pair.ci_high,
            "better": _better(pair),
            "discriminates": above.get((pair.method, pair.output)),
        }
    return {"what": endpoint.nothing_known, "outputs": outputs} if outputs else None


def _better(pair: Comparison) -> bool | None:
    if np.isnan(pair.ci_high):
        return None if pair.difference < 0 else False
    return pair.ci_high < 0


def _discriminating(verdict: Verdict, methods: Sequence[str]) -> dict[tuple[str, str], str]:
    """By method and output the label of a measure of discrimination clearly above chance."""
    found: dict[tuple[str, str], str] = {}
    for row in verdict.metrics:
        if row.method in methods:
            known = metric_of(row.metric)
            if known.chance is not None and row.ci_low > known.chance:
                found.setdefault((row.method, row.output), known.label)
    return found


def learning_warnings(found: dict[str, Any] | None) -> list[str]:
    """Warns if no method is better than ``null_model`` on the whole study."""
    if found is None:
        return []
    whole = overall(found)
    if whole is None or any(one["better"] is not False for one in whole["methods"].values()):
        return []
    apart = [
        f"{name} ({one['discriminates']})"
        for name, one in whole["methods"].items()
        if one["discriminates"]
    ]
    if apart:
        who = "tells" if len(apart) == 1 else "tell"
        start = (
            f"{listed(apart)} {who} outcomes apart, but no method's probabilities are shown to be"
        )
        null = f"{found['what']} (NLL {whole[METRIC]:.3f})"
        return [f"{start} better than {null}: they may be too extreme, or the patients too few"]
    what, null = found["what"], f"{whole[METRIC]:.3f}"
    names = list(whole["methods"])
    if names == ["fused"]:
        own = whole["methods"]["fused"]
        shows, clearly = ("", "") if own["difference"] >= 0 else (" that shows", "clearly ")
        start = (
            f"the fusion learned nothing{shows}: its NLL {own[METRIC]:.3f} is not {clearly}better"
        )
        return [f"{start} than that of {what} ({null})"]
    return [f"no expert is shown to be better than {what} (NLL {null})"]


def learning_notes(found: dict[str, Any] | None) -> list[str]:
    """Labels or targets of which nothing was learned."""
    if found is None or len(found["outputs"]) < 2:
        return []
    outputs = {name: one for name, one in found["outputs"].items() if name != "all"}
    poor = [
        name
        for name, one in outputs.items()
        if not any(knows_something(m) for m in one["methods"].values())
    ]
    if not poor:
        return []
    count = f"{len(poor)} of {len(outputs)} outputs are"
    return [
        f"{count} not shown to be predicted better than by null_model ({found['what']}): {listed(poor)}"
    ]
