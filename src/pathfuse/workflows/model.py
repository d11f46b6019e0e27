"""A fitted fusion with everything it needs to read new prediction tables.

On disk: JSON and safetensors, no pickle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from pathfuse.calibration.conformal import PredictionIntervals, PredictionSets
from pathfuse.distributions.proportional import Baseline
from pathfuse.drift.reference import Reference
from pathfuse.endpoints.base import Endpoint, LabelMap, RiskColumns
from pathfuse.errors import InputError
from pathfuse.files.model_folder import remove_model, write_model
from pathfuse.files.spelling import check_spelling, spelled_otherwise
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.family import AnyFamily
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.store import dump
from pathfuse.study.predictions import SEEN, Expert, PredictionInput, gather, read_expert
from pathfuse.study.study import align
from pathfuse.workflows.new_samples import NewSamples
from pathfuse.workflows.steps.seen import among

SCHEMA = 3
"""Version of the model files; raised when older readers would misread newer files. Regressions are
stored otherwise since version 3; the others are as they were, so that older readers read them."""
SCHEMA_CATEGORICAL = 2
Names: TypeAlias = list[str] | pl.Series
NAME = "model"
"""Of the model's two files, without their endings."""
REFERENCE, REFERENCE_SCHEMA = "reference", 1
"""Of the files about the fit rows; and their version, raised when older readers would misread it."""
FITTED = "fit_ids"
"""Name of the tensor of digests, which readers of older versions pass over."""


Aligned: TypeAlias = Mapping[str, np.ndarray] | GaussianExperts
"""Experts' predictions of the same samples: logits per task, NaN where absent, or moments."""


@dataclass(frozen=True)
class Combined:
    """What a model says of some samples, as arrays."""

    predicted: Mapping[str, np.ndarray]
    """Per task: log-probabilities (sample, outcome), or means, then variances (sample, 2 target);
    NaN where no expert scored the sample."""
    weights: Float[np.ndarray, "sample expert"]
    n_experts: Int[np.ndarray, " sample"]
    """How many scored each sample."""


