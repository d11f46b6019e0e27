"""Digests of what a model was fitted on."""

import hashlib

import numpy as np

from pathfuse.workflows.steps.seen import among, digests


def test_digests_are_the_first_bytes_of_sha256_sorted():
    names = ["b", "a", "\u00fc", "a"]
    whole = {int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") for name in names}
    assert digests(names).tolist() == sorted(whole)
    assert digests(names).dtype == np.uint64


def test_who_is_among_them():
    known = digests(f"s{i}" for i in range(1000))
    assert among(["s999", "t0", "s0", "s1000"], known).tolist() == [True, False, True, False]
    assert among(["a"], digests([])).tolist() == [False]
    assert among([], known).tolist() == []
