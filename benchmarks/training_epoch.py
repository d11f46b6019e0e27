"""An epoch of attention MIL from HDF5 files against a bare loop over tensors in memory.

200 slides of 2,000 tiles with 1,024 features in float16. The loop holds all of it in memory,
standardised, in float32; it packs 16 bags, computes the same head and steps: what an epoch costs
without reading. pathfuse reads the files, keeps what fits into ``cache_mb`` and standardises on the
way. Every run is a process of its own with one computing thread, which trains ``EPOCHS`` epochs;
seconds are those of the last, memory is the most that the process ever held (VmHWM), and on a GPU
the most that torch held there. Where there is a GPU, all runs compute on it, also in bfloat16; the
bare loop then copies each packed batch to it.

    python -m benchmarks training_epoch
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from pathfuse.experts.batches import BagReader, fit_scale
from pathfuse.experts.cohort import Unit
from pathfuse.experts.heads.base import Packed
from pathfuse.experts.heads.make import make_head
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.targets.table import Targets
from pathfuse.experts.training import train
from pathfuse.experts.work import Work
from pathfuse.features.folder import open_folder
from pathfuse.training.device import device_of

SLIDES, TILES, DIM, EPOCHS, SEED = 200, 2000, 1024, 3, 0
ROOM = {
    "bare loop, all in memory": None,
    "pathfuse, all fits": 1024,
    "pathfuse, cache_mb as by default": TrainingRecipe.of("abmil").cache_mb,
    "pathfuse, nothing kept": 0,
}
"""For features, in megabytes."""
Row = dict[str, object]


def training_epoch() -> list[Row]:
    """Seconds of the last epoch and the peak of memory, as ratios to the bare loop."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write(place)
        return [row for precision in _precisions() for row in _compared(place, precision)]


def _precisions() -> tuple[str, ...]:
    return ("float32",) if device_of("auto") == "cpu" else ("float32", "bfloat16")


def _compared(place: Path, precision: str) -> list[Row]:
    found = {name: _in_a_child(place, cache, precision) for name, cache in ROOM.items()}
    bare = next(iter(found.values()))["seconds"]
    return [
        {"run": name, "device": device_of("auto"), "precision": precision}
        | {"times_bare": one["seconds"] / bare}
        | one
        for name, one in found.items()
    ]


def _write(place: Path) -> None:
    """One HDF5 file per slide; the label shifts a tenth of the tiles."""
    rng = np.random.default_rng(SEED)
    for k in range(SLIDES):
        bag = rng.standard_normal((TILES, DIM), dtype=np.float32)
        bag[: TILES // 10, :16] += k % 2
        with h5py.File(place / f"{k:04d}.h5", "w") as file:
            file["features"] = bag.astype(np.float16)


def _in_a_child(place: Path, cache: int | None, precision: str) -> dict[str, float]:
    """One run in a process of its own."""
    options = [str(place), json.dumps(cache), precision]
    command = [sys.executable, "-m", "benchmarks.training_epoch", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _run(place: Path, cache: int | None, precision: str) -> dict[str, float]:
    torch.set_num_threads(1)
    device = device_of("auto")
    recipe = TrainingRecipe.of(
        "abmil", standardize=True, validation=0.0, epochs=EPOCHS, min_epochs=EPOCHS, device=device,
        precision=precision, schedule="constant", learning_rate=1e-4, networks=1,
    )  # fmt: skip
    start = time.perf_counter()
    folder = open_folder(place)
    units = [Unit(row, (name,)) for row, name in enumerate(folder.slides)]
    opened = time.perf_counter()
    scale = fit_scale(folder, units)
    scaled = time.perf_counter()
    ends, cpu = [scaled], [time.process_time()]

    def ended(_: Any) -> None:
        ends.append(time.perf_counter())
        cpu.append(time.process_time())

    if cache is None:
        _bare(
            [torch.from_numpy(scale.apply(folder.read(name))) for name in folder.slides],
            recipe,
            ended,
        )
    else:
        label = np.arange(len(units)) % 2
        targets = Targets(
            "multiclass", ("0", "1"), np.eye(2)[label], np.ones((len(units), 1), dtype=bool)
        )
        train(
            Work(BagReader(folder, cache, scale), units, [], targets), recipe, SEED, on_epoch=ended
        )
    return {
        "seconds": ends[-1] - ends[-2],
        "cpu_seconds": cpu[-1] - cpu[-2],
        "first_epoch": ends[1] - ends[0],
        "opening": opened - start,
        "scale": scaled - opened,
        "peak_mb": _peak_mb(),
        "gpu_mb": torch.cuda.max_memory_allocated() / 2**20 if device != "cpu" else 0.0,
    }


def _bare(bags: list[torch.Tensor], recipe: TrainingRecipe, ended: Any) -> None:
    """The plainest loop that packs bags and steps."""
    torch.manual_seed(SEED)
    device = recipe.device
    half = torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    head = make_head(recipe, Inputs({"features": DIM}), 2).to(device)
    adam = torch.optim.Adam(
        head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    head.train()
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, epoch]).permutation(len(bags))
        for start in range(0, len(order), recipe.batch):
            chosen = order[start : start + recipe.batch]
            index = torch.arange(len(chosen)).repeat_interleave(TILES)
            features = torch.cat([bags[k] for k in chosen]).to(device)
            packed = Packed(features, index.to(device), len(chosen))
            with half:
                outputs = head.forward_packed(packed).outputs
            truth = torch.from_numpy(chosen % 2).to(device)
            loss = torch.nn.functional.cross_entropy(outputs.float(), truth)
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
        loss.item()  # what a GPU was given is done
        ended(None)


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])))