@dataclass(frozen=True)
class FusedModel:
    """What ``pathfuse predict`` loads."""

    endpoint: Endpoint
    experts: tuple[str, ...]
    label_maps: Mapping[str, LabelMap | None]
    frequency: Mapping[str, Float[np.ndarray, " outcome"]]
    """Per task, outcome frequencies on the fit rows; coarse experts are spread by them."""
    fusions: Mapping[str, Fusion[Any]]
    """Per task."""
    sets: Mapping[str, PredictionSets | PredictionIntervals] = field(default_factory=dict)
    """Per task; empty without ``--coverage``."""
    fitted: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64), repr=False)
    """Digests of the ``sample_id`` of every row that was fitted or calibrated on; empty in models
    of older versions."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    """Survival: what turns the risks of an expert into hazards."""
    class_orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Classes of the experts whose columns number them."""
    reference: Reference | None = field(default=None, repr=False)
    """What is known of the fit rows, for ``drift``; None in models of older versions."""

    def seen_in_fit(self, ids: Sequence[str]) -> np.ndarray:
        """Which samples the model was fitted (or its prediction sets calibrated) on.

        Args:
            ids: ``sample_id`` of each.

        Returns:
            Bool, (sample,); all False for a model of a version that kept no digests.
        """
        return among(ids, self.fitted)

    def read(self, predictions: PredictionInput) -> NewSamples:
        """Reads new predictions: who scored what.

        Args:
            predictions: As in ``read_study``. An expert may miss any sample, or be absent
                altogether.

        Raises:
            InputError: A table is wrong, holds an expert that the model does not know, or spells a
                sample otherwise than another.
        """
        tables = gather(predictions)
        unknown = next((t.name for t in tables if t.name not in self.experts), None)
        if unknown is not None:
            raise InputError(
                f"the model does not know the expert '{unknown}'; its experts are {', '.join(self.experts)}"
            )
        read = {
            t.name: read_expert(
                t, self.endpoint, self.label_maps[t.name], order=self.class_orders.get(t.name, ())
            )
            for t in tables
        }
        for name, expert in read.items():
            self.check_risk(name, expert.source, expert.outputs)
        ids = sorted({i for expert in read.values() for i in expert.ids})
        check_spelling(
            "the predictions " + ", ".join(e.source for e in read.values()), "sample_id", ids
        )
        for one, other in combinations(read.values(), 2):
            absent = sorted(set(one.ids) - set(other.ids))
            if hint := spelled_otherwise(absent, one.ids, other.ids):
                raise InputError(f"{one.source}: '{absent[0]}' is not in {other.source}{hint}")
        return NewSamples(ids, read, self.experts)

    def predict(
        self,
        predictions: PredictionInput | NewSamples,
        *,
        min_experts: int = 1,
        require_all: bool = False,
    ) -> pl.DataFrame:
        """Fuses new predictions.

        Args:
            predictions: As in ``read_study``, or what ``read`` made of them. What samples that lack
                an expert have left is made as sharp as it deserves (``fusion.presence``).
            min_experts: Leave out samples that fewer experts scored.
            require_all: Refuse samples that lack an expert.

        Returns:
            The columns of ``fused.parquet``, one row per sample that any expert scored, sorted by
            ``sample_id``. If the model was fitted on some of them, a column ``seen_in_fit`` says on
            which.

        Raises:
            InputError: As in ``read``; a sample lacks an expert and ``require_all`` is set;
                ``min_experts`` is out of range, or leaves no sample.
        """
        new = predictions if isinstance(predictions, NewSamples) else self.read(predictions)
        if require_all:
            new.check_complete()
        kept = new.with_at_least(min_experts)
        return self.fused_frame(kept.ids, self.combined(self.aligned(kept.read, kept.ids)))

    def fused_frame(self, ids: Names, combined: Combined) -> pl.DataFrame:
        """The columns of ``fused.parquet``, and ``seen_in_fit`` if any sample was."""
        seen = self.seen_in_fit(list(ids))
        frame = self.frame(ids, combined)
        return frame.with_columns(pl.Series(SEEN, seen)) if seen.any() else frame

    def aligned(self, read: Mapping[str, Expert], ids: list[str]) -> Aligned:
        """Predictions of some samples with a place for every expert of the model.

        Args:
            read: The experts that were given, by name.
            ids: The samples.
        """
        columns = [self.experts.index(name) for name in read]
        if self.endpoint.of_numbers:
            return self._moments(tuple(read.values()), columns, ids)
        logits = {}
        for task in self.fusions:
            values = np.full((len(ids), len(self.experts), len(self.frequency[task])), np.nan)
            values[:, columns] = align(
                tuple(read.values()), ids, task, self.frequency[task], self.baselines
            )
            logits[task] = values
        return logits

    def check_risk(self, name: str, source: str, outputs: Mapping[str, Any]) -> None:
        """Refuses a risk of an expert that gave hazards when the model was fitted.

        Args:
            name: The expert's.
            source: Its table, as a person would name it.
            outputs: What the endpoint read in it, by task.

        Raises:
            InputError: Naming the expert.
        """
        risky = any(isinstance(one, RiskColumns) for one in outputs.values())
        if risky and name not in self.baselines:
            raise InputError(
                f"{source}: '{name}' gives a risk, but the model was fitted on its hazards"
            )

    def _moments(
        self, experts: tuple[Expert, ...], columns: list[int], ids: list[str]
    ) -> GaussianExperts:
        """Aligned moments with a place for every expert of the model."""
        from pathfuse.workflows.steps.regression import align_moments  # imports what fits

        found = align_moments(experts, ids, len(self.endpoint.outcomes))
        mean = np.full((len(ids), len(self.experts), len(self.endpoint.outcomes)), np.nan)
        variance = mean.copy()
        mean[:, columns], variance[:, columns] = found.mean, found.variance
        return GaussianExperts(mean, variance)

    def table(self, ids: Names, aligned: Aligned) -> pl.DataFrame:
        """Fused predictions of aligned predictions, as ``fused.parquet`` has them."""
        return self.frame(ids, self.combined(aligned))

    def combined(self, aligned: Aligned) -> Combined:
        """Fuses aligned predictions."""
        if isinstance(aligned, GaussianExperts):
            fusion = _of_family(self.fusions["all"], GAUSSIAN)
            n_experts = aligned.scored.sum(axis=1)
            predicted, weights = fusion.combine_and_weigh(aligned)
            return Combined({"all": predicted}, weights, n_experts)
        n = len(next(iter(aligned.values())))
        log_prob = {task: np.full((n, v.shape[2]), np.nan) for task, v in aligned.items()}
        weights, n_tasks = np.zeros((n, len(self.experts))), np.zeros(n)
        n_experts = np.zeros(n, dtype=np.int64)
        for task, values in aligned.items():
            scored = ~np.isnan(values[:, :, 0]).all(axis=1)
            experts, fusion = (
                Experts.from_logits(values[scored]),
                _of_family(self.fusions[task], CATEGORICAL),
            )
            log_prob[task][scored], own = fusion.combine_and_weigh(experts)
            weights[scored] += own
            n_tasks += scored
            n_experts[scored] = np.maximum(n_experts[scored], experts.present.sum(axis=1))
        return Combined(log_prob, weights / np.maximum(n_tasks, 1)[:, None], n_experts)

    def columns(self, combined: Combined) -> dict[str, Any]:
        """The columns of ``fused.parquet`` without ``sample_id``, and the conformal sets; NaN where
        a table is empty. See docs/reference/commands.md.
        """
        predicted = combined.predicted
        columns: dict[str, Any] = dict(self.endpoint.fused_columns(predicted))
        for task, sets in self.sets.items():
            columns |= set_columns(self.endpoint, task, sets, predicted[task])
        weights = combined.weights
        columns |= {f"weight_{name}": weights[:, m] for m, name in enumerate(self.experts)}
        return {**columns, "n_experts": combined.n_experts.astype(np.int32)}

    def frame(self, ids: Names, combined: Combined) -> pl.DataFrame:
        """The table of some samples, sorted as they are; see ``columns``."""
        frame = pl.DataFrame({"sample_id": ids, **self.columns(combined)})
        return frame.with_columns(pl.col(pl.Float64).fill_nan(None))

    @property
    def parameters(self) -> int:
        """How many numbers were learned from the fit rows: weights, and means, scales and
        covariances too.
        """
        return sum(
            array.size for fusion in self.fusions.values() for array in dump(fusion)[1].values()
        )

    def save(self, folder: Path) -> None:
        """Writes ``model.json`` and ``model.safetensors``; of the fit rows ``reference.json`` and
        ``reference.safetensors``.
        """
        fusions: dict[str, Any] = {}
        tensors: dict[str, np.ndarray] = {}
        for t, (task, fusion) in enumerate(self.fusions.items()):
            fusions[task], arrays = dump(fusion)
            tensors |= {f"{t}/{name}": np.array(array, order="C") for name, array in arrays.items()}
        content = {
            "schema": max(
                SCHEMA_CATEGORICAL if f.family is CATEGORICAL else SCHEMA
                for f in self.fusions.values()
            ),
            "endpoint": self.endpoint.as_dict(),
            "experts": list(self.experts),
            "label_maps": {
                k: dict(v) if v is not None else None for k, v in self.label_maps.items()
            },
            "frequency": {task: values.tolist() for task, values in self.frequency.items()},
            "fusions": fusions,
            "conformal": {task: sets.as_dict() for task, sets in self.sets.items()},
        }
        if self.baselines:
            content["baselines"] = {name: one.as_dict() for name, one in self.baselines.items()}
        if self.class_orders:
            content["class_orders"] = {name: list(own) for name, own in self.class_orders.items()}
        if len(self.fitted):
            tensors[FITTED] = self.fitted
        write_model(folder, NAME, content, tensors)
        if self.reference is None:
            remove_model(folder, REFERENCE)
        else:
            about, arrays = self.reference.as_parts()
            write_model(folder, REFERENCE, {"schema": REFERENCE_SCHEMA, **about}, arrays)


def _of_family(fusion: Fusion[Any], family: AnyFamily) -> Fusion[Any]:
    if fusion.family is not family:
        raise InputError("the model is damaged: its fusion does not fit its endpoint")
    return fusion


def set_columns(
    endpoint: Endpoint, task: str, sets: PredictionSets | PredictionIntervals, predicted: np.ndarray
) -> dict[str, Any]:
    """``prediction_set`` (per label ``prediction_set_<name>``), or ``low_<target>`` and
    ``high_<target>``.
    """
    if isinstance(sets, PredictionIntervals):
        ends = dict(zip(("low", "high"), sets.of(predicted), strict=True))
        return {
            f"{end}_{name}": ends[end][:, g]
            for g, name in enumerate(endpoint.outcomes)
            for end in ends
        }
    names = np.array(endpoint.outcomes, dtype=object)
    absent = np.isnan(predicted[:, 0])
    members = [
        None if gone else names[row].tolist()
        for gone, row in zip(absent, sets.of(predicted), strict=True)
    ]
    column = "prediction_set" if task == "all" else f"prediction_set_{task}"
    return {column: pl.Series(column, members, dtype=pl.List(pl.String))}
