"""The head of the page: what was predicted, and the answer in figures that a clinician reads in ten
seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathfuse.endpoints.detect import endpoint_from_dict
from pathfuse.evaluation.best_by_metric import reference_for
from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.notes import listed
from pathfuse.report.content import Content, over_all
from pathfuse.report.headline import finding, nothing_learned
from pathfuse.report.words import counted, number, p_value, several, signed

TITLE = "pathfuse report"
MOST_NAMED = 4
"""Classes, labels or targets that are named; of more only the number is said."""


@dataclass(frozen=True)
class Figure:
    """A figure of the head of the page."""

    label: str
    value: str
    interval: str
    """With its confidence, or why there is none."""
    note: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Answer:
    """The head of the page."""

    title: str
    question: str
    """What was predicted, and for whom."""
    figures: tuple[Figure, ...]
    """The fusion, the best single model, the difference; empty where nothing was fitted."""
    second: str
    """The same in the loss that the fusion was fitted by, or what was found where there are no
    figures."""
    ceiling: str
    """What choosing among the experts, in place of fusing them, could reach."""


def answer(content: Content) -> Answer:
    """What the head of the page says.

    Args:
        content: The tables of a run.
    """
    known = next((m for m in map(metric_of, content.metric_names) if m.chance is not None), None)
    figures = () if known is None else _figures(content, known)
    second = (figures and _loss(content)) or finding(
        over_all(content.comparisons), content.manifest
    )
    return Answer(
        title(content.manifest), question(content), figures, second, ceiling(content, known)
    )


def title(manifest: Mapping[str, Any]) -> str:
    """The chosen title, or the name of the folder that the samples are in."""
    if manifest.get("title"):
        return str(manifest["title"])
    files = [path for path, digest in manifest.get("inputs", {}).items() if digest is not None]
    return (Path(files[0]).resolve().parent.name if files else "") or TITLE


def question(content: Content) -> str:
    """What was predicted, and for whom, in one sentence."""
    endpoint = endpoint_from_dict(content.manifest["endpoint"])
    whom = f"{counted(content.manifest['rows'], 'judged')}{_outcomes(content.manifest)}"
    return f"Predicted: {endpoint.asks}{_named(endpoint.named)}, of {whom}."


def _named(names: Sequence[str]) -> str:
    """The classes, labels or targets, in brackets."""
    if not names:
        return ""
    if len(names) > MOST_NAMED:
        return f" ({len(names)}: {', '.join(names[: MOST_NAMED - 1])} and others)"
    return f" ({', '.join(names)})"


def _outcomes(manifest: Mapping[str, Any]) -> str:
    """How often the event, or the positive class, was observed."""
    found = manifest.get("outcomes_judged") or {}
    only = next(iter(found.values())) if len(found) == 1 else {}
    if "events" in only:
        return f" with {several(only['events'], 'event')}"
    if 1 < len(found) <= MOST_NAMED and all("1" in one for one in found.values()):
        counts = (f"{one['1']:,} ({label})" for label, one in found.items())
        return f"; positive are {', '.join(counts)}"
    positive = (manifest.get("positive_class") or {}).get("name")
    whom = "of the patients" if manifest.get("unit") == "patient" else "of them"
    return f", {only[positive]:,} {whom} {positive}" if positive in only else ""


def _figures(content: Content, known: Metric) -> tuple[Figure, ...]:
    fused = _row(content, "fused", known)
    if fused is None:
        return ()
    rows = over_all(content.comparisons).filter(metric=known.name, method="fused")
    reference = reference_for(known.name, set(rows["reference"].to_list()))
    found = rows.filter(reference=reference).to_dicts()
    difference = found[0] if found and found[0]["difference"] is not None else None
    shown = [Figure(f"Fusion, {known.label}", number(fused["value"]), _interval(fused), ours=True)]
    single = _single(content, known, reference, fused, difference)
    if single is not None:
        shown.append(single)
    if difference is not None:
        shown.append(_difference(difference))
    return tuple(shown)


def _single(
    content: Content,
    known: Metric,
    reference: str,
    fused: Mapping[str, Any],
    difference: Mapping[str, Any] | None,
) -> Figure | None:
    """The best single model by the metric, as the fit rows chose it, on the fusion's rows."""
    names = chosen_experts(content.manifest, reference)
    label = f"Best single model, {known.label}"
    note = f"{listed(names)}, chosen on the fit rows" if names else "chosen on the fit rows"
    own = _row(content, names[0] if len(names) == 1 else reference, known)
    if own is not None and own["n"] == fused["n"]:
        return Figure(label, number(own["value"]), _interval(own), note)
    if difference is None:
        return None
    # Where it missed samples, or folds chose different experts, the next best stood in for it: its
    # figure on the fusion's rows is that of the paired comparison.
    lacking = own is not None and len(names) == 1
    note += ", where it is missing the next best" if lacking else ""
    value = fused["value"] - difference["difference"]
    return Figure(label, number(value), "interval: see the difference", note)


