"""What users write in YAML: every edit of it is used or answered with a sentence."""

import json

import pytest
import yaml

pytest.importorskip("timm")

from pathfuse.dense.benchmark.config import EXAMPLE, read_benchmark
from pathfuse.dense.benchmark.plan import plan
from pathfuse.dense.data.split_files import write_split
from pathfuse.testing.tissue import make_split
from pathfuse.workflows.study_file.config import EXAMPLE as STUDY
from pathfuse.workflows.study_file.config import read_config

GRID = """
models:
  a: {encoder: "tiny:patch=8,dim=12,depth=1", size_px: 16}
  b: {encoder: "tiny:patch=8,dim=12,depth=1", recipe: {epochs: 2, learning_rate: 0.01}}
datasets:
  tissue: {split: SPLIT, size_px: 16}
strategies: [frozen, lora]
recipe: {epochs: 1, batch: 2}
rank: [2, 4]
seeds: [0, 1]
out: out
"""
HEADS = """
samples: samples.csv
features: {uni: features/uni, conch: features/conch}
experts:
  - {head: abmil, epochs: 20, learning_rate: 0.001, weight_decay: 0.01, dropout: 0.25, seed: 3}
  - {head: pooled_forest}
fused:
  - {head: meta_encoder, name: both, encoders: [uni, conch], epochs: 5}
fuse: {method: auto, coverage: 0.9, resamples: 100}
out: out
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize(
    ("text", "use"),
    [
        (STUDY, read_config),
        (HEADS, read_config),
        (EXAMPLE, read_benchmark),
        (GRID, lambda file: plan(read_benchmark(file))),
    ],
    ids=["study", "heads", "example of a grid", "grid"],
)
def test_settings(text, use, form, attack, mutators, tmp_path):
    """As text, of which bytes change, and as JSON, which is YAML, of which values change."""
    split = make_split(tmp_path, train=4, val=2, test=4)
    write_split(split, tmp_path / "split.json")
    text = text.replace("SPLIT", str(tmp_path / "split.json"))
    file = tmp_path / "settings.yaml"
    file.write_text(text if form == "yaml" else json.dumps(yaml.safe_load(text)), encoding="utf-8")
    attack.run(file, tmp_path, mutators[form if form == "json" else ""], use)
