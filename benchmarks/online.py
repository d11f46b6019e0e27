"""Adapting to late labels, on the test tiles of ``kather`` (shared/data) in random orders.

The default fusion is fitted on the 2,000 fit tiles; the 3,000 test tiles then come one by one, and
the label of each comes 50 tiles late. Four streams:

- "no shift": as they are;
- "heaviest expert breaks": from tile 800 on the rows of the expert with the largest mean weight on the
  fit tiles are permuted;
- "best expert breaks": the same with the best single expert on the fit tiles;
- "one class 60 %": of the other classes so many tiles are left out that one class, another for each
  order, makes up 60 %.

Nothing is tuned: the rates of fixed share and the learning rates of BOA are mixed over a grid, and
half of the prior weight lies on the fusion. Rivals see the same labels at the same time: the
candidate that was the best so far, or over the last 100 labels; and fusions that are fitted anew
after every 100 labels (``auto``: 500) on the latest 500, with the frozen fusion before the first
fit (on two orders only, since that takes minutes).
"EM always" corrects for a label shift without a test. Oracles knew the labels.

``nll`` is the mean over orders, ``sd`` its standard deviation; ``over_frozen`` and ``worst`` are the
mean and the largest difference to the frozen fusion on the same stream.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import pathfuse
from benchmarks.feature_fusion import Row
from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.auto import Auto
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.online.label_shift import EVERY, WINDOW, corrected, em_frequencies, shifted
from pathfuse.online.methods import NAMES, prior_of, weigher_named
from pathfuse.online.oracle import oracle_table
from pathfuse.online.stream import arrivals, follow, late_by, mixed
from pathfuse.workflows.adapting.candidates import Candidates, candidates_of, with_label_shift
from pathfuse.workflows.model import FusedModel

STUDY = Path(__file__).parents[2] / "shared" / "data" / "studies" / "kather"
ORDERS, REFIT_ORDERS, DELAY, BREAK, MAJORITY = 6, 2, 50, 800, 0.6
SAVED, LATEST, FEWEST = 500, 100, 100
REFITS: dict[str, tuple[Callable[[], Fusion], int]] = {
    "static_product, fitted anew": (StaticProduct, 100),
    "auto, fitted anew": (lambda: Auto("multiclass"), 500),
}
Losses = dict[str, float]
Stream = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""From the seed and the number of an order to the tiles and the order that they come in."""


def online() -> list[Row]:
    """A row per stream and method."""
    if not STUDY.exists():
        return []
    study = pathfuse.read_study(STUDY / "samples.csv", [STUDY / "predictions"])
    model = pathfuse.fuse(study, n_resamples=0).model
    assert model is not None
    logits = study.logits("all", model.frequency["all"])
    observed = study.truth["all"].observed
    fit, test = (np.flatnonzero(study.samples.roles == role) for role in ("fit", "test"))
    fitted = Experts.from_logits(logits[fit])
    heaviest = int(model.fusions["all"].weigh(fitted).mean(axis=0).argmax())
    best = int(np.argmin(model.fusions["all"].certificate_.experts))
    values, truth = logits[test], observed[test]
    streams: dict[str, Stream] = {
        "no shift": lambda rng, _: (values, rng.permutation(len(values))),
        "heaviest expert breaks": lambda rng, _: _broken(values, heaviest, rng),
        "best expert breaks": lambda rng, _: _broken(values, best, rng),
        "one class 60 %": lambda rng, order: (
            values,
            _majority(truth, order % truth.shape[1], rng),
        ),
    }
    jobs = []
    for name, make in streams.items():
        for order in range(ORDERS):
            said, rows = make(np.random.default_rng(order), order)
            jobs.append((name, order < REFIT_ORDERS, said[rows], truth[rows]))
    found = Parallel(n_jobs=2)(
        delayed(_losses)(model, said, own, refit) for _, refit, said, own in jobs
    )
    return [
        row
        for name in streams
        for row in _rows(
            name, [one for job, one in zip(jobs, found, strict=True) if job[0] == name]
        )
    ]


