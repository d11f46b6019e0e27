"""What the tests of the server share: a small model of each endpoint, and what its experts say."""

import json
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

import pathfuse

if find_spec("fastapi") is None or find_spec("httpx") is None:
    collect_ignore_glob = ["test_*.py"]  # the extra 'serve' is not installed

N = 90
KINDS = ("multiclass", "coarse", "multilabel", "survival", "risk", "regression")
EDGES = (0, 10, 20, float("inf"))
COVERED = ("multiclass", "multilabel", "regression")


@pytest.fixture(scope="session", autouse=True)
def quick_fits(quick_figures):
    """What is answered is tested here, not how well it is fused."""
    from pathfuse.fusion import inner_cv

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_cv, "SMALL", 0)
        patch.setattr(inner_cv, "LARGE", 0)
        yield


def pytest_generate_tests(metafunc):
    """A test that asks for ``each_kind`` runs for every one."""
    if "each_kind" in metafunc.fixturenames:
        metafunc.parametrize("each_kind", KINDS)


def drawn(kind, rng):
    """Truth, and the columns of an expert without its noise."""
    if kind in ("multiclass", "coarse"):
        label = np.arange(N) % 3
        truth = {"label": [f"c{k}" for k in label]}
        return truth, {f"logit_c{k}": 2.0 * (label == k) for k in range(3)}
    if kind == "multilabel":
        labels = rng.integers(2, size=(N, 2))
        names = ("kras", "braf")
        truth = {f"label_{name}": labels[:, k] for k, name in enumerate(names)}
        return truth, {f"logit_{name}": 3.0 * labels[:, k] - 1.5 for k, name in enumerate(names)}
    if kind == "regression":
        value = rng.normal(size=(N, 2))
        truth = {f"target_{name}": value[:, k] for k, name in enumerate(("ki67", "er"))}
        return truth, {f"mean_{name}": value[:, k] for k, name in enumerate(("ki67", "er"))}
    time, event = rng.exponential(20, N) + 0.1, rng.integers(2, size=N)
    return {"time": time, "event": event}, {f"hazard_logit_{k}": -time / 20 for k in (1, 2, 3)}


def study_of(kind):
    """Samples, experts (the second misses a fifth), and what else a study is told."""
    rng = np.random.default_rng(1)
    ids = [f"s{n:04d}" for n in rng.permutation(1000)[:N]]
    truth, signal = drawn(kind, rng)
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit"] * 60 + ["test"] * 30, **truth})
    experts = {}
    for m in range(3):
        columns = {name: one + rng.normal(size=N) for name, one in signal.items()}
        frame = pl.DataFrame({"sample_id": ids, **columns})
        experts[f"e{m}"] = frame.filter(pl.Series(rng.random(N) > 0.2)) if m == 1 else frame
    options = {}
    if kind == "coarse":
        two = experts["e2"].select("sample_id", logit_none="logit_c0", logit_some="logit_c1")
        experts["e2"] = two
        options["label_maps"] = {"e2": {"c0": "none", "c1": "some", "c2": "some"}}
    if kind in ("survival", "risk"):
        options["time_edges"] = EDGES
    if kind == "risk":
        experts["e2"] = experts["e2"].select("sample_id", risk="hazard_logit_1")
    return samples, experts, options


class Served:
    """A model with its client."""

    def __init__(self, kind):
        from starlette.testclient import TestClient

        from pathfuse.serving.app import create_app
        from pathfuse.serving.settings import Settings

        samples, self.experts, options = study_of(kind)
        study = pathfuse.read_study(samples, self.experts, **options)
        coverage = {"coverage": 0.8} if kind in COVERED else {}
        self.model = pathfuse.fuse(study, method="auto", n_resamples=0, **coverage).model
        self.client = TestClient(create_app(self.model, Settings("m", "1")))

    def body(self, ids=None):
        """What the experts say of some samples, as JSON has it."""
        said = {}
        for name, frame in self.experts.items():
            for row in frame.iter_rows(named=True):
                said.setdefault(row.pop("sample_id"), {})[name] = row
        return {"samples": [{"sample_id": i, "experts": said[i]} for i in ids or sorted(said)]}

    def table(self):
        """The same as one long table."""
        frames = [
            frame.with_columns(pl.lit(name).alias("expert")) for name, frame in self.experts.items()
        ]
        return pl.concat(frames, how="diagonal")


@pytest.fixture(scope="session")
def served():
    """``served(kind)``: a model that is served; each is fitted once."""
    made = {}

    def of(kind="multiclass"):
        if kind not in made:
            made[kind] = Served(kind)
        return made[kind]

    return of


@pytest.fixture
def ask(served):
    """``ask(body, token=None, limits=..., headers=...)``: a model with settings of its own."""

    from starlette.testclient import TestClient

    from pathfuse.serving.app import create_app
    from pathfuse.serving.settings import Limits, Settings

    def post(content, limits=None, digest=None, headers=None, path="/predict"):
        app = create_app(served().model, Settings("m", "1", limits or Limits(), digest))
        raw = content if isinstance(content, bytes) or not isinstance(content, (dict, list)) else (
            json.dumps(content).encode()
        )  # fmt: skip
        sent = {"content-type": "application/json", **(headers or {})}
        return TestClient(app).post(path, content=raw, headers=sent)

    return post
