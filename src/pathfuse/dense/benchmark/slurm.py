"""A job script for SLURM: the cells as an array of jobs, then a job for the tables."""

import re
import shlex
from pathlib import Path

import pathfuse
from pathfuse.dense.benchmark.config import read_benchmark
from pathfuse.errors import InputError

MOST_TASKS = 999
"""Sites allow about a thousand tasks of an array."""
PLAIN = re.compile(r"[\w:.+-]+", re.ASCII)

SCRIPT = """\
#!/bin/bash
# {n} cells of {grid}, written by pathfuse {version}.
# 'bash THIS-FILE' submits {tasks} tasks that share the cells, then a job that fuses, judges and
# writes the tables once all have ended. What was stopped goes on: submit it again; a task that
# starts anew takes over the cells that it had begun.
#SBATCH --job-name=pathfuse-dense
#SBATCH --requeue
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}
#SBATCH --time={time}
#SBATCH --output=pathfuse-dense-%A_%a.log
set -euo pipefail
benchmark=({command})

case "${{1:-submit}}" in
submit)
  if [ ! -f "$0" ]; then
    echo "keep this script in a file and run: bash FILE" >&2
    exit 2
  fi
  array=$(sbatch --parsable{gres} --array=1-{tasks} "$0" share)
  # afterany: a cell that failed is named on the page, with its reason
  sbatch --dependency="afterany:${{array%%;*}}"{gres} "$0" tables
  ;;
share) "${{benchmark[@]}}" --shard "$SLURM_ARRAY_TASK_ID/{tasks}"{devices} ;;
tables) "${{benchmark[@]}}"{devices} ;;
esac
"""


def slurm_script(
    grid: Path, *, tasks: int = 100, gpus: int = 1, cpus: int = 4, memory: str = "32G", time: str = "24:00:00"
) -> str:  # fmt: skip
    """The text of a script that submits itself.

    Args:
        grid: ``grid.yaml``, which must be read again by the jobs.
        tasks: At most so many tasks of the array, each with a share of the cells.
        gpus: Of each task; its cells are dealt over them.
        cpus: Of each task.
        memory: Of each task, such as ``32G``.
        time: Of each task, such as ``24:00:00``.

    Raises:
        InputError: The grid is wrong, or a number is out of range.
    """
    for name, value, least, most in (
        ("--tasks", tasks, 1, MOST_TASKS), ("--gpus", gpus, 0, 64), ("--cpus", cpus, 1, 1024),
    ):  # fmt: skip
        if not least <= value <= most:
            raise InputError(f"{name} {value}: give a number from {least} to {most}")
    for name, text in (("--memory", memory), ("--time", time)):
        if not PLAIN.fullmatch(text):
            raise InputError(f"{name} {text}: write it as sbatch has it, such as 32G or 24:00:00")
    n = sum(1 for _ in read_benchmark(grid).cells())
    place = grid.resolve()
    devices = ",".join(f"cuda:{k}" for k in range(gpus))
    return SCRIPT.format(
        n=n,
        grid=" ".join(str(place).split()),
        version=pathfuse.__version__,
        tasks=min(tasks, n),
        cpus=cpus,
        memory=memory,
        time=time,
        gres=f" --gres=gpu:{gpus}" if gpus else "",
        devices=f" --devices {devices}" if gpus else "",
        command=shlex.join(["pathfuse", "dense", "run", str(place)]),
    )
