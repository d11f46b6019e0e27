"""One study in many spellings: the same numbers, or a refusal that shows both sides."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.study.study import read_study

N = 12
NUMBERS = [f"{n:04d}" for n in range(7, 7 + N)]
PARTS = [f"BR-{n:03d}_{n % 3}" for n in range(7, 7 + N)]
SLIDES = [f"TCGA-A{n % 4}-{1000 + n}-01Z-00-DX1.{n:04X}-UUID.{n}" for n in range(N)]
RNG = np.random.default_rng(0)
PROB = {name: RNG.dirichlet([1, 1], N) for name in ("uni", "conch")}
LABEL = RNG.permutation(["tumour", "normal"] * (N // 2)).tolist()
SUFFIXES = ["", ".h5", ".svs", ".SVS", ".pt", ".ndpi", ".svs.h5", ".tiff"]
RENAMED = {
    "sample_id": ["sample_id", "slide_id", "FILENAME", "image_id", "Sample_ID"],
    "patient_id": ["patient_id", "case_id", "PATIENT", "submitter_id"],
    "split": ["split", "partition", "Split"],
}
ROLES = {"fit": ["fit", "val", "tune"], "test": ["test", "Test"]}


def frames(ids, sample="sample_id", patient="patient_id", split="split", roles=("fit", "test")):
    samples = pl.DataFrame(
        {
            sample: ids,
            patient: [f"p{n // 2}" for n in range(N)],
            split: [roles[n // (N // 2)] for n in range(N)],
            "label": LABEL,
        }
    )
    experts = {
        name: pl.DataFrame({"sample_id": ids, "prob_normal": p[:, 0], "prob_tumour": p[:, 1]})
        for name, p in PROB.items()
    }
    return samples, experts


def numbers(study):
    """Everything that later steps read, as bytes."""
    logits = study.logits("all", np.full(2, 0.5))
    parts = [
        study.samples.ids.astype(str), study.samples.patients.astype(str), study.samples.roles.astype(str),
        study.truth["all"].observed, logits,
    ]  # fmt: skip
    return [part.tobytes() for part in parts]


@st.composite
def spellings(draw):
    """How a study is written."""
    return {
        "ids": draw(st.sampled_from([NUMBERS, PARTS, SLIDES])),
        "suffix": draw(st.tuples(*[st.sampled_from(SUFFIXES)] * 3)),
        "blank": draw(st.tuples(*[st.sampled_from(["", " ", "\u00a0"])] * 3)),
        "wrong": draw(st.sampled_from([None, None, "zeros", "inside", "float", "case"])),
        "which": draw(st.sets(st.integers(0, N - 1), min_size=1)),
        "columns": {ours: draw(st.sampled_from(names)) for ours, names in RENAMED.items()},
        "roles": tuple(draw(st.sampled_from(words)) for words in ROLES.values()),
        "order": draw(st.permutations(range(N))),
        "file": draw(st.sampled_from(["csv", "parquet", "frame"])),
    }


def misspelled(name, how):
    plain = {
        "zeros": name.lstrip("0"),
        "inside": re.sub("(?<![0-9])0+(?=[0-9])", "", name),
        "float": f"{name.lstrip('0')}.0",
        "case": name.lower(),
    }
    return plain[how]


@given(spelling=spellings())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.slow
def test_the_same_numbers_or_a_refusal_that_shows_both_sides(spelling, tmp_path):
    ids, wrong = spelling["ids"], spelling["wrong"]
    fits = {"zeros": [NUMBERS], "float": [NUMBERS], "inside": [PARTS], "case": [PARTS, SLIDES]}
    if wrong is not None and not any(ids is one for one in fits[wrong]):
        wrong = None
    samples, experts = frames(ids)
    plain = numbers(read_study(samples, experts))
    new = [f"{blank}{name}{suffix}" for name, suffix, blank in zip(
        ids, [spelling["suffix"][0]] * N, [spelling["blank"][0]] * N, strict=True)]  # fmt: skip
    columns = spelling["columns"]
    samples, _ = frames(
        new, columns["sample_id"], columns["patient_id"], columns["split"], spelling["roles"]
    )
    for n, name in enumerate(experts, start=1):
        theirs = [
            misspelled(one, wrong) if wrong is not None and n in spelling["which"] else one
            for n, one in enumerate(ids)
        ]
        theirs = [f"{spelling['blank'][n]}{one}{spelling['suffix'][n]}" for one in theirs]
        experts[name] = experts[name].with_columns(sample_id=pl.Series(theirs))[spelling["order"]]
    if spelling["file"] != "frame":
        for name, frame in [("samples", samples), *experts.items()]:
            path = tmp_path / f"{name}.{spelling['file']}"
            getattr(frame, f"write_{spelling['file']}")(path)
        samples = tmp_path / f"samples.{spelling['file']}"
        experts = {name: tmp_path / f"{name}.{spelling['file']}" for name in experts}
    if wrong is None:
        assert numbers(read_study(samples, experts)) == plain
        return
    with pytest.raises(InputError) as caught:
        read_study(samples, experts)
    first = next(ids[n] for n in spelling["order"] if n in spelling["which"])
    assert first in str(caught.value)
    assert misspelled(first, wrong) in str(caught.value)


def test_names_that_differ_by_zeros_on_one_side_are_two_samples():
    both = [f"P{'0' * (n % 3)}{1 + n // 3}" for n in range(N)]  # P1, P01, P001, P2 ...
    samples, experts = frames(both)
    experts["uni"] = experts["uni"][::3]
    study = read_study(samples, experts)
    assert [len(expert.ids) for expert in study.experts] == [N, N // 3]


def test_two_slides_that_differ_behind_a_dot_are_two():
    samples, experts = frames([f"S20-100.{n}" for n in range(N)])
    study = read_study(samples, experts)
    assert len(set(study.samples.ids)) == N


@given(
    first=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    per_patient=st.integers(1, 3),
    column=st.sampled_from(["case_id", "PATIENT", "slide_id", "sample_id", "id"]),
    unit=st.sampled_from(["sample", "patient"]),
    padded=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    order=st.permutations(range(N)),
)
@settings(max_examples=80, deadline=None)
def test_numbers_of_slides_and_of_patients_are_never_taken_for_each_other(
    first, per_patient, column, unit, padded, order
):
    def names(start, n, which):
        return [f"{start + k:0{3 if padded[which] else 1}d}" for k in range(n)]

    slides, patients = names(first[0], N, 0), names(first[1], N // per_patient, 1)
    owner = [patients[n // per_patient] for n in order]
    samples = pl.DataFrame({"slide_id": slides, "case_id": owner, "label": LABEL})
    of_patients = column in ("case_id", "PATIENT")
    theirs = names(first[1], len(patients), 2) if of_patients else names(first[0], N, 2)
    prob = PROB["uni"][: len(theirs)]
    expert = pl.DataFrame({column: theirs, "prob_normal": prob[:, 0], "prob_tumour": prob[:, 1]})
    try:
        study = read_study(samples, {"uni": expert}, unit=unit)
    except InputError:
        return
    meant = owner if of_patients else slides
    value = dict(zip([int(name) for name in theirs], prob[:, 1].tolist(), strict=True))
    found = dict(zip(study.samples.ids, study.logits("all", np.full(2, 0.5))[:, 0, 1], strict=True))
    for slide, name in zip(slides, meant, strict=True):
        assert np.isclose(np.exp(found[slide]), value[int(name)])
