"""``failures.csv``: the predictions that were furthest from the truth, with each expert's word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pathfuse.distributions.discrete_time import survival_at_edges
from pathfuse.distributions.likelihood import set_nll
from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.columns import number_text
from pathfuse.evaluation.curves import divergence, spread
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.types import Index, PerSample
from pathfuse.workflows.reporting.base import JudgedRun, ReportPart
from pathfuse.workflows.steps.curves import leading, rows_of_output, sample_error

N_FAILURES = 20
"""The worst predictions, over all labels or targets."""
FAILURES: dict[str, Any] = {
    "output": pl.String,
    "sample_id": pl.String,
    "patient_id": pl.String,
    "truth": pl.String,
    "predicted": pl.String,
    "probability": pl.Float64,
    "probability_of_truth": pl.Float64,
    "loss": pl.Float64,
    "disagreement": pl.Float64,
    "wrong": pl.Boolean,
    "experts_right": pl.Int64,
    "experts_scored": pl.Int64,
}


def failures_part(run: JudgedRun) -> ReportPart:
    """The worst predictions of the leading method, and how many of them an expert had right."""
    worst = sorted(
        (
            (float(loss), output, int(row))
            for output, judged in run.judged.items()
            for row, loss in _worst(run.study.endpoint, judged)
        ),
        key=lambda one: (-one[0], one[1], one[2]),
    )[:N_FAILURES]
    if not worst:
        return ReportPart()
    outputs = list(dict.fromkeys(output for _, output, _ in worst))
    lines = {
        output: _Lines(run, output).rows({row for _, name, row in worst if name == output})
        for output in outputs
    }
    rows = [lines[output][row] | {"loss": loss} for loss, output, row in worst]
    experts = {f"expert_{name}": pl.Float64 for name in run.study.expert_names}
    table = pl.DataFrame(rows, schema=FAILURES | experts, orient="row")
    wrong = [row for row in rows if row["wrong"]]
    summary = {
        "method": leading(run.judged[outputs[0]].predictions),
        "shown": len(rows),
        "wrong": len(wrong),
        "wrong_with_an_expert_right": sum(row["experts_right"] > 0 for row in wrong),
    }
    return ReportPart({"failures": table}, {"failures": summary})


def _worst(endpoint: Endpoint, judged: Judged) -> list[tuple[int, float]]:
    """The rows of one output with the largest losses.

    Absolute errors of numbers are in standard deviations of the judged truth, so that targets can
    be compared.
    """
    if not len(judged.observed):
        return []
    loss = sample_error(endpoint, judged, leading(judged.predictions))
    if endpoint.of_numbers:
        sd = float(judged.observed[:, 0].std())
        if sd == 0:
            return []
        loss = loss / sd
    order = np.argsort(np.where(np.isnan(loss), -np.inf, loss), kind="stable")[::-1][:N_FAILURES]
    return [(int(row), float(loss[row])) for row in order if not np.isnan(loss[row])]


@dataclass(frozen=True)
class _Lines:
    """What the table says of rows of one output."""

    run: JudgedRun
    output: str

    @property
    def judged(self) -> Judged:
        return self.run.judged[self.output]

    def rows(self, wanted: set[int]) -> dict[int, dict[str, Any]]:
        """Cells by row, without the loss."""
        run, judged = self.run, self.judged
        chosen = np.array(sorted(wanted), dtype=np.int64)
        where = rows_of_output(run.study, self.output, run.rows, run.settings.unit)[chosen]
        experts = [name for name in run.study.expert_names if name in judged.predictions]
        voices = np.stack([judged.predictions[name][chosen] for name in experts], axis=1)
        of_numbers = run.study.endpoint.of_numbers
        apart = spread(voices[:, :, 0]) if of_numbers else divergence(voices)
        cells = self._numbers if of_numbers else self._outcomes
        found = {}
        for i, (row, own) in enumerate(zip(chosen.tolist(), cells(chosen, experts), strict=True)):
            line = {"output": self.output, **self._who(int(where[i])), **own}
            line["disagreement"] = None if np.isnan(apart[i]) else float(apart[i])
            found[row] = line
        return found

    def _who(self, row: int) -> dict[str, Any]:
        """The sample, unless patients were averaged, and its patient, if it has one."""
        samples = self.run.study.samples
        averaged = self.run.settings.unit == "patient"
        patient = str(samples.patients[row]) if samples.has_patient[row] or averaged else None
        return {"sample_id": None if averaged else str(samples.ids[row]), "patient_id": patient}

    def _numbers(self, rows: Index, experts: list[str]) -> list[dict[str, Any]]:
        """Of a continuous target; an expert is right if it errs at most half as much."""
        judged = self.judged
        truth = judged.observed[rows, 0]
        fused = judged.predictions[leading(judged.predictions)][rows, 0]
        stated = {name: judged.predictions[name][rows, 0] for name in experts}
        return [
            {
                "truth": f"{truth[i]:.4g}",
                "predicted": f"{fused[i]:.4g}",
                "wrong": True,
                **_counts([
                    abs(one[i] - truth[i]) <= abs(fused[i] - truth[i]) / 2
                    for one in stated.values() if not np.isnan(one[i])
                ]),
                **{f"expert_{name}": _number(one[i]) for name, one in stated.items()},
            }
            for i in range(len(rows))
        ]  # fmt: skip

    def _outcomes(self, rows: Index, experts: list[str]) -> list[dict[str, Any]]:
        """Of classes, labels and times; who has the truth right depends on which of these."""
        judged, endpoint = self.judged, self.run.study.endpoint
        fused = judged.predictions[leading(judged.predictions)][rows]
        observed = judged.observed[rows]
        stated = {name: _of_truth(judged.predictions[name][rows], observed) for name in experts}
        right = {
            name: _right(endpoint, judged.predictions[name][rows], observed) for name in experts
        }
        own, wrong = _of_truth(fused, observed), ~_right(endpoint, fused, observed)
        top = fused.argmax(axis=1)
        lines = []
        for i, row in enumerate(rows.tolist()):
            line: dict[str, Any] = {
                "truth": self._truth(row),
                "predicted": endpoint.outcomes[top[i]],
                "probability": float(np.exp(fused[i, top[i]])),
                "probability_of_truth": float(own[i]),
                "wrong": bool(wrong[i]),
                **_counts([bool(right[n][i]) for n in experts if not np.isnan(stated[n][i])]),
            }
            if endpoint.in_time:
                line |= {"predicted": _median_bin(endpoint, fused[i : i + 1]), "probability": None}
            lines.append(line | {f"expert_{n}": _number(stated[n][i]) for n in experts})
        return lines

    def _truth(self, row: int) -> str:
        judged = self.judged
        if judged.context is not None:
            kind = "event" if judged.context.event[row] == 1 else "censored"
            return f"{kind} at {number_text(float(judged.context.time[row]))}"
        return self.run.study.endpoint.outcomes[int(judged.observed[row].argmax())]


def _of_truth(log_prob: np.ndarray, observed: np.ndarray) -> PerSample:
    """The probability of what was observed; NaN without a prediction."""
    found, there = np.full(len(observed), np.nan), predicted(log_prob)
    found[there] = np.exp(-set_nll(log_prob[there], observed[there]))
    return found


def _right(endpoint: Endpoint, log_prob: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Whether the most probable class is the true one; of times, whether what was observed has more
    than half of the probability.
    """
    if endpoint.in_time:
        return np.nan_to_num(_of_truth(log_prob, observed)) > 0.5
    there = predicted(log_prob)
    top = np.where(there[:, None], log_prob, -np.inf).argmax(axis=1)
    return np.asarray(there & (observed[np.arange(len(observed)), top] > 0))


def _median_bin(endpoint: Endpoint, log_prob: np.ndarray) -> str:
    """The bin in which predicted survival falls to one half."""
    below = np.flatnonzero(survival_at_edges(log_prob)[0] <= 0.5)
    found = endpoint.outcomes[below[0] if len(below) else -1]
    return f"median {found}" if not len(below) else f"median in {found}"


def _counts(right: list[bool]) -> dict[str, int]:
    return {"experts_right": int(sum(right)), "experts_scored": len(right)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
