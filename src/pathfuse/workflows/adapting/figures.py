"""What a stream shows: adapted predictions, the log of weights, and losses with intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from pathfuse.evaluation.intervals import NO_INTERVAL, Interval, Sampled, percentile_interval
from pathfuse.evaluation.resampling import MIN_PATIENTS, draw
from pathfuse.online.label_shift import shifted
from pathfuse.online.methods import prior_of, weigher_named
from pathfuse.online.oracle import oracle_table
from pathfuse.online.stream import Followed, Order, follow, mixed
from pathfuse.types import LogProbs, PerSample
from pathfuse.workflows.adapting.candidates import (
    Candidates,
    candidates_of,
    likelihood,
    with_label_shift,
)
from pathfuse.workflows.adapting.journal import NOT_YET, Journal
from pathfuse.workflows.model import FusedModel

RESAMPLES, SEED = 2000, 0
NLL_COLUMNS = {
    "output": pl.String, "what": pl.String, "nll": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64,
}  # fmt: skip
FROZEN, ADAPTED, DIFFERENCE = "frozen fusion", "adapted", "adapted minus frozen"


@dataclass(frozen=True)
class TaskStream:
    """What was made of one task's stream."""

    candidates: Candidates
    followed: Followed
    adapted: LogProbs
    """What each sample was predicted with the weights of that moment."""
    looks: Int[np.ndarray, " look"]
    """Samples after which a look had found other frequencies of the outcomes."""


@dataclass(frozen=True)
class Stream:
    """What was made of a journal, and nothing but the journal and the model: the same bytes again."""

    journal: Journal
    tasks: dict[str, TaskStream]
    adapted: pl.DataFrame
    weights: pl.DataFrame
    nll: pl.DataFrame
    updates: pl.DataFrame

    @property
    def latest(self) -> dict[str, list[tuple[str, float]]]:
        """Per task the candidates' weights for the next sample, the heaviest first."""
        found = {}
        for task, one in self.tasks.items():
            last = one.followed.last
            weights = prior_of(len(one.candidates.names)) if last is None else last
            pairs = zip(one.candidates.names, weights.tolist(), strict=True)
            found[task] = sorted(pairs, key=lambda pair: -pair[1])
        return found


def stream_of(model: FusedModel, journal: Journal) -> Stream:
    """Everything that a journal implies."""
    patients = np.unique(np.array(journal.units, dtype=str), return_inverse=True)[1]
    tasks = {
        task: _task_stream(model, task, journal, patients.reshape(-1)) for task in model.fusions
    }
    return Stream(
        journal,
        tasks,
        _adapted_frame(model, journal, tasks),
        _weights_frame(journal, tasks),
        pl.concat([_nll_frame(task, one, journal, patients) for task, one in tasks.items()]),
        _updates_frame(journal),
    )


def _task_stream(
    model: FusedModel, task: str, journal: Journal, patients: Int[np.ndarray, " sample"]
) -> TaskStream:
    found, looks = candidates_of(model, task, journal.logits[task]), np.zeros(0, dtype=np.int64)
    # The frequency of a bin of time counts censored cases in parts: no prediction has it as its mean.
    if journal.about["label_shift"] and not model.endpoint.in_time:
        frequency, n_fit = model.frequency[task], len(model.fitted)
        corrected, looks = shifted(found.log_prob[:, 0], frequency, patients, n_fit)
        found = with_label_shift(found, corrected)
    weigher = weigher_named(journal.about["by"], prior_of(len(found.names)))
    known = found.log_likelihood(journal.observed[task])
    order = Order(journal.learned_order, journal.n_known)
    followed = follow(weigher, known, found.awake, order)
    return TaskStream(found, followed, mixed(followed.sample_weights, found.log_prob), looks)


