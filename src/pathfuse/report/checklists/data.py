"""What a run can say of its data to the items of reporting checklists: rows, partitions, outcomes."""

from typing import Any

import polars as pl

from pathfuse.endpoints.detect import ENDPOINTS, endpoint_from_dict
from pathfuse.report.content import Content, left_out_lines
from pathfuse.report.words import counted, drawn, several

MOST_LINES = 4
MOST_NAMES = 12
NO_SITE = "(none)"
"""What ``sites.csv`` calls samples without a site."""


def sources(content: Content) -> str:
    """Which files were read, with their digests."""
    inputs = {path: d for path, d in content.manifest.get("inputs", {}).items() if d is not None}
    named = [f"{path} (sha256 {digest[:12]})" for path, digest in list(inputs.items())[:MOST_LINES]]
    if not named:
        return ""
    more = f" and {len(inputs) - len(named)} more" if len(inputs) > len(named) else ""
    return f"Files read: {', '.join(named)}{more}; manifest.json has all digests."


def preparation(content: Content) -> str:
    """What was understood of the files, and that features were made elsewhere."""
    understood = content.manifest.get("understood", [])
    return "; ".join(understood[:MOST_LINES]) + "." if understood else ""


def outcome(content: Content) -> str:
    """The endpoint and its outcomes; of survival the bins of time and the horizon."""
    endpoint = endpoint_from_dict(content.manifest["endpoint"])
    names = endpoint.named
    few = 0 < len(names) <= MOST_NAMES
    which = f": {', '.join(names)}" if few else f" ({len(names)})" if names else ""
    positive = content.manifest.get("positive_class")
    sign = f"; the positive class is {positive['name']}" if positive else ""
    words = ENDPOINTS[content.kind].in_words
    return f"{words[:1].upper()}{words[1:]}{which}{sign}.{_in_time(content)}"


def _in_time(content: Content) -> str:
    """The edges of the bins of time, and the horizon of decisions; empty but for survival."""
    edges = [f"{float(edge):g}" for edge in content.manifest["endpoint"].get("time_edges", ())]
    if not edges:
        return ""
    if len(edges) > MOST_NAMES:
        edges = [*edges[: MOST_NAMES - 2], "...", edges[-1]]
    horizon = (content.manifest.get("utility") or {}).get("horizon")
    until = f" Horizon of the decision curves: {horizon:g}." if horizon is not None else ""
    return f" Edges of the bins of time: {', '.join(edges)}.{until}"


def sample_size(content: Content) -> str:
    """Rows and patients, and what difference they could show."""
    rows = content.manifest["rows"]
    use = "fit on" if "method" in content.manifest else "choose the best expert on"
    fit = f"{counted(rows, 'fit')} to {use}, " if rows.get("fit") else ""
    table = content.tables.get("detectable")
    if table is None or not table.height:
        return f"{fit}{counted(rows, 'judged')} to evaluate on."
    return (
        f"{fit}{counted(rows, 'judged')} to evaluate on; detectable.csv has the smallest difference "
        "that they could show."
    )


def missing(content: Content) -> str:
    """What was left out, and how missing predictions are handled."""
    lines = left_out_lines(content.manifest["left_out"])
    if not lines:
        return "No row was left out."
    more = (
        f" {len(lines) - MOST_LINES} more lines stand in manifest.json."
        if len(lines) > MOST_LINES
        else ""
    )
    fused = (
        " Where an expert is missing, the fusion uses the others."
        if "method" in content.manifest
        else ""
    )
    return f"{' '.join(f'{line}.' for line in lines[:MOST_LINES])}{more}{fused}"


def partitions(content: Content) -> str:
    """How the data were divided."""
    rows, judged = content.manifest["rows"], counted(content.manifest["rows"], "judged")
    fuses = "method" in content.manifest
    if content.n_folds:
        what = "fitted on the others" if fuses else "the best expert chosen on the others"
        return f"{content.n_folds} outer folds: {what}, evaluated on each in turn; {judged}."
    if not rows.get("fit"):
        return f"All {judged} were evaluated on; nothing was fitted."
    fit = counted(rows, "fit")
    if fuses:
        return f"Fitted on {fit}, evaluated on {judged}."
    return f"Evaluated on {judged}; the best expert was chosen on {fit}."


def disjoint(content: Content) -> str:
    """At which level partitions are disjoint; empty where there is only one."""
    rows = content.manifest["rows"]
    if not (rows.get("fit") or content.n_folds):
        return ""
    if drawn(content.manifest) == "sample":
        return "By sample: no patients were given, so it could not be checked whether partitions share any."
    # Of outer folds the fitted rows are the judged ones.
    parts = ("judged",) if content.n_folds else ("fit", "judged")
    bare = sum(rows.get(f"{part}_without_patient", 0) for part in parts)
    if bare:
        verb = "has" if bare == 1 else "have"
        return f"By patient where one is given; {several(bare, 'row')} {verb} none."
    return "By patient: a patient in two partitions is refused."


def clusters(content: Content) -> str:
    """How many sites there are, and of how many there are results."""
    if content.sites is None:
        return ""
    named = content.sites.filter(pl.col("site") != NO_SITE)
    n = named["site"].n_unique()
    if not n:
        return ""
    enough = named.filter(pl.col("value").is_not_null())["site"].n_unique()
    return (
        f"{several(n, 'site')}, {enough or 'none'} of them with enough patients for figures "
        "(sites.csv)."
    )


def flow(content: Content) -> str:
    """From rows read to rows judged."""
    rows = content.manifest["rows"]
    use = "fitted on" if "method" in content.manifest else "to choose the best expert on"
    fit = f"{rows['fit']:,} {use}, " if rows.get("fit") else ""
    return (
        f"{rows['read']:,} samples read, {fit}{rows['judged']:,} evaluated on. {missing(content)}"
    )


def characteristics(content: Content) -> str:
    """The table of characteristics."""
    table = content.tables.get("characteristics")
    return "characteristics.csv has them." if table is not None and table.height else ""


def compared_characteristics(content: Content) -> str:
    """The table of characteristics, where the judged rows are not the only ones in it."""
    table = content.tables.get("characteristics")
    if table is None or not table.height:
        return ""
    development = [part for part in ("train", "fit") if table[part].is_not_null().any()]
    return (
        f"characteristics.csv has them by partition ({', '.join([*development, 'judged'])})."
        if development
        else ""
    )


def participants(content: Content) -> str:
    """Participants and outcome events in each analysis."""
    rows = content.manifest["rows"]
    found: dict[str, dict[str, Any]] = content.manifest.get("outcomes_judged") or {}
    shown = [
        f"{f'{name}: ' if len(found) > 1 else ''}{_counts(one)}"
        for name, one in list(found.items())[:MOST_LINES]
    ]
    whose = " of the patients" if content.manifest.get("unit") == "patient" else ""
    events = f" Outcomes{whose}: {'; '.join(shown)}." if shown else ""
    return f"{counted(rows, 'judged')} were evaluated on.{events}"


def _counts(outcomes: dict[str, Any]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in list(outcomes.items())[:MOST_NAMES])
