"""``pathfuse drift``: false alarms over streams in which nothing changes, and how soon a broken expert
is found.

Made-up studies: 500 streams, each with fit rows of its own (300 patients, 200 new ones; with one
sample or four alike ones each), three experts of three classes, fused by the uniform product. Kather:
the default fusion on the 2,000 fit rows; half of the test rows are the judged rows, and 500 streams of
300 are drawn without replacement from the other half. The experts of the fit rows are out of fold,
those of the test rows refitted. ``rate`` is the share of streams with an alarm at a stated rate of .01
(.005 for each test), with its 95 % interval (Clopper-Pearson).

Delay: after 200 new tiles an expert breaks: its rows are permuted among the later ones, so that
everything it says is as likely as before, or become noise (another draw of the same size around 0).
The heaviest expert is that of the largest mean weight, the lightest that of the smallest. 100 streams.

The rival compares every expert's probability of every class between fit rows and new samples with
scipy's Kolmogorov-Smirnov test, Bonferroni over all of them, with the sample as the unit.

    python -m benchmarks drift
"""

import numpy as np
from scipy.stats import binomtest, ks_2samp

import pathfuse
from benchmarks.feature_files import SHARED
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.drift.batch import simulate
from pathfuse.drift.categorical import categorical_figures
from pathfuse.drift.figures import Figures
from pathfuse.drift.missing import missing_figures
from pathfuse.drift.patients import patient_means
from pathfuse.drift.reference import Reference
from pathfuse.drift.sequential import limit_of, simulate_streams, step_of, watch
from pathfuse.drift.verdict import batch_test
from pathfuse.workflows.steps.figures import figures_of

Row = dict[str, object]
STREAMS, BROKEN, STATED = 500, 100, 0.01
NAMES, CLASSES = ("a", "b", "c"), ("x", "y", "z")
BREAK, AFTER = 200, 300


def drift() -> list[Row]:
    """A row per test and setting."""
    found = [row for samples in (1, 4) for row in _made_up(samples)]
    if (SHARED / "studies/kather").is_dir():
        found += _kather()
    return found


def _rate(what: str, test: str, alarms: int, n: int, note: str = "") -> Row:
    ends = binomtest(alarms, n).proportion_ci()
    return {
        "what": what,
        "test": test,
        "streams": n,
        "rate": alarms / n,
        "low": ends.low,
        "high": ends.high,
        "median_delay": None,
        "delay_90": None,
        "note": note,
    }


def _drawn(
    rng: np.random.Generator, n_patients: int, per_patient: int
) -> tuple[Figures, np.ndarray]:
    """Samples of a patient have the same truth, and experts err in the same way in them."""
    truth = np.repeat(rng.integers(3, size=n_patients), per_patient)
    patients = np.repeat(np.arange(n_patients), per_patient)
    n = len(truth)
    logits = rng.normal(size=(n, 3, 3)) * 0.5
    logits += np.repeat(rng.normal(size=(n_patients, 3, 3)), per_patient, axis=0)
    logits[np.arange(n), :, truth] += 1.5
    scored = rng.random((n, 3)) > 0.05
    scored[:, 0] = True
    log_prob = np.where(scored[:, :, None], log_softmax(logits), np.nan)
    fused = log_softmax(np.nanmean(log_prob, axis=1))
    figures = Figures.of(
        [
            *categorical_figures(log_prob, fused, NAMES, "all", CLASSES),
            *missing_figures(scored, NAMES),
        ]
    )
    return figures, patients


def _made_up(per_patient: int) -> list[Row]:
    alarms = dict.fromkeys(("batch", "sequential", "both", "Kolmogorov-Smirnov"), 0)
    for number in range(STREAMS):
        rng = np.random.default_rng([per_patient, number])
        fit, patients = _drawn(rng, 300, per_patient)
        new, theirs = _drawn(rng, 200, per_patient)
        reference = Reference.of(fit, patients, None, number)
        features = reference.new_features(new.select(reference.names))
        batch = batch_test(
            reference, features, theirs, truth=False, rate=STATED / 2, n_draws=4000, seed=number
        )
        pool = reference.pool(named=True, truth=False)
        limit = limit_of(simulate_streams(pool, 200, number), STATED / 2)
        stream = watch(pool, patient_means(features, theirs)[0], limit, 1)
        alarms["batch"] += bool(batch.drifted)
        alarms["sequential"] += stream.first >= 0
        alarms["both"] += bool(batch.drifted) or stream.first >= 0
        alarms["Kolmogorov-Smirnov"] += _rival(fit, new)
    what = f"made up, {per_patient} sample{'s' if per_patient > 1 else ''} per patient, unchanged"
    return [_rate(what, test, n, STREAMS) for test, n in alarms.items()]


def _rival(fit: Figures, new: Figures) -> bool:
    columns = [n for n, name in enumerate(fit.names) if name.kind == "probability" and name.expert]
    p = [
        ks_2samp(*(x[~np.isnan(x)] for x in (fit.values[:, c], new.values[:, c]))).pvalue
        for c in columns
    ]
    return min(p) < STATED / len(columns)


