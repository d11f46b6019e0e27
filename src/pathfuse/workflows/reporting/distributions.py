"""``distributions.csv``: predicted probabilities of samples that turned out alike."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.evaluation.prediction_spread import LEVELS, spread_of
from pathfuse.evaluation.reliability import middle_edge
from pathfuse.types import PerSample
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.reporting.resamples import fused_or_experts
from pathfuse.workflows.steps.curves import MAX_OUTPUTS

SCHEMA = {
    "output": pl.String,
    "method": pl.String,
    "what": pl.String,
    "group": pl.String,
    "figure": pl.String,
    "x": pl.Float64,
    "y": pl.Float64,
    "n": pl.Int64,
}


def distributions_part(run: JudgedRun) -> ReportPart:
    """Predicted probabilities by what happened, as shares of bins and quantiles."""
    endpoint = run.study.endpoint
    if endpoint.of_numbers:
        return ReportPart()
    outputs = [output for output, one in run.judged.items() if len(one.observed)][:MAX_OUTPUTS]
    lines = [
        (output, method, *line)
        for output in outputs
        for method in fused_or_experts(run.judged[output].predictions, run.study.expert_names)
        for line in _lines(endpoint, run.judged[output], method)
    ]
    return ReportPart({"distributions": pl.DataFrame(lines, schema=SCHEMA, orient="row")})


def _lines(
    endpoint: Endpoint, judged: Judged, method: str
) -> Iterator[tuple[str, str, str, float, float, int]]:
    for what, group, prob in _groups(endpoint, judged, method):
        if not len(prob):
            continue
        spread = spread_of(prob)
        for x, y in zip(spread.middle.tolist(), spread.share.tolist(), strict=True):
            yield what, group, "density", x, y, len(prob)
        for level, value in zip(LEVELS, spread.quantile.tolist(), strict=True):
            yield what, group, "quantile", level, value, len(prob)


def _groups(
    endpoint: Endpoint, judged: Judged, method: str
) -> Iterator[tuple[str, str, PerSample]]:
    """What is predicted, who is alike, and their predicted probabilities."""
    there = predicted(judged.predictions[method])
    predictions, observed = judged.predictions[method][there], judged.observed[there]
    if judged.context is not None:
        truth = judged.context.at(np.flatnonzero(there))
        edge = middle_edge(truth) if there.any() else None
        if edge is None:
            return
        k = int(np.searchsorted(truth.edges, edge))
        risk = 1 - survival_at_edges(predictions)[:, k - 1]
        what, early = f"risk of an event by {edge:.12g}", truth.time <= edge
        yield what, f"event by {edge:.12g}", risk[early & (truth.event == 1)]
        yield what, f"censored before {edge:.12g}", risk[early & (truth.event == 0)]
        yield what, f"no event by {edge:.12g}", risk[~early]
        return
    prob, own = np.exp(predictions), observed > 0
    if prob.shape[1] > 2:
        for c, name in enumerate(endpoint.outcomes):
            yield "probability of the true class", name, prob[own[:, c], c]
        return
    k = 1 if endpoint.positive is None else endpoint.positive
    of = "the label" if endpoint.of_labels else endpoint.outcomes[k]
    for c in (1 - k, k):
        yield f"probability of {of}", endpoint.outcomes[c], prob[own[:, c], k]