def chosen_experts(manifest: Mapping[str, Any], reference: str) -> list[str]:
    """The experts that stand behind a best expert, each once."""
    key = "best_experts" if reference == "best_expert" else "best_experts_by_metric"
    parts: Sequence[Mapping[str, Any]] = manifest.get(key, [])
    return list(
        dict.fromkeys(
            str(name) for part in parts for k, name in part.items() if k not in ("fold", "metric")
        )
    )


def _difference(row: Mapping[str, Any]) -> Figure:
    """Positive where the fusion is better: measures of discrimination are better when higher."""
    if row["ci_low"] is None:
        return Figure("Difference", signed(row["difference"]), "no interval: this may be chance")
    clear = row["ci_low"] * row["ci_high"] > 0
    side = "the fusion" if row["difference"] > 0 else "the single model"
    note = f"in favour of {side}" if clear else "the interval includes 0: this may be chance"
    interval = f"95 % interval {signed(row['ci_low'])} to {signed(row['ci_high'])}"
    holm = row.get("p_holm")
    adjusted = f" (Holm {_equals(holm)})" if holm is not None else ""
    p = f"p {_equals(row['p_value'])}{adjusted}"
    return Figure("Difference", signed(row["difference"]), interval, f"{p}; {note}")


def _equals(p: float) -> str:
    """A p-value with its sign, such as ``= 0.023``."""
    shown = p_value(p)
    return shown if "<" in shown else f"= {shown}"


def _loss(content: Content) -> str:
    """The first metric, which is a loss, of the fusion and of the best expert by it; empty where
    there is none, or nothing was learned.
    """
    first = metric_of(content.metric_names[0])
    fused, best = _row(content, "fused", first), _row(content, "best_expert", first)
    rows = over_all(content.comparisons).filter(
        method="fused", reference="best_expert", metric=first.name
    )
    row = rows.to_dicts()[0] if rows.height else None
    nothing = nothing_learned(content.manifest)
    if nothing or fused is None or best is None or row is None or row["difference"] is None:
        return ""
    names = chosen_experts(content.manifest, "best_expert")
    side = "lower" if row["difference"] < 0 else "higher"
    sign = -1 if row["difference"] < 0 else 1
    if row["ci_low"] is None:
        interval = "no interval, so this may be chance"
    else:
        ends = sorted([sign * row["ci_low"], sign * row["ci_high"]])
        interval = f"95 % interval {number(ends[0])} to {number(ends[1])}"
        interval += "" if ends[0] > 0 else ", which includes 0"
    return (
        f"In {first.label} ({first.better} is better), which also counts how sure the predictions "
        f"are, the fusion has {number(fused['value'])} and the best expert by it on the fit rows"
        f"{f' ({listed(names)})' if names else ''} {number(best['value'])}; the fusion's is "
        f"{number(abs(row['difference']))} {side} ({interval})."
    )


def _interval(row: Mapping[str, Any]) -> str:
    if row["ci_low"] is None:
        return "no interval"
    return f"95 % interval {number(row['ci_low'])} to {number(row['ci_high'])}"


def _row(content: Content, method: str, known: Metric) -> dict[str, Any] | None:
    rows = over_all(content.metrics).filter(method=method, metric=known.name).to_dicts()
    return rows[0] if rows and rows[0]["value"] is not None else None


def ceiling(content: Content, known: Metric | None) -> str:
    """What choosing among the experts, in place of fusing them, could reach."""
    found = content.manifest.get("ceiling")
    if not found:
        return ""
    best = next((one for one in found["hindsight"] if known and one["metric"] == known.name), None)
    oracle, hindsight = found["oracle"], ""
    if best and known:
        hindsight = (
            f"the best single model, chosen in hindsight on these very rows "
            f"({listed(best['experts'])}), has {known.label} {number(best['value'])}; "
        )
    right = ""
    if oracle["some_right"] is not None:
        right = f", and some expert is right in {100 * oracle['some_right']:.1f} % of them"
    return (
        f"What choosing could reach: {hindsight}an oracle that picked the best expert of every sample "
        f"would have a mean {found['loss']} of {number(oracle['loss'])}{right}. Neither choice can be "
        "made in practice; a fusion combines experts, so it may pass both."
    )
