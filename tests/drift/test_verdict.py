"""What the batch test says."""

import re

import numpy as np
import pytest

from pathfuse.drift.figures import Figure, Figures
from pathfuse.drift.reference import Reference
from pathfuse.drift.verdict import batch_test, in_words, quick_test
from pathfuse.errors import InputError

NAMES = (Figure("entropy", "a"), Figure("distance", "b"))


def reference(n=200, seed=0):
    values = np.random.default_rng(seed).random((n, 2))
    return Reference.of(Figures(NAMES, values), np.arange(n), None, seed)


def features(kept, n=100, shift=0.0, seed=1):
    values = np.random.default_rng(seed).random((n, 2)) + np.array([0, shift])
    return kept.new_features(values)


def test_what_changed_is_named_with_its_expert():
    kept = reference()
    found = batch_test(kept, features(kept, shift=0.3), None, truth=False, rate=0.01)
    assert [one.figure for one in found.drifted] == [NAMES[1]]
    assert in_words(found.drifted).startswith(
        "distance of 'b' from the other experts is higher than in a fit row with probability 0.7"
    )


def test_what_is_alike_gives_no_alarm():
    kept = reference()
    assert not batch_test(kept, features(kept), None, truth=False, rate=0.01).drifted


def test_the_quick_test_says_the_same():
    kept = reference()
    for shift in (0.0, 0.3):
        new = features(kept, shift=shift)
        moments = new.mean(axis=0), (new**2).mean(axis=0)
        quick = quick_test(kept, moments, len(new))
        whole = batch_test(kept, new, None, truth=False, rate=0.01)
        assert [one.z for one in quick.findings] == pytest.approx([one.z for one in whole.findings])
        assert bool(quick.drifted) == bool(whole.drifted) == (shift > 0)


def test_a_trifle_is_no_drift_however_sure_it_is():
    kept = reference(2000)
    new = features(kept, 20_000, 0.04)
    found = batch_test(kept, new, None, truth=False, rate=0.05, n_draws=200)
    assert abs(found.findings[0].z) > found.limit
    assert not found.drifted


def test_too_few_patients_are_refused_with_the_number():
    kept = reference()
    with pytest.raises(InputError, match="at least 20 new patients, but there are 19"):
        batch_test(kept, features(kept, 19), None, truth=False, rate=0.01)
    with pytest.raises(InputError, match="fitted on 49 patients: a drift check needs at least 50"):
        batch_test(reference(49), features(kept), None, truth=False, rate=0.01)
    patients = np.arange(60) // 4
    with pytest.raises(InputError, match="but there are 15"):
        batch_test(kept, features(kept, 60), patients, truth=False, rate=0.01)


def test_without_patients_samples_are_counted():
    """As many as a patient of the fit has count as one; what is said are samples, not quarters."""
    values = np.random.default_rng(0).random((240, 2))
    kept = Reference.of(Figures(NAMES, values), np.arange(240) // 4, None, 0)
    sentence = (
        "without patients 4 samples count as one, as in the fit rows, so that it needs 80 samples, but there "
        "{} (drift --samples with patient_id says whose they are)"
    )
    for n, there in ((1, "is 1 sample"), (79, "are 79 samples")):
        new = features(kept, n)
        with pytest.raises(InputError, match=re.escape(sentence.format(there))):
            batch_test(kept, new, None, truth=False, rate=0.01)
        with pytest.raises(InputError, match=re.escape(sentence.format(there))):
            quick_test(kept, (new.mean(axis=0), (new**2).mean(axis=0)), n)
    batch_test(kept, features(kept, 80), None, truth=False, rate=0.01, n_draws=50)


@pytest.mark.parametrize(("before", "now"), [(0.0, 1.0), (0.25, 0.0), (0.5, 0.75), (1.0, 0.5)])
def test_a_missing_expert_is_said_in_shares(before, now):
    missing = (Figure("missing", "a"),)

    def values(share):
        return (np.arange(200) < 200 * share).astype(float)[:, None]

    kept = Reference.of(Figures(missing, values(before)), np.arange(200), None, 0)
    found = batch_test(
        kept, kept.new_features(values(now)), None, truth=False, rate=0.01, n_draws=200
    )
    assert {one.in_words for one in found.findings} == {
        f"'a' is missing in {100 * now:g} % of the samples, {100 * before:g} % in the fit"
    }