def _adapted_frame(
    model: FusedModel, journal: Journal, tasks: dict[str, TaskStream]
) -> pl.DataFrame:
    n_experts = np.zeros(len(journal.ids), dtype=np.int32)
    for logits in journal.logits.values():
        n_experts = np.maximum(n_experts, (~np.isnan(logits[:, :, 0])).sum(axis=1))
    columns: dict[str, Any] = {
        "sample_id": journal.ids,
        **model.endpoint.fused_columns({task: one.adapted for task, one in tasks.items()}),
        "n_experts": n_experts.astype(np.int32),
        "n_labels": journal.n_known,
        "update": journal.predicted_in,
    }
    return pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _weights_frame(journal: Journal, tasks: dict[str, TaskStream]) -> pl.DataFrame:
    order = journal.learned_order
    frames = []
    for task, one in tasks.items():
        weights = one.followed.label_weights
        shown = {f"weight_{name}": weights[:, k] for k, name in enumerate(one.candidates.names)}
        frames.append(
            pl.DataFrame(
                {
                    "output": [task] * len(order),
                    "label": np.arange(1, len(order) + 1),
                    "sample_id": [journal.ids[n] for n in order],
                    "update": journal.learned_in[order],
                    **shown,
                },
                schema_overrides={"output": pl.String, "sample_id": pl.String},
            )
        )
    return pl.concat(frames, how="diagonal")


def _updates_frame(journal: Journal) -> pl.DataFrame:
    numbers = np.arange(1, journal.n_updates + 1)

    def counted(updates: np.ndarray) -> list[int]:
        return [int((updates == u).sum()) for u in numbers]

    return pl.DataFrame(
        {
            "update": numbers,
            "samples": counted(journal.predicted_in),
            "labels_given": counted(journal.labelled_in),
            "labels_learned": counted(journal.learned_in),
        }
    )


def _nll_frame(
    task: str, one: TaskStream, journal: Journal, patients: Int[np.ndarray, " sample"]
) -> pl.DataFrame:
    """Losses of the labelled samples: frozen, adapted, their difference, and what could have been."""
    observed = journal.observed[task]
    table = one.candidates.log_likelihood(observed)
    frozen, adapted = -table[:, 0], np.full(len(observed), np.nan)
    known = np.flatnonzero(~np.isnan(observed[:, 0]))
    adapted[known] = -likelihood(one.adapted[known], observed[known])
    rows = np.flatnonzero(~np.isnan(adapted) & ~np.isnan(frozen))
    judged = {FROZEN: frozen, ADAPTED: adapted, DIFFERENCE: adapted - frozen}
    found: list[tuple[str, str, float, float | None, float | None]] = []
    if len(rows):
        for what, losses in judged.items():
            value, interval = mean_by_patient(losses[rows], patients[rows])
            found.append((task, what, value, interval.low, interval.high))
        oracles = oracle_table(table[rows], one.candidates.names)
        found += [(task, oracle.what, oracle.nll, None, None) for oracle in oracles]
    frame = pl.DataFrame(found, schema=NLL_COLUMNS, orient="row").fill_nan(None)
    return frame.with_columns(
        n=len(rows),
        n_patients=len(np.unique(patients[rows])),
        n_without_patient=sum(journal.patients[row] is None for row in rows),
    )


def mean_by_patient(
    values: PerSample, patients: Int[np.ndarray, " sample"]
) -> tuple[float, Interval]:
    """A mean and its 95 % interval, by a bootstrap over patients; none of fewer than ten.

    The weights of the stream are taken as they were: what is drawn again are the patients that they
    are judged on.
    """
    value, own = float(values.mean()), np.unique(patients, return_inverse=True)[1]
    n_patients = int(own.max()) + 1
    if n_patients < MIN_PATIENTS:
        return value, NO_INTERVAL
    resamples = draw(own, np.zeros(len(own), dtype=np.int64), RESAMPLES, SEED)
    draws: list[Float[np.ndarray, " resample"]] = [
        weights @ values / weights.sum(axis=1) for weights in resamples.row_weights()
    ]
    return value, percentile_interval(np.concatenate(draws), Sampled(n_patients).tail())


def n_waiting(journal: Journal) -> int:
    """Labels that are there and not due yet."""
    return int(((journal.labelled_in != NOT_YET) & (journal.learned == NOT_YET)).sum())
