"""``pathfuse dense init``, ``dense run`` and ``dense script``: whole benchmarks of segmentation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.dense import need_dense
from pathfuse.cli.options import Force, Scheduler, ShardText
from pathfuse.errors import InputError

if TYPE_CHECKING:
    from pathfuse.dense.benchmark.run import BenchmarkRun

Grid = Annotated[Path, Parameter(help="grid.yaml: models x data sets x strategies x seeds.")]


def init(
    *,
    out: Annotated[Path, Parameter(help="The file to write.")] = Path("grid.yaml"),
    paper: Annotated[
        bool,
        Parameter(
            negative="", help="The paper's benchmark: 17 models x 18 data sets x 5 strategies."
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Write a commented grid.yaml to start from."""
    import sys

    need_dense()
    from pathfuse.dense.benchmark.config import EXAMPLE
    from pathfuse.dense.benchmark.paper import paper_grid
    from pathfuse.files.write import write_text_file

    write_text_file(paper_grid() if paper else EXAMPLE, out, force, [".yaml", ".yml"])
    sys.stdout.write(f"{out}: fill in models and data sets, then: pathfuse dense run {out}\n")


def run(
    grid: Grid,
    /,
    *,
    jobs: Annotated[
        int | None, Parameter(help="Cells at a time, -1: one per core; no result depends on it.")
    ] = None,
    devices: Annotated[
        str | None,
        Parameter(help="Deal the cells over these, one at a time on each: cuda:0,cuda:1."),
    ] = None,
    shard: ShardText = None,
    scheduler: Scheduler = None,
) -> int:
    """Run a benchmark of segmentation; what is done already is not done again.

    Several runs of one grid share its cells: each is trained by one of them.
    """
    from pathfuse.cli.console import cluster, command_line, progress
    from pathfuse.shard import Shard

    need_dense()
    from pathfuse.dense.benchmark.config import read_benchmark
    from pathfuse.dense.benchmark.run import run_benchmark
    from pathfuse.training.devices import parse_devices

    part = Shard.parse(shard)
    if devices is not None and jobs is not None:
        raise InputError("--devices runs one cell at a time on each device; leave out --jobs")
    config = read_benchmark(grid)
    with cluster(scheduler, reads=config.reads, out=config.out), progress() as report:
        done = run_benchmark(
            config,
            n_jobs=jobs,
            devices=parse_devices(devices),
            shard=part,
            command=command_line(),
            progress=report,
        )
    return _show(done)


def script(
    grid: Grid,
    /,
    *,
    slurm: Annotated[
        bool, Parameter(negative="", help="A script for SLURM, the one system that is known.")
    ] = False,
    tasks: Annotated[
        int, Parameter(help="At most so many tasks of the array; each takes a share of the cells.")
    ] = 100,
    gpus: Annotated[int, Parameter(help="Of each task.")] = 1,
    cpus: Annotated[int, Parameter(help="Of each task.")] = 4,
    memory: Annotated[str, Parameter(help="Of each task, as sbatch has it.")] = "32G",
    time: Annotated[str, Parameter(help="Of each task, as sbatch has it.")] = "24:00:00",
) -> None:
    """Print a job script that runs the benchmark as an array of jobs, then writes the tables."""
    import sys

    need_dense()
    from pathfuse.dense.benchmark.slurm import slurm_script

    if not slurm:
        raise InputError("say which system the script is for: --slurm")
    sys.stdout.write(
        slurm_script(grid, tasks=tasks, gpus=gpus, cpus=cpus, memory=memory, time=time)
    )


def _show(done: "BenchmarkRun") -> int:
    import sys

    for one in done.failed:
        place = "/".join(str(one[key]) for key in ("dataset", "strategy", "model", "seed"))
        sys.stderr.write(f"pathfuse: {place} failed: {one['sentence']}\n")
    for note in done.notes:
        sys.stderr.write(f"pathfuse: {note}\n")
    others = f", {len(done.elsewhere)} trained by other runs" if done.elsewhere else ""
    counts = (
        f"{len(done.trained)} cells trained{others}, {len(done.unchanged)} unchanged, "
        f"{len(done.failed)} failed"
    )
    if done.shard is not None:
        sys.stdout.write(
            f"Shard {done.shard}: {counts}. Once all shards have ended, the same command without "
            "--shard writes the leaderboard.\n"
        )
    else:
        sys.stdout.write(f"{counts}. Leaderboard: {done.folder}/leaderboard.html\n")
    return 1 if done.failed else 0
