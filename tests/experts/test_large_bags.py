"""A bag of 100,000 tiles is predicted in bounded memory and time, by every head that reads bags.

Each head in a process of its own, which reads the bag from a file as ``experts predict`` does.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.registry import HEADS  # noqa: E402

TILES, DIM = 100_000, 1536
MOST_MB = 2048
MOST_CPU_SECONDS = 2 * 60
"""A minute of two cores. Other work on the machine does not count, as it would by the clock."""
BAG_HEADS = sorted(name for name, facts in HEADS.items() if "tile" in facts.granularities)

PREDICT = """
import resource
import sys
from pathlib import Path
import numpy as np
from pathfuse.experts.apply import apply
from pathfuse.experts.cohort import Unit
from pathfuse.experts.fitted import NETWORK, Fitted
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.features.folder import open_folder

head, place = sys.argv[1], Path(sys.argv[2])
folder = open_folder(place)
recipe, inputs = TrainingRecipe.of(head, device=sys.argv[4]), Inputs(folder.views)
width = folder.dim
if recipe.facts.pooled:
    from pathfuse.experts.apply import statistics_of
    from pathfuse.experts.pooled.base import PooledUnits
    from pathfuse.experts.pooled.make import make_model
    from pathfuse.experts.targets.table import Targets
    model, rows = make_model(recipe.facts), np.arange(40)
    width = folder.dim * len(statistics_of(model, inputs))
    truth = Targets("multiclass", ("a", "b"), np.eye(2)[rows % 2], np.ones((40, 1), dtype=bool))
    table = np.random.default_rng(1).normal(size=(40, width))
    weights = model.fit(PooledUnits(table, rows, truth, rows, 0), recipe).weights
else:
    import torch
    from pathfuse.experts.heads.make import make_head
    torch.set_num_threads(2)
    several = [f"{NETWORK}{k}." for k in range(recipe.networks)] if recipe.networks > 1 else [""]
    weights = {
        one + name: value.numpy()
        for one in several
        for name, value in make_head(recipe, inputs, 2).state_dict().items()
    }
scales = {"feature_mean": np.zeros(width), "feature_sd": np.ones(width)}
fitted = Fitted(recipe, inputs, ("a", "b"), "multiclass", weights,
                scales if recipe.standardize or recipe.facts.pooled else {})
keep = recipe.facts.shows_attention
found = apply(fitted, folder, [Unit(0, ("large",))], keep_attention=keep)
assert found.outputs.shape == (1, 2) and np.isfinite(found.outputs).all()
if keep:
    assert found.attention[0].shape == (int(sys.argv[3]),) and abs(found.attention[0].sum() - 1) < 1e-3
print(Path("/proc/self/status").read_text())
used = resource.getrusage(resource.RUSAGE_SELF)
print("CPU", used.ru_utime + used.ru_stime)
if sys.argv[4] == "cuda":
    import torch
    print("GPU", torch.cuda.max_memory_allocated() / 2**20)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one slide, float16 on disk."""
    import h5py
    import numpy as np

    folder, rng = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    with h5py.File(folder / "large.h5", "w") as file:
        features = file.create_dataset("features", (TILES, DIM), "f2", chunks=(1000, DIM))
        for start in range(0, TILES, 10_000):
            features[start : start + 10_000] = rng.normal(size=(10_000, DIM)).astype(np.float16)
        corners = np.arange(TILES)
        file["coords"] = np.stack([corners % 400, corners // 400], axis=1) * 256
    return folder


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("head", BAG_HEADS)
def test_a_hundred_thousand_tiles(head, place, device, record_property):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, head, str(place), str(TILES), device],
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    peak = int(re.search(r"VmHWM:\s+(\d+)", done.stdout)[1]) / 1024
    if device == "cuda":
        peak = float(re.search(r"GPU (\S+)", done.stdout)[1])
    used = float(re.search(r"CPU (\S+)", done.stdout)[1])
    figures = f"{head} on {device}: {peak:.0f} MB, {used:.1f} CPU s"
    record_property("figures", figures)
    assert peak < MOST_MB, figures
    assert used < MOST_CPU_SECONDS, figures
