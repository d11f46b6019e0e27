"""The methods paragraph: what was done, from the manifest, ready to paste, with what it cites."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.fusion.registry import described
from pathfuse.references import Reference
from pathfuse.report.content import Content
from pathfuse.report.references import WORKS, software
from pathfuse.report.slopes import recalibration
from pathfuse.report.words import counted, drawn, several

ABLATIONS = {
    "leave one out": "without each expert",
    "duplicate": "with one expert twice",
    "noise": "with one expert's predictions shuffled",
    "in-sample": "on training rows too",
    "shuffled labels": "with shuffled labels",
}


@dataclass
class Methods:
    """Sentences and what they cite, in the order of citation."""

    sentences: list[str] = field(default_factory=list)
    cited: list[Reference] = field(default_factory=list)

    def add(self, sentence: str, *keys: str | Reference) -> None:
        """Adds a sentence that ends with its citations."""
        numbers = []
        for key in keys:
            work = WORKS[key] if isinstance(key, str) else key
            if work not in self.cited:
                self.cited.append(work)
            numbers.append(self.cited.index(work) + 1)
        citation = f" [{', '.join(map(str, sorted(numbers)))}]" if numbers else ""
        self.sentences.append(f"{sentence}{citation}.")

    @property
    def text(self) -> str:
        """The paragraph."""
        return " ".join(self.sentences)

    @property
    def references(self) -> list[str]:
        """The numbered list."""
        return [f"[{i}] {work.text}" for i, work in enumerate(self.cited, start=1)]

    @property
    def bibtex(self) -> str:
        """The same as BibTeX."""
        return "\n\n".join(work.bibtex for work in self.cited)


def methods(content: Content) -> Methods:
    """The methods paragraph of a run."""
    text = Methods()
    _data(text, content)
    if "method" in content.manifest:
        _fusion(text, content.manifest)
    _evaluation(text, content)
    _extras(text, content)
    return text


def _data(text: Methods, content: Content) -> None:
    manifest, rows = content.manifest, content.manifest["rows"]
    endpoint, experts = manifest["endpoint"], list(manifest["experts"])
    listed = f" ({', '.join(experts)})" if len(experts) <= 12 else ""
    outcomes: list[str] = next(
        (endpoint[key] for key in ("classes", "labels", "targets") if key in endpoint), []
    )
    which = (
        f": {', '.join(outcomes)}"
        if 0 < len(outcomes) <= 12
        else f" ({len(outcomes)})"
        if outcomes
        else ""
    )
    text.add(
        f"Predictions of {several(len(experts), 'expert')}{listed} were "
        f"{'fused' if 'method' in manifest else 'compared'} with pathfuse {manifest['pathfuse']}",
        software(manifest["pathfuse"]),
    )
    text.add(f"The endpoint was {ENDPOINTS[content.kind].in_words}{which}")
    if "time_edges" in endpoint:
        text.add(
            f"Time was divided into bins at {', '.join(f'{float(edge):g}' for edge in endpoint['time_edges'])}"
        )
    judged = counted(rows, "judged")
    if "method" not in manifest:
        chosen = "best_expert" in content.ranked["method"]
        where = "the other folds" if content.n_folds else "the fit rows"
        best = f", and the best expert chosen on {where}" if chosen else ""
        text.add(f"Nothing was fitted{best}; {judged} were judged")
    elif content.n_folds:
        text.add(
            f"With {content.n_folds} outer folds, methods were fitted on the other folds and judged on each in turn: "
            f"{judged}"
        )
    else:
        fitted = counted(rows, "fit")
        caveat = (
            ", some of which the experts were trained on" if manifest.get("allow_in_sample") else ""
        )
        held_out = "" if caveat else " that were held out from the training of the experts"
        text.add(f"All methods were fitted on {fitted}{held_out}{caveat}, and judged on {judged}")
    if drawn(manifest) == "sample":
        text.add("No patients were given, so every sample was treated as independent of the others")
    positive = manifest.get("positive_class")
    if positive is not None:
        text.add(f"The positive class was {positive['name']}")


def _fusion(text: Methods, manifest: dict[str, Any]) -> None:
    method = manifest["method"]
    kind = manifest["endpoint"]["kind"]
    fused = described(method, kind)
    text.add(
        f"The fused prediction was {fused.summary if fused else f'the method {method}'}",
        *(fused.references if fused else ()),
    )
    inner = manifest.get("inner_cross_validation") or []
    names = [
        name
        for part in inner[:1]
        for task, one in part.items()
        if task != "fold"
        for name in one["inner_nll"]
    ]
    names = list(dict.fromkeys(names))
    if names:
        kinds = [described(name, kind) for name in names]
        works = {work.key: work for one in kinds if one for work in one.references}
        outside = [one.name for one in kinds if one and not getattr(one, "in_council", True)]
        without = (
            f" ({', '.join(outside)} without a vote)"
            if outside and method in ("auto", "choose")
            else ""
        )
        text.add(f"The methods were {', '.join(names)}{without}", *works.values())
        strata = (
            "" if ENDPOINTS[manifest["endpoint"]["kind"]].of_numbers else ", stratified by outcome"
        )
        grouped = ", grouped by patient" if drawn(manifest) == "patient" else ""
        text.add(
            f"Their settings were chosen by inner cross-validation on the fit rows{grouped}{strata}, for the lowest "
            "negative log-likelihood",
            "pedregosa2011",
        )
    if not ENDPOINTS[manifest["endpoint"]["kind"]].of_numbers:
        text.add("Log-probabilities were floored at -16 before all else")


def _evaluation(text: Methods, content: Content) -> None:
    manifest, names = content.manifest, content.metric_names
    if manifest["unit"] == "patient":
        text.add("Log-probabilities were averaged over each patient's samples before evaluation")
    if content.n_folds:
        text.add("Metrics were computed inside each fold and averaged with the folds' numbers of "
                 f"{drawn(manifest)}s as weights")  # fmt: skip
    if "c_index_ipcw" in names:
        own = not content.n_folds and not manifest["rows"]["fit"]  # evaluate without roles
        text.add(f"Uno's C and the integrated Brier score weigh for censoring, estimated on the "
                 f"{'judged' if own else 'fit'} rows", "uno2011", "graf1999")  # fmt: skip
    if content.has_intervals:
        inside = " inside folds" if content.n_folds else ""
        used = manifest.get("intervals") or {"figures": "percentile", "differences": "percentile"}
        text.add(
            f"95 % intervals rest on {manifest['n_resamples']:,} bootstrap resamples of {drawn(manifest)}s, drawn with "
            f"replacement{inside}, paired over methods; intervals of figures: {used['figures']}; of differences: "
            f"{used['differences']}",
            "efron1993",
        )
    else:
        text.add("No intervals were computed")
    adjusted = "p_holm" in content.comparisons.columns or content.tests is not None
    if adjusted and content.comparisons["p_value"].is_not_null().any():
        text.add(
            "p-values were corrected for the number of comparisons by Holm's method", "holm1979"
        )
    elif content.comparisons["p_value"].is_not_null().any():
        text.add("p-values were not corrected for the number of comparisons")


def _extras(text: Methods, content: Content) -> None:
    used = (
        " ".join(content.tests["test"].unique().to_list()).lower()
        if content.tests is not None
        else ""
    )
    if "delong" in used:
        text.add("Binary AUROCs were compared by DeLong's paired test", "delong1988")
    if "corrected resampled t" in used:
        text.add(
            "Differences over outer folds were tested with the corrected resampled t-test",
            "nadeau2003",
        )
    judged = (
        content.tests.filter(pl.col("p_value").is_not_null()) if content.tests is not None else None
    )
    if judged is not None and judged["test"].str.contains("non-inferiority").any():
        margin = f"{content.manifest['margin']:g}" if "margin" in content.manifest else "stated"
        text.add(
            f"Non-inferiority to the best expert was judged with a margin of {margin}, without correction; a method is "
            "called superior only where its corrected p-value is below 0.05"
        )
    if content.manifest.get("null_model"):
        text.add(
            f"The null model predicts {content.manifest['null_model']['what']} for every sample"
        )
    if any(
        one.get("slope") is not None for one in content.manifest.get("calibration", {}).values()
    ):
        how, works = recalibration(content.manifest)
        text.add(f"Calibration slopes b on the judged rows are those of {how}", *works)
    if content.ablation is not None:
        kinds = set(content.ablation["kind"].to_list())
        ways = [words for kind, words in ABLATIONS.items() if kind in kinds]
        listed = f"{', '.join(ways[:-1])} and {ways[-1]}"
        text.add(
            f"For the ablation the fusion was fitted again {listed}; p-values there are not corrected"
        )
    if content.manifest.get("risk_groups"):
        text.add("Thirds of predicted risk were compared by Kaplan-Meier curves and the log-rank test", "kaplan1958",
                 "mantel1966")  # fmt: skip
    if not ENDPOINTS[content.kind].of_numbers and content.points("disagreement").height:
        text.add(
            "Disagreement between experts is the Jensen-Shannon divergence of their predictions",
            "lin1991",
        )
    if content.manifest.get("coverage") is not None:
        text.add(
            f"Split-conformal prediction sets with a promised coverage of {content.manifest['coverage']:g} were "
            f"calibrated on fit {drawn(content.manifest)}s set aside for it",
            "vovk2005",
        )
    text.add(f"The random seed was {content.manifest['seed']}")
