"""Scores of many samples, file to file, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NoReturn

import polars as pl
from joblib import delayed
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError, WorkerError
from pathfuse.files.at_work import claim_output
from pathfuse.files.outputs import outputs_claimed
from pathfuse.files.steady import refuse_changed, states
from pathfuse.files.temporary import PARTIAL, temporary_name, work_folder
from pathfuse.files.write import check_table, fill_file, remove_folder
from pathfuse.progress import Progress, shown_here
from pathfuse.scale.merge import blocks
from pathfuse.scale.partitions import Partition
from pathfuse.scale.parts import (
    about_part,
    claim_folder,
    join_parts,
    part_name,
    write_part,
)
from pathfuse.scale.places import SUFFIX, Places, given_places
from pathfuse.scale.sources import ExpertFiles
from pathfuse.shard import Shard
from pathfuse.workers import check_jobs, file_to_file
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.new_samples import check_min_experts
from pathfuse.workflows.scoring.block import Rule, Tally, fuse_block
from pathfuse.workflows.scoring.plan import Plan, plan_of, sources_of
from pathfuse.workflows.scoring.verdict import Incomplete, check_all


@dataclass(frozen=True)
class Made:
    """A part, and what was read for it."""

    file: Path
    tally: Tally
    stood: bool
    """Whether it was there already."""


@dataclass(frozen=True)
class _Folders:
    """Where a run writes."""

    work: Path
    """What is not whole yet."""
    parts: Path
    shown: Path
    """The output, for messages."""


def predict_blocks(
    model: FusedModel,
    predictions: Places,
    *,
    min_experts: int = 1,
    require_all: bool = False,
) -> Iterator[pl.DataFrame]:
    """Fused predictions of Parquet files, a block of samples at a time, sorted by ``sample_id``.

    Args:
        model: From ``load`` or ``fuse``.
        predictions: Files ``<expert>.parquet``, folders of them, a folder with a folder of files per
            expert, or by expert's name a file, a folder or several files. Columns as the contract
            has them.
        min_experts: Leave out samples that fewer experts scored.
        require_all: Refuse samples that lack an expert.

    Yields:
        At most 16,384 samples each: the columns of ``fused.parquet``, and ``seen_in_fit`` if the
        model remembers its fit rows.

    Raises:
        InputError: As of ``predict_files``.
    """
    check_min_experts(min_experts, len(model.experts))
    rule = Rule(min_experts, require_all)
    with TemporaryDirectory() as spill:
        plan = plan_of(model, sources_of(model, predictions), rule, Path(spill), Path(spill))
        for partition in plan.partitions:
            for block in blocks(partition, plan.columns):
                with threadpool_limits(1):  # not while the caller works on the block
                    fused, _ = fuse_block(model, block, plan.columns, rule)
                yield fused


@outputs_claimed()
def predict_files(
    model: FusedModel,
    predictions: Places,
    out: str | Path,
    *,
    min_experts: int = 1,
    require_all: bool = False,
    shard: Shard | str | None = None,
    n_jobs: int | None = -1,
    force: bool = False,
    progress: Progress | None = None,
) -> Tally:
    """Fused predictions of Parquet files larger than memory, file to file.

    Every file is read in the order of its ``sample_id``; files in another order are sorted in
    pieces on disk first. The samples are divided into ranges that depend on the files alone, and
    each range is one part of the output, so that neither processes nor shards change a byte.

    Args:
        model: From ``load`` or ``fuse``.
        predictions: As of ``predict_blocks``.
        out: A file ``.parquet``, which appears when it is whole; or a folder, whose parts appear one
            by one. Parts that a run with the same model, files and options left there stay.
        min_experts: Leave out samples that fewer experts scored.
        require_all: Refuse samples that lack an expert.
        shard: Which share of the ranges, such as ``"1/4"``; for array jobs into one folder.
        n_jobs: Processes, as in joblib; -1: all cores.
        force: Replace what pathfuse wrote to ``out``.
        progress: Called as the work goes on.

    Raises:
        InputError: A file is damaged or has other columns than the expert's others, a sample occurs
            twice, an expert shares no sample with the others, a value is wrong, or the output
            cannot be written.
    """
    check_min_experts(min_experts, len(model.experts))
    check_jobs(n_jobs)
    out, share = Path(out), Shard.parse(shard)
    _check_outside(out, predictions)
    claim_output(out, None if share is None else share.share)
    sources = sources_of(model, predictions)
    job = _Job(
        model, sources, Rule(min_experts, require_all), out, force, n_jobs, progress or shown_here()
    )
    if out.suffix.lower() == SUFFIX:
        if share is not None:
            raise InputError(f"--shard writes parts: name a folder as the output, not {out}")
        check_table(out, force, job.inputs, "sample_id")
        return _to_file(job)
    if out.suffix:
        raise InputError(
            f"the output {out}: what is read in blocks is written as Parquet; name a .parquet file or "
            "a folder"
        )
    return _to_folder(job, share)


def _check_outside(out: Path, predictions: Places) -> None:
    """Refuses an output in a folder that is read: the next run would read it, too.

    Raises:
        InputError: Naming the folder.
    """
    for place in given_places(predictions):
        if out.absolute().is_relative_to(place.absolute()):
            raise InputError(
                f"the output {out} lies in {place}, which is read as predictions; name another place"
            )


@dataclass(frozen=True)
class _Job:
    """What is scored, how, and where to."""

    model: FusedModel
    sources: Sequence[ExpertFiles]
    rule: Rule
    out: Path
    force: bool
    n_jobs: int | None
    report: Progress

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        return [file for one in self.sources for file in one.files]

    def plan(self, work: Path) -> Plan:
        """Reads the names of all samples."""
        self.report("reading the names of the samples", 0.0)
        spill = work / "sorted"
        spill.mkdir()
        return plan_of(self.model, self.sources, self.rule, spill, self.out, self.n_jobs)


def _to_file(job: _Job) -> Tally:
    tally, incomplete = Tally(), Incomplete(len(job.model.experts))
    before = states(job.inputs)
    with work_folder(job.out) as work:
        plan = job.plan(work)
        made = _parts(job, plan, plan.partitions, _Folders(work, work, job.out))

        def fill(partial: Path) -> None:
            """Joins the parts as they come, and refuses what is known only at the end."""
            join_parts(_counted(made, plan, tally, incomplete, job.report), partial, job.out)
            refuse_changed(before)
            check_all(tally, incomplete, list(plan.columns), job.rule, whole=True)

        fill_file(job.out, job.force, fill)
    return tally


def _to_folder(job: _Job, shard: Shard | None) -> Tally:
    tally, incomplete = Tally(), Incomplete(len(job.model.experts))
    before = states(job.inputs)
    with work_folder(job.out) as work:
        plan = job.plan(work)
        names = [part_name(one.number) for one in plan.partitions]
        claim_folder(job.out, plan.stamp, names, job.force, job.inputs)
        mine = plan.partitions if shard is None else shard.among(plan.partitions)
        made = _parts(job, plan, mine, _Folders(work, job.out, job.out))
        for _ in _counted(made, plan, tally, incomplete, job.report):
            pass
        try:
            refuse_changed(before)
            check_all(tally, incomplete, list(plan.columns), job.rule, whole=shard is None)
        except InputError:
            if shard is None:
                remove_folder(job.out)
            raise
    return tally


def _parts(
    job: _Job, plan: Plan, partitions: Sequence[Partition], folders: _Folders
) -> Iterator[tuple[Partition, Made]]:
    """The parts, in order; those that are there already stay."""
    tasks = (
        delayed(_score_part)(job.model, plan.columns, one, job.rule, folders) for one in partitions
    )
    n_jobs = job.n_jobs if len(partitions) > 1 else 1
    made, position = dict[int, Made](), 0
    for number, part in file_to_file(n_jobs, tasks, lost=_lost):
        made[number] = part
        while position < len(partitions) and partitions[position].number in made:
            yield partitions[position], made[partitions[position].number]
            position += 1


def _lost(
    sentence: str, _model: FusedModel, _columns: object, one: Partition, *_: object
) -> NoReturn:
    raise WorkerError(
        f"the samples from '{one.low or 'the first'}' on could not be scored: {sentence}"
    )


def _score_part(
    model: FusedModel,
    columns: Mapping[str, Sequence[str]],
    partition: Partition,
    rule: Rule,
    folders: _Folders,
) -> tuple[int, Made]:
    """Scores one range, and writes its part; the number of the range, and the part."""
    file = folders.parts / part_name(partition.number)
    about = about_part(file)
    if about is not None:
        return partition.number, Made(file, Tally.from_dict(about), stood=True)
    tally, partial = Tally(), temporary_name(folders.work / part_name(partition.number), PARTIAL)
    noted: dict[str, object] = {}

    def frames() -> Iterator[pl.DataFrame]:
        """The fused blocks; at the end what was read is noted."""
        for block in blocks(partition, columns):
            fused, found = fuse_block(model, block, columns, rule, watch=True)
            tally.add(found)
            yield fused
        noted.update(tally.as_dict())

    with threadpool_limits(1):
        write_part(frames(), partial, noted, folders.shown)
    partial.replace(file)
    return partition.number, Made(file, tally, stood=False)


def _counted(
    made: Iterator[tuple[Partition, Made]],
    plan: Plan,
    tally: Tally,
    incomplete: Incomplete,
    report: Progress,
) -> Iterator[Path]:
    """The parts, counted and reported."""
    begun, rows, new = monotonic(), 0, 0
    for partition, part in made:
        tally.add(part.tally)
        if part.tally.incomplete:
            incomplete.add(part.file)
        rows += partition.n_rows
        new += 0 if part.stood else part.tally.samples
        rate = new / max(monotonic() - begun, 1e-9)
        report(f"{tally.samples:,} samples scored, {rate:,.0f} per second", rows / plan.n_rows)
        yield part.file
