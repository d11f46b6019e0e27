"""What the batch test says, figure by figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.drift.batch import (
    SMALLEST,
    SMALLEST_SPREAD,
    Maxima,
    Pool,
    compare_moments,
    p_value,
    simulate,
    threshold,
)
from pathfuse.drift.figures import Figure
from pathfuse.drift.patients import in_blocks, patient_means
from pathfuse.drift.reference import FEWEST_FIT, FEWEST_NEW, Reference
from pathfuse.errors import InputError

N_DRAWS = 4000
"""Simulated comparisons."""
FALSE_ALARMS = 0.01
"""The rate of ``predict``, and of the command unless it is told otherwise."""


@dataclass(frozen=True)
class Finding:
    """One figure of the new samples beside the fit rows."""

    figure: Figure
    spread: bool
    """Whether it is about how far values lie from the middle, not about their size."""
    shift: float
    """Of the ranks: above 0 where new samples have more. ``0.5 + shift`` is the probability that a
    new sample has more than one of the fit rows."""
    z: float
    p: float
    """That the largest of all figures is as far off among samples that are alike."""
    drifted: bool
    shares: tuple[float, float] | None = None
    """Of a figure that is 0 or 1 (a missing expert): how many of the new samples, and of the fit
    rows, have 1; None of others."""

    @property
    def in_words(self) -> str:
        """What was found, in one clause."""
        if self.shares is not None:
            new, fit = (f"{round(100 * share, 1):g} %" for share in self.shares)
            return f"{self.figure.share} {new} of the samples, {fit} in the fit"
        if self.spread:
            return f"{self.figure.words} varies {'more' if self.shift > 0 else 'less'} than usual"
        return (
            f"{self.figure.words} is {'higher' if self.shift > 0 else 'lower'} than in a fit row "
            f"with probability {0.5 + abs(self.shift):.2f} (alike: 0.50)"
        )


@dataclass(frozen=True)
class BatchVerdict:
    """All figures, the furthest off first."""

    findings: tuple[Finding, ...]
    n_samples: int
    n_patients: float
    """Patients that they count as."""
    limit: float
    """What the largest |z| may be."""

    @property
    def drifted(self) -> tuple[Finding, ...]:
        """The figures that give an alarm, one entry per figure."""
        first: dict[Figure, Finding] = {}
        for one in self.findings:
            if one.drifted:
                first.setdefault(one.figure, one)
        return tuple(first.values())


def check_enough(reference: Reference, n_patients: float, n_samples: int, *, named: bool) -> None:
    """Refuses comparisons that would say nothing.

    Args:
        reference: The fit rows.
        n_patients: New patients that the samples count as.
        n_samples: How many new samples there are.
        named: Whether it is known which is of which patient.

    Raises:
        InputError: There are too few fit patients, or too few new ones.
    """
    if reference.n_patients < FEWEST_FIT:
        raise InputError(
            f"the model was fitted on {reference.n_patients} patients: a drift check needs at "
            f"least {FEWEST_FIT}"
        )
    if n_patients >= FEWEST_NEW:
        return
    needs = f"a drift check needs at least {FEWEST_NEW} new patients"
    if named:
        raise InputError(f"{needs}, but there are {n_patients:g}")
    there = "there is 1 sample" if n_samples == 1 else f"there are {n_samples} samples"
    if reference.block == 1:
        raise InputError(f"{needs}, but {there}")
    raise InputError(
        f"{needs}; without patients {reference.block} samples count as one, as in the fit rows, so that it needs "
        f"{FEWEST_NEW * reference.block} samples, but {there} (drift --samples with patient_id says whose they are)"
    )


def batch_test(
    reference: Reference,
    features: Float[np.ndarray, "sample feature"],
    patients: Int[np.ndarray, " sample"] | None,
    *,
    truth: bool,
    rate: float,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    maxima: Maxima | None = None,
) -> BatchVerdict:
    """Are new samples like those of the fit rows?

    Args:
        reference: The fit rows.
        features: From ``Reference.new_features``.
        patients: 0..P-1; None: it is not known which sample is of which patient.
        truth: Whether figures that need a truth take part.
        rate: Of false alarms, over all figures together.
        n_draws: Simulated comparisons.
        seed: Of the simulation.
        maxima: From ``simulate`` with as many patients, if there already.

    Raises:
        InputError: There are too few patients.
    """
    units = in_blocks(len(features), reference.block) if patients is None else patients
    means, _ = patient_means(features[:, reference.watched(truth)], units)
    check_enough(reference, len(means), len(features), named=patients is not None)
    pool = reference.pool(named=patients is not None, truth=truth)
    if maxima is None:
        maxima = simulate(pool, len(means), n_draws, seed)
    moments = means.mean(axis=0), (means**2).mean(axis=0)
    by_sample = features[:, reference.watched(truth)].mean(axis=0)
    counts = len(features), len(means)
    return _verdict(reference, pool, moments, by_sample, counts, maxima, rate, truth)


def quick_test(
    reference: Reference,
    moments: tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]],
    n_samples: int,
    rate: float = FALSE_ALARMS,
) -> BatchVerdict:
    """The same from means and mean squares of all features, with the simulation that was kept.

    Args:
        reference: The fit rows.
        moments: Over the new samples, whose patients and truth are not known.
        n_samples: How many these are.
        rate: Of false alarms.

    Raises:
        InputError: There are too few patients.
    """
    n_patients = n_samples / reference.block
    check_enough(reference, n_patients, n_samples, named=False)
    kept = reference.watched(False)
    own, pool = (moments[0][kept], moments[1][kept]), reference.pool(named=False, truth=False)
    counts = n_samples, n_patients
    return _verdict(reference, pool, own, own[0], counts, reference.quick, rate, False)


def _verdict(
    reference: Reference,
    pool: Pool,
    moments: tuple[np.ndarray, np.ndarray],
    by_sample: np.ndarray,
    counts: tuple[int, float],
    maxima: Maxima,
    rate: float,
    truth: bool,
) -> BatchVerdict:
    limit = threshold(maxima, rate)
    z = compare_moments(pool, *moments, counts[1])
    shift = moments[0] - np.clip(moments[0], pool.low, pool.high)
    sizes = {
        reference.figure(feature): float(mean)
        for feature, mean in zip(reference.watched(truth).tolist(), by_sample, strict=True)
    }
    findings = []
    for column, feature in enumerate(reference.watched(truth).tolist()):
        figure, spread = reference.figure(feature)
        enough = abs(shift[column]) >= (SMALLEST_SPREAD if spread else SMALLEST)
        findings.append(
            Finding(
                figure,
                spread,
                float(shift[column]),
                float(z[column]),
                p_value(abs(z[column]), maxima),
                bool(enough and abs(z[column]) > limit),
                _shares(reference, figure, sizes),
            )
        )
    findings.sort(key=lambda one: (-one.drifted, -abs(one.z)))
    return BatchVerdict(tuple(findings), *counts, limit)


def _shares(
    reference: Reference, figure: Figure, sizes: Mapping[tuple[Figure, bool], float]
) -> tuple[float, float] | None:
    """From the mean ranks around 0, which are half the share above that of the fit rows."""
    if not figure.share:
        return None
    fit = reference.share(figure)
    return float(np.clip(fit + 2 * sizes[figure, False], 0, 1)), fit


def in_words(found: Sequence[Finding]) -> str:
    """The first of some figures, how many more there are, and of whom."""
    more = len(found) - 1
    experts = dict.fromkeys(f"'{one.figure.expert}'" for one in found[1:] if one.figure.expert)
    of = f" (of {', '.join(experts)})" if experts else ""
    rest = f"; {more} more figure{'s' if more > 1 else ''} changed{of}" if more else ""
    return found[0].in_words + rest
