"""Fusions in a benchmark: the models of one data set, strategy and seed, fitted on its validation
images.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathfuse
from pathfuse.dense.benchmark.cells import (
    EXPECTED,
    FUSED,
    INSTANCES,
    LOGITS,
    CellTask,
    failed_since,
    reason,
    record_failure,
    variant_facts,
)
from pathfuse.dense.benchmark.config import BenchmarkConfig, Cell
from pathfuse.dense.evaluation.confusion import ConfusionTable, read_confusions
from pathfuse.dense.evaluation.counting import Counted
from pathfuse.dense.evaluation.instance_table import read_instance_table
from pathfuse.dense.fusion.fuse import fuse_dense
from pathfuse.dense.fusion.fused_model import BEST
from pathfuse.dense.fusion.fused_model import FUSED as CHOSEN
from pathfuse.dense.fusion.options import DenseFuseOptions
from pathfuse.files.digests import digest_of
from pathfuse.files.json import read_object
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.write import add_to_list
from pathfuse.progress import Progress

TABLE, MANIFEST, DONE = "confusion.parquet", "manifest.json", "grid.json"


@dataclass(frozen=True)
class FusionTask:
    """Models to fuse; it travels to worker processes."""

    dataset: str
    strategy: str
    seed: int
    members: tuple[CellTask, ...]
    options: DenseFuseOptions
    out: Path

    @property
    def name(self) -> str:
        """Its place below the claims."""
        return f"fused/{self.dataset}/{self.strategy}/seed{self.seed}"

    @property
    def ready(self) -> bool:
        """As ``done``."""
        return self.done

    @property
    def failed(self) -> Path:
        """Where it stands why it could not be made; beside the folder, which is replaced as a whole."""
        return self.out.with_name(f"{self.out.name}-failed.json")

    def failed_since(self, when: float) -> str | None:
        """Why it failed, if it did after some time."""
        return failed_since(self.failed, self.stamp, when)

    def do(self, progress: Progress) -> str | None:
        """Fuses; a sentence if that failed."""
        try:
            self.failed.unlink(missing_ok=True)
            fuse_task(self)
        except EXPECTED as error:
            sentence = reason(error)
            self.lost(sentence)
            return sentence
        return None

    def lost(self, sentence: str) -> None:
        """Records that its process was ended."""
        record_failure(self.failed, self.stamp, sentence)

    def __str__(self) -> str:
        return f"{self.dataset}, {self.strategy}, seed {self.seed}"

    @property
    def stamp(self) -> str:
        """Of the cells it reads and how they are fused."""
        members = {one.cell.model: one.stamp for one in self.members}
        return digest_of([pathfuse.__version__, members, self.options.__dict__])

    @property
    def output(self) -> OutputFolder:
        """Its folder."""
        return OutputFolder(self.out, DONE, needs=(TABLE,))

    @property
    def done(self) -> bool:
        """Whether it was made of the same cells."""
        return self.output.up_to_date(self.stamp)

    @property
    def shared(self) -> dict[str, Any]:
        """What is known of all its members alike."""
        of_members = [variant_facts(one) for one in self.members]
        return {
            key: value
            for key, value in of_members[0].items()
            if all(other[key] == value for other in of_members)
        }

    def read(self) -> tuple[Counted, dict[str, dict[str, Any]]]:
        """What was counted of the fusions, and per fusion what else the leaderboard shows of it."""
        table = read_confusions(self.out / TABLE, self.members[0].split.n_classes)
        own = {
            name: cms
            for name, cms in table.cms.items()
            if name not in {one.cell.model for one in self.members}
        }
        instances = (
            read_instance_table(self.out / INSTANCES) if (self.out / INSTANCES).is_file() else None
        )
        recorded, about = self.output.recorded, read_object(self.out / MANIFEST)
        notes = {BEST: about["best_expert_order"][0], CHOSEN: about["fused"]}
        facts = {
            name: {
                # of all fusions together; the single model needs none of it
                "seconds": None if name == BEST else recorded["seconds"],
                "note": notes.get(name),
                **self.shared,
            }
            for name in own
        }
        scored = {name: table.scored[name] for name in own}
        return Counted(ConfusionTable(table.image_ids, own, scored), instances), facts


def fusions_of(config: BenchmarkConfig, tasks: Mapping[Cell, CellTask]) -> list[FusionTask]:
    """Every data set, strategy and seed with two models or more.

    Args:
        config: The benchmark.
        tasks: Cells that may be fused: those planned, or those done.
    """
    found = []
    for dataset in config.datasets:
        for strategy in (variant.label for variant in config.variants):
            for seed in config.seeds:
                cells = [Cell(dataset, strategy, model, seed) for model in config.models]
                members = tuple(tasks[cell] for cell in cells if cell in tasks)
                if len(members) > 1:
                    out = config.out / FUSED / dataset / strategy / f"seed{seed}"
                    found.append(
                        FusionTask(dataset, strategy, seed, members, config.fuse_options(seed), out)
                    )
    return found


def fuse_task(fusion: FusionTask) -> None:
    """Fits, applies and counts; the benchmark evaluates.

    Raises:
        InputError: As ``fuse_dense``.
    """
    start, split = time.perf_counter(), fusion.members[0].split
    logits = {one.cell.model: one.place / LOGITS for one in fusion.members}
    test = [item for item in split.test if item.mask is not None]
    fuse_dense(
        logits,
        split.val,
        test,
        fusion.out,
        classes=split.class_names,
        options=fusion.options,
        force=True,
    )
    fusion.output.finish({"stamp": fusion.stamp, "seconds": round(time.perf_counter() - start, 3)})
    add_to_list(fusion.out / DONE)
