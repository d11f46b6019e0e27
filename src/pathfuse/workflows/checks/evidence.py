"""What the checks look at: experts' predictions and the truth of the fit rows and the judged rows,
computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import norm
from scipy.stats import t as student_t

from pathfuse.distributions.likelihood import set_nll
from pathfuse.distributions.proportional import Baseline
from pathfuse.endpoints.base import RiskColumns
from pathfuse.evaluation.judged import Judged, Scores, predicted
from pathfuse.evaluation.metrics.base import Metric
from pathfuse.evaluation.metrics.registry import metric as metric_of
from pathfuse.evaluation.pearson import pearson
from pathfuse.evaluation.slope import SLOPE
from pathfuse.study.samples import Partition, partitions
from pathfuse.study.study import Study
from pathfuse.types import Index, LogProbs, PerSample
from pathfuse.workflows.steps.evaluating import judged_rows
from pathfuse.workflows.steps.regression import align_moments
from pathfuse.workflows.steps.risks import baselines_or_fixed

N_RESAMPLES = 200
"""Bootstrap resamples of patients behind a standard error: enough for its first digit."""
FEWEST, FEWEST_PATIENTS = 10, 5
"""Fewer rows, or fewer patients, say nothing."""
TAIL = 3.3
"""Standard errors at which few patients are made good for."""
MOST_ROWS = 5000
"""Rows beyond this are thinned evenly: no alarm needs more."""


@dataclass(frozen=True)
class Discrimination:
    """How well an expert tells outcomes apart on some rows."""

    metric: Metric
    value: float
    """NaN where the rows do not define it."""
    n: int
    """Rows."""
    n_patients: int


@dataclass(frozen=True)
class Evidence:
    """A study as the checks see it."""

    study: Study
    parts: tuple[Partition, ...]
    """Who is fitted on and who is judged; without roles all rows are judged."""
    fitting: bool = False
    """Whether a fusion is fitted on the fit rows."""
    _kept: dict[bytes, dict[str, Judged]] = field(default_factory=dict, repr=False)
    _numbers: dict[tuple[str, bytes], tuple[np.ndarray, np.ndarray, np.ndarray]] = field(
        default_factory=dict, repr=False
    )

    @classmethod
    def of(
        cls, study: Study, parts: Sequence[Partition] | None = None, *, fitting: bool = False
    ) -> "Evidence":
        """Of a study as its roles or folds divide it, if nobody has divided it yet."""
        return cls(study, tuple(parts) if parts is not None else (*_divided(study),), fitting)

    @cached_property
    def fit(self) -> Index:
        """Rows that anything is fitted on."""
        return _thinned(np.unique(np.concatenate([part.fit for part in self.parts])))

    @cached_property
    def judged(self) -> Index:
        """Rows that are judged."""
        return _thinned(np.unique(np.concatenate([part.judged for part in self.parts])))

    @property
    def apart(self) -> bool:
        """Whether some rows are fitted on and others judged, as with roles and unlike with folds."""
        return len(self.parts) == 1 and len(self.fit) > 0 and len(self.judged) > 0

    @property
    def open_rows(self) -> Index:
        """The rows whose truth a single expert is looked at with: the fit rows, if there are any."""
        return self.fit if len(self.fit) else self.judged

    @property
    def open_words(self) -> str:
        """What these rows are called."""
        return "fit rows" if len(self.fit) and self.apart else "rows"

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Outputs that are looked at together, by what to call them: each label, or all targets."""
        endpoint = self.study.endpoint
        if endpoint.of_numbers:
            return {"": tuple(endpoint.outcomes)}
        return {"" if task == "all" else f", label {task}": (task,) for task in endpoint.tasks}

    def outputs(self, rows: Index) -> dict[str, Judged]:
        """The experts' predictions of those of some rows that have a truth, by output."""
        key = rows.tobytes()
        if key not in self._kept:
            self._kept[key] = _outputs(self.study, rows)
        return self._kept[key]

    def discrimination(self, name: str, group: str, rows: Index) -> Discrimination | None:
        """An expert's measure of discrimination on some rows, the mean over the group's outputs.

        None where it predicts none of them.
        """
        metric = principal(self.study)
        if self.study.endpoint.of_numbers:
            truth, mean, patients = self.numbers(name, rows)
            r = pearson(np.ones((1, len(truth))), truth, mean)
            n_patients = len(np.unique(patients))
            return Discrimination(metric, _mean(r), len(truth), n_patients) if n_patients else None
        found = self._scores(name, group, rows)
        if not found:
            return None
        values = [scores.values(np.ones((1, len(p))))[metric.name][0] for scores, p in found]
        n = max(len(patients) for _, patients in found)
        n_patients = max(len(np.unique(patients)) for _, patients in found)
        return Discrimination(metric, _mean(np.array(values)), n, n_patients)

    def error_of_discrimination(self, name: str, group: str, rows: Index) -> float:
        """Its standard error, by a bootstrap of patients; larger where they are few (``of_few``)."""
        if self.study.endpoint.of_numbers:
            truth, mean, patients = self.numbers(name, rows)
            few = of_few(len(np.unique(patients)))
            return few * _spread(pearson(resampled(patients, N_RESAMPLES), truth, mean))
        found = self._scores(name, group, rows)
        few = of_few(max((len(np.unique(patients)) for _, patients in found), default=0))
        if not np.isfinite(few):
            return few
        metric = principal(self.study)
        values = [scores.values(resampled(p, N_RESAMPLES))[metric.name] for scores, p in found]
        rare = [self._error_of_rare(name, output, rows) for output in self.groups[group]]
        return float(max(few * _spread(np.stack(values, axis=1)), *rare))

    def _error_of_rare(self, name: str, output: str, rows: Index) -> float:
        """What a bootstrap does not see of the error of an AUROC: that of classes with few patients.

        Of two classes with n1 and n0 patients, one of them fewer than 10, √((n1 + n0 + 1) / (12 n1 n0)),
        the error of an AUROC that knows nothing. Infinite where there are fewer than 10 events.
        """
        judged = self.outputs(rows).get(output)
        if judged is None or name not in judged.predictions:
            return 0.0
        there = predicted(judged.predictions[name])
        seen, patients = np.asarray(judged.observed[there], dtype=bool), judged.patients[there]
        if self.study.endpoint.in_time:
            exact = seen.sum(axis=1) == 1  # a censored patient may be in several bins
            exact[seen[:, -1]] = False
            return 0.0 if len(np.unique(patients[exact])) >= FEWEST else float("inf")
        counts = [len(np.unique(patients[column])) for column in seen.T if column.any()]
        few = [count for count in counts if count < FEWEST]
        if few and len(counts) == 2:
            return float(np.sqrt((sum(counts) + 1) / (12 * counts[0] * counts[1])))
        return float(np.sqrt(sum(1 / (12 * count) for count in few)) / max(len(counts), 1))

    def numbers(
        self, name: str, rows: Index
    ) -> tuple[Float[np.ndarray, "row target"], Float[np.ndarray, "row target"], np.ndarray]:
        """What was observed of all targets and what an expert predicts, NaN where it is not known,
        and the patients, of those of some rows that it predicts.
        """
        key = (name, rows.tobytes())
        if key not in self._numbers:
            at = self.rows_of(name, rows)
            rows, at = rows[at >= 0], at[at >= 0]
            truth = self.study.truth["all"]
            observed = np.where(truth.known[rows, None], truth.observed[rows], np.nan)
            expert = self.study.expert(name)
            patients = self.study.samples.patients[rows]
            self._numbers[key] = observed, expert.outputs["all"].mean[at], patients
        return self._numbers[key]

    def rows_of(self, name: str, rows: Index) -> Index:
        """Where an expert's table has some of the samples' rows; -1 where it has not."""
        expert = self.study.expert(name)
        place = {sample: n for n, sample in enumerate(expert.ids)}
        return np.array([place.get(i, -1) for i in self.study.samples.ids[rows]], dtype=np.int64)

    def nll(self, name: str, group: str, rows: Index) -> tuple[PerSample, np.ndarray] | None:
        """NLL of each row that an expert predicts, and its patient; None for continuous targets."""
        judged = self.outputs(rows).get(self.groups[group][0])
        if self.study.endpoint.of_numbers or judged is None or name not in judged.predictions:
            return None
        there = predicted(judged.predictions[name])
        losses = set_nll(judged.predictions[name][there], judged.observed[there])
        return (losses, judged.patients[there]) if there.any() else None

    def slope(self, name: str, output: str, rows: Index) -> float:
        """Calibration slope of an expert; NaN where there is no finite one."""
        judged = self.outputs(rows)[output]
        there = predicted(judged.predictions[name])
        scores = self.study.endpoint.slope_scores(
            judged.predictions[name][there], judged.observed[there]
        )
        return float(scores.values(np.ones((1, int(there.sum()))))[SLOPE][0])

    def predictions(self, name: str) -> dict[str, np.ndarray]:
        """What an expert predicts by task, whatever the truth: log-probabilities or means.

        (row, column) in the expert's own outcomes.
        """
        expert = self.study.expert(name)
        return {task: self._table(output) for task, output in expert.outputs.items()}

    def _table(self, output: Any) -> np.ndarray:
        if self.study.endpoint.of_numbers:
            return np.asarray(output.mean)
        if isinstance(output, RiskColumns):  # by a fixed rule, which keeps their order
            risk, n_bins = output.risk[:, 0], len(self.study.endpoint.outcomes) - 1
            return Baseline.fixed(risk, n_bins).log_prob(risk)
        return np.asarray(output.log_prob)

    def _scores(self, name: str, group: str, rows: Index) -> list[tuple[Scores, np.ndarray]]:
        """Scores and patients of an expert's rows, for each output that it predicts."""
        found = []
        for output in self.groups[group]:
            judged = self.outputs(rows).get(output)
            if judged is None or name not in judged.predictions:
                continue
            there = np.flatnonzero(predicted(judged.predictions[name]))
            if len(there):
                scores = judged.scores(self.study.endpoint, name, there, 0)
                found.append((scores, judged.patients[there]))
        return found


