"""What a run can say of its model and figures to the items of reporting checklists."""

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.notes import listed
from pathfuse.evaluation.operating_points import parse_rule
from pathfuse.report.answer import answer, title
from pathfuse.report.checklists.data import participants
from pathfuse.report.content import Content
from pathfuse.report.methods import methods
from pathfuse.report.slopes import slope_sentence
from pathfuse.report.words import drawn, several


def study_title(content: Content) -> str:
    """The report's title, where the authors gave one."""
    chosen = content.manifest.get("title")
    return f"The report's title is '{title(content.manifest)}'." if chosen else ""


def summary(content: Content) -> str:
    """The question and the answer in figures."""
    found = answer(content)
    return " ".join(filter(None, [found.question, _figures(content), found.second]))


def _figures(content: Content) -> str:
    """The figures of the head of the page as a sentence; empty where it has none."""
    shown = [
        f"{one.label}: {one.value}{f' ({one.interval})' if one.interval else ''}"
        for one in answer(content).figures
    ]
    return f"{'; '.join(shown)}." if shown else ""


def objective(content: Content) -> str:
    """Whether a fusion is developed and evaluated, or predictions are compared."""
    n = several(len(content.manifest["experts"]), "frozen model")
    if "method" in content.manifest:
        return f"A fusion of the predictions of {n} was developed and evaluated."
    return f"The predictions of {n} were evaluated; nothing was fitted."


def predictors(content: Content) -> str:
    """The experts are the predictors of the fusion."""
    names = list(content.manifest["experts"])
    shown = listed(names) if len(names) <= 12 else f"{len(names)} experts"
    return f"The predictors are the predictions of {shown}."


def handling(content: Content) -> str:
    """How predictions enter the fusion."""
    if "method" not in content.manifest:
        return ""
    if ENDPOINTS[content.kind].of_numbers:
        return "Each expert's mean and standard deviation of every target."
    return "Each expert's log-probabilities of the outcomes, normalised and floored at -16."


def model(content: Content) -> str:
    """The methods paragraph's sentences about the fusion."""
    return methods(content).text if "method" in content.manifest else ""


def selection(content: Content) -> str:
    """How the final model was chosen."""
    if not content.manifest.get("inner_cross_validation"):
        return ""
    return (
        f"Method '{content.manifest['method']}'; every choice was made by inner cross-validation on the "
        "fit rows, and judged rows took no part."
    )


def ensembling(content: Content) -> str:
    """That the fusion is an ensemble."""
    if "method" not in content.manifest:
        return ""
    n = several(len(content.manifest["experts"]), "expert")
    return f"The fusion combines {n}; weights per sample stand in fused.parquet."


def libraries(content: Content) -> str:
    """Versions."""
    found = content.manifest.get("libraries", {})
    named = ", ".join(f"{name} {version}" for name, version in list(found.items())[:8])
    return f"pathfuse {content.manifest['pathfuse']}, Python {content.manifest['python']}, {named}."


def seed(content: Content) -> str:
    """The seed of all random choices."""
    return f"All random choices come from the seed {content.manifest['seed']}; the same input gives the same bytes."


def metrics(content: Content) -> str:
    """Which metrics are reported."""
    labels = [metric_of(name).label for name in content.metric_names]
    return f"{', '.join(labels)}.{_figures_named(content)}"


def _figures_named(content: Content) -> str:
    shown = [
        words
        for name, words in (
            ("calibration", "calibration"),
            ("decision_curves", "decision curves"),
            ("operating_points", "operating points"),
            ("distributions", "distributions of predictions"),
            ("subgroups", "subgroups"),
        )
        if (table := content.tables.get(name)) is not None and table.height
    ]
    return f" With {listed(shown)}." if shown else ""


def uncertainty(content: Content) -> str:
    """Intervals and tests."""
    if not content.has_intervals:
        return "No intervals; the notes of the report say why."
    kinds = content.manifest.get("intervals") or {}
    figures = kinds.get("figures", "percentile")
    return (
        f"95 % intervals ({figures}) by paired bootstrap over {drawn(content.manifest)}s, "
        f"{content.manifest['n_resamples']} resamples; p-values of differences with Holm's correction."
    )


def robustness(content: Content) -> str:
    """The ablation, and the checks for plausible errors."""
    alarms = len(content.manifest.get("alarms", ()))
    checks = f"The input was checked for typical errors: {several(alarms, 'alarm')} open."
    return (
        f"The fusion was fitted again after single changes (ablation.csv). {checks}"
        if content.ablation is not None
        else checks
    )


def explanation(content: Content) -> str:
    """Weights of the experts."""
    has = content.fused is not None and any(n.startswith("weight_") for n in content.fused.columns)
    return (
        "Weights of the experts per sample and on average; disagreement of the experts against error."
        if has
        else ""
    )


def performance(content: Content) -> str:
    """The figures with intervals."""
    figures = _figures(content)
    return f"{figures}{' ' if figures else ''}All metrics stand in metrics.csv."


def calibration(content: Content) -> str:
    """The calibration slope."""
    return slope_sentence(content.manifest)


def subgroups(content: Content) -> str:
    """Which subgroups were looked at."""
    table = content.tables.get("subgroups")
    if table is not None and table.height:
        columns = table[table.columns[0]].unique(maintain_order=True).to_list()
        named = listed([str(one) for one in columns])
        return f"By {named}: subgroups.csv, with differences to the rest and Holm's correction."
    return "By site, without intervals: sites.csv." if content.sites is not None else ""


def imbalance(content: Content) -> str:
    """How often outcomes occur, and that nothing was resampled."""
    found = content.manifest.get("outcomes_judged") or {}
    if "method" not in content.manifest or not found:
        return ""
    return f"The fusion was fitted at the outcomes' own frequencies, without resampling. {participants(content)}"


def output(content: Content) -> str:
    """What a prediction is, and the operating point."""
    if ENDPOINTS[content.kind].of_numbers:
        return "A mean and a standard deviation for every target."
    return f"Probabilities of the outcomes{_decision(content)}."


def _decision(content: Content) -> str:
    """How an outcome is called, as the end of a sentence; empty where none is."""
    table = content.tables.get("operating_points")
    if table is None or not table.height:
        return ""
    if table["threshold_low"].is_null().all():
        return "; the most probable class is called"
    rule = parse_rule(table["rule"][0])
    if not rule.learns:
        return f"; called positive from a probability of {rule.text} on, as given for the run"
    return f"; operating point: {rule.text}, fixed on the fit rows; operating_points.csv has the thresholds"


def specification(content: Content) -> str:
    """That the whole model is saved as text and arrays."""
    return (
        "model/ holds every parameter as JSON and safetensors; 'pathfuse predict' applies it."
        if "method" in content.manifest
        else ""
    )


def failures(content: Content) -> str:
    """The worst predictions."""
    table = content.tables.get("failures")
    return (
        f"The {table.height} worst predictions stand in failures.csv with every expert's."
        if table is not None and table.height
        else ""
    )


def code(content: Content) -> str:
    """The command and the version."""
    command = content.manifest.get("command")
    said = f"; command: {command}" if command else ""
    return f"pathfuse {content.manifest['pathfuse']} is open source{said}."


def missing_inputs(content: Content) -> str:
    """What becomes of a sample that lacks an expert."""
    return (
        "A sample that lacks experts is predicted from the others; one that lacks all is left out and counted."
        if "method" in content.manifest
        else ""
    )


def updating(content: Content) -> str:
    """Whether anything was recalibrated."""
    if "method" not in content.manifest:
        return ""
    return "No recalibration after the fit; the best temperature of held-out predictions is in manifest.json."
