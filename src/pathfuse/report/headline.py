"""The result in a sentence or two: the fusion compared with the best expert, or that it learned
nothing.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from pathfuse.evaluation.best_by_metric import PREFIX
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.report.words import number, people, several, signed


def headline(comparisons: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The result in words; while an alarm is open, that comes first.

    Args:
        comparisons: The rows of ``comparisons.csv`` about the whole study.
        manifest: ``manifest.json``.
    """
    result = finding(comparisons, manifest)
    warned = alarmed(manifest)
    return f"{warned} As it stands: {result[:1].lower()}{result[1:]}" if warned else result


def alarmed(manifest: Mapping[str, Any]) -> str:
    """That alarms are open, which no comparison can be read past; empty without.

    Examples:
        >>> alarmed({"alarms": [{"check": "copied", "sentence": "..."}]})
        'One alarm is open (see the warnings): until it is settled, the comparison says little.'
    """
    n = len(manifest.get("alarms", ()))
    if not n:
        return ""
    which = "One alarm is" if n == 1 else f"{n} alarms are"
    they = "it is" if n == 1 else "they are"
    return f"{which} open (see the warnings): until {they} settled, the comparison says little."


def finding(comparisons: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The result in words, whatever alarms are open."""
    nothing = nothing_learned(manifest)
    if nothing:
        return nothing
    where = people(manifest["rows"], "judged")
    rows = comparisons.filter(
        (pl.col("method") == "fused") & (pl.col("reference") == "best_expert")
    )
    if not rows.height:
        return f"{several(len(manifest['experts']), 'expert')} judged on {where}.{_above_pool(comparisons)}"
    row, best = rows.row(0, named=True), f"the best expert of the fit rows{_named(manifest)}"
    metric = metric_of(row["metric"]).label
    if row["difference"] is None:
        return f"The fusion's {metric} cannot be compared with that of {best}; the notes say why ({where})."
    if row["difference"] == 0:
        return f"The fusion's {metric} equals that of {best}; {where}.{_further(comparisons, manifest)}"
    start = f"The fusion's {metric} is {number(abs(row['difference']))} {_verb(row)} that of {best}"
    if row["ci_low"] is None:
        return f"{start}; {where}; there is no interval, so this may be chance.{_further(comparisons, manifest)}"
    clear = row["ci_low"] * row["ci_high"] > 0
    chance = "" if clear else "; the interval includes 0"
    return f"{start}: {_difference(row)}{chance}; {where}.{_further(comparisons, manifest)}"


def _verb(row: Mapping[str, Any]) -> str:
    return "better than" if metric_of(row["metric"]).sign * row["difference"] > 0 else "worse than"


def _difference(row: Mapping[str, Any]) -> str:
    low, high = number(row["ci_low"]), number(row["ci_high"])
    return f"difference {number(row['difference'])}, 95 % interval {low} to {high}"


def nothing_learned(manifest: Mapping[str, Any]) -> str:
    """That no method is better than ``null_model``, nor tells outcomes apart.

    Empty if one does, or if it cannot be told.
    """
    found = manifest.get("null_model")
    whole = overall(found) if found else None
    if not found or whole is None or any(knows_something(one) for one in whole["methods"].values()):
        return ""
    where, what, null = people(manifest["rows"], "judged"), found["what"], number(whole["nll"])
    own = whole["methods"].get("fused")
    if own is None:
        n = len(whole["methods"])
        who = (
            "The expert is not shown to be" if n == 1 else f"None of the {n} experts is shown to be"
        )
        return f"{who} better than {what} (NLL {null}; {where})."
    interval = (
        "no interval"
        if own["ci_low"] is None
        else f"95 % interval {signed(own['ci_low'])} to {signed(own['ci_high'])}"
    )
    worse = own["difference"] >= 0
    return (
        f"The fusion learned nothing{'' if worse else ' that shows'}: its NLL {number(own['nll'])} is not "
        f"{'' if worse else 'clearly '}better than that of {what} ({null}; difference {signed(own['difference'])}, "
        f"{interval}; {where})."
    )


def knows_something(one: Mapping[str, Any]) -> bool:
    """Whether a method may be better than ``null_model``, or tells outcomes apart whatever its
    probabilities.
    """
    return one["better"] is not False or bool(one.get("discriminates"))


def overall(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Of ``null_model`` in the manifest the whole study: output ``all``, or the only one."""
    outputs: Mapping[str, Any] = found["outputs"]
    return outputs.get("all", next(iter(outputs.values())) if len(outputs) == 1 else None)


def picked(manifest: Mapping[str, Any]) -> list[tuple[str | None, str, str]]:
    """Fold, label and name of every ``best_expert`` that was chosen."""
    folds = manifest.get("best_experts", [])
    return [
        (part["fold"], task, name)
        for part in folds
        for task, name in part.items()
        if task != "fold"
    ]


def _named(manifest: Mapping[str, Any]) -> str:
    """Who was picked in which fold, in brackets."""
    picks = picked(manifest)
    names = Counter(name for _, _, name in picks)
    if not picks:
        return ""
    if len(names) == 1:
        return f" ({picks[0][2]})"
    if len({task for _, task, _ in picks}) > 1:
        return f" ({'; '.join(f'{name} {n} times' if n > 1 else f'{name} once' for name, n in names.most_common())})"
    of = {name: ", ".join(str(fold) for fold, _, own in picks if own == name) for name in names}
    parts = [
        f"{name} in {'folds ' if names[name] > 1 else 'fold '}{folds}" for name, folds in of.items()
    ]
    return f" ({'; '.join(parts)})"


def _further(comparisons: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    return _alone(comparisons, manifest) + _by_metric(comparisons, manifest)


def _by_metric(comparisons: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The difference to the best expert by another metric, where that is another expert."""
    rows = comparisons.filter(
        (pl.col("method") == "fused") & pl.col("reference").str.starts_with(PREFIX)
    )
    row = rows.row(0, named=True) if rows.height else None
    if row is None or row["difference"] is None:
        return ""
    label = metric_of(row["metric"]).label
    picks = manifest.get("best_experts_by_metric", [])
    names = {name for part in picks for key, name in part.items() if key not in ("fold", "metric")}
    who = f"{next(iter(names))}; " if len(names) == 1 else ""
    interval = "no interval" if row["ci_low"] is None else _difference(row)
    same = (
        "equal to" if row["difference"] == 0 else f"{number(abs(row['difference']))} {_verb(row)}"
    )
    return f" In {label} it is {same} the best expert by {label} on the fit rows ({who}{interval})."


def _alone(comparisons: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Where folds picked different experts: the difference to the one that is best over the rows of
    all folds.
    """
    name = manifest.get("best_expert_of_all_folds")
    if name is None or len({who for _, _, who in picked(manifest)}) < 2:
        return ""
    rows = comparisons.filter((pl.col("method") == "fused") & (pl.col("reference") == name))
    row = rows.row(0, named=True) if rows.height else None
    if row is None or row["difference"] is None:
        return ""
    interval = "no interval" if row["ci_low"] is None else _difference(row)
    return (
        f" Against {name} alone, the best over the fit rows of all folds, it is {number(abs(row['difference']))} "
        f"{_verb(row).removesuffix(' than')} ({interval})."
    )


def _above_pool(comparisons: pl.DataFrame) -> str:
    """How many experts are better than the plain product of them all."""
    rows = comparisons.filter(pl.col("reference") == "uniform_product")
    if not rows.height:
        return ""
    first = metric_of(rows["metric"][0])
    gains = first.sign * rows.filter(pl.col("metric") == first.name)["difference"].drop_nulls()
    if not len(gains) or rows["method"].n_unique() < 2:
        return ""  # the product has no NLL where experts give no standard deviation
    above = int((gains > 0).sum())
    verb = "have" if above > 1 else "has"
    return f" {above or 'None'} of them {verb} a better {first.label} than the product of all, equally weighted."
