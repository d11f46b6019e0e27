"""The report's section on cost: one line per expert and one for the fusion, and how many times its
cost theirs is.
"""

from typing import Any

from pathfuse.costs import Cost, ratios, total

TOGETHER = "all experts"
"""The line that adds them up."""
COLUMNS = {
    "wall_s": "wall time, s",
    "peak_memory_mb": "peak memory, MB",
    "added_memory_mb": "of it added, MB",
    "parameters": "trained parameters",
    "fit_flops": "FLOPs to fit",
    "predict_flops_per_sample": "FLOPs per sample predicted",
}
"""Keys of a cost, and the heads of the table."""
COUNTS = ("parameters", "fit_flops", "predict_flops_per_sample")
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def cost_lines(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of the table: experts, their sum where it is known of several, the fusion.

    Args:
        manifest: Of a run; without the key ``costs`` there are no lines.

    Returns:
        Per line ``method``, ``recorded``, and ``cells``: per column its value and how it is shown.
    """
    return [
        {
            "method": name,
            "recorded": cost.known,
            "cells": [
                (value, _shown(key, value))
                for key, value in cost.as_dict().items()
                if key in COLUMNS
            ],
        }
        for name, cost in _costs(manifest).items()
    ]


def cost_sentence(manifest: dict[str, Any]) -> str:
    """How many times the fusion's cost that of each expert and of all is, in wall time and in FLOPs
    to fit.
    """
    costs = _costs(manifest)
    parts = []
    for name, cost in costs.items():
        times = ratios(cost, costs["fused"])
        found = [
            f"{short(times[key])} times {what}"
            for key, what in RATIOS.items()
            if times[key] is not None
        ]
        if name != "fused" and found:
            parts.append(f"{name} {' and '.join(found)}")
    return f"Against the fit of the fusion: {'; '.join(parts)}." if parts else ""


RATIOS = {"wall_s": "the wall time", "fit_flops": "the FLOPs"}


def _costs(manifest: dict[str, Any]) -> dict[str, Cost]:
    """By the name of the line."""
    content = manifest.get("costs")
    if content is None:
        return {}
    costs = {
        name: Cost() if one is None else Cost.from_dict(one)
        for name, one in content["experts"].items()
    }
    together = total(costs.values())
    if len(costs) > 1 and together.known and TOGETHER not in costs:
        costs[TOGETHER] = together
    return costs | {"fused": Cost.from_dict(content["fusion"])}


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "—"
    return short(value) if key in COUNTS else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def short(value: float | None) -> str:
    """A large number with two or three figures and a prefix, such as 1.2 G; small ones as they are.

    Examples:
        >>> short(1_234_000_000), short(999_999), short(52), short(0.123), short(None)
        ('1.2 G', '1.0 M', '52', '0.12', '—')
    """
    if value is None:
        return "—"
    size, prefix = next(((s, f" {p}") for s, p in PREFIXES if value >= 0.9995 * s), (1.0, ""))
    figure = value / size
    if figure >= 100 or (not prefix and figure == round(figure)):
        return f"{figure:.0f}{prefix}"
    return f"{figure:.1f}{prefix}" if figure >= 1 or prefix else f"{figure:.2g}"