def _broken(
    logits: np.ndarray, expert: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(len(logits))
    late, values = order[BREAK:], logits.copy()
    values[late, expert] = values[rng.permutation(late), expert]
    return values, order


def _majority(observed: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    own, others = np.flatnonzero(observed[:, k]), np.flatnonzero(~observed[:, k])
    n_others = round(len(own) * (1 - MAJORITY) / MAJORITY)
    return rng.permutation(np.concatenate([own, rng.choice(others, n_others, replace=False)]))


def _losses(model: FusedModel, logits: np.ndarray, observed: np.ndarray, refit: bool) -> Losses:
    """Mean NLL of every method over one stream."""
    frequency, n = model.frequency["all"], len(observed)
    plain = candidates_of(model, "all", logits)
    frozen = plain.log_prob[:, 0]
    tested = shifted(frozen, frequency, np.arange(n), len(model.fitted))[0]
    both = with_label_shift(plain, tested)
    order = arrivals(late_by(n, DELAY))
    losses = {"frozen fusion": frozen}
    for name in NAMES:
        losses[f"{name} (pathfuse adapt{'' if name == NAMES[0] else f' --by {name}'})"] = _adapted(
            both, observed, name
        )
    losses["fixed_share --no-label-shift"] = _adapted(plain, observed, NAMES[0])
    losses["best candidate so far"] = _leader(plain, observed, n)
    losses["best candidate of the last 100"] = _leader(plain, observed, LATEST)
    losses["uniform_product"] = plain.log_prob[:, plain.names.index("uniform_product")]
    for name, (make, every) in REFITS.items() if refit else ():
        losses[name] = _refitted(make, every, logits, observed, frozen)
    losses["EM behind the test"] = tested
    losses["EM always"] = _always(frozen, frequency)
    found = {name: float(set_nll(q, observed).mean()) for name, q in losses.items()}
    known = plain.log_likelihood(observed.astype(float))
    assert len(order.learned) == n - DELAY
    for oracle in oracle_table(known, plain.names, (1,)):
        found[f"oracle: {oracle.what.split(':')[0]}"] = oracle.nll
    return found


def _adapted(candidates: Candidates, observed: np.ndarray, by: str) -> np.ndarray:
    known = candidates.log_likelihood(observed.astype(float))
    order = arrivals(late_by(len(observed), DELAY))
    weigher = weigher_named(by, prior_of(len(candidates.names)))
    weights = follow(weigher, known, candidates.awake, order).sample_weights
    return mixed(weights, candidates.log_prob)


def _leader(candidates: Candidates, observed: np.ndarray, window: int) -> np.ndarray:
    known = candidates.log_likelihood(observed.astype(float))
    total = np.vstack([np.zeros(known.shape[1]), known.cumsum(axis=0)])
    result = candidates.log_prob[:, 0].copy()
    for n in range(DELAY + 1, len(result)):
        there = n - DELAY
        gained = total[there] - total[max(0, there - window)]
        result[n] = candidates.log_prob[n, gained.argmax()]
    return result


def _refitted(
    make: Callable[[], Fusion],
    every: int,
    logits: np.ndarray,
    observed: np.ndarray,
    frozen: np.ndarray,
) -> np.ndarray:
    result = frozen.copy()
    for there in range(max(FEWEST, every), len(result) - DELAY, every):
        rows = np.arange(max(0, there - SAVED), there)
        fitted = make().fit_experts(Experts.from_logits(logits[rows]), observed[rows], rows)
        following = slice(there + DELAY, there + DELAY + every)
        result[following] = fitted.combine(Experts.from_logits(logits[following]))
    return result


def _always(frozen: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    result = frozen.copy()
    for start in range(EVERY, len(result), EVERY):
        now = em_frequencies(frozen[max(0, start - WINDOW) : start], frequency)
        following = slice(start, start + EVERY)
        result[following] = corrected(frozen[following], frequency, now)
    return result


def _rows(stream: str, found: list[Losses]) -> list[Row]:
    rows: list[Row] = []
    for name in found[0]:
        pairs = np.array([(one[name], one["frozen fusion"]) for one in found if name in one])
        values, over = pairs[:, 0], pairs[:, 0] - pairs[:, 1]
        rows.append(
            {
                "stream": stream,
                "method": name,
                "orders": len(values),
                "nll": round(float(values.mean()), 4),
                "sd": round(float(values.std(ddof=1)), 4),
                "over_frozen": round(float(over.mean()), 4),
                "worst": round(float(over.max()), 4),
            }
        )
    return rows