def of_few(n_patients: int) -> float:
    """Times that a standard error is larger for being estimated from few patients; infinite for
    fewer than 5.

    At 3.3 standard errors Student's t with one degree of freedom less than patients has the tail that
    the normal distribution has.

    Examples:
        >>> of_few(4), round(of_few(8), 2), of_few(40) < 1.15
        (inf, 1.65, True)
    """
    if n_patients < FEWEST_PATIENTS:
        return float("inf")
    return float(student_t.isf(norm.sf(TAIL), n_patients - 1) / TAIL)


def _mean(values: np.ndarray) -> float:
    """Of those that are defined; NaN if none is."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _spread(values: Float[np.ndarray, "resample output"]) -> float:
    """Standard deviation over resamples of the mean over outputs; infinite where few resamples
    define any.
    """
    means = np.array([_mean(value) for value in values if not np.isnan(value).all()])
    return float(means.std(ddof=1)) if len(means) > N_RESAMPLES / 2 else float("inf")


def resampled(patients: np.ndarray, n: int) -> Float[np.ndarray, "resample sample"]:
    """How often each row counts where patients are drawn with replacement."""
    members = np.unique(patients, return_inverse=True)[1]
    n_patients = int(members.max(initial=0)) + 1
    counts = np.random.default_rng(0).multinomial(
        n_patients, np.full(n_patients, 1 / n_patients), size=n
    )
    return np.asarray(counts[:, members], dtype=np.float64)


def error_of_mean(values: PerSample, patients: np.ndarray) -> float:
    """Standard error of a mean over rows whose patients are independent; infinite for few."""
    members = np.unique(patients, return_inverse=True)[1]
    n_patients = int(members.max(initial=-1)) + 1
    if n_patients < FEWEST:
        return float("inf")
    sums = np.bincount(members, values - values.mean())
    return float(np.sqrt((sums**2).sum() * n_patients / (n_patients - 1)) / len(values))


def principal(study: Study) -> Metric:
    """The study's measure of discrimination."""
    return next(m for m in map(metric_of, study.endpoint.metrics) if m.chance is not None)


