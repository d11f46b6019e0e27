"""Which metric each column of a leaderboard holds, where only the columns' names say it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.study.importers.familiar import STUDIES
from pathfuse.study.importers.metric_names import MEANS, KnownMetric, find_metric, words_of

SCORE = "score"
"""What values are called where a table does not say; higher is better."""
LOSS = "loss"
"""The same where the names say several metrics, of all of which less is better."""
IN_DOUBT = "loss, or score of a lost gene"
"""The same where it is in doubt which of both is meant; its better side has to be given."""
LEAST_AUROC = 0.3
"""Scores of mutations and losses of genes hardly lie below."""
GENES = frozenset((
    "pten", "mmr", "cdkn2a", "cdkn2b", "bap1", "atrx", "mlh1", "msh2", "msh6", "pms2", "smad4", "rb1", "tp53",
    "p53", "arid1a", "smarca4", "smarcb1", "ini1", "nf1", "nf2", "vhl", "pbrm1", "setd2", "mtap", "stk11", "lkb1",
    "brca1", "brca2", "cdh1", "apc", "fbxw7", "tsc1", "tsc2", "men1", "daxx", "p16", "fhit", "keap1", "hla",
))  # fmt: skip
"""Genes and proteins that tumours lose."""


@dataclass(frozen=True)
class Measures:
    """What the values under some names are."""

    names: Mapping[str, str]
    """Name to the study (or method) that it is about."""
    metrics: Mapping[str, str]
    """Name to its metric."""
    default: str | None
    """The metric to rank by; None where there are several."""
    note: str
    """How the names were understood."""


def measures_of(
    source: str, names: Sequence[str], values: Mapping[str, Sequence[float | None]] | None = None
) -> Measures:
    """What the values of tasks are called.

    A table that has one metric of each task is ranked as it is, if all metrics have the same better
    side. Where a task has several, they are kept apart.

    Args:
        source: The table, for the sentence.
        names: The names.
        values: The values under each of them, if known: ``PTEN_loss`` may be the loss of a gene.

    Raises:
        InputError: Some names hold a loss and others no metric, or a name says two better sides.

    Examples:
        >>> found = measures_of("t.csv", ["crc_auc", "luad_auc", "crc_acc", "luad_acc"])
        >>> found.default, found.names["crc_acc"], found.metrics["crc_acc"]
        (None, 'crc', 'acc')
        >>> measures_of("t.csv", ["crc_hd95", "luad_hd95"]).note
        "the names say 'hd95', of which less is better"
    """
    found = {name: metric for name in names if (metric := find_metric(name)) is not None}
    if len(found) < len(names):
        found = {name: metric for name, metric in found.items() if not metric.is_weak}
    as_they_are = {name: name for name in names}
    odd = next((name for name, metric in found.items() if metric.is_contradicted), None)
    if odd is not None:
        more = "less" if found[odd].lower_is_better else "more"
        raise InputError(
            f"{source}: '{odd}' says that {more} is better, and of the metric '{found[odd].name}' that is not so: give "
            "it another name"
        )
    if found and _may_be_genes(found, values or {}):
        note = "the names may say 'loss' as a metric, or as what happens to a gene"
        return Measures(as_they_are, dict.fromkeys(names, IN_DOUBT), IN_DOUBT, note)
    if not found:
        note = "no metric is named, and higher is taken as better (otherwise --lower-is-better)"
        return Measures(as_they_are, dict.fromkeys(names, SCORE), SCORE, note)
    kinds = list(dict.fromkeys(metric.name for metric in found.values()))
    named = ", ".join(f"'{kind}'" for kind in kinds)
    stems = {name: _stem(name, found.get(name)) for name in names}
    alike = len(kinds) == 1 and len(found) == len(names)
    if not alike and max(Counter(stems.values()).values()) > 1:
        return _apart(source, names, found, stems)
    sides = {metric.lower_is_better for metric in found.values()}
    if len(found) < len(names) and sides != {False}:
        loss = next(name for name in found if found[name].lower_is_better is not False)
        other = next(name for name in names if name not in found)
        raise InputError(
            f"{source}: '{loss}' is named after a loss, of which less is better, and '{other}' is not; rank "
            "them apart, or give a table with the columns study,method,metric,value and choose with --metric"
        )
    if len(sides) > 1:
        return _apart(source, names, found, stems)
    side = {True: "less is better", False: "more is better", None: "the better side is not known"}
    (better,) = sides
    if alike:
        one = dict.fromkeys(names, kinds[0])
        return Measures(
            as_they_are, one, kinds[0], f"the names say {named}, of which {side[better]}"
        )
    one = dict.fromkeys(names, SCORE if not better else LOSS)
    note = f"the names say {named}{'' if len(found) == len(names) else ' or nothing'}, of all of which {side[better]}"
    return Measures(as_they_are, one, SCORE if not better else LOSS, note)


def _may_be_genes(
    found: Mapping[str, KnownMetric], values: Mapping[str, Sequence[float | None]]
) -> bool:
    """Whether names such as ``PTEN_loss`` may be tasks, whose values are AUROCs."""
    if any(m.name != LOSS or not m.rest or words_of(n)[-1] != LOSS for n, m in found.items()):
        return False
    rests = {name: "".join(metric.rest) for name, metric in found.items()}
    of_genes = any(
        gene in GENES or (gene not in STUDIES and gene.upper() in name)
        for name, gene in rests.items()
    )
    own = [value for name in found for value in values.get(name, ()) if value is not None]
    likely = bool(own) and min(own) >= LEAST_AUROC and max(own) <= 1
    return of_genes and likely and len({*rests.values()}) > 1


def _stem(name: str, metric: KnownMetric | None) -> str:
    """The words of a name that are those of a task."""
    words = words_of(name)
    own = [word for word in words if word not in MEANS] or words
    return " ".join(own if metric is None else metric.rest)


def _apart(
    source: str,
    names: Sequence[str],
    found: Mapping[str, KnownMetric],
    stems: Mapping[str, str],
) -> Measures:
    """Every metric by itself; what has no task in its name is about the table as a whole."""
    plain = {stems[name]: name for name in names if name not in found}
    about = {
        name: plain.get(stem.strip(), stem) or Path(source).stem for name, stem in stems.items()
    }
    metrics = {name: found[name].name if name in found else SCORE for name in names}
    kinds = dict.fromkeys(metric.name for metric in found.values())
    named = ", ".join(f"'{kind}'" for kind in kinds)
    none = f", '{SCORE}' where they say none" if len(found) < len(names) else ""
    note = f"the names say several metrics ({named}{none}), one of which is ranked by (--metric)"
    return Measures(about, metrics, None, note)