def _kather() -> list[Row]:
    place = SHARED / "studies/kather"
    study = pathfuse.read_study(place / "samples.csv", [place / "predictions"])
    test = np.flatnonzero(study.samples.roles == "test")
    order = np.random.default_rng(0).permutation(test)
    judged, held = np.sort(order[: len(order) // 2]), order[len(order) // 2 :]
    ids = study.samples.ids
    frame = study.samples.frame.filter(~_in(ids, ids[held]))
    own = pathfuse.read_study(frame, [place / "predictions"])
    assert len(judged) == (own.samples.roles == "test").sum()
    model = pathfuse.fuse(own, n_resamples=0).model
    assert model is not None
    kather = _Kather(model, study, held)
    found = kather.null()
    weights = kather.weights()
    for which, m in (("heaviest", np.argmax(weights)), ("lightest", np.argmin(weights))):
        for how in ("permuted", "noise"):
            name = f"kather, {which} ({model.experts[m]}) {how} after {BREAK}"
            found += kather.broken(int(m), how, name)
    return found


def _in(ids: np.ndarray, some: np.ndarray) -> np.ndarray:
    return np.isin(ids.astype(str), some.astype(str))


class _Kather:
    def __init__(self, model: pathfuse.FusedModel, study: pathfuse.Study, held: np.ndarray) -> None:
        self.model, self.held = model, held
        reference = model.reference
        assert reference is not None
        self.reference = reference
        read = {expert.name: expert for expert in study.experts}
        self.logits = model.aligned(read, study.samples.ids[held].tolist())["all"]
        fit = np.flatnonzero(study.samples.roles == "fit")
        self.fit = self._figures(model.aligned(read, study.samples.ids[fit].tolist())["all"])
        self.pool = reference.pool(named=False, truth=False)
        self.kept = reference.watched(False)

    def weights(self) -> np.ndarray:
        return self.model.combined({"all": self.logits}).weights.mean(axis=0)

    def _figures(self, logits: np.ndarray) -> Figures:
        predicted = self.model.combined({"all": logits}).predicted
        return figures_of(self.model, {"all": logits}, predicted, self.reference.scale)

    def _features(self, figures: Figures) -> np.ndarray:
        return self.reference.new_features(figures.select(self.reference.names))

    def null(self) -> list[Row]:
        rng, n = np.random.default_rng(1), 300
        whole = self._figures(self.logits)
        features = self._features(whole)
        maxima = simulate(self.pool, n, 20_000, 0)
        limit = limit_of(simulate_streams(self.pool, n, 0), STATED / 2)
        alarms = dict.fromkeys(("batch", "sequential", "both", "Kolmogorov-Smirnov"), 0)
        for _ in range(STREAMS):
            rows = rng.permutation(len(self.held))[:n]
            batch = batch_test(
                self.reference, features[rows], None, truth=False, rate=STATED / 2, maxima=maxima
            )
            stream = watch(self.pool, features[rows][:, self.kept], limit, 1)
            alarms["batch"] += bool(batch.drifted)
            alarms["sequential"] += stream.first >= 0
            alarms["both"] += bool(batch.drifted) or stream.first >= 0
            alarms["Kolmogorov-Smirnov"] += _rival(
                self.fit, Figures(whole.names, whole.values[rows])
            )
        return [_rate("kather, unchanged", test, n, STREAMS) for test, n in alarms.items()]

    def broken(self, m: int, how: str, what: str) -> list[Row]:
        rng, n = np.random.default_rng([2, m]), BREAK + AFTER
        limit = limit_of(simulate_streams(self.pool, n, 0), STATED / 2)
        maxima = simulate(self.pool, AFTER, 20_000, 0)
        delays, early, batches, rivals = [], 0, 0, 0
        for _ in range(BROKEN):
            rows = rng.permutation(len(self.held))[:n]
            logits = self.logits[rows].copy()
            later = logits[BREAK:, m]
            size = later.std()
            logits[BREAK:, m] = (
                rng.permutation(later) if how == "permuted" else rng.normal(0, size, later.shape)
            )
            figures = self._figures(logits)
            features = self._features(figures)
            stream = watch(self.pool, features[:, self.kept], limit, step_of(n))
            alarm = stream.alarm[stream.first] if stream.first >= 0 else n
            early += alarm < BREAK
            if alarm >= BREAK:
                delays.append(int(alarm) - BREAK + 1)
            late = features[BREAK:]
            batches += bool(
                batch_test(
                    self.reference, late, None, truth=False, rate=STATED / 2, maxima=maxima
                ).drifted
            )
            rivals += _rival(self.fit, Figures(figures.names, figures.values[BREAK:]))
        caught = sum(one <= AFTER for one in delays)
        sequential = _rate(what, "sequential", caught, BROKEN, f"{early} early")
        middle, late_delay = np.quantile(delays, (0.5, 0.9))
        sequential |= {"median_delay": float(middle), "delay_90": float(late_delay)}
        return [
            sequential,
            _rate(what, f"batch, the {AFTER} after", batches, BROKEN),
            _rate(what, f"Kolmogorov-Smirnov, the {AFTER} after", rivals, BROKEN),
        ]
