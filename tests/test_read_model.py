"""The reader of docs/howto/read-model.md gives what ``predict`` gives."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.fusion.methods import methods_of

PAGE = Path(__file__).parents[1] / "docs/howto/read-model.md"
ASK = """
import { load } from "./reader.mjs";
import { readFileSync } from "node:fs";
const asked = JSON.parse(readFileSync("asked.json", "utf8")), model = load("model");
console.log(JSON.stringify(Object.fromEntries(Object.entries(asked).map(
  ([task, rows]) => [task, rows.map((one) => model.predict(one, task))]))));
"""
N, M = 60, 3
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def study_of(kind):
    """Samples and three experts of classes or of labels; and their logits by task."""
    rng = np.random.default_rng(3)
    ids = [f"s{n}" for n in range(N)]
    names = ["a", "b", "c"] if kind == "three classes" else ["a", "b"]
    labels = rng.integers(len(names), size=N)
    if kind == "labels":
        truths = rng.integers(2, size=(N, 2))
        truth = {f"label_{name}": truths[:, k] for k, name in enumerate(names)}
        signal = {f"logit_{name}": 3.0 * truths[:, k] - 1.5 for k, name in enumerate(names)}
    else:
        truth = {"label": [names[k] for k in labels]}
        signal = {f"logit_{name}": 2.0 * (labels == k) for k, name in enumerate(names)}
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit"] * 45 + ["test"] * 15, **truth})
    experts = {
        f"e{m}": pl.DataFrame(
            {"sample_id": ids, **{name: one + rng.normal(size=N) for name, one in signal.items()}}
        )
        for m in range(M)
    }
    tables = np.stack(
        [frame.sort("sample_id").drop("sample_id").to_numpy() for frame in experts.values()], axis=1
    )
    if kind != "labels":
        return samples, experts, {"all": tables}
    yes = {name: tables[:, :, k] for k, name in enumerate(names)}
    return samples, experts, {k: np.stack([np.zeros_like(v), v], axis=2) for k, v in yes.items()}


def read_elsewhere(folder, model, logits):
    (code,) = re.findall(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "reader.mjs").write_text(code, encoding="utf-8")
    (folder / "ask.mjs").write_text(ASK, encoding="utf-8")
    (folder / "asked.json").write_text(json.dumps({k: v.tolist() for k, v in logits.items()}))
    model.save(folder / "model")
    done = subprocess.run(
        ["node", "ask.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return {task: np.array(rows) for task, rows in json.loads(done.stdout).items()}


@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
@pytest.mark.parametrize("method", ["auto", pytest.param("choose", marks=pytest.mark.slow)])
def test_the_reader_gives_what_predict_gives(tmp_path, kind, method):
    samples, experts, logits = study_of(kind)
    model = pathfuse.fuse(pathfuse.read_study(samples, experts), method, n_resamples=0).model
    found = read_elsewhere(tmp_path, model, logits)
    wanted = model.predict(experts)
    for task, rows in found.items():
        if task == "all":
            probs = wanted.select(f"prob_{name}" for name in model.endpoint.outcomes).to_numpy()
        else:
            rows, probs = rows[:, 1], wanted[f"prob_{task}"].to_numpy()
        assert np.abs(rows - probs).max() < 1e-12


def test_it_knows_every_method(tmp_path):
    samples, experts, logits = study_of("three classes")
    study = pathfuse.read_study(samples, experts)
    whole = pathfuse.fuse(study, "auto", n_resamples=0).model
    for name in methods_of("multiclass"):
        voted = whole.fusions["all"].members_.get(name)
        model = (
            pathfuse.fuse(study, name, n_resamples=0).model
            if voted is None
            else replace(whole, fusions={"all": voted})
        )
        (tmp_path / name).mkdir()
        found = read_elsewhere(tmp_path / name, model, logits)["all"]
        wanted = model.predict(experts).select("prob_a", "prob_b", "prob_c").to_numpy()
        assert np.abs(found - wanted).max() < 1e-12, name
