"""What the tests of experts share: features in memory that count what is read, and samples tables
in small."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from pathfuse.experts.cohort import Cohort, Unit, read_people
from pathfuse.features.moments import moments_of


class MemoryFolder:
    """Stands for a feature folder; remembers how many tiles were read."""

    granularity = "tile"
    scanned = None

    def __init__(self, bags):
        self.bags = {name: np.asarray(bag, dtype=np.float32) for name, bag in sorted(bags.items())}
        self.dim = next(iter(self.bags.values())).shape[1]
        self.slides = {
            name: SimpleNamespace(n_tiles=len(bag), dtype="float32")
            for name, bag in self.bags.items()
        }
        self.views = {"features": self.dim}
        self.reads = []

    def read(self, name, rows=None):
        found = self.bags[name] if rows is None else self.bags[name][rows]
        self.reads.append((name, len(found)))
        return found.copy()

    def stored(self, name):
        return self.read(name)

    @property
    def store(self):
        return SimpleNamespace(moments=lambda name: moments_of([self.bags[name]]))


@pytest.fixture
def memory_folder():
    return MemoryFolder


@pytest.fixture
def people_of(tmp_path):
    """``people_of(frame, endpoint=None, time_edges=None)``: a samples table as it is read."""

    def read(frame, endpoint=None, time_edges=None):
        path = tmp_path / "people.csv"
        frame.write_csv(path)
        return read_people(path, None, endpoint, time_edges)

    return read


@pytest.fixture
def cohort_of(people_of):
    """``cohort_of(frame, without=())``: every sample has features but those named."""

    def make(frame, without=(), **options):
        people = people_of(frame, **options)
        units = [
            Unit(row, (name,))
            for row, name in enumerate(people.samples.ids.tolist())
            if name not in without
        ]
        return Cohort(people, None, tuple(units), ())

    return make


@pytest.fixture
def patients():
    """``patients(n, per_patient, **columns)``: a frame of ids, patients, sites and a label with two
    classes."""

    def make(n=20, per_patient=2, n_sites=4, **columns):
        owner = np.arange(n * per_patient) // per_patient
        return pl.DataFrame({
            "sample_id": [f"s{i:03d}" for i in range(n * per_patient)],
            "patient_id": [f"p{i:02d}" for i in owner],
            "site": [f"site{i % n_sites}" for i in owner],
            "label": ["ab"[i // n_sites % 2] for i in owner],
            **columns,
        })  # fmt: skip

    return make
