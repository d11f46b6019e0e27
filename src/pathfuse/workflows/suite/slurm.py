"""A job script for SLURM: the studies as an array of jobs, then a job for the joint tables."""

import re
import shlex
from pathlib import Path
from typing import Any, Unpack

import pathfuse
from pathfuse.errors import InputError
from pathfuse.workflows.options import SUITE, FuseOptions, SuiteKeywords, chosen, option_name
from pathfuse.workflows.steps.evaluating import check_options
from pathfuse.workflows.suite.layout import find_layouts

MOST_TASKS = 999
"""Sites allow about a thousand tasks of an array (``MaxArraySize`` is 1001 where nothing is said)."""
PLAIN = re.compile(r"[\w:.+-]+", re.ASCII)
"""What may stand for an amount of memory or a time."""

SCRIPT = """\
#!/bin/bash
# {n} studies of {folder}, written by pathfuse {version}.
# 'bash THIS-FILE' submits {tasks} tasks that share the studies, then a job that writes the joint
# tables once all have ended. What was stopped goes on: submit it again.
#SBATCH --job-name=pathfuse-suite
#SBATCH --requeue
#SBATCH --cpus-per-task=1
#SBATCH --mem={memory}
#SBATCH --time={time}
#SBATCH --output=pathfuse-suite-%A_%a.log
set -euo pipefail
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
suite=({command})

if [ -z "${{SLURM_JOB_ID:-}}" ]; then
  array=$(sbatch --parsable --array=1-{tasks} "$0")
  # afterany: a study that failed is a line of the joint table, with its reason
  sbatch --dependency="afterany:${{array%%;*}}" --cpus-per-task=2 "$0"
elif [ -n "${{SLURM_ARRAY_TASK_ID:-}}" ]; then
  "${{suite[@]}}" --shard "$SLURM_ARRAY_TASK_ID/{tasks}"
else
  "${{suite[@]}}" --jobs 2
fi
"""


def slurm_script(
    folder: str | Path,
    out: str | Path,
    *,
    tasks: int = 500,
    memory: str = "4G",
    time: str = "04:00:00",
    cohorts: str | Path | None = None,
    **options: Unpack[SuiteKeywords],
) -> str:
    """The text of a script that submits itself.

    Args:
        folder: One sub-folder per study, as of ``run_suite``.
        out: Where the results go.
        tasks: At most so many tasks of the array, each with a share of the studies.
        memory: Of each task, such as ``4G``.
        time: Of each task, such as ``04:00:00``.
        cohorts: Table ``study,cohort``, as of ``run_suite``.
        **options: As of ``run_suite``.

    Raises:
        InputError: There is no study, or an option is wrong.
    """
    if not 1 <= tasks <= MOST_TASKS:
        raise InputError(f"--tasks {tasks}: give a number from 1 to {MOST_TASKS}")
    for name, value in (("--memory", memory), ("--time", time)):
        if not PLAIN.fullmatch(value):
            raise InputError(f"{name} {value}: write it as sbatch has it, such as 4G or 04:00:00")
    settings = chosen(**options)
    check_options(settings)
    n = len(find_layouts(Path(folder)))
    place = Path(folder).resolve()
    usual = FuseOptions().named(SUITE)
    command: list[Any] = ["pathfuse", "suite", "run", place, "--out", Path(out).resolve()]
    command += [] if cohorts is None else ["--cohorts", Path(cohorts).resolve()]
    for name, value in settings.named(SUITE).items():
        if value != usual[name]:
            command += [option_name(name), value]
    return SCRIPT.format(
        n=n,
        folder=" ".join(str(place).split()),
        version=pathfuse.__version__,
        tasks=min(tasks, n),
        memory=memory,
        time=time,
        command=shlex.join(str(one) for one in command),
    )