def _divided(study: Study) -> list[Partition]:
    """As roles or folds say; rows of a role that is lacking are none."""
    samples = study.samples
    if samples.folds is not None:
        return partitions(samples)
    n = len(samples.ids)
    roles = samples.roles if samples.roles is not None else np.full(n, "test")
    return [Partition("", np.flatnonzero(roles == "fit"), np.flatnonzero(roles == "test"))]


def _thinned(rows: Index) -> Index:
    return rows[:: max(1, -(-len(rows) // MOST_ROWS))]


def _outputs(study: Study, rows: Index) -> dict[str, Judged]:
    found: dict[str, Judged] = {}
    for task in study.endpoint.tasks:
        known = study.scored(task, rows)
        if not len(known):
            continue
        alone = _alone(study, task, known)
        found |= judged_rows(study, task, [(known, known)], [alone], "sample")
    return found


def _alone(study: Study, task: str, rows: Index) -> dict[str, LogProbs]:
    """Every expert's predictions of some rows: log-probabilities, or means and variances."""
    n_outcomes = len(study.endpoint.outcomes)
    if study.endpoint.of_numbers:
        table = align_moments(study.experts, study.samples.ids[rows].tolist(), n_outcomes)
        return {
            e.name: np.concatenate([table.mean[:, m], table.variance[:, m]], axis=1)
            for m, e in enumerate(study.experts)
        }
    frequency = np.maximum(study.frequency(task, rows), 1e-7)
    # A risk has its hazards from these very rows: their order is checked, their level cannot be.
    logits = study.logits(task, frequency, baselines_or_fixed(study, task, rows))[rows]
    return {e.name: logits[:, m] for m, e in enumerate(study.experts) if task in e.outputs}
